"""Sensitivity maps against teachers whose derivatives are known."""

import weakref
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fpmc_bench import Source, sensitivity_maps
from fpmc_bench.errors import InputError
from fpmc_bench.storage.cache import cache_directory
from fpmc_bench.teachers.sensitivity import (
    SensitivityMaps,
    mean_absolute_jacobian,
    sensitivity_map,
    sensitivity_queries,
)
from fpmc_bench.teachers.unet.config import NetworkConfig
from fpmc_bench.teachers.unet.preconditioning import EDMPrecond

C, H, W = 2, 3, 4
D = C * H * W


@dataclass
class Linear:
    """D(z, sigma) = A z / sigma: its sensitivity is |A| / sigma, averaged over channel pairs."""

    matrix: Tensor
    fingerprint: str
    name: str = "linear"
    calls: int = 0

    def __call__(self, z: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        return (z.flatten(1) @ self.matrix.T / sigma).reshape(z.shape)

    def expected(self, sigma: float) -> Tensor:
        by_channel = self.matrix.abs().reshape(C, H, W, C, H, W)
        return by_channel.mean((0, 3)) / sigma


@pytest.fixture
def source() -> Source:
    return Source(torch.rand(7, C, H, W, generator=torch.Generator().manual_seed(0)) * 2 - 1)


@pytest.fixture
def linear(request: pytest.FixtureRequest) -> Linear:
    """Another fingerprint for every test, so that none reads what another left in the cache."""
    return Linear(torch.randn(D, D), fingerprint=request.node.name)


def test_a_linear_teacher_s_map_is_its_matrix(linear: Linear, source: Source) -> None:
    maps = sensitivity_maps(linear, source, [2.0, 0.5], samples=5)
    assert (maps.shape, maps.dtype) == ((2, H, W, H, W), torch.float32)
    for index, sigma in enumerate([2.0, 0.5]):
        assert torch.allclose(maps[index], linear.expected(sigma), rtol=1e-5)


def test_first_pair_of_axes_is_the_output_pixel(linear: Linear, source: Source) -> None:
    """G[y,x] is the map *of* output pixel (y, x): here it reads one input pixel only."""
    linear.matrix.zero_()
    output, other = (1, 2, 3), (0, 0, 1)
    row = torch.arange(D).reshape(C, H, W)[output]
    column = torch.arange(D).reshape(C, H, W)[other]
    linear.matrix[row, column] = -4.0
    found = sensitivity_map(linear, source, 1.0, samples=2)
    assert found.nonzero().tolist() == [[2, 3, 0, 1]]
    assert found[2, 3, 0, 1].item() == pytest.approx(4 / C**2)


def test_a_network_s_map_agrees_with_finite_differences(source: Source) -> None:
    """Central differences in float64, sample by sample: absolute values before the mean."""
    torch.manual_seed(0)
    config = NetworkConfig(
        architecture="ddpmpp",
        side_px=4,
        channels=2,
        model_channels=8,
        channel_mult=(1,),
        num_blocks=1,
        attention_sides=(4,),
    )
    network = EDMPrecond(config).double().eval().requires_grad_(False)
    torch.nn.init.normal_(network.get_parameter("model.dec.4x4_aux_conv.weight"), std=0.2)

    @dataclass
    class Teacher:
        name: str = "network"
        fingerprint: str = "finite differences"

        def __call__(self, z: Tensor, sigma: float) -> Tensor:
            denoised: Tensor = network(z, torch.full((len(z),), sigma, dtype=z.dtype))
            return denoised

    teacher, step, sigma = Teacher(), 1e-5, 0.7
    z = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    steps = step * torch.eye(32, dtype=torch.float64).reshape(32, 1, 2, 4, 4)
    with torch.no_grad():
        ahead = torch.stack([teacher(z + d, sigma) for d in steps])
        behind = torch.stack([teacher(z - d, sigma) for d in steps])
    jacobian = ((ahead - behind) / (2 * step)).abs().mean(1)  # over samples: [input, C, H, W]
    expected = jacobian.reshape(2, 4, 4, 2, 4, 4).mean((0, 3)).permute(2, 3, 0, 1)
    for outputs_together in (1, 5, 99):
        found = mean_absolute_jacobian(teacher, z, sigma, outputs_together)
        assert torch.allclose(found.double(), expected, rtol=1e-5, atol=1e-8)
    assert found.std() > 1e-3, "a map that is not constant, so that a transposed one would differ"
    assert not torch.allclose(found, found.permute(2, 3, 0, 1), rtol=1e-2)


def test_samples_are_averaged_after_the_absolute_value(source: Source) -> None:
    """D = z^2 / 2 has derivative z, of either sign: the map is the mean of |z| on the diagonal."""

    @dataclass
    class Square:
        name: str = "square"
        fingerprint: str = "square"

        def __call__(self, z: Tensor, sigma: float) -> Tensor:
            return z.square() / 2

    z = sensitivity_queries(source, 1.0, 50, seed=3)
    found = sensitivity_map(Square(), source, 1.0, samples=50, seed=3)
    expected = torch.diag(z.abs().mean((0, 1)).flatten() / C).reshape(H, W, H, W)
    assert torch.allclose(found, expected, atol=1e-6)


def test_passes_of_any_size_agree(
    linear: Linear, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    z = sensitivity_queries(source, 1.0, 7, seed=0)
    whole = mean_absolute_jacobian(linear, z, 1.0)
    assert linear.calls == 1
    monkeypatch.setattr("fpmc_bench.teachers.sensitivity.PIXELS_PER_PASS", 3 * H * W)
    assert torch.allclose(mean_absolute_jacobian(linear, z, 1.0), whole, rtol=1e-6)
    assert linear.calls == 1 + 3, "7 samples, 3 a pass"


def test_maps_are_computed_once_per_level_and_kept(linear: Linear, source: Source) -> None:
    files = set(cache_directory().rglob("*.safetensors"))
    one = sensitivity_map(linear, source, 1.0, samples=3)
    both = sensitivity_maps(linear, source, [2.0, 1.0], samples=3)
    assert torch.equal(both[1], one)
    assert linear.calls == 2, "sigma 1 was read back"
    assert len(set(cache_directory().rglob("*.safetensors")) - files) == 2


def test_maps_by_level_are_those_of_the_stack(linear: Linear, source: Source) -> None:
    sigmas = (2.0, 1.0, 0.5)
    maps = SensitivityMaps(linear, source, sigmas, samples=3, seed=1)
    assert (len(maps), linear.calls) == (3, 0)
    assert torch.equal(maps[1], sensitivity_map(linear, source, 1.0, samples=3, seed=1))
    assert linear.calls == 1, "only what was asked for is computed"
    stack = sensitivity_maps(linear, source, sigmas, samples=3, seed=1)
    assert all(torch.equal(maps[level], stack[level]) for level in range(3))
    assert torch.equal(torch.stack(list(maps)), stack)
    assert torch.equal(maps[-1], stack[-1])
    assert maps[2] is maps[2]
    with pytest.raises(IndexError):
        maps[3]
    with pytest.raises(InputError, match="at least one sample, got 0"):
        SensitivityMaps(linear, source, sigmas, samples=0)


@pytest.mark.parametrize("known", [False, True])
def test_maps_by_level_hold_one_at_most(known: bool, linear: Linear, source: Source) -> None:
    """Whether they are computed or mapped from their files; and none while the next is computed."""
    sigmas = [4.0, 2.0, 1.0, 0.5]
    if known:
        sensitivity_maps(linear, source, sigmas, samples=2)
    seen: list[weakref.ref[Tensor]] = []
    while_computing = []

    @dataclass
    class Watching(Linear):
        def __call__(self, z: Tensor, sigma: float) -> Tensor:
            while_computing.append(sum(one() is not None for one in seen))
            return super().__call__(z, sigma)

    maps = SensitivityMaps(Watching(linear.matrix, linear.fingerprint), source, sigmas, samples=2)
    for level in [0, 1, 1, 3, 2, 0]:
        seen.append(weakref.ref(maps[level]))
        assert len({id(one()) for one in seen if one() is not None}) == 1
    assert while_computing == ([] if known else [0] * 4)


@pytest.mark.parametrize("change", ["sigma", "samples", "seed", "teacher", "source"])
def test_a_changed_input_is_computed_anew(change: str, linear: Linear, source: Source) -> None:
    sensitivity_map(linear, source, 1.0, 3, 0)
    if change == "teacher":
        linear.fingerprint += "!"
    if change == "source":
        source = Source(source.images.flip(0))
    sensitivity_map(
        linear,
        source,
        2.0 if change == "sigma" else 1.0,
        4 if change == "samples" else 3,
        1 if change == "seed" else 0,
    )
    assert linear.calls == 2


def test_queries_are_keyed_by_item_and_share_noise_between_levels(source: Source) -> None:
    few, many = (sensitivity_queries(source, 1.0, count, seed=0) for count in (3, 8))
    assert torch.equal(many[:3], few), "more samples extend fewer"
    x = source.values()
    noisier = sensitivity_queries(source, 2.0, 3, seed=0)
    clean = 2 * few - noisier
    assert all((clean_k - x).abs().flatten(1).amax(1).min() < 1e-5 for clean_k in clean)
    assert not torch.equal(sensitivity_queries(source, 1.0, 3, seed=1), few)


def test_queries_follow_the_source_s_weights(source: Source) -> None:
    log_weights = torch.full((7,), -100.0)
    log_weights[4] = 0
    z = sensitivity_queries(Source(source.images, log_weights), 1e-6, 10, seed=0)
    assert torch.allclose(z, source.images[4].expand_as(z), atol=1e-4)


def test_teachers_without_usable_gradients_are_refused(linear: Linear, source: Source) -> None:
    @dataclass
    class Detached(Linear):
        def __call__(self, z: Tensor, sigma: float) -> Tensor:
            return super().__call__(z.detach(), sigma)

    with pytest.raises(InputError, match="teacher 'linear' is not differentiable in z"):
        sensitivity_map(Detached(linear.matrix, linear.fingerprint), source, 1.0)
    with pytest.raises(InputError, match="gradients of teacher 'linear' at sigma 1 are not finite"):
        sensitivity_map(Linear(linear.matrix * torch.nan, "nan"), source, 1.0)
    with pytest.raises(InputError, match="at least one sample, got 0"):
        sensitivity_map(linear, source, 1.0, samples=0)


def test_gradients_are_enabled_where_the_caller_disabled_them(
    linear: Linear, source: Source
) -> None:
    with torch.no_grad():
        found = sensitivity_map(linear, source, 1.0, samples=2)
    assert torch.allclose(found, linear.expected(1.0), rtol=1e-5)


def test_a_damaged_cache_file_is_replaced(linear: Linear, source: Source) -> None:
    before: set[Path] = set(cache_directory().rglob("*.safetensors"))
    first = sensitivity_map(linear, source, 1.0, samples=2)
    (path,) = set(cache_directory().rglob("*.safetensors")) - before
    path.write_bytes(path.read_bytes()[:-5])
    assert torch.equal(sensitivity_map(linear, source, 1.0, samples=2), first)
    assert linear.calls == 2
