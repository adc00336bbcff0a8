"""What all processes of a job must agree on, compared before any of them works.

Processes that would compute something else than the others end without an error and without a
result otherwise: each finds its own units, and waits for nobody's.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from pydantic_core import to_json

from fpmc_bench.errors import FpmcBenchError, RunError
from fpmc_bench.harness.cluster.processes import Processes
from fpmc_bench.storage.notations import short_json

MOST_TOLD = 4


def refuse_unlike(processes: Processes, facts: Mapping[str, Any]) -> None:
    """RunError, in every process, where one has other `facts` than the main one; says which.

    `facts`: plain data and documents; all that the work of these processes depends on.
    """
    mine = json.loads(to_json(facts, inf_nan_mode="strings"))
    everyone = [json.loads(text) for text in processes.gather(json.dumps(mine))]
    unlike = [rank for rank, other in enumerate(everyone) if other != everyone[0]]
    if not unlike:
        return
    first, other = (dict(_leaves(everyone[rank])) for rank in (0, unlike[0]))
    fields = [name for name in {**first, **other} if first.get(name) != other.get(name)]
    told = [
        f"{name} is {short_json(first.get(name))} in process 0 and "
        f"{short_json(other.get(name))} in process {unlike[0]}"
        for name in fields[:MOST_TOLD]
    ]
    if more := len(fields) - len(told):
        told.append(f"and {more} more")
    raise RunError(
        f"{_named(unlike)} of {processes.world} would compute something else than process 0: "
        f"{'; '.join(told)}; give all of them the same command, code and files"
    )


@contextmanager
def refused_together(processes: Processes) -> Iterator[None]:
    """Around what some processes do: all go on after it, or none, where it was refused to one.

    Others than that one have a RunError which says what it was.
    """
    try:
        yield
    except FpmcBenchError as error:
        processes.gather(str(error))
        raise
    said = enumerate(processes.gather(""))
    if refused := [f"process {rank}: {text}" for rank, text in said if text]:
        raise RunError("; ".join(refused))


@contextmanager
def entered_together(
    processes: Processes, context: AbstractContextManager[object]
) -> Iterator[None]:
    """A context entered by all processes, or by none, as `refused_together`."""
    with ExitStack() as stack:
        with refused_together(processes):
            stack.enter_context(context)
        yield


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(path of keys, value) of nested plain data; lists of plain values are values."""
    if isinstance(content, list) and any(isinstance(one, dict) for one in content):
        content = dict(enumerate(content))
    if not isinstance(content, dict):
        yield name, content
        return
    for key, value in content.items():
        yield from _leaves(value, f"{name}.{key}".lstrip("."))


def _named(ranks: list[int]) -> str:
    return f"process{'es' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"
