"""What stands beneath a table: what was measured, what marks mean, how far to trust its errors."""

from collections.abc import Sequence

from fpmc_bench.documents.record import Record
from fpmc_bench.results.statistics import SIGNIFICANCE
from fpmc_bench.results.ties import FEWEST

DEFINITIONS = {
    "mse@1": "mean squared difference of raw pixel values in [-1, 1], nothing clamped",
    "r2-pooled@1": "1 - squared errors / squared deviations of the references from their own "
    "means, each summed over all items",
    "r2@1": "1 - squared error / squared deviation of the reference from its own mean",
}
FEW_GROUPS = 10
"""Below which an error that is clustered by them is itself rough: by a quarter, of ten."""


def caption_of(record: Record, metrics: Sequence[str], *, has_other: bool) -> tuple[str, ...]:
    """Of a table of records like this one, which shows these metrics, ranked by the first.

    `has_other`: whether it has a row of the other network.
    """
    levels = f"{len(record.sigmas)} noise levels from {max(record.sigmas):g} to "
    levels += f"{min(record.sigmas):g}"
    sentences = [
        f"Suite {record.suite} ({record.suite_fingerprint[:12]}), {record.protocol} against "
        f"{record.reference}: {record.items} items, {levels}, seed {record.provenance.seed}.",
        *(f"{metric}: {DEFINITIONS[metric]}." for metric in metrics if metric in DEFINITIONS),
        *_errors(record),
        _marks(record, metrics[0]),
        "checked is how far the figures were computed anew: claimed, not at all; verified, n items "
        "of them, which agree; reproduced, all of them.",
    ]
    if has_other:
        sentences.append("The other network is the suite's second teacher; it is not ranked.")
    return tuple(sentences)


def _errors(record: Record) -> list[str]:
    """How ± was computed, and how far it is to be trusted."""
    of_items = ", an item's value being its mean over noise levels" if record.facts.by_sigma else ""
    if record.groups is None:
        mean = f"the mean over n = {record.items} items"
        return [f"± is the standard error s/sqrt(n) of {mean}{of_items}."]
    sentences = [
        f"± is the standard error of the mean over {record.items} items in {record.groups} groups"
        f"{of_items}; errors are clustered by group, and never below those of independent items."
    ]
    if record.groups < FEW_GROUPS:
        sentences.append(
            f"With {record.groups} groups such an error is itself rough (degrees of freedom: "
            f"{record.groups - 1}); CSV and JSON have that of independent items beside it."
        )
    return sentences


def _marks(record: Record, ranked_by: str) -> str:
    """What * means, and why all have it where that can't be otherwise."""
    independent, unit = record.groups or record.items, "group" if record.groups else "item"
    if independent < FEWEST:
        return (
            f"* marks every entry: {independent} {unit}s are too few to tell any two apart, "
            f"whatever their errors; it takes {FEWEST}."
        )
    return (
        f"* marks the best entry and those that can't be told from it: a model confidence set of "
        f"{ranked_by} by the largest paired t, signs flipped {unit} by {unit}. "
        f"{100 * (1 - SIGNIFICANCE):g} % of such tables mark all entries that are truly best."
    )
