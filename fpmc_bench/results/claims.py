"""What a record says that it is of, beside what would be computed here: field by field.

Whatever can change a figure has to be equal. What moves last bits alone is a remark, and so is the
code of a method, whose figures are compared anyhow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fpmc_bench.documents.provenance import Provenance
from fpmc_bench.documents.reading import with_numbers
from fpmc_bench.documents.record import Record
from fpmc_bench.storage.notations import short_json

MAY_DIFFER = {
    "numerics": "by another version of the engine's numerics",
    "plugin": "by another version, or other code, of its plugin",
    "added.plugin": "by another version, or other code, of an augmentation's plugin",
    "device": "on another kind of device",
    "arithmetic": "on a processor that takes other products",
}
"""Field -> what a difference in it means."""
FOLLOWS_THE_DEVICE = "test"
"""Where test images are sampled, their key names the numerics and the device that sampled them."""


@dataclass(frozen=True)
class Difference:
    """A field of the provenance: what the record says of it, and what this machine would."""

    field: str
    recorded: Any
    here: Any

    def __str__(self) -> str:
        return f"{self.field} is {short_json(self.recorded)}, and {short_json(self.here)} here"


def contradictions(record: Record, here: Provenance, *, sampled: bool) -> tuple[Difference, ...]:
    """Fields that make it another row's; `sampled`: the dataset has no test images of its own."""
    found = list(_differences(record.provenance, here))
    excused = {"numerics", "device"}.intersection(one.field for one in found)
    forgiven = {*MAY_DIFFER, *([FOLLOWS_THE_DEVICE] if sampled and excused else [])}
    return tuple(one for one in found if one.field not in forgiven)


def remarks_on_claim(record: Record, here: Provenance) -> tuple[str, ...]:
    """What was otherwise and is compared all the same, a sentence each, without its end."""
    other = [
        f"computed here {MAY_DIFFER[one.field]}"
        for one in _differences(record.provenance, here)
        if one.field in MAY_DIFFER
    ]
    divided = any(share.environment.source_parts > 1 for share in record.computed)
    told = "its source lay in parts, which rounds otherwise; at low noise that may need --tolerance"
    return (*other, *[told] * divided)


def _differences(recorded: Provenance, here: Provenance) -> Iterator[Difference]:
    first, second = _fields(recorded), _fields(here)
    if set(first["metrics"]) <= set(second["metrics"]):  # of those that it has each is compared
        second["metrics"] = first["metrics"]
    for field in first:
        if first[field] != second[field]:
            yield Difference(field, first[field], second[field])


def _fields(provenance: Provenance) -> dict[str, Any]:
    """By name as a JSON file has them; images that are added apart from the plugins that do so."""
    fields: dict[str, Any] = with_numbers(provenance.model_dump(mode="json"))
    source, teachers = fields.pop("source"), fields.pop("teachers")
    plugins = [one.pop("plugin") for one in source["added"]]
    return {
        **fields,
        "training images": source["images"],
        "added images": source["added"],
        "added.plugin": plugins,
        "tuning teacher": teachers["tuning"],
        "evaluation teacher": teachers["evaluation"],
    }
