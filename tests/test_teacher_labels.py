"""Class-conditional networks: asked about the class that their user names, or not at all."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from edm_files import SMALL, edm_object, network_of, write_edm
from runs import SMALL_SUITE, fpmc_bench

from fpmc_bench import NetworkTeacher, load_teacher
from fpmc_bench.errors import CheckpointError, UsageError
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

CLASSES = 3
CONFIG = SMALL.model_copy(update={"label_dim": CLASSES, "channels": 1, "augment_dim": 0})
Z = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)


@pytest.fixture(scope="module")
def network() -> EDMPrecond:
    found = network_of(CONFIG)
    torch.nn.init.normal_(found.get_parameter("model.map_label.weight"))
    return found


@pytest.fixture(scope="module")
def file(network: EDMPrecond, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_edm(tmp_path_factory.mktemp("edm") / "cond.pkl", edm_object(network))


def asked(path: Path, label: object) -> NetworkTeacher:
    teacher = load_teacher(f"{path}[label={label}]")
    assert isinstance(teacher, NetworkTeacher)
    return teacher


def test_a_class_moves_the_answer_and_the_mean_is_of_all_classes_answers(
    network: EDMPrecond, file: Path
) -> None:
    answers = [asked(file, label)(Z, 0.7) for label in range(CLASSES)]
    assert torch.equal(answers[1], network(Z, torch.full((2,), 0.7), 1))
    assert all(float((a - b).abs().max()) > 1e-3 for a, b in pairwise(answers))
    mean = asked(file, "mean")(Z, 0.7)
    assert torch.allclose(mean, torch.stack(answers).mean(0), atol=1e-6)
    assert not torch.allclose(mean, network(Z, torch.full((2,), 0.7)), atol=1e-3)


def test_every_label_is_another_teacher(file: Path) -> None:
    teachers = [asked(file, label) for label in (0, 1, "mean")]
    assert [teacher.name for teacher in teachers] == [
        "cond_label-0",
        "cond_label-1",
        "cond_label-mean",
    ]
    assert len({teacher.fingerprint for teacher in teachers}) == 3


@pytest.mark.parametrize(
    ("label", "complaint"),
    [
        (
            "",
            "conditioned on 3 classes; say which one to ask: '.*cond.pkl.label=0.' to '.label=2.'",
        ),
        ("[label=3]", "has 3 classes and no 3"),
        ("[label=none]", "trained without label dropout"),
        ("[label=-1]", "must be a class from 0 up, mean or none, got '-1'"),
        ("[label=cat]", "must be a class from 0 up, mean or none, got 'cat'"),
    ],
)
def test_a_choice_is_asked_for_and_has_to_exist(label: str, complaint: str, file: Path) -> None:
    with pytest.raises(UsageError, match=complaint):
        load_teacher(f"{file}{label}")


def test_unconditional_networks_take_none(tmp_path: Path) -> None:
    plain = write_edm(tmp_path / "plain.pkl", edm_object(network_of(SMALL)))
    with pytest.raises(UsageError, match=r"not conditioned on classes; leave out \[label=0\]"):
        load_teacher(f"{plain}[label=0]")
    with pytest.raises(UsageError, match="only the network at a path can be given a label"):
        load_teacher("digits-ddpmpp[label=0]")


def test_no_label_is_a_choice_where_dropout_trained_it(network: EDMPrecond, tmp_path: Path) -> None:
    """And stays one in the converted file."""
    path = write_edm(tmp_path / "dropped.pkl", edm_object(network, label_dropout=0.1))
    with pytest.raises(UsageError, match=r"or '\[label=none\]' for its answer without one"):
        load_teacher(path)
    out = tmp_path / "dropped.safetensors"
    assert fpmc_bench("teacher", "convert", path, out, cwd=tmp_path).returncode == 0
    for place in (path, out):
        answer = asked(place, "none")(Z, 0.7)
        assert torch.equal(answer, network(Z, torch.full((2,), 0.7)))


def test_a_run_names_the_label(file: Path, tmp_path: Path) -> None:
    """By --teacher, or in the suite: the record names it, and tells it from another one's."""
    run = ("-d", "optimal", "-p", "denoiser-mse", "--items", "2", "--quiet")
    suite = tmp_path / "small.toml"
    suite.write_text(SMALL_SUITE)
    options = ("--teacher", f"tuning={file}[label=1]", "--run-dir", "option")
    done = fpmc_bench("run", "small.toml", *run, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    suite.write_text(SMALL_SUITE.replace("digits-ddpmpp", f"{file}[label=mean]"))
    done = fpmc_bench("run", "small.toml", *run, "--run-dir", "suite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for folder, label in (("option", 1), ("suite", "mean")):
        path = tmp_path / folder / "records" / "optimal.denoiser-mse.json"
        record = json.loads(path.read_text())
        teacher = asked(file, label)
        assert record["reference"] == teacher.name
        assert record["provenance"]["teachers"]["tuning"] == teacher.fingerprint
    done = fpmc_bench("run", "small.toml", *run, "--teacher", f"tuning={file}", cwd=tmp_path)
    assert done.returncode == 2
    assert "conditioned on 3 classes; say which one to ask" in done.stderr


@pytest.mark.parametrize("share", ["0.1", -0.1, 2, float("nan")])
def test_a_share_of_left_out_labels_that_is_none_is_refused(
    share: object, network: EDMPrecond, tmp_path: Path
) -> None:
    path = write_edm(tmp_path / "a.pkl", edm_object(network, label_dropout=share))
    with pytest.raises(CheckpointError, match=r"label_dropout is .*; expected 0 to 1"):
        load_teacher(f"{path}[label=0]")
