"""Teachers: their files, loading by name and path, and the command line that trains them."""

import json
from hashlib import sha256
from pathlib import Path

import edm_files
import pytest
import torch
from click.testing import CliRunner, Result
from damage import turned
from torch import Tensor

from fpmc_bench import load_dataset, load_teacher
from fpmc_bench.catalog.installed import installed_registry
from fpmc_bench.cli import main
from fpmc_bench.contracts import Teacher
from fpmc_bench.errors import CheckpointError, InputError, UnknownNameError
from fpmc_bench.storage.tensors import load_tensors, save_tensors
from fpmc_bench.teachers.files.teacher_file import export_teacher
from fpmc_bench.teachers.network import NetworkTeacher
from fpmc_bench.teachers.quality import held_out_errors
from fpmc_bench.teachers.training.settings import TrainingSettings
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond
from fpmc_plugins.denoisers import finetuned
from fpmc_plugins.shipped import SHA256
from fpmc_plugins.teachers import packaged

CONFIG = edm_files.SMALL.model_copy(update={"augment_dim": 0})
PLAN = TrainingSettings(steps=1)
PACKAGED = ["digits-ddpmpp", "digits-ncsnpp", "photos-ddpmpp", "photos-ncsnpp"]


def random_weights(config: NetworkConfig = CONFIG) -> dict[str, Tensor]:
    torch.manual_seed(0)
    network = EDMPrecond(config)
    torch.nn.init.normal_(network.get_parameter("model.dec.8x8_aux_conv.weight"), std=0.1)
    return network.state_dict()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    export_teacher(path, random_weights(), CONFIG, PLAN, "toy", "abc", 1)
    return path


@pytest.fixture
def teacher(file: Path) -> NetworkTeacher:
    loaded = load_teacher(file)
    assert isinstance(loaded, NetworkTeacher)
    return loaded


def test_a_file_round_trips_with_weights_rounded_and_buffers_exact(
    file: Path, teacher: NetworkTeacher
) -> None:
    before, after = random_weights(), teacher.network.state_dict()
    frequencies = "model.map_noise.freqs"
    assert torch.equal(after[frequencies], before[frequencies])
    assert not torch.equal(before[frequencies].half().float(), before[frequencies])
    weight = "model.enc.8x8_conv.weight"
    assert torch.equal(after[weight], before[weight].half().float())
    assert file.stat().st_size < 2.6 * teacher.parameters, "two bytes a weight and the names"
    assert (teacher.name, teacher.config, teacher.card.plan) == ("mine", CONFIG, PLAN)
    assert (teacher.card.dataset, teacher.card.dataset_fingerprint) == ("toy", "abc")


def test_rounding_costs_less_than_any_reported_digit(teacher: NetworkTeacher) -> None:
    exact = EDMPrecond(CONFIG).eval()
    exact.load_state_dict(random_weights())
    z = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        difference = exact(z, torch.full((4,), 1.0)) - teacher(z, 1.0)
    assert 0 < difference.abs().max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_output_is_like_its_input(teacher: NetworkTeacher, dtype: torch.dtype) -> None:
    z = torch.randn(2, 3, 8, 8).to(dtype)
    output = teacher(z, 0.5)
    assert (output.shape, output.dtype) == (z.shape, dtype)
    assert not output.requires_grad
    assert torch.allclose(output, teacher(z.float(), 0.5).to(dtype), atol=0)


