"""Networks: published shapes, EDM's identities, resampling, training that resumes exactly."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import trainings
from edm_files import waves
from pydantic import ValidationError
from torch.nn import functional
from trainings import weights_after

from fpmc_bench import Source
from fpmc_bench.errors import CheckpointError, InputError, ParameterError
from fpmc_bench.fpmc import FPMC, Uniform
from fpmc_bench.fpmc.reference import reference_denoise
from fpmc_bench.storage.tensors import CARD_KEY, load_tensors, save_tensors
from fpmc_bench.teachers.training.denoising_loss import edm_loss, posterior_mean
from fpmc_bench.teachers.training.settings import TrainingSettings
from fpmc_bench.teachers.training.trainer import Trainer
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.layers import ResampledConv2d
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond
from fpmc_bench.teachers.unet.song_unet import SongUNet

TINY = trainings.TINY.model_copy(update={"architecture": "ddpmpp"})
PLAN = TrainingSettings(steps=40, batch=16, learning_rate=3e-3, warmup_steps=5, ema_decay=0.9)

DDPMPP_SHAPES = {
    "model.map_augment.weight": [128, 9],
    "model.map_layer0.bias": [512],
    "model.enc.32x32_conv.weight": [128, 3, 3, 3],
    "model.enc.16x16_down.conv0.resample_filter": [1, 1, 2, 2],
    "model.enc.16x16_block0.qkv.weight": [768, 256, 1, 1],
    "model.dec.8x8_in0.norm2.weight": [256],
    "model.dec.16x16_block4.proj.bias": [256],
    "model.dec.32x32_aux_conv.weight": [3, 256, 3, 3],
}
NCSNPP_SHAPES = {
    "model.map_noise.freqs": [128],
    "model.map_layer0.weight": [512, 256],
    "model.enc.16x16_aux_residual.weight": [256, 3, 3, 3],
    "model.enc.8x8_aux_residual.weight": [256, 256, 3, 3],
    "model.enc.16x16_down.skip.resample_filter": [1, 1, 4, 4],
}


def tiny(architecture: str) -> EDMPrecond:
    torch.manual_seed(0)
    return EDMPrecond(TINY.model_copy(update={"architecture": architecture})).eval()


@pytest.mark.parametrize(
    ("architecture", "shapes", "parameters"),
    [("ddpmpp", DDPMPP_SHAPES, 55_733_891), ("ncsnpp", NCSNPP_SHAPES, 56_397_827)],
)
def test_cifar10_networks_have_the_published_names_shapes_and_size(
    architecture: Any, shapes: Mapping[str, list[int]], parameters: int
) -> None:
    """The defaults, with EDM's nine augmentation labels, are EDM's CIFAR-10 networks."""
    config = NetworkConfig(architecture=architecture, side_px=32, channels=3, augment_dim=9)
    with torch.device("meta"):
        network = EDMPrecond(config)
    found = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    assert {name: found.get(name) for name in shapes} == shapes
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    blocks = [name for name in found if name.endswith("32x32_block3.conv1.weight")]
    assert blocks == ["model.enc.32x32_block3.conv1.weight", "model.dec.32x32_block3.conv1.weight"]
    assert "model.enc.32x32_block0.qkv.weight" not in found, "attention at 16x16 only"


@pytest.mark.parametrize(
    ("architecture", "published"),
    [
        ("ddpmpp", [0.89392, -0.06748, 0.31688, 0.45738, 0.57834, 0.47077]),
        ("ncsnpp", [0.91878, -0.08601, 0.29839, 0.50246, 0.54579, 0.43998]),
    ],
)
def test_outputs_are_those_of_the_published_code(architecture: str, published: list[float]) -> None:
    """Expected values: NVlabs/edm's EDMPrecond(SongUNet) with the same weights and input."""
    network = tiny(architecture)
    network.load_state_dict(waves(network.state_dict()))
    z = (torch.arange(128, dtype=torch.float64) * 0.37).sin().float().reshape(2, 1, 8, 8)
    with torch.no_grad():
        denoised = network(z, torch.tensor([0.5, 3.0]))
    assert denoised[:, 0, ::3, 3].flatten().tolist() == pytest.approx(published, abs=2e-5)


