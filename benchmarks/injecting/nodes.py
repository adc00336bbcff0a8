"""torchrun's elastic agents, on 127.0.0.1: workers die, nodes leave, nodes join."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import psutil

from injecting.kills import kill
from injecting.outcomes import IDENTICAL, Fault, Outcome, expect
from injecting.workers import workers
from injecting.workplace import Case, Workplace

JOINING = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""Without it agents of torch 2.13 that have met don't tell one that joins where they meet."""
Agent = subprocess.Popen[str]


def free_port() -> int:
    """That nobody listens at now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def agent(case: Case, port: int, nodes: str, processes: int = 1) -> Agent:
    """`torchrun --nnodes NODES ... -m fpmc_bench run`, as on one of several machines."""
    launcher = [
        *(sys.executable, "-m", "torch.distributed.run", "--nnodes", nodes),
        *("--nproc-per-node", str(processes), "--max-restarts", "3", "--rdzv-backend", "c10d"),
        *("--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "faults"),
        *("--rdzv-conf", "join_timeout=60,last_call_timeout=2", "-m", "fpmc_bench", "run"),
    ]
    options = case.command()
    given = options[options.index("run") + 1 :]
    at = given.index("--processes")
    return case.start([*launcher, *given[:at], *given[at + 2 :]], case.variables() | JOINING)


def began(*cases: Case) -> None:
    """Wait until units are finished, in any of these folders."""
    deadline = time.monotonic() + 120
    while not any(any(case.run_dir.glob("ledger/*.npz")) for case in cases):
        expect(time.monotonic() < deadline, "no unit is finished")
        time.sleep(0.01)


def went_on(case: Case, last: Agent, workplace: Workplace) -> str:
    """Without a command of anybody's; what was said."""
    done = case.ended(last)
    expect(done.status == 0, f"ended with {done.status}: {done.message[-3000:]}")
    expect(case.results() == workplace.results, "other records")
    ours = [line for line in done.said if line.startswith("fpmc-bench")]
    return " ".join(ours)


def worker_killed(workplace: Workplace) -> Outcome:
    """Once units are finished, any of two; torchrun starts both again."""
    for number in range(workplace.times):
        case, draw = workplace.case(), workplace.random(("torchrun", number))
        running = agent(case, free_port(), "1", processes=2)
        began(case)
        workers(running.pid, 2)[draw.randrange(2)].kill()
        message = went_on(case, running, workplace)
    return Outcome(
        workplace.times, "torchrun started all again, and they went on", IDENTICAL, message
    )


def node_left(workplace: Workplace, leave: Callable[[Agent], None], shared: bool = True) -> Outcome:
    """One of two, with its agent, once units are finished; they have one folder, or one each."""
    for _ in range(workplace.times):
        case, port = workplace.case(), free_port()
        first = agent(case, port, "1:2")
        time.sleep(1)
        other = case if shared else workplace.case()
        second = agent(other, port, "1:2")
        began(case, other)
        leave(second)
        message = went_on(case, first, workplace)
    return Outcome(workplace.times, "the other went on", IDENTICAL, message)


def told_to_stop(node: Agent) -> None:
    """As a scheduler does."""
    children = psutil.Process(node.pid).children(recursive=True)
    node.terminate()
    node.communicate(timeout=60)
    expect(not psutil.wait_procs(children, timeout=10)[1], "its workers were left behind")


def node_joined(workplace: Workplace) -> Outcome:
    """A second one, once units are finished."""
    for _ in range(workplace.times):
        case, port = workplace.case(), free_port()
        first = agent(case, port, "1:2")
        began(case)
        second = agent(case, port, "1:2")
        message = went_on(case, first, workplace)
        case.ended(second)
    return Outcome(workplace.times, "both went on together", IDENTICAL, message)


FAULTS = (
    Fault("one of two workers of torchrun --max-restarts 3 killed", worker_killed, crowded=True),
    Fault(
        "one of two nodes (torchrun --nnodes 1:2) killed",
        partial(node_left, leave=kill),
        crowded=True,
    ),
    Fault(
        "the same, told to stop by SIGTERM", partial(node_left, leave=told_to_stop), crowded=True
    ),
    Fault(
        "one of two nodes, with a folder and a cache of its own, killed",
        partial(node_left, leave=kill, shared=False),
        crowded=True,
    ),
    Fault("a second node joins the first (torchrun --nnodes 1:2)", node_joined, crowded=True),
)
