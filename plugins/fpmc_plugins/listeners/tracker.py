"""What wandb and trackio have in common: `init`, `log` and `finish` of a module."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fpmc_bench.contracts import Listener, UnitFinished, UsageError


@dataclass(frozen=True)
class Tracker(Listener):
    """A run there for a run here: units as they finish, and the figures of every record.

    `project` is theirs. Logged are `units/done`, `units/total`, `seconds_per_item/ROW` as units
    finish, and `METRIC/ROW` and `METRIC_se/ROW` for every record. UsageError where the package is
    not there.
    """

    package: ClassVar[str]
    """The module, which is also the extra that installs it."""

    project: str = "fpmc-bench"

    def __post_init__(self) -> None:
        self._module()

    def run_started(self, suite: str, directory: Path, rows: tuple[str, ...]) -> None:
        """Begin one, named by the run directory's folder."""
        config = {"suite": suite, "rows": list(rows)}
        self._module().init(project=self.project, name=directory.name, config=config)

    def unit_finished(self, unit: UnitFinished) -> None:
        """A point of its curves."""
        rate = unit.seconds / unit.items
        self._module().log(
            {
                "units/done": unit.done,
                "units/total": unit.total,
                f"seconds_per_item/{unit.row}": rate,
            }
        )

    def record_saved(self, record: Any) -> None:
        """Its figures."""
        figures = {}
        for metric, figure in record.figures.items():
            figures[f"{metric}/{record.stem}"] = figure.mean
            figures[f"{metric}_se/{record.stem}"] = figure.standard_error
        self._module().log(figures)

    def run_ended(self, failures: Mapping[str, str]) -> None:
        """End it."""
        self._module().log({"rows/failed": len(failures)})
        self._module().finish()

    def _module(self) -> Any:
        """Imported only where it is used."""
        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise UsageError(
                f"the listener '{self.name}' needs the package {self.package}: pip install "
                f"'fpmc-bench[{self.package}]'"
            ) from error