@pytest.mark.parametrize("architecture", ["ddpmpp", "ncsnpp"])
def test_denoising_nothing_changes_nothing(architecture: str) -> None:
    """At sigma -> 0, c_skip -> 1 and c_out -> 0: D(z) -> z (EDM, table 1)."""
    z = torch.rand(3, 1, 8, 8) * 2 - 1
    denoised = tiny(architecture)(z, torch.full((3,), 1e-4))
    assert (denoised - z).abs().max() < 1e-3


@pytest.mark.parametrize("architecture", ["ddpmpp", "ncsnpp"])
@pytest.mark.parametrize("sigma", [0.002, 0.5, 80.0])
def test_an_untrained_network_only_skips(architecture: str, sigma: float) -> None:
    """The last layer starts at 1e-5 of Xavier: D(z) is c_skip z, for every sigma of the batch."""
    z = torch.randn(3, 1, 8, 8) * (sigma**2 + TINY.sigma_data**2) ** 0.5
    sigmas = torch.tensor([sigma, 2 * sigma, sigma / 2])
    c_skip = TINY.sigma_data**2 / (sigmas**2 + TINY.sigma_data**2)
    denoised = tiny(architecture)(z, sigmas)
    assert torch.allclose(denoised, c_skip[:, None, None, None] * z, atol=1e-3)


@pytest.mark.parametrize("sigma", [0.002, 0.5, 80.0])
def test_network_input_and_target_have_unit_variance(sigma: float) -> None:
    """What preconditioning is for: c_in z is unit normal, and so is the target of F.

    The untrained F is almost 0, so that its weighted loss is the variance of its target.
    """
    torch.manual_seed(0)
    x = torch.randn(512, 1, 8, 8) * TINY.sigma_data
    noise, sigmas = torch.randn_like(x), torch.full((512,), sigma)
    network, seen = tiny("ddpmpp"), []
    network.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        loss = edm_loss(network, x + sigma * noise, sigmas, x)
    assert seen[0].std().item() == pytest.approx(1, abs=0.02)
    assert loss.item() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("taps", [(1, 1), (1, 3, 3, 1)])
@pytest.mark.parametrize("up", [True, False])
def test_resampling_keeps_a_constant_away_from_borders(taps: tuple[int, ...], up: bool) -> None:
    layer = ResampledConv2d(2, 2, 1, taps, up=up, down=not up)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2)[:, :, None, None])
    side = 16 if up else 4
    out = layer(torch.full((1, 2, 8, 8), 3.0))
    assert out.shape == (1, 2, side, side)
    assert torch.allclose(out[:, :, 1:-1, 1:-1], torch.tensor(3.0))
    if taps == (1, 1):
        assert torch.allclose(out, torch.tensor(3.0)), "the box filter never meets the padding"


def test_fused_layer_convolves_then_filters_then_halves() -> None:
    """Equal to a convolution followed by a plain halving, away from the zero padding."""
    torch.manual_seed(0)
    fused = ResampledConv2d(3, 4, 3, (1, 3, 3, 1), down=True, fused=True)
    halve = ResampledConv2d(4, 4, 1, (1, 3, 3, 1), down=True)
    with torch.no_grad():
        fused.weight.normal_()
        fused.bias.normal_()
        halve.weight.copy_(torch.eye(4)[:, :, None, None])
    x = torch.randn(2, 3, 16, 16)
    expected = halve(functional.conv2d(x, fused.weight, fused.bias, padding=1))
    assert torch.allclose(fused(x)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-5)


