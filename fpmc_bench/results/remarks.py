"""What a reader of a table should know of its figures: those that flatter, and what records say.

An entry that is the reference itself ranks first with an error of 0, and one that has seen more of
the reference than its answers may come nearer to it than any other network does.
"""

from collections.abc import Mapping, Sequence

from fpmc_bench.documents.record import Record

Remarks = Mapping[str, tuple[str, ...]]
"""Row -> sentences without their ends; rows without any are left out."""


def remarks_on(records: Sequence[Record], metric: str) -> Remarks:
    """Of one protocol's records, by their error `metric`; the other network has its own alone."""
    others = [record for record in records if record.is_other_network]
    found = {
        record.entry: (*_flattery(record, others, metric), *record.remarks) for record in records
    }
    return {entry: sentences for entry, sentences in found.items() if sentences}


def as_sentences(remarks: Remarks, rows: int) -> tuple[str, ...]:
    """Each remark once, with the rows that it is on; `rows` are all of the table."""
    entries: dict[str, list[str]] = {}
    for entry, sentences in remarks.items():
        for sentence in sentences:
            entries.setdefault(sentence, []).append(entry)
    return tuple(
        f"{'All rows' if len(names) == rows else ', '.join(names)}: {sentence}."
        for sentence, names in entries.items()
    )


def _flattery(record: Record, others: Sequence[Record], metric: str) -> list[str]:
    if record.is_other_network:
        return []
    sentences = []
    error, levels = record.figures[metric].mean, record.per_sigma
    exact = [level.sigma for level in levels if level.figures[metric].mean == 0]
    if error == 0:
        sentences.append(
            f"an error of exactly 0 is that of {record.reference} itself, or of its own answers "
            f"kept; nothing is imitated"
        )
    elif exact:
        sentences.append(
            f"an error of exactly 0 at {len(exact)} of {len(levels)} noise levels, as sigma "
            f"{exact[0]:.3g}, is that of {record.reference} itself"
        )
    for other in others:
        if error < other.figures[metric].mean:
            sentences.append(
                f"nearer to {record.reference} than {other.entry} is, another network trained "
                f"for the same task; it may know more of {record.reference} than its answers to "
                f"noisy images"
            )
    return sentences