def test_weights_are_frozen_and_z_is_differentiable(teacher: NetworkTeacher) -> None:
    assert not any(p.requires_grad for p in teacher.network.parameters())
    z = torch.randn(2, 3, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(teacher(z, 0.5)[0, 0, 4, 4], z)
    assert gradient[0].abs().sum() > 0
    assert gradient[1].abs().max() == 0, "images of a batch don't mix"


def test_calls_are_repeatable_and_don_t_depend_on_the_batch(teacher: NetworkTeacher) -> None:
    z = torch.randn(9, 3, 8, 8)
    whole = teacher(z, 2.0)
    assert torch.equal(whole, teacher(z, 2.0)), "no dropout, nothing random"
    parts = torch.cat([teacher(part, 2.0) for part in z.split([1, 3, 5])])
    assert (whole - parts).abs().max() < 2e-6


@pytest.mark.parametrize(
    ("z", "sigma", "message"),
    [
        (torch.zeros(2, 1, 8, 8), 1.0, r"images 3x8x8, got \[2, 1, 8, 8\]"),
        (torch.zeros(3, 8, 8), 1.0, r"got \[3, 8, 8\]"),
        (torch.zeros(2, 3, 8, 8), 0.0, "positive, finite number, got 0.0"),
        (torch.zeros(2, 3, 8, 8), float("nan"), "got nan"),
        (torch.full((2, 3, 8, 8), torch.nan), 1.0, "NaN or infinite values in 2 of 2"),
    ],
)
def test_queries_that_can_t_be_answered_are_refused(
    teacher: NetworkTeacher, z: Tensor, sigma: float, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        teacher(z, sigma)


def test_fingerprint_follows_weights_and_architecture(
    teacher: NetworkTeacher, tmp_path: Path
) -> None:
    renamed, changed = tmp_path / "other.safetensors", tmp_path / "changed.safetensors"
    weights = random_weights()
    export_teacher(renamed, weights, CONFIG, None, "elsewhere", "def", 9)
    assert load_teacher(renamed).fingerprint == teacher.fingerprint
    weights["model.dec.8x8_aux_conv.bias"][0] += 0.01
    export_teacher(changed, weights, CONFIG, PLAN, "toy", "abc", 1)
    assert load_teacher(changed).fingerprint != teacher.fingerprint
    scaled = CONFIG.model_copy(update={"sigma_data": 0.6})
    export_teacher(changed, random_weights(), scaled, PLAN, "toy", "abc", 1)
    assert load_teacher(changed).fingerprint != teacher.fingerprint


def test_weights_of_another_network_are_refused_by_name(file: Path) -> None:
    tensors, card = load_tensors(file)
    conv, bias = "model.enc.8x8_conv.weight", "model.map_layer0.bias"
    lacking = {name: tensor for name, tensor in tensors.items() if name != conv}
    infinite = {**tensors, bias: torch.full((32,), torch.inf)}
    for wrong, message in [
        (lacking, rf"it lacks {conv}"),
        ({**tensors, "extra": torch.zeros(1)}, "it has unexpected extra"),
        ({**tensors, conv: torch.zeros(8, 1, 3, 3)}, rf"{conv} \[8, 1, 3, 3\] \(expected \[8, 3,"),
        (infinite, f"it has non-finite {bias}"),
        ({}, r"it lacks .*, .*, .* and \d+ more$"),
    ]:
        save_tensors(file, wrong, card)
        with pytest.raises(CheckpointError, match=message):
            load_teacher(file)


def test_export_refuses_weights_of_another_network(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    plain = CONFIG.model_copy(update={"architecture": "ddpmpp"})
    with pytest.raises(CheckpointError, match=r"unexpected .*aux_residual"):
        export_teacher(path, random_weights(), plain, PLAN, "toy", "abc", 1)
    huge = random_weights() | {"model.map_layer0.bias": torch.full((32,), 1e6)}
    with pytest.raises(CheckpointError, match=r"map_layer0\.bias .* beyond 65504"):
        export_teacher(path, huge, CONFIG, PLAN, "toy", "abc", 1)
    assert not path.exists()


def test_cards_of_other_files_are_refused(file: Path) -> None:
    tensors, card = load_tensors(file)
    changes: list[tuple[dict[str, object], str]] = [
        ({"config": {**card["config"], "side_px": 7}}, "in its card, config: .*halved"),
        ({"config": {**card["config"], "num_blocks": 10**12}}, r"in its card, config\.num_blocks:"),
        ({"step": "many"}, "in its card, step:"),
        ({"unknown": 1}, "in its card, unknown:"),
    ]
    for change, message in changes:
        save_tensors(file, tensors, {**card, **change})
        with pytest.raises(CheckpointError, match=message):
            load_teacher(file)


def test_a_card_that_asks_for_a_huge_network_takes_no_memory(file: Path) -> None:
    """Sizes are compared before anything is allocated: this network would fill 500 GB."""
    tensors, card = load_tensors(file)
    save_tensors(file, tensors, {**card, "config": {**card["config"], "model_channels": 4096}})
    with pytest.raises(CheckpointError, match="of another shape"):
        load_teacher(file)


def test_files_that_are_no_teachers_are_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_teacher(file)
    file.write_text("<!doctype html><title>Please log in</title>")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_teacher(file)
    with pytest.raises(CheckpointError, match="no checkpoint at nowhere"):
        load_teacher("./nowhere.safetensors")


def test_unknown_names_suggest_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'digits-ddpmpp'.*\.safetensors"):
        load_teacher("digit-ddpmpp")


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_teachers_beat_the_mean_image_at_every_level(name: str) -> None:
    """And at low noise, doing nothing; both by the margins that a trained network has."""
    plugin = installed_registry().get("teachers", name).item
    assert issubclass(plugin, Teacher)
    model = load_teacher(name)
    assert isinstance(model, NetworkTeacher)
    data = load_dataset(plugin.dataset)
    assert (model.name, model.card.dataset) == (name, plugin.dataset)
    assert model.config.architecture == name.split("-")[1]
    assert model.card.dataset_fingerprint == data.train.fingerprint, "trained on these images"
    assert model.shape == data.shape
    variance = (data.test.values() - data.train.values().mean(0)).square().mean().item()
    errors = held_out_errors(model, data.test, (0.1, 1.0, 10.0, 80.0))
    assert errors[0.1] < 0.6 * 0.1**2
    assert errors[1.0] < 0.4 * variance
    assert errors[10.0] < 1.0 * variance
    assert errors[80.0] < 1.02 * variance, "at sigma 80 only the mean image is left to know"


def test_a_packaged_teacher_without_its_file_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fpmc_plugins.teachers.packaged.FOLDER", tmp_path)
    missing = r"digits-ddpmpp\.safetensors can't be read \(No such.*\): the installation is damaged"
    with pytest.raises(CheckpointError, match=missing):
        load_teacher("digits-ddpmpp")


def test_a_packaged_teacher_of_which_a_bit_was_turned_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "digits-ddpmpp.safetensors"
    file.write_bytes((packaged.FOLDER / file.name).read_bytes())
    turned(file)
    assert load_teacher(file).name == "digits-ddpmpp", "nothing else would notice"
    monkeypatch.setattr(packaged, "FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match=r"is not the file that ships.*install it again"):
        load_teacher("digits-ddpmpp")


def test_a_teacher_file_of_which_a_bit_was_turned_is_refused(file: Path) -> None:
    turned(file)
    with pytest.raises(CheckpointError, match="is damaged: its content is not what was written"):
        load_teacher(file)


def test_every_file_that_ships_is_known() -> None:
    folders = (packaged.FOLDER, finetuned.FOLDER)
    found = {path.stem: path for folder in folders for path in folder.glob("*.safetensors")}
    assert {name: sha256(path.read_bytes()).hexdigest() for name, path in found.items()} == SHA256


SMALL = ["--model-channels", "8", "--num-blocks", "1", "--batch", "8", "--warmup-steps", "2"]


def call(*arguments: str) -> Result:
    """`fpmc-bench teacher ARGUMENTS` in this process, which has torch already."""
    return CliRunner().invoke(main, ["teacher", *arguments])


def train_arguments(out: Path, *more: str) -> list[str]:
    fixed = ["train", "digits", "--architecture", "ncsnpp", "--out", str(out), "--threads", "1"]
    return [*fixed, *SMALL, "--checkpoint-every", "2", *more]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher of 60 steps, trained through the command line."""
    out = tmp_path_factory.mktemp("trained") / "small.safetensors"
    done = call(*train_arguments(out, "--steps", "60"))
    assert done.exit_code == 0, done.output
    assert f"wrote {out}" in done.stdout
    assert "held-out MSE" in done.stdout
    assert not out.with_suffix(".checkpoint").exists()
    return out


def test_a_finished_teacher_is_not_overwritten(trained: Path) -> None:
    before = trained.read_bytes()
    again = call(*train_arguments(trained, "--steps", "60"))
    assert again.exit_code == 2
    assert "exists; remove it" in again.output
    assert trained.read_bytes() == before


def test_info_shows_where_a_teacher_comes_from(trained: Path) -> None:
    text = call("info", str(trained))
    assert text.exit_code == 0, text.output
    assert "ncsnpp" in text.output
    assert "held-out MSE" in text.output
    shown = json.loads(call("info", str(trained), "--json").output)
    teacher = load_teacher(trained)
    assert isinstance(teacher, NetworkTeacher)
    assert shown["fingerprint"] == teacher.fingerprint
    assert shown["parameters"] == teacher.parameters
    assert shown["plan"]["steps"] == shown["step"] == 60
    assert shown["config"]["attention_sides"] == [4], "half the image's side"
    assert shown["config"]["sigma_data"] == 0.752
    expected = held_out_errors(teacher, load_dataset("digits").test)
    assert {row["sigma"]: row["mse"] for row in shown["held_out"]} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps"),
        (["--channel-mult", "1,x"], "--channel-mult"),
        (["--model-channels", "30"], "multiple of 4"),
        (["--ema-decay", "1"], "ema_decay"),
        (["--out", "teacher.bin"], ".safetensors"),
    ],
)
def test_wrong_usage_names_the_argument_and_has_status_2(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    done = call(*train_arguments(tmp_path / "a.safetensors", *arguments))
    assert done.exit_code == 2
    assert message in done.output
    assert list(tmp_path.iterdir()) == []
