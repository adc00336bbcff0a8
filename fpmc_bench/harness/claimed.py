"""Rows as their records claim them: planned anew here, and held against what they say."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fpmc_bench.catalog.context import Context
from fpmc_bench.catalog.naming import check_entries
from fpmc_bench.documents.attestation import SUFFIX, read_attestation
from fpmc_bench.documents.failure import failure_of
from fpmc_bench.documents.items import ItemValues
from fpmc_bench.documents.provenance import PluginOrigin
from fpmc_bench.documents.reading import validated, with_numbers
from fpmc_bench.documents.record import Record, read_record
from fpmc_bench.documents.suite import Entry
from fpmc_bench.errors import PluginError, RunError
from fpmc_bench.harness.cluster.endings import Watched
from fpmc_bench.harness.plan import Contestant, Plan, plan_entries
from fpmc_bench.harness.units import Workload
from fpmc_bench.results.checks import refuse_altered
from fpmc_bench.results.claims import Difference, contradictions, remarks_on_claim
from fpmc_bench.results.table import RANKED_BY

GIVEN_BY = {
    "training images": "--data",
    "test": "--data",
    "tuning teacher": "--teacher",
    "evaluation teacher": "--teacher",
    "files": "--weights",
}
"""Field of a provenance -> the option that says where the user's own lies."""


@dataclass(frozen=True, eq=False)
class Claim:
    """A record with its items; its figures are theirs, and what attests it fits."""

    path: Path
    record: Record
    values: ItemValues

    @classmethod
    def read(cls, path: Path) -> "Claim":
        """RunError, naming what is wrong, for any other."""
        record, values = read_record(path)
        if path.stem != record.stem:
            raise RunError(f"{path} is the record of {record.stem}, under another row's name")
        refuse_altered(record, values, RANKED_BY)
        if (attestation := path.with_suffix(SUFFIX)).is_file():
            read_attestation(attestation)
        return cls(path, record, values)

    @property
    def entry(self) -> Entry:
        """The row as a suite has it. SuiteError for what none can have."""
        provenance = self.record.provenance
        added = [
            {"name": one.augmentation, "rate": one.rate, "params": with_numbers(one.params)}
            for one in provenance.source.added
        ]
        content = {
            "name": self.record.entry,
            "denoiser": provenance.denoiser,
            "params": with_numbers(provenance.params),
            "augmentations": added,
        }
        return validated(Entry, content, str(self.path), "entry of a suite")


def planned(claim: Claim, context: Context, watched: Watched) -> Contestant:
    """Whatever plays the row here, by this machine's plugins, `watched` as they are checked.

    RunError for a denoiser that is not here and for what the suite states otherwise, PluginError
    for what broke as it was checked, and as `check_entries` for what can't be found.
    """
    record = claim.record
    if record.is_other_network:
        other = Plan(context, ()).network(record.protocol, "other network")
        if other.name != record.entry:
            raise RunError(f"it is of the network '{record.entry}', and '{other.name}' plays here")
        return other
    entry = claim.entry
    stated = context.suite.entry(entry.name)
    if stated != entry:
        raise RunError(
            f"the suite states that row otherwise: {_shown(stated)}, and its record says "
            f"{_shown(entry)}"
        )
    if entry.denoiser not in context.registry.items["denoisers"]:
        raise RunError(_not_here(entry.denoiser, record.provenance.plugin))
    suite = context.suite.model_copy(update={"entries": (entry,)})
    check_entries(suite, context.registry, context.places)
    plan = plan_entries(context.of(suite), watched)
    for report in plan.failures.values():
        raise PluginError(failure_of(record.stem, report).reason)
    return plan.contestants[0]


def refuse_contradictions(claim: Claim, contestant: Contestant, workload: Workload) -> None:
    """RunError that names whatever the record says otherwise than this suite, data and networks.

    Of what can change a figure; for all else see `remarks_on`.
    """
    record, plan = claim.record, workload.plan
    here = workload.provenance(contestant, record.protocol)
    reference = plan.network(record.protocol, "reference").name
    shared = {
        "suite": (record.suite, plan.suite.name),
        "suite_fingerprint": (record.suite_fingerprint, plan.suite.fingerprint),
        "reference": (record.reference, reference),
    }
    found = [
        *contradictions(record, here, sampled=workload.samples_test_images),
        *(Difference(name, *both) for name, both in shared.items() if both[0] != both[1]),
    ]
    if found:
        options = dict.fromkeys(GIVEN_BY[one.field] for one in found if one.field in GIVEN_BY)
        hint = f"; what it was computed with is given by {', '.join(options)}" if options else ""
        raise RunError(f"it is not of what is here: {'; '.join(map(str, found))}{hint}")
    groups = claim.values.groups, workload.groups(record.protocol)
    if _listed(groups[0]) != _listed(groups[1]):
        raise RunError("its items are in other groups than the dataset says")


def remarks_on(claim: Claim, contestant: Contestant, workload: Workload) -> tuple[str, ...]:
    """What was otherwise than the record says and is compared all the same, a sentence each."""
    here = workload.provenance(contestant, claim.record.protocol)
    said = claim.record.publication
    other = [
        field
        for field in ("citation", "url", "formula")
        if getattr(said, field) != getattr(contestant, field)
    ]
    told = (f"the plugin has another {', '.join(other)} here",) if other else ()
    return (*remarks_on_claim(claim.record, here), *told)


def _not_here(denoiser: str, plugin: PluginOrigin) -> str:
    if plugin.is_file:
        hint = f"a class of {plugin.distribution}: -d ./{plugin.distribution} says where that is"
    elif plugin.is_notebook:
        hint = "a class of a notebook, where `verify_records(..., denoisers=[...])` takes it"
    else:
        hint = f"of {plugin.distribution} {plugin.version}: install that"
    return f"Unknown denoiser '{denoiser}', {hint}"


def _listed(groups: NDArray[np.int64] | None) -> list[int] | None:
    return None if groups is None else groups.tolist()


def _shown(entry: Entry) -> str:
    return entry.model_dump_json(exclude={"name"}, exclude_defaults=True)
