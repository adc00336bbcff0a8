"""Study: a document that says which rows a question about a suite takes, and how to show them.

Rows are entries of the suite, as they are, fine-tuned, or over an augmented source. They are
written out, or come as every combination of bases with axes or of augmentations with rates.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from fpmc_bench.documents.names import (
    ROW_NAME,
    SUITE_NAME,
    parse_selection,
    selection_name,
)
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.documents.reading import FiniteDocument, Protocol, read_toml, validated
from fpmc_bench.documents.suite import SourceAugmentation

View = Literal["finetune", "augmentation", "table"]
Rate = Annotated[float, Field(gt=0, le=20)]
Axis = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")]
InOrder = Annotated[tuple[Axis, ...], AfterValidator(lambda axes: tuple(sorted(axes)))]
Axes = Annotated[InOrder, Field(min_length=1)]


class StudyRow(FiniteDocument):
    """One row: `base`, an entry of the suite or NAME[param=value,...], changed in what is given.

    `axes` are fine-tuned, none of them by default; `kernels` as `FinetuneSettings` has them.
    """

    name: str = Field(pattern=ROW_NAME)
    base: str
    axes: InOrder = ()
    kernels: Literal["free", "shared"] = "free"
    augmentations: tuple[SourceAugmentation, ...] = ()

    @model_validator(mode="after")
    def _kernels_of_what_is_learned(self) -> Self:
        if self.kernels == "shared" and not self.axes:
            raise ValueError("kernels are of what is learned: give the row axes")
        return self


class Study(FiniteDocument):
    """A question, its rows and the view that answers it.

    `finetune`: every one of `bases`, with each set of `axes` learned, against the base.
    `augmentation`: each one of `bases` with each of `augmentations` at each of `rates`, against
    the base. `table`: all entries of the suite, if `with_entries`, and the rows. `sigmas`: measure
    denoiser-mse at the suite's noise levels nearest to these alone. `settings` are those of
    `FinetuneSettings`.
    """

    schema_version: Literal[1] = 1
    name: str = Field(pattern=SUITE_NAME)
    description: str = ""
    view: View
    protocols: tuple[Protocol, ...] = Field(default=tuple(PROTOCOLS), min_length=1)
    sigmas: tuple[PositiveFloat, ...] | None = Field(default=None, min_length=1)
    bases: tuple[str, ...] = ()
    axes: tuple[Axes, ...] = ()
    augmentations: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")], ...] = ()
    rates: tuple[Rate, ...] = ()
    with_entries: bool = False
    rows: tuple[StudyRow, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_what_its_view_shows(self) -> Self:
        wanted = {
            "finetune": ("bases", "axes"),
            "augmentation": ("bases", "augmentations", "rates"),
            "table": () if self.with_entries else ("rows",),
        }[self.view]
        missing = [name for name in wanted if not getattr(self, name)]
        if missing:
            raise ValueError(f"a study with view '{self.view}' needs {' and '.join(missing)}")
        by_sigma = [name for name, facts in PROTOCOLS.items() if facts.by_sigma]
        one_of_them = len(self.protocols) == 1 and self.protocols[0] in by_sigma
        if self.view != "table" and not one_of_them:
            shown = " or ".join(by_sigma)
            raise ValueError(f"view '{self.view}' shows {shown} alone, see protocols")
        return self

    @model_validator(mode="after")
    def _what_rows_say_is_no_setting(self) -> Self:
        for name in ("axes", "kernels"):
            if name in self.settings:
                raise ValueError(f"{name} belong to the study or its rows, not to its settings")
        return self

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        lists: dict[str, tuple[Any, ...]] = {
            name: getattr(self, name) for name in ("bases", "axes", "augmentations", "rates")
        }
        lists["rows"] = tuple(row.name for row in self.rows)
        for name, listed in lists.items():
            twice = [one for index, one in enumerate(listed) if one in listed[:index]]
            if twice:
                raise ValueError(f"{name} must differ, but {twice[0]!r} stands there twice")
        return self

    def replaced(self, **changes: Any) -> "Study":
        """A copy with fields replaced, validated anew."""
        return validated_study({**self.model_dump(), **changes}, "the changed study")

    def for_entries(self, entries: Collection[str]) -> "Study":
        """Without the bases that a suite with these entries has not; all of them may be gone."""
        own = tuple(base for base in self.bases if "[" in base or base.strip() in entries)
        return self.model_copy(update={"bases": own})

    def all_rows(self, entries: Collection[str] = ()) -> tuple[StudyRow, ...]:
        """On a suite with these entries.

        Where all entries are rows, one that the study has under the same name is the suite's, and
        what BASE+AXES of the suite has learned is not learned again for other sources.
        """
        if self.view == "table":
            own = entries if self.with_entries else ()
            added = [_on_learned(row, own) for row in self.rows if row.name not in own]
            return (*(StudyRow(name=name, base=name) for name in own), *added)
        return tuple(row for base in self.bases for row in self._combinations(base))

    def _combinations(self, base: str) -> list[StudyRow]:
        """The base itself, and what the view compares it with."""
        label = selection_name(*parse_selection(base))
        rows = [StudyRow(name=label, base=base)]
        rows += [
            StudyRow(name=f"{label}+{''.join(axes)}", base=base, axes=axes) for axes in self.axes
        ]
        rows += [
            StudyRow(
                name=f"{label}+{name}-{rate:g}",
                base=base,
                augmentations=(SourceAugmentation(name=name, rate=rate),),
            )
            for name in self.augmentations
            for rate in self.rates
        ]
        return rows


def _on_learned(row: StudyRow, entries: Collection[str]) -> StudyRow:
    """The row upon the suite's own fine-tuned entry, where it has the one that the row asks for."""
    learned = f"{row.base}+{''.join(row.axes)}"
    if row.kernels == "free" and row.axes and learned in entries:
        return row.model_copy(update={"base": learned, "axes": ()})
    return row


def read_study(path: Path) -> Study:
    """Parse and validate a study's file; SuiteError names the file and every fault."""
    return read_toml(Study, path, "study")


def validated_study(content: Mapping[str, Any], origin: str) -> Study:
    """A Study from plain data; SuiteError lists every fault at once."""
    return validated(Study, content, origin, "study")
