"""For pytest: `pytest --fpmc-check NAME`, or FILE.py:Class, makes a test of every check.

It does nothing unless it is asked, and imports nothing but pytest until then.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fpmc_bench.testing.findings import Finding
    from fpmc_bench.testing.subjects import Subject

OPTION = "--fpmc-check"


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option, in a group of its own."""
    group = parser.getgroup("fpmc-bench", "plugins of fpmc_bench")
    group.addoption(
        OPTION,
        action="append",
        default=[],
        metavar="WHAT",
        help="Check what every plugin promises of WHAT: NAME[param=value,...] or ./FILE.py:Class.",
    )


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Behind all other tests: those of the plugins that are asked for."""
    asked: list[str] = session.config.getoption(OPTION)
    for what in asked:
        items.extend(Plugins.from_parent(session, name=what).collect())


class Plugins(pytest.Collector):
    """All plugins that a text names."""

    def collect(self) -> Iterator["Promise"]:
        """A test for each check of each plugin; pytest's UsageError for a text that names none."""
        from fpmc_bench.errors import FpmcBenchError
        from fpmc_bench.testing.programs import PROGRAMS
        from fpmc_bench.testing.subjects import subjects

        try:
            found = subjects(self.name)
        except FpmcBenchError as error:
            raise pytest.UsageError(f"{OPTION} {self.name}: {error}") from error
        for subject in found:
            examined = Examined(subject)
            for check in PROGRAMS[subject.kind].checks_of(subject.cls):
                yield Promise.from_parent(self, name=check.name, examined=examined)


class Examined:
    """A plugin, looked at when its first test is run."""

    def __init__(self, subject: "Subject") -> None:
        self.subject = subject
        self._findings: dict[str, Finding] | None = None

    def finding(self, check: str) -> "Finding":
        """That of a check by name."""
        from fpmc_bench.testing.examination import examine

        if self._findings is None:
            self._findings = {one.check: one for one in examine(self.subject)}
        return self._findings[check]


class PromiseError(Exception):
    """A promise was broken; its text is all there is to show."""


class Promise(pytest.Item):
    """A check of a plugin as a test."""

    def __init__(self, *, examined: Examined, **named: Any) -> None:
        super().__init__(**named)
        self.examined = examined

    def runtest(self) -> None:
        """Fails, is expected to, or is skipped, as the check's finding says."""
        from fpmc_bench.testing.findings import complaint

        found = self.examined.finding(self.name)
        if found.status == "FAILED":
            raise PromiseError(complaint([found]))
        if found.status == "expected":
            pytest.xfail(found.reason)
        if found.status == "not checked":
            pytest.skip(found.reason)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """Of a broken promise its text alone."""
        if isinstance(excinfo.value, PromiseError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[str, None, str]:
        """Where it is, for pytest's lines."""
        return "fpmc-check", None, f"{self.examined.subject.name}: {self.name}"
