"""Study: a document that says which rows a question about a suite takes, and how to show them.

Rows are entries of the suite, as they are, fine-tuned, or over an augmented source. They are
written out, or come as every combination of bases with axes or of augmentations with rates.
"""

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fpmc_bench.errors import SuiteError
from fpmc_bench.suite import PROTOCOLS, Protocol, SourceAugmentation

View = Literal["finetune", "augmentation", "table"]
LONGEST_LABEL = 60


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StudyRow(_Frozen):
    """One row: `base`, an entry of the suite or NAME[param=value,...], changed in what is given.

    `axes` are fine-tuned, none of them by default; `kernels` as `FinetunePlan` has them.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")
    base: str
    axes: tuple[str, ...] = ()
    kernels: Literal["free", "shared"] = "free"
    augmentations: tuple[SourceAugmentation, ...] = ()


class Study(_Frozen):
    """A question, its rows and the view that answers it.

    `finetune`: every one of `bases`, with each set of `axes` learned, against the base.
    `augmentation`: each one of `bases` with each of `augmentations` at each of `rates`, against
    the base. `table`: all entries of the suite, if `with_entries`, and the rows. `sigmas`: measure
    denoiser-mse at the suite's noise levels nearest to these alone. `settings` are those of
    `FinetunePlan`.
    """

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    view: View
    protocols: tuple[Protocol, ...] = Field(default=PROTOCOLS, min_length=1)
    sigmas: tuple[float, ...] | None = None
    bases: tuple[str, ...] = ()
    axes: tuple[tuple[str, ...], ...] = ()
    augmentations: tuple[str, ...] = ()
    rates: tuple[float, ...] = ()
    with_entries: bool = False
    rows: tuple[StudyRow, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_what_its_view_shows(self) -> Self:
        wanted = {
            "finetune": ("bases", "axes"),
            "augmentation": ("bases", "augmentations", "rates"),
            "table": (),
        }[self.view]
        missing = [name for name in wanted if not getattr(self, name)]
        if missing:
            raise ValueError(f"a study with view '{self.view}' needs {' and '.join(missing)}")
        if self.view != "table" and self.protocols != ("denoiser-mse",):
            raise ValueError(f"view '{self.view}' shows denoiser-mse alone, see protocols")
        return self

    def all_rows(self, entries: tuple[str, ...]) -> tuple[StudyRow, ...]:
        """For a suite with these entries. A base that it lacks is left out.

        Where all entries are rows, one that the study has under the same name is the suite's, and
        what BASE+AXES of the suite has learned is not learned again for other sources.
        """
        if self.view == "table":
            own = entries if self.with_entries else ()
            added = [_on_learned(row, own) for row in self.rows if row.name not in own]
            return (*(StudyRow(name=name, base=name) for name in own), *added)
        rows = []
        for base in self.bases:
            if "[" not in base and base not in entries:
                continue
            label = _label(base)
            rows.append(StudyRow(name=label, base=base))
            rows += [
                StudyRow(name=f"{label}+{''.join(axes)}", base=base, axes=axes)
                for axes in self.axes
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
        return tuple(rows)


def _label(base: str) -> str:
    """NAME[param=value,...] as a name of rows and files, of a length that files may have."""
    plain = re.sub(r"[^A-Za-z0-9.+_-]+", "-", base).strip("-")
    if len(plain) <= LONGEST_LABEL:
        return plain
    return f"{plain[:LONGEST_LABEL]}-{hashlib.sha256(base.encode()).hexdigest()[:8]}"


def _on_learned(row: StudyRow, entries: tuple[str, ...]) -> StudyRow:
    """The row upon the suite's own fine-tuned entry, where it has the one that the row asks for."""
    learned = f"{row.base}+{''.join(row.axes)}"
    if row.kernels == "free" and row.axes and learned in entries:
        return row.model_copy(update={"base": learned, "axes": ()})
    return row


def read_study(path: Path) -> Study:
    """Parse and validate a study's file; SuiteError names the file and every fault."""
    try:
        return Study.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise SuiteError(f"no study file at {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SuiteError(f"{path} is not valid TOML: {error}") from error
    except ValidationError as error:
        faults = [
            f"  {'.'.join(str(part) for part in fault['loc']) or 'study'}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise SuiteError("\n".join([f"{path} is not a valid study:", *faults])) from error
