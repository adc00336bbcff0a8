"""Trainings that are killed, fail or meet another: they lose nothing good, and go on exactly."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import DAMAGES, full_disk
from runs import environment, kill_when
from trainings import PLAN, SMALL, TINY, call, command, train

from fpmc_bench import Source
from fpmc_bench.errors import CheckpointError, DiskError, ParameterError, RunError
from fpmc_bench.storage.tensors import load_tensors
from fpmc_bench.teachers.training.files import TrainingFiles
from fpmc_bench.teachers.training.log import LogLine, append_line, read_log, rewind_log
from fpmc_bench.teachers.training.session import Habits, Session
from fpmc_bench.teachers.training.trainer import Trainer


def without_pace(lines: list[LogLine]) -> list[dict[str, Any]]:
    return [line.model_dump(exclude={"images_per_second"}) for line in lines]


# --- sessions


def session(source: Source, folder: Path, **habits: int) -> Session:
    files = TrainingFiles(folder / "a.safetensors")
    chosen_habits = Habits(**{"checkpoint_every": 4, "log_every": 3, **habits})
    return Session(Trainer(TINY, PLAN, source), files, chosen_habits, source)


def run(one: Session, until: int | None = None) -> None:
    """Run a session, killed as it were after the step `until`."""

    class KilledError(Exception):
        pass

    def progress(step: int, loss: float) -> None:
        if step == until:
            raise KilledError

    with one.opened():
        if until is None:
            one.run(progress)
        else:
            with pytest.raises(KilledError):
                one.run(progress)


@pytest.mark.parametrize("until", [6, 8, 12])
def test_an_interrupted_log_ends_as_an_uninterrupted_one(
    until: int, digits: Source, tmp_path: Path
) -> None:
    """Also where the checkpoint lies between two lines: means go over all of their steps."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(session(digits, whole))
    run(session(digits, parts), until)
    run(session(digits, parts))
    expected = without_pace(read_log(TrainingFiles(whole / "a.safetensors").log))
    assert [line["step"] for line in expected] == [3, 6, 9, 12]
    assert without_pace(read_log(TrainingFiles(parts / "a.safetensors").log)) == expected


def test_a_log_says_what_the_steps_were(digits: Source, tmp_path: Path) -> None:
    one = session(digits, tmp_path, held_out_every=6)
    run(one)
    losses = [loss for _, loss in Trainer(TINY, PLAN, digits).run()]
    lines = read_log(one.files.log)
    for line in lines:
        assert line.loss == pytest.approx(sum(losses[line.step - 3 : line.step]) / 3, rel=1e-9)
        assert line.images == line.step * PLAN.batch
        assert line.images_per_second > 0
    assert [bool(line.held_out) for line in lines] == [False, True, False, True]
    errors = {one.sigma: one.mse for one in lines[-1].held_out}
    assert 80.0 in errors
    assert all(mse > 0 for mse in errors.values())


