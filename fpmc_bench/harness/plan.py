"""A suite with everything it names found and checked: nothing is left that could be missing.

Planning does no work: sources are known by their recipes, and nothing has been fitted. A plugin
whose own checks break, rather than refuse something, costs its entry and not the suite.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import fpmc_bench
from fpmc_bench.catalog.augmentations import PlannedSource, plan_source
from fpmc_bench.catalog.built import BuiltDenoiser, assemble
from fpmc_bench.catalog.code import origin_of
from fpmc_bench.catalog.context import Context, load_context
from fpmc_bench.catalog.naming import check_entries
from fpmc_bench.catalog.parameters import make_plugin
from fpmc_bench.catalog.places import Places
from fpmc_bench.catalog.process_state import own_randomness
from fpmc_bench.catalog.registry import Registry
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import Denoiser, TeacherModel
from fpmc_bench.documents.names import row_name
from fpmc_bench.documents.protocols import protocol_facts
from fpmc_bench.documents.provenance import PluginOrigin, RowRole
from fpmc_bench.documents.suite import Entry, Suite
from fpmc_bench.errors import FpmcBenchError, PluginError
from fpmc_bench.fpmc.source import Source
from fpmc_bench.harness.cluster.endings import Watched
from fpmc_bench.harness.shared import broken, sealed
from fpmc_bench.protocols.problem import Problem


@dataclass(frozen=True, eq=False)
class Contestant:
    """One row of a protocol's table: an entry of the suite, or a teacher network."""

    role: RowRole
    entry: Entry
    denoiser: Denoiser | TeacherModel
    source: PlannedSource
    origin: PluginOrigin
    files: str
    """Fingerprint of whatever the denoiser reads beside source and teachers."""
    citation: str = ""
    url: str = ""
    formula: str = ""
    needs: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def is_strangers(self) -> bool:
        """Whether code of it, or of what its source is made by, is not fpmc_bench's own."""
        origins = (self.origin, *(one.plugin for one in self.source.added))
        return any(one.distribution != "fpmc-bench" for one in origins)

    def over_plain_images(self) -> "Contestant":
        """The same over the training images alone."""
        return replace(self, source=PlannedSource(self.source.context))


@dataclass(frozen=True, eq=False)
class Plan:
    """What all entries share, and the entries as contestants, in the order of the suite."""

    context: Context
    contestants: tuple[Contestant, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    """Entry -> what its plugin raised as it was checked; it is no contestant."""

    @property
    def suite(self) -> Suite:
        return self.context.suite

    def contestant(self, name: str) -> Contestant:
        """That of an entry of the suite."""
        return self.contestants[[one.name for one in self.contestants].index(name)]

    def whole(self) -> "Plan":
        """This plan; PluginError where an entry failed, for those who can't do without it."""
        if self.failures:
            reports = [f"{name} failed:\n{report}" for name, report in self.failures.items()]
            raise PluginError("\n".join(reports))
        return self

    def anew(self) -> "Plan":
        """The same over images and networks that are loaded once more."""
        context = self.context.anew()
        contestants = (
            replace(one, source=replace(one.source, context=context)) for one in self.contestants
        )
        return replace(self, context=context, contestants=tuple(contestants))

    def built(self, contestant: Contestant) -> BuiltDenoiser:
        """An entry as a function (z, sigma) -> image: its source is made, its needs are met.

        Raises whatever a plugin raises.
        """
        assert isinstance(contestant.denoiser, Denoiser), "a network is one already"
        needs_maps = "sensitivity" in contestant.needs
        source = contestant.source.made()
        return assemble(
            contestant.denoiser, self.context.setting(source, with_sensitivity=needs_maps)
        )

    def levels(self, protocol: str) -> tuple[int, ...]:
        """Indices of the noise levels that a protocol looks at."""
        every = tuple(range(len(self.context.sigmas)))
        return self.suite.levels or every if protocol_facts(protocol).by_sigma else every

    def problem(self, protocol: str, test: Source) -> Problem:
        """What a protocol is asked to do with these test images."""
        context = self.context
        return Problem(test, context.sigmas, self.suite.seed, context.device, self.levels(protocol))

    def network(self, protocol: str, role: Literal["reference", "other network"]) -> Contestant:
        """The network that a protocol measures against, or the other one, as a row.

        How well two networks agree bounds what imitation can mean.
        """
        context, facts = self.context, protocol_facts(protocol)
        part = facts.reference if role == "reference" else facts.other
        model, plugin = context.teacher(part), context.teacher_plugins.get(part)
        return Contestant(
            role,
            Entry(name=row_name(model.name), denoiser=model.name),
            model,
            PlannedSource(context),
            # its fingerprint says all of what it computes
            PluginOrigin(
                distribution=plugin.distribution if plugin else "fpmc-bench",
                version=plugin.version if plugin else fpmc_bench.__version__,
                code="",
            ),
            model.fingerprint,
            plugin.item.citation if plugin else "",
            (plugin.item.url or plugin.url) if plugin else "",
        )


def make_plan(
    suite: Suite,
    registry: Registry,
    device: str,
    places: Places | None = None,
    watched: Watched | None = None,
) -> Plan:
    """Find, load and check everything a suite names; raises UsageError and its kin on any fault.

    `places` say where files are that the user keeps, and may put another network in a teacher's
    role. Wrong names come first; then what is missing is listed all at once, before anything is
    loaded.
    """
    check_entries(suite, registry, places or Places())
    return plan_entries(load_context(suite, registry, device, places), watched)


def plan_entries(context: Context, watched: Watched | None = None) -> Plan:
    """The entries of a loaded suite, all of them checked; as `make_plan` raises.

    PluginError where one changes the training images as it is checked. An entry all of whose rows
    have failed for what was `watched` is not checked again.
    """
    contestants, failures = [], {}
    watched = watched or Watched()
    before = sealed(context.dataset.train)
    for entry in context.suite.entries:
        rows = [f"{entry.name}.{protocol}" for protocol in context.suite.protocols]
        if reports := watched.all_failed(rows):
            failures[entry.name] = reports[0]
            continue
        try:
            with (
                watched.box.at(rows, f"parameters of '{entry.name}' were checked"),
                own_randomness(),
                strangers_code(f"'{entry.name}'"),
            ):
                found = _contestant(entry, context)
            contestants.append(found)
        except PluginError as error:
            failures[entry.name] = str(error)
        except FpmcBenchError:
            raise
        except Exception:  # whatever a stranger's plugin raises is only its own
            failures[entry.name] = traceback.format_exc()
        if broken(before, context.dataset.train):
            raise PluginError(
                f"'{entry.name}' changed the training images when it was asked to check its "
                f"parameters; leave it out"
            )
    return Plan(context, tuple(contestants), failures)


def _contestant(entry: Entry, context: Context) -> Contestant:
    registered = context.registry.get("denoisers", entry.denoiser)
    cls: type[Denoiser] = registered.item
    denoiser = make_plugin(cls, entry.params, context.places)
    denoiser.check(context.dataset.shape, context.sigmas)
    denoiser.check_setting(context.setting(context.dataset.train))
    return Contestant(
        "entry",
        entry,
        denoiser,
        plan_source(context, entry.augmentations),
        origin_of(registered),
        denoiser.fingerprint,
        denoiser.citation,
        denoiser.url or registered.url,
        denoiser.formula,
        frozenset(denoiser.needs),
    )