def test_a_pointwise_convolution_commutes_with_the_filter() -> None:
    """Then fused and unfused are the same layer away from the padding."""
    torch.manual_seed(0)
    fused = ResampledConv2d(3, 4, 1, (1, 3, 3, 1), down=True, fused=True)
    plain = ResampledConv2d(3, 4, 1, (1, 3, 3, 1), down=True)
    torch.nn.init.normal_(fused.weight)
    plain.load_state_dict(fused.state_dict())
    x = torch.randn(2, 3, 16, 16)
    assert torch.allclose(fused(x)[..., 1:-1, 1:-1], plain(x)[..., 1:-1, 1:-1], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"side_px": 7}, "can't be halved"),
        ({"model_channels": 30}, "multiple of 4"),
        ({"architecture": "unet"}, "ddpmpp"),
        ({"depth": 3}, "depth"),
        ({"num_blocks": 10**9}, "num_blocks"),
    ],
)
def test_impossible_networks_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NetworkConfig(**{**TINY.model_dump(), **change})


def test_training_lowers_the_loss_of_the_average_too(digits: Source) -> None:
    trainer = Trainer(TINY, PLAN, digits)
    losses = [loss for _, loss in trainer.run()]
    assert len(losses) == PLAN.steps == trainer.step
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    x = digits.values()[:256]
    sigmas, noise = torch.full((256,), 1.0), torch.randn(256, 1, 8, 8)
    with torch.no_grad():
        before = edm_loss(Trainer(TINY, PLAN, digits).average, x + noise, sigmas, x)
        after = edm_loss(trainer.average, x + noise, sigmas, x)
    assert after < 0.9 * before


def test_stable_targets_are_those_of_the_optimal_denoiser(digits: Source) -> None:
    model = FPMC(Uniform(digits.shape), Uniform(digits.shape))
    z = digits.values()[:3] + 5 * torch.randn(3, 1, 8, 8)
    for sigma in (4.0, 80.0):
        targets = posterior_mean(digits.values(), z, torch.full((3,), sigma))
        expected = reference_denoise(model, digits, z, sigma).float()
        torch.testing.assert_close(targets, expected, atol=1e-4, rtol=0)