def test_a_training_that_diverges_keeps_its_last_good_checkpoint(
    digits: Source, tmp_path: Path
) -> None:
    one = session(digits, tmp_path)

    def ruin(step: int, loss: float) -> None:
        if step == 6:
            with torch.no_grad():
                next(one.trainer.network.parameters()).fill_(torch.nan)

    message = r"loss became nan at step 6: lower learning_rate"
    with one.opened(), pytest.raises(ParameterError, match=message):
        one.run(ruin)
    again = session(digits, tmp_path)
    with again.opened() as done:
        assert done == 4
        again.run(lambda step, loss: None)
    assert again.trainer.step == PLAN.steps


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused_and_left_to_its_owner(
    digits: Source, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    one = session(digits, tmp_path)
    run(one, until=6)
    damage(one.files.checkpoint)
    damaged = one.files.checkpoint.read_bytes()
    again = session(digits, tmp_path)
    refused = pytest.raises(CheckpointError, match=r"a\.checkpoint .*; remove it to start")
    with refused, again.opened():
        pass
    assert one.files.checkpoint.read_bytes() == damaged


def test_a_full_disk_is_one_error(digits: Source, tmp_path: Path) -> None:
    one = session(digits, tmp_path, log_every=1, checkpoint_every=0)
    full = pytest.raises(DiskError, match=r"log\.jsonl can't be written")
    with one.opened(), full, full_disk(10):
        one.run(lambda step, loss: None)


def test_two_trainings_of_one_file_do_not_meet(digits: Source, tmp_path: Path) -> None:
    one, other = session(digits, tmp_path), session(digits, tmp_path)
    taken = pytest.raises(RunError, match="is in use by another training")
    with one.opened(), taken, other.opened():
        pass


def test_logs_lose_a_torn_line_and_refuse_another_file(tmp_path: Path) -> None:
    path = tmp_path / "x" / "log.jsonl"
    line = LogLine(step=3, images=30, loss=0.1, learning_rate=1e-3, images_per_second=5)
    append_line(path, line)
    append_line(path, line.model_copy(update={"step": 6}))
    with path.open("a") as file:
        file.write('{"step": 9, "ima')
    assert [one.step for one in read_log(path)] == [3, 6]
    rewind_log(path, 5)
    assert [one.step for one in read_log(path)] == [3]
    path.write_text("step,loss\n1,2\n")
    with pytest.raises(RunError, match=r"log\.jsonl is not the log of a training"):
        read_log(path)


# --- the command line


def kill_when_there_is_a_checkpoint(out: Path, *arguments: str) -> None:
    checkpoint = out.with_suffix(".checkpoint")
    kill_when(checkpoint.exists, command(out, *arguments))
    assert checkpoint.exists()


@pytest.mark.parametrize(
    "more", [[], ["--precision", "bf16", "--hflip", "--architecture", "ncsnpp"]]
)
def test_a_killed_training_ends_as_an_uninterrupted_one(more: list[str], tmp_path: Path) -> None:
    arguments = ["--checkpoint-every", "2", "--log-every", "5", "--steps", "60", *more]
    whole, out = tmp_path / "whole.safetensors", tmp_path / "a.safetensors"
    done = call("digits", "--out", str(whole), *SMALL, *arguments)
    assert done.exit_code == 0, done.output
    kill_when_there_is_a_checkpoint(out, *arguments)
    checkpoint = out.with_suffix(".checkpoint")
    assert 2 <= load_tensors(checkpoint)[1]["step"] < 60
    done = call("digits", "--out", str(out), *SMALL, *arguments, "--seed", "5")
    assert done.exit_code == 1
    assert "plan.seed is 0, expected 5" in done.output
    done = call("digits", "--out", str(out), *SMALL, *arguments)
    assert done.exit_code == 0, done.output
    assert "going on from step" in done.output
    assert not checkpoint.exists()
    assert out.read_bytes() == whole.read_bytes()
    found, expected = (read_log(TrainingFiles(path).log) for path in (out, whole))
    assert without_pace(found) == without_pace(expected)


def test_several_processes_go_on_after_a_kill_where_they_stopped(tmp_path: Path) -> None:
    """Whoever starts them again, and whoever would have started those that went on."""
    out = tmp_path / "a.safetensors"
    arguments = ["--checkpoint-every", "2", "--steps", "24", "--held-out-every", "0"]
    whole = tmp_path / "whole.safetensors"
    assert train(whole, *arguments, launcher="torchrun").returncode == 0
    kill_when_there_is_a_checkpoint(out, *arguments, "--processes", "2")
    done = train(out, *arguments, launcher="torchrun")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("going on from step") == 1
    assert out.read_bytes() == whole.read_bytes()


def test_processes_that_see_different_checkpoints_stop_together(tmp_path: Path) -> None:
    """As where one is replaced while they begin."""
    code = """
        from fpmc_bench.errors import RunError
        from fpmc_bench.harness.cluster.processes import join_processes, leave_processes
        from fpmc_bench.harness.cluster.training_team import ProcessTeam
        team = ProcessTeam(join_processes("cpu"))
        team.agree_on(7)
        try:
            team.agree_on(7 * team.rank)
        except RunError as error:
            print(error)
        leave_processes()
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(code))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, "script.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("would start from different steps, [0, 7]") == 2


def test_every_process_of_a_diverging_training_ends_with_one_message(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    done = train(out, "--learning-rate", "1e30", "--warmup-steps", "1", "--processes", "2")
    assert done.returncode == 2
    assert done.stderr.count("lower learning_rate, now 1e+30") == 1
    assert not out.exists()
