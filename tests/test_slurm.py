"""docs/slurm/fpmc-bench.sbatch, with stand-ins for SLURM's commands: a task a node, all here."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from runs import environment, figures, fpmc_bench, write_suite

SCRIPT = Path(__file__).parents[1] / "docs" / "slurm" / "fpmc-bench.sbatch"
STAND_INS = {
    "srun": """
        trap 'kill -TERM $tasks' TERM
        for ((node = 0; node < SLURM_JOB_NUM_NODES; node++)); do "$@" & tasks="$tasks $!"; done
        for task in $tasks; do
            own=0
            while wait "$task" || own=$?; kill -0 "$task" 2>/dev/null; do own=0; done
            [ "$own" -eq 0 ] || status=$own
        done
        exit "${status:-0}"
    """,
    "scontrol": """
        [ "$1 $2" = "show hostnames" ] || exec echo "$@" >>requeued
        for ((node = 0; node < SLURM_JOB_NUM_NODES; node++)); do echo 127.0.0.1; done
    """,
    "torchrun": """
        trap 'exit 143' TERM
        echo "$OMP_NUM_THREADS of $SRUN_CPUS_PER_TASK threads: $*" >"given-$$"
        [ -z "$ENDS" ] || exit "$ENDS"
        while :; do sleep 0.05; done
    """,
}
JOB = {
    "SLURM_JOB_ID": "1234567",
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_CPUS_PER_TASK": "16",
}
COMMAND = ("run", "small.toml", "--run-dir", "a run")


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder to be in, with the stand-ins in `bin`."""
    (tmp_path / "bin").mkdir()
    for name, text in STAND_INS.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/bash\n{text}")
        path.chmod(0o755)
    return tmp_path


def begun(node: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """The batch script as a job's first node carries it out."""
    folders = [str(node / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    return subprocess.Popen(
        ["bash", str(SCRIPT), *arguments],
        cwd=node,
        env={**environment(), **JOB, "ENDS": "", "PATH": os.pathsep.join(folders), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def given(node: Path, tasks: int = 2) -> list[str]:
    """What each task's torchrun was given, once all are there."""
    deadline = time.monotonic() + 30
    while True:
        texts = [path.read_text() for path in node.glob("given-*")]
        if len([text for text in texts if text.endswith("\n")]) == tasks:
            return texts
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_node_is_told_the_same(node: Path) -> None:
    job = begun(node, *COMMAND, ENDS="0", SLURM_GPUS_ON_NODE="4")
    assert job.communicate(timeout=30)[0] == ""
    assert job.returncode == 0
    (first, second) = given(node)
    assert first == second
    assert first == (
        "4 of 16 threads: --nnodes 2 --nproc-per-node 4 --max-restarts 3 --rdzv-backend c10d "
        "--rdzv-endpoint 127.0.0.1:24567 --rdzv-id 1234567 -m fpmc_bench run small.toml "
        "--run-dir a run\n"
    )
    assert not (node / "requeued").exists()


def test_processes_and_restarts_are_chosen_and_a_failure_is_the_job_s(node: Path) -> None:
    job = begun(node, *COMMAND, ENDS="1", PROCESSES="32", RESTARTS="0", SLURM_JOB_NUM_NODES="1")
    assert job.communicate(timeout=30)[0] == ""
    assert job.returncode == 1
    (told,) = given(node, 1)
    assert told.startswith("1 of 16 threads: --nnodes 1 --nproc-per-node 32 --max-restarts 0 ")
    assert not (node / "requeued").exists(), "what fails would fail again"


@pytest.mark.parametrize(("sent", "again"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_job_whose_time_is_up_is_put_back_and_a_cancelled_one_is_not(
    node: Path, sent: signal.Signals, again: bool
) -> None:
    job = begun(node, *COMMAND)
    given(node)
    tasks = psutil.Process(job.pid).children(recursive=True)
    job.send_signal(sent)
    said, _ = job.communicate(timeout=30)
    assert job.returncode == 143
    assert not psutil.wait_procs(tasks, timeout=10)[1], "nothing is left on the nodes"
    assert (node / "requeued").exists() == again
    if again:
        assert (node / "requeued").read_text() == "requeue 1234567\n"
    assert ("job 1234567 goes on when it is its turn again" in said) == again


def test_without_a_command_it_says_how_it_is_used(node: Path) -> None:
    job = begun(node)
    assert "usage: sbatch" in job.communicate(timeout=30)[0]
    assert job.returncode == 2


def test_what_slurm_reads_stands_before_the_first_command() -> None:
    lines = SCRIPT.read_text().splitlines()
    told = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    first = next(number for number, line in enumerate(lines) if re.match(r"[^#]", line))
    assert told
    assert max(told) < first


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_has_nothing_to_say() -> None:
    subprocess.run(["shellcheck", str(SCRIPT)], check=True)


@pytest.mark.slow
def test_two_nodes_compute_what_one_process_does(node: Path) -> None:
    write_suite(node)
    (node / "bin" / "torchrun").unlink()  # the real one
    command = ("run", "small.toml", "-d", "optimal", "-p", "denoiser-mse", "--quiet")
    job = begun(node, *command, "--run-dir", "two", PROCESSES="1", SLURM_CPUS_PER_TASK="1")
    said, _ = job.communicate(timeout=280)
    assert job.returncode == 0, said
    assert fpmc_bench(*command, "--run-dir", "one", cwd=node).returncode == 0
    assert figures(node / "two") == figures(node / "one")
