"""The commands that compute a row again, from its record and the suite that is installed here."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from fpmc_bench.documents.names import selection_name, selection_text
from fpmc_bench.documents.reading import with_numbers
from fpmc_bench.documents.record import Record
from fpmc_bench.documents.suite import Entry, Suite


def run_command(record: Record, installed: Suite | None) -> str | None:
    """What computes the row anew; None where no command says it, as of a class in a notebook.

    `installed`: the suite of that name here. Where there is none, a row that is not called after
    its parameters is taken for an entry of the suite that its reader has.
    """
    words = ["fpmc-bench", "run", record.suite]
    if not record.is_other_network:
        if (selection := _selection(record, installed)) is None:
            return None
        words += ["-d", selection]
    return shlex.join([*words, f"--items={record.items}", f"--seed={record.provenance.seed}"])


def verify_command(leaderboard: str, record: Record) -> str | None:
    """What computes some of its items anew, in that folder; None for a class in a notebook."""
    plugin = record.provenance.plugin
    if plugin.is_notebook:
        return None
    own = ["-d", f"./{plugin.distribution}"] if plugin.is_file else []
    return shlex.join(["fpmc-bench", "verify", leaderboard, "--entry", record.entry, *own])


def _selection(record: Record, installed: Suite | None) -> str | None:
    """The row as `-d` has it."""
    provenance = record.provenance
    if provenance.plugin.is_notebook:
        return None
    entries = {entry.name: entry for entry in installed.entries} if installed else {}
    if record.entry in entries:
        return record.entry
    denoiser = provenance.denoiser
    called = f"./{provenance.plugin.distribution}" if provenance.plugin.is_file else denoiser
    brief = _brief(record)
    for base in (*entries.values(), None):
        for name, params in _like(base, record):
            given = {key: brief[key] for key, value in params.items()}
            if record.entry == (selection_name(name, given) if given else name):
                return selection_text(called if base is None else name, given)
    if installed is None and not provenance.plugin.is_file:
        return record.entry
    return None if provenance.source.added else f"{record.entry}={selection_text(called, brief)}"


def _like(base: Entry | None, record: Record) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The name of an entry, None being the denoiser alone, and what is to be given to have the row.

    Nothing where they differ in more than parameters.
    """
    provenance = record.provenance
    added = [(one.augmentation, one.rate, one.params) for one in provenance.source.added]
    if base is None:
        if not added:
            yield provenance.denoiser, provenance.params
    elif base.denoiser == provenance.denoiser and added == [
        (one.name, one.rate, one.params) for one in base.augmentations
    ]:
        others = {k: v for k, v in provenance.params.items() if base.params.get(k) != v}
        yield base.name, others


def _brief(record: Record) -> dict[str, Any]:
    """Its parameters, one value for a schedule that has the same at every noise level."""
    steps = len(record.provenance.sigmas)
    params: dict[str, Any] = with_numbers(record.provenance.params)
    return {
        key: value[0]
        if isinstance(value, list) and len(value) == steps and value == [value[0]] * steps
        else value
        for key, value in params.items()
    }