def test_stable_targets_change_high_noise_levels_only(digits: Source) -> None:
    """With a threshold above every draw nothing changes, to the last bit."""
    out_of_reach = replace(PLAN, stable_target_sigma=1e9)
    reached = replace(PLAN, stable_target_sigma=1e-3)
    weights = [weights_after(Trainer(TINY, plan, digits), 3) for plan in (PLAN, out_of_reach)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    other = weights_after(Trainer(TINY, reached, digits), 3)
    assert any(not torch.equal(weights[0][name], other[name]) for name in other)


@pytest.mark.parametrize("architecture", ["ddpmpp", "ncsnpp"])
def test_a_resumed_training_takes_the_same_steps(
    architecture: str, digits: Source, tmp_path: Path
) -> None:
    config = TINY.model_copy(update={"architecture": architecture})
    whole = weights_after(Trainer(config, PLAN, digits), 6)
    first = Trainer(config, PLAN, digits)
    weights_after(first, 3)
    first.save(tmp_path / "a.checkpoint")
    second = Trainer(config, PLAN, digits)
    second.load(tmp_path / "a.checkpoint")
    assert second.step == 3
    torch.rand(7)  # whatever else draws from the global generator must not matter
    resumed = weights_after(second, 6)
    assert whole.keys() == resumed.keys()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


def test_another_seed_is_another_network(digits: Source) -> None:
    one = weights_after(Trainer(TINY, PLAN, digits), 2)
    other = weights_after(Trainer(TINY, replace(PLAN, seed=1), digits), 2)
    name = "network.model.enc.8x8_conv.weight"
    assert not torch.allclose(one[name], other[name], atol=1e-3)


def test_a_checkpoint_of_another_run_is_refused_by_name(digits: Source, tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    trainer = Trainer(TINY, PLAN, digits)
    weights_after(trainer, 1)
    trainer.save(path)
    wider = TINY.model_copy(update={"model_channels": 16})
    fewer = Source(digits.images[:100], scale=digits.scale)
    for other, difference in [
        (Trainer(TINY, replace(PLAN, batch=8), digits), r"plan\.batch is 16, expected 8"),
        (Trainer(wider, PLAN, digits), r"config\.model_channels is 8, expected 16"),
        (Trainer(TINY, PLAN, fewer), "training_images is .*, expected"),
    ]:
        with pytest.raises(CheckpointError, match=difference):
            other.load(path)


def test_a_checkpoint_without_its_optimizer_is_damaged(digits: Source, tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    trainer = Trainer(TINY, PLAN, digits)
    weights_after(trainer, 1)
    trainer.save(path)
    tensors, card = load_tensors(path)
    save_tensors(path, {k: v for k, v in tensors.items() if "optimizer" not in k}, card)
    with pytest.raises(CheckpointError, match=r"lacks optimizer\.0\.step"):
        Trainer(TINY, PLAN, digits).load(path)


def test_a_diverging_training_says_so(digits: Source) -> None:
    trainer = Trainer(TINY, replace(PLAN, learning_rate=1e30, warmup_steps=1), digits)
    with pytest.raises(ParameterError, match=r"loss became .* lower learning_rate, now 1e\+30"):
        weights_after(trainer, PLAN.steps)
    assert trainer.step < PLAN.steps


def test_plans_and_images_that_don_t_fit_are_refused(digits: Source) -> None:
    with pytest.raises(ParameterError, match="steps must be positive, got 0"):
        replace(PLAN, steps=0)
    with pytest.raises(ParameterError, match=r"ema_decay must lie in \[0, 1\), got 1"):
        replace(PLAN, ema_decay=1.0)
    with pytest.raises(InputError, match=r"network is for 3x8x8 images, .* are 1x8x8"):
        Trainer(TINY.model_copy(update={"channels": 3}), PLAN, digits)


def test_learning_rate_warms_up_and_decays_to_zero() -> None:
    plan = TrainingSettings(steps=1000, learning_rate=1.0, warmup_steps=100)
    assert plan.learning_rate_at(0) == pytest.approx(0.01)
    assert plan.learning_rate_at(99) == pytest.approx(1, abs=0.03)
    assert plan.learning_rate_at(500) == pytest.approx(0.5)
    assert plan.learning_rate_at(999) < 1e-5


def test_raw_network_is_equivariant_to_batch_order() -> None:
    network = SongUNet(TINY).eval()
    x, labels = torch.randn(4, 1, 8, 8), torch.linspace(-1, 1, 4)
    with torch.no_grad():
        assert torch.allclose(network(x, labels).flip(0), network(x.flip(0), labels.flip(0)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!doctype html><html><title>404</title></html>", "not a safetensors file"),
        (b"", "not a safetensors file"),
        (b"\x80\x04\x95pickled", "not a safetensors file"),
    ],
)
def test_files_of_another_kind_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{path} is {message}"):
        load_tensors(path)


def test_missing_truncated_and_cardless_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_tensors(tmp_path / "nowhere.safetensors")
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"a": torch.ones(100)}, {"b": 1})
    assert load_tensors(path)[1] == {"b": 1}
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_tensors(path)
    for metadata, message in [
        ({"format": "pt"}, "no 'fpmc_bench' card"),
        ({CARD_KEY: "{"}, "not JSON"),
        ({CARD_KEY: "[1]"}, "not a JSON object"),
    ]:
        save_file({"a": torch.ones(1)}, path, metadata=metadata)
        with pytest.raises(CheckpointError, match=message):
            load_tensors(path)


def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"a": torch.zeros(3)}, {})

    def full_disk(self: Path, data: bytes) -> int:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_tensors(path, {"a": torch.ones(3)}, {})
    assert torch.equal(load_tensors(path)[0]["a"], torch.zeros(3))
