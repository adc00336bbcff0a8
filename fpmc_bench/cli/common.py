"""What several commands share: options, warning of broken plugins, and printing JSON."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from fpmc_bench.catalog.places import Places
from fpmc_bench.cli.printing import echo, give_stdout_back
from fpmc_bench.documents.protocols import PROTOCOLS
from fpmc_bench.errors import UsageError
from fpmc_bench.interruptions import GOES_ON, keeping
from fpmc_bench.launched import UNSET, follow_launcher, is_elastic, is_main, is_ours, launched

if TYPE_CHECKING:
    from fpmc_bench.catalog.registry import Registry

Command = Callable[..., None]
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Bytes(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.3 on
    """A size such as 512MiB or 2GiB; without a unit, bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes; click's own error for what is no size, or less than a MiB."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B?|B)?\s*", value, re.IGNORECASE)
        if match is None:
            self.fail(f"'{value}' is not a size; expected a number with a unit, as 512MiB or 2GiB")
        prefix = (match[2] or "B")[0].upper()
        factor = UNITS[prefix if prefix == "B" else f"{prefix}iB"]
        size = int(float(match[1]) * factor)
        if size < LEAST_BUDGET_BYTES:
            self.fail(f"{value} is too little to work in; the least is 1MiB")
        return size


LEAST_BUDGET_BYTES = 2**20

memory_budget_option = click.option(
    "--memory-budget",
    type=Bytes(),
    default="1GiB",
    show_default=True,
    help="Working memory of the engine beside the source images, in each process.",
)
data_option = click.option(
    "--data",
    multiple=True,
    metavar="NAME=PATH",
    help="Where a dataset lies that you keep yourself.",
)
teacher_option = click.option(
    "--teacher",
    "teacher",
    multiple=True,
    metavar="ROLE=WHAT",
    help="The network in a role (tuning, evaluation) or of a name: a file, a diffusers folder or "
    "module:function; of one with classes, FILE[label=3] or [label=mean].",
)
weights_option = click.option(
    "--weights",
    multiple=True,
    metavar="NAME=PATH",
    help="Where fine-tuned weights lie that an entry names.",
)
denoiser_option = click.option(
    "-d",
    "--denoiser",
    "denoisers",
    multiple=True,
    metavar="ENTRY",
    help="Only this entry of the suite, or any denoiser: NAME[param=value,...], or a class of a "
    "file: ./FILE.py:Class. NAME[param={a,b,c}] is a row for each value, and ROW=NAME[...] names "
    "what it makes.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
)
processes_option = click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Local processes to share the work; not under torchrun or accelerate launch.",
)


def protocol_option(text: str) -> Callable[[Command], Command]:
    """One protocol or all of them, with this help."""
    return click.option("-p", "--protocol", type=click.Choice(list(PROTOCOLS)), help=text)


def format_option(formats: Sequence[str], what: str) -> Callable[[Command], Command]:
    """How `what` is printed, as `form`: the first of these unless another is asked for."""
    return click.option(
        "-f",
        "--format",
        "form",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help=f"How to print the {what}.",
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@dataclass(frozen=True)
class Given:
    """What every command that computes on a suite is given: on what, in how much memory, and where
    the user's own files are."""

    device: str
    memory_budget: int
    places: Places


def job_options(command: Command) -> Command:
    """Add the options that say so, and hand them to the command as `given`."""

    @wraps(command)
    def with_given(
        *arguments: Any,
        device: str,
        data: tuple[str, ...],
        teacher: tuple[str, ...],
        weights: tuple[str, ...],
        memory_budget: int,
        **others: Any,
    ) -> None:
        given = Given(device, memory_budget, Places.given(data, teacher, weights))
        command(*arguments, given=given, **others)

    for option in (
        memory_budget_option,
        weights_option,
        teacher_option,
        data_option,
        device_option,
    ):
        with_given = option(with_given)
    return with_given


@contextmanager
def shared_by(processes: int, kept: str = GOES_ON, *, isolated: bool = False) -> Iterator[None]:
    """Around the work of a command that so many local processes share: this is one of them.

    Where they are yet to be started it starts them, waits, and exits with their status; a single
    one, too, where it is `isolated`, unless torchrun has started this one. UsageError where another
    launcher has started it. `kept`: what becomes of finished work where one of them is ended.
    """
    follow_launcher()
    _, world = launched()
    if processes > 1 and world > 1 and not is_ours():
        raise UsageError(
            f"--processes {processes} starts processes of its own, but this one is one of {world} "
            f"already, as RANK and WORLD_SIZE say; leave --processes out under a launcher; {UNSET}"
        )
    if not is_ours() and (processes > 1 or (isolated and not is_elastic())):
        from fpmc_bench.harness.cluster.launcher import relaunch

        give_stdout_back()
        click.get_current_context().exit(relaunch(processes, sys.argv[1:], kept))
    from fpmc_bench.harness.cluster.blackbox import close_box, open_box

    open_box()
    from fpmc_bench.harness.cluster.meeting import absence_told
    from fpmc_bench.harness.cluster.processes import leave_processes

    with keeping(kept):
        try:
            with absence_told():
                yield
        finally:
            leave_processes()
            close_box()


def registry_with_warnings() -> "Registry":
    """The installed registry; what is wrong with plugins, a line each on stderr.

    From the main process.
    """
    from fpmc_bench.catalog.installed import installed_registry

    registry = installed_registry()
    for fault in (*registry.broken, *registry.notices) if is_main() else ():
        echo(f"fpmc-bench: {fault}", err=True)
    return registry


def print_json(content: Any) -> None:
    """As JSON in ASCII, which has no infinities: those are text."""
    from pydantic_core import to_json

    plain = json.loads(to_json(content, inf_nan_mode="strings", fallback=str))
    echo(json.dumps(plain, indent=2))


def toml_text(value: Any) -> str:
    """A parameter's value as a line of a suite file has it, where infinity is inf."""
    return json.dumps(value, default=str).replace("Infinity", "inf")


def error_table(errors: Mapping[float, float]) -> str:
    """A teacher's held-out errors as text."""
    from tabulate import tabulate

    headers = ["sigma", "held-out MSE"]
    return str(tabulate(errors.items(), headers=headers, floatfmt=("g", ".5f")))
