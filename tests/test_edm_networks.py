"""The networks of EDM's files: the published names and shapes, and the published code's outputs."""

import hashlib
from typing import Any

import pytest
import torch
from edm_files import SMALL, waves

from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond, coefficients


@pytest.mark.parametrize(
    ("architecture", "side_px", "count", "sha256"),
    [
        ("ddpmpp", 32, 425, "5b64854adf30015fc75adc6c061a84a176303695d0be57736e9ec7344e4f6f6d"),
        ("ncsnpp", 32, 432, "ea8d0e56f3c0f15893049ab65d6e0a2ed29fa07e384b612f314272c96d5f6ddb"),
        ("ddpmpp", 64, 553, "f955a245c76e4839819177d868c0e2f846c241e4e0c2aee27ae54e6ad7616118"),
        ("ncsnpp", 64, 563, "e4fe182e5798b3d949ae846df8496137a3138a54d2f56fccf651427f36a6bcd7"),
    ],
)
def test_every_key_and_shape_is_the_published_codes(
    architecture: Any, side_px: int, count: int, sha256: str
) -> None:
    """Expected: sha256 over the sorted `name shape` lines of NVlabs/edm's networks."""
    config = NetworkConfig(
        architecture=architecture,
        side_px=side_px,
        channels=3,
        channel_mult=(2, 2, 2) if side_px == 32 else (1, 2, 2, 2),
        augment_dim=9,
    )
    with torch.device("meta"):
        state = EDMPrecond(config).state_dict()
    lines = sorted(f"{name} {list(tensor.shape)}" for name, tensor in state.items())
    assert len(lines) == count
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == sha256


@pytest.mark.parametrize(
    ("preconditioning", "architecture", "published"),
    [
        ("edm", "ddpmpp", [0.050179, 0.584512, -0.297495, 0.331047, 0.250997, 0.288638]),
        ("edm", "ncsnpp", [0.018717, 0.591394, -0.290607, 0.287753, 0.261079, 0.29833]),
        ("vp", "ddpmpp", [-0.644554, 0.497319, -1.270057, -0.849691, -2.529601, -1.204872]),
        ("vp", "ncsnpp", [-0.600256, 0.487412, -1.279833, -0.585809, -2.590725, -1.264041]),
        ("ve", "ddpmpp", [-0.027536, 1.053725, -0.710801, 2.848427, 0.806998, 2.150881]),
        ("ve", "ncsnpp", [-0.071909, 1.063583, -0.701026, 2.585983, 0.86856, 2.210034]),
    ],
)
def test_outputs_are_those_of_the_published_code(
    preconditioning: str, architecture: str, published: list[float]
) -> None:
    """Expected values: NVlabs/edm's networks, same weights and input, class labels left out.

    With four class labels, whose bias counts although the labels are zero, and nine of
    augmentation.
    """
    changes = {"architecture": architecture, "preconditioning": preconditioning, "label_dim": 4}
    network = EDMPrecond(SMALL.model_copy(update=changes)).eval()
    network.load_state_dict(waves(network.state_dict()))
    z = (torch.arange(384, dtype=torch.float64) * 0.37).sin().float().reshape(2, 3, 8, 8)
    with torch.no_grad():
        denoised = network(z, torch.tensor([0.5, 3.0]))
    assert denoised[:, 1, ::3, 3].flatten().tolist() == pytest.approx(published, abs=2e-5)


@pytest.mark.parametrize(
    ("preconditioning", "published"),
    [
        ("edm", [0.051847, 0.585104, -0.299272, 0.333269, 0.251833, 0.286279]),
        ("vp", [-0.646881, 0.496475, -1.26759, -0.862893, -2.534515, -1.190631]),
    ],
)
def test_outputs_for_a_class_are_those_of_the_published_code(
    preconditioning: str, published: list[float]
) -> None:
    """Expected values: as above, with a one-hot label of the third class, whose weights count."""
    changes = {"architecture": "ddpmpp", "preconditioning": preconditioning, "label_dim": 4}
    network = EDMPrecond(SMALL.model_copy(update=changes)).eval()
    network.load_state_dict(waves(network.state_dict()))
    network.get_parameter("model.map_label.weight").data.mul_(300)
    z = (torch.arange(384, dtype=torch.float64) * 0.37).sin().float().reshape(2, 3, 8, 8)
    with torch.no_grad():
        denoised = network(z, torch.tensor([0.5, 3.0]), 2)
    assert denoised[:, 1, ::3, 3].flatten().tolist() == pytest.approx(published, abs=2e-5)


def test_the_coefficients_of_vp_and_ve_undo_their_noise() -> None:
    """EDM, table 1: F is to predict the noise itself, of unit variance."""
    sigma = torch.tensor([0.01, 1.0, 80.0], dtype=torch.float64)
    vp = coefficients(SMALL.model_copy(update={"preconditioning": "vp"}), sigma)
    t = vp.noise_label / 999
    assert torch.allclose((torch.exp(0.5 * 19.9 * t**2 + 0.1 * t) - 1).sqrt(), sigma)
    assert torch.equal(vp.out, -sigma)
    assert torch.equal(vp.skip, torch.ones_like(sigma))
    ve = coefficients(SMALL.model_copy(update={"preconditioning": "ve"}), sigma)
    assert torch.equal(ve.out, sigma)
    assert torch.equal(ve.spread, torch.ones_like(sigma))
    assert torch.allclose(ve.noise_label.exp() * 2, sigma)


@pytest.mark.parametrize("preconditioning", ["vp", "ve"])
def test_gradients_reach_the_image(preconditioning: str) -> None:
    network = EDMPrecond(SMALL.model_copy(update={"preconditioning": preconditioning})).double()
    z = torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    network(z, torch.tensor([0.5], dtype=torch.float64)).sum().backward()
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())
