"""EDM checkpoints through the command line: converting, showing, loading, and bad ones."""

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from edm_files import SMALL, Persistent, edm_names, edm_object, network_of, write_edm
from torch import Tensor, nn

from fpmc_bench import load_teacher
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.catalog.places import Places
from fpmc_bench.cli import main
from fpmc_bench.storage.tensors import load_tensors, save_tensors
from fpmc_bench.teachers.network import NetworkTeacher

PUBLISHED = {
    f"edm-{name}-uncond-{kind}": dataset
    for name, dataset in (
        ("cifar10-32x32", "cifar10"),
        ("ffhq-64x64", "ffhq64"),
        ("afhqv2-64x64", "afhqv2-64"),
    )
    for kind in ("vp", "ve")
}


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["teacher", *map(str, arguments)])


def loaded(path: Path) -> NetworkTeacher:
    teacher = load_teacher(path)
    assert isinstance(teacher, NetworkTeacher)
    return teacher


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_edm(tmp_path / "edm-cifar10-32x32-uncond-ve.pkl", edm_object(network_of(SMALL)))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("preconditioning", ["edm", "vp", "ve"])
@pytest.mark.parametrize("architecture", ["ddpmpp", "ncsnpp"])
def test_a_file_answers_as_the_network_it_was_written_from(
    tmp_path: Path, architecture: str, preconditioning: str, protocol: int
) -> None:
    changes = {"architecture": architecture, "preconditioning": preconditioning, "label_dim": 5}
    network = network_of(SMALL.model_copy(update=changes))
    path = write_edm(tmp_path / "a.pkl", edm_object(network), protocol)
    teacher = load_teacher(f"{path}[label=2]")
    assert isinstance(teacher, NetworkTeacher)
    z = torch.randn(2, 3, 8, 8)
    assert teacher.config == network.config
    assert torch.equal(teacher(z, 0.7), network(z, torch.full((2,), 0.7), 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_converting_keeps_weights_type_and_fingerprint(tmp_path: Path, dtype: torch.dtype) -> None:
    network = network_of(SMALL).to(dtype)
    path = write_edm(tmp_path / "a.pkl", edm_object(network))
    out = tmp_path / "b.safetensors"
    result = cli("convert", path, out, "--json")
    assert result.exit_code == 0, result.output
    tensors, card = load_tensors(out)
    assert set(tensors) == {*network.state_dict(), "canary.output"}
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == dtype
    assert card["origin"]["file"] == "a.pkl"
    assert len(card["origin"]["sha256"]) == 64
    facts = json.loads(result.output)
    assert facts["fingerprint"] == loaded(path).fingerprint == loaded(out).fingerprint


def test_info_shows_a_pickle_and_a_converted_file(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.safetensors"
    assert "cifar10" in cli("convert", file, out).output
    for path in (file, out):
        result = cli("info", path)
        assert result.exit_code == 0, result.output
        assert "ncsnpp" in result.output
        assert "origin.sha256" in result.output


def test_fingerprints_tell_preconditionings_apart(tmp_path: Path) -> None:
    prints = set()
    for kind in ("edm", "vp", "ve"):
        network = network_of(SMALL.model_copy(update={"preconditioning": kind}))
        prints.add(loaded(write_edm(tmp_path / f"{kind}.pkl", edm_object(network))).fingerprint)
    assert len(prints) == 3


def test_fields_that_came_later_leave_shipped_fingerprints_alone() -> None:
    teacher = load_teacher("digits-ddpmpp")
    assert teacher.fingerprint.startswith("ca0eac7ef8b77728d77559fe91651e27")
    assert "preconditioning" not in SMALL.model_dump_json()
    vp = SMALL.model_copy(update={"preconditioning": "vp"})
    assert vp.model_validate_json(vp.model_dump_json()) == vp


def spoil(path: Path, name: str, change: Callable[[Tensor], Tensor | None]) -> None:
    tensors, card = load_tensors(path)
    changed = change(tensors.pop(name))
    save_tensors(path, tensors if changed is None else {**tensors, name: changed}, card)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("model.map_layer0.weight", lambda t: t * 1.05, "off by"),
        ("canary.output", lambda t: t + 0.1, "off by"),
        ("canary.output", lambda t: None, "canary.output' is missing"),
        ("canary.output", lambda t: t[:1].clone(), r"canary.output' is \[1"),
    ],
)
def test_the_canary_notices_another_function(
    file: Path, tmp_path: Path, name: str, change: Any, message: str
) -> None:
    out = tmp_path / "b.safetensors"
    assert cli("convert", file, out).exit_code == 0
    spoil(out, name, change)
    result = cli("info", out)
    assert result.exit_code == 1
    assert re.search(message, result.output), result.output


class Calls:
    """Pickles as the call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def bad_shape(**arguments: Any) -> Any:
    return lambda: edm_object(network_of(SMALL), **arguments)


def bad_state(**changes: Any) -> Any:
    def make() -> Any:
        ema = edm_object(network_of(SMALL))
        ema.meta["state"].update(changes)
        return ema

    return make


def other_class() -> Any:
    ema = edm_object(network_of(SMALL))
    ema.meta["class_name"] = "iDDPMPrecond"
    return ema


def double_weights() -> Any:
    return edm_object(network_of(SMALL).double())


def nan_weight() -> Any:
    network = network_of(SMALL)
    network.get_parameter("model.map_layer0.bias")[0] = float("nan")
    return edm_object(network)


def extra_module() -> Any:
    network = network_of(SMALL)
    network.model.zebra = nn.Linear(2, 2)
    return edm_object(network)


BAD = {
    "other class": (other_class, "iDDPMPrecond"),
    "not a module": (lambda: 3, "expected a network module, found 3"),
    "other model": (bad_shape(model_type="DhariwalUNet"), "model_type is 'DhariwalUNet'"),
    "no model type": (bad_shape(model_type=None), "model_type is 'DhariwalUNet'"),
    "other decoder": (bad_shape(decoder_type="skip"), "decoder_type is 'skip'"),
    "other encoder": (bad_shape(encoder_type="skip"), "neither DDPM++ nor NCSN++"),
    "unknown argument": (bad_shape(wings=2), "'wings'"),
    "no size": (bad_shape(img_resolution=None), "side_px"),
    "size as text": (bad_shape(img_resolution="wide"), "side_px"),
    "size of a petabyte": (bad_shape(model_channels=2**50), "model_channels"),
    "size of another network": (bad_shape(num_blocks=2), "it lacks model."),
    "size numpy made": (bad_shape(img_resolution=np.int64(8)), "side_px"),
    "positional arguments": (bad_state(_init_args=(8, 3)), "_init_args"),
    "no parameters": (bad_state(_parameters=None), "_parameters"),
    "module is text": (bad_state(_modules={"model": "x"}), "found 'x'"),
    "extra module": (extra_module, "it has unexpected model.zebra.weight"),
    "double precision": (double_weights, "DoubleStorage"),
    "not finite": (nan_weight, "non-finite model.map_layer0.bias"),
    "calls os.system": (lambda: Calls(os.system, "touch executed"), "posix.system"),
    "calls eval": (lambda: Calls(eval, "open('executed', 'w')"), "builtins.eval"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_network_is_refused_in_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = BAD[case]
    path = write_edm(tmp_path / "bad.pkl", make())
    result = cli("convert", path, tmp_path / "out.safetensors")
    assert result.exit_code == 1, result.output
    assert message in result.output
    assert str(path) in result.output
    assert result.output.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["bad.pkl"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<html>not found</html>", "truncated or damaged"),
        (pickle.dumps([1, 2]), "has no dict"),
        (pickle.dumps({"net": 1}), "keys ['net']"),
        (pickle.dumps({"ema": 1}) + b"tail", "4 bytes after its pickle"),
        (b"PK\x03\x04 a zip\n", "instruction PERSID"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.pkl"
    path.write_bytes(content)
    result = cli("info", path)
    assert result.exit_code == 1, result.output
    assert message in result.output


def test_missing_and_misnamed_files(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.safetensors"
    result = cli("convert", tmp_path / "nowhere.pkl", out)
    assert result.exit_code == 1
    assert "no EDM checkpoint at" in result.output
    result = cli("convert", file, tmp_path / "b.bin")
    assert result.exit_code == 2
    assert "has to end in .safetensors" in result.output
    out.touch()
    result = cli("convert", file, out)
    assert result.exit_code == 2
    assert "already exists" in result.output


@pytest.mark.parametrize(("name", "dataset"), PUBLISHED.items())
def test_published_teachers_are_registered_and_check_their_file(
    name: str, dataset: str, file: Path
) -> None:
    plugin = installed_registry().get("teachers", name).item
    assert (plugin.name, plugin.dataset) == (name, dataset)
    result = cli("info", name)
    assert result.exit_code == 2
    assert f"https://nvlabs-fi-cdn.nvidia.com/edm/pretrained/{name}.pkl" in result.output
    result = cli("info", name, "--teacher", f"{name}={file}")
    assert result.exit_code == 1
    assert "holds a ncsnpp of 3x8x8 images" in result.output


def test_a_published_teacher_takes_its_file_as_it_is_or_converted(tmp_path: Path) -> None:
    name = "edm-cifar10-32x32-uncond-vp"
    config = SMALL.model_copy(update={"architecture": "ddpmpp", "side_px": 32})
    path = write_edm(tmp_path / f"{name}.pkl", edm_object(network_of(config)))
    out = tmp_path / "b.safetensors"
    assert cli("convert", path, out).exit_code == 0
    prints = set()
    for place in (path, out):
        teacher = load_teacher(name, places=Places.given((), (f"{name}={place}",)))
        assert isinstance(teacher, NetworkTeacher)
        assert teacher.name == name
        assert teacher.card.dataset == "cifar10"
        prints.add(teacher.fingerprint)
    assert len(prints) == 1


def test_a_published_teacher_refuses_the_file_of_another_dataset(tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"architecture": "ddpmpp", "side_px": 64})
    ema, name = edm_object(network_of(config)), "edm-afhqv2-64x64-uncond-vp"
    foreign = write_edm(tmp_path / "edm-ffhq-64x64-uncond-vp.pkl", ema)
    result = cli("info", name, "--teacher", f"{name}={foreign}")
    assert result.exit_code == 1
    assert "is a network of 'ffhq64'" in result.output
    renamed = foreign.rename(tmp_path / "mine.pkl")
    teacher = load_teacher(name, places=Places.given((), (f"{name}={renamed}",)))
    assert isinstance(teacher, NetworkTeacher)
    assert teacher.card.dataset == "afhqv2-64"


def test_the_writer_is_of_the_persistence_helpers_shape() -> None:
    with edm_names():
        text = pickle.dumps(Persistent("X", {}), protocol=2)
    assert b"torch_utils.persistence\n_reconstruct_persistent_obj\n" in text
