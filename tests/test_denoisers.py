"""The methods against their definitions, written out here once more in plain numpy."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fpmc_bench import Source, build_denoiser, load_dataset, load_teacher, sensitivity_maps
from fpmc_bench.errors import (
    InputError,
    ParameterError,
    PluginError,
    UnknownNameError,
    UsageError,
)
from fpmc_bench.testing import check_denoiser
from fpmc_plugins.denoisers import fpmc_denoisers
from fpmc_plugins.denoisers.pspc_flex import sensitivity_masks

SIGMAS = (80.0, 1.5, 0.3, 0.01)
Array = NDArray[np.float64]

PARAMS: dict[str, dict[str, object]] = {
    "optimal": {},
    "wiener": {},
    "ls": {"patch_sizes": [11, 5, 3, 1]},
    "els": {"patch_sizes": [11, 5, 3, 1]},
    "pspc-square": {"patch_sizes": [5, 4, 3, 1]},
    "pspc-flex": {"thresholds": [1.0, 0.9, 0.8, 0.5]},
    "lukoianov": {"threshold": 0.1},
    "windows": {"query_widths": [9.0, 2.0, 1.0, 0.0], "response_widths": [3.0, 0.5, 1.5, 0.7]},
}


def rand(seed: int, *size: int) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def smooth(seed: int, count: int = 14, shape: tuple[int, int, int] = (3, 5, 6)) -> Tensor:
    """Images whose neighbouring pixels resemble each other, as photographs' do."""
    coarse = rand(seed, count, shape[0], 3, 3)
    fine = torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear")
    return (0.8 * fine + 0.2 * rand(seed + 1, count, *shape)).clamp(-1, 1)


def maps(shape: tuple[int, int, int], levels: int) -> Tensor:
    _, height, width = shape
    draw = rand(5, levels, height * width, height * width).abs() + torch.eye(height * width)
    return draw.reshape(levels, height, width, height, width)


def softmean(logits: Array, values: Array) -> Array:
    weights = np.exp(logits - logits.max())
    return np.tensordot(weights / weights.sum(), values, axes=1)


def clipped_square(y: int, x: int, side: int, height: int, width: int) -> tuple[slice, slice]:
    k = (side - 1) // 2
    return slice(max(y - k, 0), min(y + k + 1, height)), slice(max(x - k, 0), min(x + k + 1, width))


def numpy_ls(x: Array, z: Array, sigma: float, side: int) -> Array:
    _, _, height, width = x.shape
    out = np.empty_like(z)
    for i in range(height):
        for j in range(width):
            rows, columns = clipped_square(i, j, side, height, width)
            energy = ((z[:, rows, columns] - x[:, :, rows, columns]) ** 2).sum((1, 2, 3))
            out[:, i, j] = softmean(-energy / (2 * sigma**2), x[:, :, i, j])
    return out


def numpy_els(x: Array, z: Array, sigma: float, side: int) -> Array:
    """Every patch of every image that pixel (i, j) may be moved to, cut out one by one."""
    _, _, height, width = x.shape
    k = (side - 1) // 2
    out = np.empty_like(z)
    for i in range(height):
        for j in range(width):
            rows, columns = clipped_square(i, j, side, height, width)
            ys = range(k, height - k) if k <= i < height - k else [i]
            xs = range(k, width - k) if k <= j < width - k else [j]
            energies, values = [], []
            for image in x:
                for y in ys:
                    for c in xs:
                        patch = image[
                            :,
                            rows.start + y - i : rows.stop + y - i,
                            columns.start + c - j : columns.stop + c - j,
                        ]
                        energies.append(((z[:, rows, columns] - patch) ** 2).sum())
                        values.append(image[:, y, c])
            out[:, i, j] = softmean(-np.array(energies) / (2 * sigma**2), np.array(values))
    return out


def numpy_pspc_square(x: Array, z: Array, sigma: float, side: int) -> Array:
    _, _, height, width = x.shape
    total, count = np.zeros_like(z), np.zeros_like(z)
    for i in range(height - side + 1):
        for j in range(width - side + 1):
            rows, columns = slice(i, i + side), slice(j, j + side)
            energy = ((z[:, rows, columns] - x[:, :, rows, columns]) ** 2).sum((1, 2, 3))
            total[:, rows, columns] += softmean(-energy / (2 * sigma**2), x[:, :, rows, columns])
            count[:, rows, columns] += 1
    return total / count


def numpy_flex(x: Array, z: Array, sigma: float, tau: float, sensitivity: Array) -> Array:
    _, _, height, width = x.shape
    total, count = np.zeros_like(z), np.zeros_like(z)
    for i in range(height):
        for j in range(width):
            flat = sensitivity[i, j].ravel()
            mask, share = np.zeros(flat.size, dtype=bool), 0.0
            for pixel in np.argsort(-flat, kind="stable"):
                mask[pixel] = True
                share += flat[pixel]
                if tau < 1 and share >= tau * flat.sum():
                    break
            square = mask.reshape(height, width)
            energy = (((z - x) ** 2) * square).sum((1, 2, 3))
            total += square * softmean(-energy / (2 * sigma**2), x)
            count += square
    return total / count


def numpy_windows(x: Array, z: Array, sigma: float, widths: list[float]) -> Array:
    """One pixel's estimator after the other, all channels of a pixel weighted alike."""
    _, height, width = z.shape
    total, coverage = np.zeros_like(z), np.zeros((height, width))
    v, u = np.mgrid[:height, :width]
    for y in range(height):
        for i in range(width):
            squares = (v - y) ** 2 + (u - i) ** 2
            q, r = (
                np.exp(-squares / (2 * w**2)) if w else (squares == 0).astype(float) for w in widths
            )
            energy = (q * (z - x) ** 2).sum((1, 2, 3))
            total += r * softmean(-energy / (2 * sigma**2), x)
            coverage += r
    return total / coverage


def numpy_lukoianov(
    x: Array, z: Array, sigma: float, threshold: float, columns: bool = False
) -> Array:
    flat = x.reshape(len(x), -1)
    covariance = np.cov(flat.T, ddof=1)
    wiener = covariance @ np.linalg.inv(covariance + sigma**2 * np.eye(len(covariance)))
    varies = wiener.diagonal() >= 1e-6
    scaled = np.abs(wiener / np.where(varies, wiener.diagonal(), 1)[:, None])
    masks = scaled >= threshold * scaled[varies].max()
    masks[~varies] = np.eye(len(masks), dtype=bool)[~varies]
    masks = masks.T if columns else masks
    out = np.empty(flat.shape[1])
    for d, mask in enumerate(masks):
        energy = ((z.ravel() - flat)[:, mask] ** 2).sum(1)
        out[d] = softmean(-energy / (2 * sigma**2), flat[:, d])
    return out.reshape(z.shape)


ORACLES = {
    "optimal": lambda x, z, s, p, g: softmean(-((z - x) ** 2).sum((1, 2, 3)) / (2 * s**2), x),
    "ls": lambda x, z, s, p, g: numpy_ls(x, z, s, p),
    "els": lambda x, z, s, p, g: numpy_els(x, z, s, p),
    "pspc-square": lambda x, z, s, p, g: numpy_pspc_square(x, z, s, p),
    "pspc-flex": lambda x, z, s, p, g: numpy_flex(x, z, s, p, g),
    "lukoianov": lambda x, z, s, p, g: numpy_lukoianov(x, z, s, 0.1),
    "windows": lambda x, z, s, p, g: numpy_windows(x, z, s, p),
}


@pytest.mark.parametrize("shape", [(3, 5, 6), (1, 6, 5)])
@pytest.mark.parametrize("name", sorted(ORACLES))
def test_methods_are_their_definitions(name: str, shape: tuple[int, int, int]) -> None:
    x = smooth(0, shape=shape)
    sensitivity = maps(shape, 4)
    given = sensitivity if name == "pspc-flex" else None
    built = build_denoiser(name, x, sigmas=SIGMAS, params=PARAMS[name], sensitivity=given)
    schedules = [value for value in PARAMS[name].values() if isinstance(value, list)]
    for level, sigma in enumerate(SIGMAS):
        noise = torch.randn(2, *shape, generator=torch.Generator().manual_seed(level))
        z = smooth(9, 2, shape) + sigma * noise
        values = [schedule[level] for schedule in schedules]
        value = values[0] if len(values) == 1 else values
        output = built(z, sigma)
        for query, answer in zip(z, output, strict=True):
            expected = ORACLES[name](
                x.double().numpy(),
                query.double().numpy(),
                sigma,
                value,
                sensitivity[level].double().numpy(),
            )
            assert np.abs(answer.numpy() - expected).max() < 1e-4, f"sigma {sigma}"


METHODS = [cls for cls in fpmc_denoisers() if cls.name != "finetuned"]
"""One that needs a file is in test_finetuned.py."""


@pytest.mark.parametrize("cls", METHODS, ids=lambda cls: cls.name)
@pytest.mark.parametrize("shape", [(3, 6, 5), (1, 5, 5)])
def test_every_built_in_keeps_the_promises(cls: type, shape: tuple[int, int, int]) -> None:
    params = dict(PARAMS[cls.name])
    if "patch_sizes" in params:
        params["patch_sizes"] = [5, 4, 3, 1] if cls.name == "pspc-square" else [9, 5, 3, 1]
    if cls.name == "windows":  # a response beyond its query answers for pixels it has not looked at
        params["response_widths"] = [3.0, 0.5, 0.5, 0.0]
    check_denoiser(cls, params, shape=shape)


def denoise(name: str, sigma: float, z: Tensor, **params: object) -> Tensor:
    return build_denoiser(
        name, smooth(0), sigmas=[sigma], params=params, sensitivity=maps((3, 5, 6), 1)
    )(z, sigma)


@pytest.mark.parametrize("sigma", [0.05, 1.0, 80.0])
def test_methods_meet_where_they_should(sigma: float) -> None:
    z = smooth(9, 3) + sigma * torch.randn(3, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    optimal = denoise("optimal", sigma, z)
    torch.testing.assert_close(
        denoise("ls", sigma, z, patch_sizes=[11]), optimal, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        denoise("pspc-flex", sigma, z, thresholds=[1.0]), optimal, atol=1e-5, rtol=0
    )
    for side in (7, 9, 11):
        local = denoise("ls", sigma, z, patch_sizes=[side])
        equivariant = denoise("els", sigma, z, patch_sizes=[side])
        torch.testing.assert_close(equivariant, local, atol=1e-5, rtol=0)


def test_a_patch_that_fills_a_square_image_is_the_optimal_denoiser() -> None:
    x, z = smooth(0, shape=(3, 5, 5)), smooth(9, 3, (3, 5, 5))
    patch = build_denoiser("pspc-square", x, sigmas=[0.5], params={"patch_sizes": [5]})
    optimal = build_denoiser("optimal", x, sigmas=[0.5])
    torch.testing.assert_close(patch(z, 0.5), optimal(z, 0.5), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [0.002, 0.1, 1.0, 80.0])
def test_wiener_is_the_posterior_mean_of_the_gaussian_of_its_source(sigma: float) -> None:
    x = smooth(0, 40)
    flat = x.flatten(1).double()
    mean = flat.mean(0)
    covariance = (flat - mean).T @ (flat - mean) / len(flat)
    z = smooth(9, 4) + sigma * torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    noisy = covariance + sigma**2 * torch.eye(len(covariance), dtype=torch.float64)
    residual = z.flatten(1).double() - mean
    expected = mean + (covariance @ torch.linalg.solve(noisy, residual.T)).T
    output = build_denoiser("wiener", x, sigmas=[sigma])(z, sigma)
    torch.testing.assert_close(output.flatten(1).double(), expected, atol=1e-5, rtol=0)


def test_wiener_learns_the_posterior_mean_of_gaussian_data() -> None:
    """Images drawn from a known Gaussian: the exact posterior mean, up to 1/sqrt(N)."""
    draw = torch.Generator().manual_seed(0)
    mixing = 0.05 * torch.randn(12, 12, generator=draw)
    covariance = (mixing @ mixing.T).double()
    x = (torch.randn(60_000, 12, generator=draw) @ mixing.T).clamp(-1, 1).reshape(-1, 1, 3, 4)
    sigma = 0.1
    z = x[:50] + sigma * torch.randn(50, 1, 3, 4, generator=draw)
    exact = torch.linalg.solve(
        covariance + sigma**2 * torch.eye(12, dtype=torch.float64), z.flatten(1).double().T
    )
    expected = (covariance @ exact).T
    output = build_denoiser("wiener", x, sigmas=[sigma])(z, sigma)
    assert float((output.flatten(1) - expected).abs().max()) < 0.01


def test_lukoianov_orientations_differ_as_rows_and_columns_do() -> None:
    x, sigma = smooth(0), 0.3
    z = smooth(9, 1) + sigma * torch.randn(1, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    rows, columns = (
        build_denoiser("lukoianov", x, sigmas=[sigma],
                       params={"threshold": 0.2, "orientation": orientation})(z, sigma)[0]
        for orientation in ("rows", "columns")
    )  # fmt: skip
    assert float((rows - columns).abs().max()) > 0.01
    expected = numpy_lukoianov(x.double().numpy(), z[0].double().numpy(), sigma, 0.2, columns=True)
    assert np.abs(columns.numpy() - expected).max() < 1e-4


def test_lukoianov_leaves_a_constant_pixel_to_itself() -> None:
    x = smooth(0)
    x[:, 1, 2, 3] = 0.25
    z, sigma = smooth(9, 2), 0.5
    built = build_denoiser("lukoianov", x, sigmas=[sigma], params={"threshold": 0.1})
    mask = built.fpmc(sigma).precision.dense()[1 * 30 + 2 * 6 + 3]
    assert mask.sum() == 1
    assert mask[1 * 30 + 2 * 6 + 3] == 1
    torch.testing.assert_close(built(z, sigma)[:, 1, 2, 3], torch.full((2,), 0.25))
    expected = numpy_lukoianov(x.double().numpy(), z[0].double().numpy(), sigma, 0.1)
    assert np.abs(built(z, sigma)[0].numpy() - expected).max() < 1e-4


def test_lukoianov_keeps_a_nearly_constant_pixel_out_of_the_maximum() -> None:
    """Its row divided by its own tiny gain would outweigh every other, and empty their masks."""
    x, z, sigma = smooth(0), smooth(9, 1), 0.5
    x[:, 1, 2, 3] = 0.25 + 5e-4 * x[:, 1, 2, 2]
    built = build_denoiser("lukoianov", x, sigmas=[sigma], params={"threshold": 0.1})
    masks = built.fpmc(sigma).precision.dense()
    assert masks[1 * 30 + 2 * 6 + 3].sum() == 1
    assert masks.sum(1).max() > 1
    expected = numpy_lukoianov(x.double().numpy(), z[0].double().numpy(), sigma, 0.1)
    assert np.abs(built(z, sigma)[0].numpy() - expected).max() < 1e-4


def test_masks_stop_where_the_share_first_reaches_the_threshold() -> None:
    sensitivity = torch.ones(1, 4, 1, 4)
    sensitivity[0, 0, 0] = torch.tensor([1.0, 8.0, 2.0, 5.0]) / 16
    whole = [0, 1, 2, 3]
    shares = ((0.5, [1]), (0.51, [1, 3]), (0.8125, [1, 3]), (0.9375, [1, 2, 3]), (1.0, whole))
    for tau, kept in shares:
        masks = sensitivity_masks(sensitivity, tau)
        assert masks[0].flatten().nonzero().flatten().tolist() == kept, tau
    ties = sensitivity_masks(sensitivity, 0.5)[1].flatten()
    assert ties.tolist() == [True, True, False, False], "of equals the first come first"


def test_a_sigma_off_the_grid_uses_the_nearest_schedule_value() -> None:
    z = smooth(9, 2)
    built = build_denoiser("ls", smooth(0), sigmas=[2.0, 1.0], params={"patch_sizes": [11, 1]})
    near, far = (
        build_denoiser("ls", smooth(0), sigmas=[1.4], params={"patch_sizes": [side]})(z, 1.4)
        for side in (1, 11)
    )
    assert torch.equal(built(z, 1.4), near)
    assert not torch.allclose(built(z, 1.4), far)


@pytest.mark.parametrize(
    ("name", "params", "complaint"),
    [
        ("ls", {"patch_sizes": [3, 3]}, "patch_sizes has 2 values, but the sigma grid has 4"),
        ("ls", {"patch_sizes": [4, 3, 3, 3]}, "ls: patch_sizes holds 4, which is even"),
        ("els", {"patch_sizes": [13, 3, 3, 3]}, "els: patch_sizes holds 13; .* from 1 to 11"),
        ("ls", {"patch_sizes": [-1, 3, 3, 3]}, "patch_sizes holds -1"),
        ("pspc-square", {"patch_sizes": [6, 3, 3, 3]}, "patch_sizes holds 6; .* from 1 to 5"),
        ("pspc-square", {"patch_sizes": [0, 3, 3, 3]}, "patch_sizes holds 0"),
        ("pspc-flex", {"thresholds": [1.5, 1.0, 1.0, 1.0]}, "thresholds holds 1.5"),
        ("pspc-flex", {"thresholds": [0.0, 1.0, 1.0, 1.0]}, "thresholds holds 0.0"),
        ("lukoianov", {"threshold": 2.0}, "threshold is a share .* got 2.0"),
        ("lukoianov", {"orientation": "diagonal"}, "'orientation' must be"),
        ("ls", {"patch_sizes": ["3", 3, 3, 3]}, "'patch_sizes' must be .* got"),
        ("ls", {"patchsizes": [3, 3, 3, 3]}, "Did you mean 'patch_sizes'"),
        ("ls", {}, "parameter 'patch_sizes' is required"),
        ("optimal", {"patch_sizes": [3]}, "patch_sizes"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_by_name(
    name: str, params: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ParameterError, match=complaint):
        build_denoiser(name, smooth(0), sigmas=SIGMAS, params=params)


def test_an_unknown_denoiser_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'pspc-flex'"):
        build_denoiser("pspc-flexx", smooth(0), sigmas=SIGMAS)


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_senseless_queries_are_refused_by_every_method(name: str) -> None:
    built = build_denoiser(
        name, smooth(0), sigmas=SIGMAS, params=PARAMS[name], sensitivity=maps((3, 5, 6), 4)
    )
    z = smooth(9, 2)
    for sigma in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="sigma must be"):
            built(z, sigma)
    with pytest.raises(InputError, match="NaN or infinite"):
        built(z * torch.nan, 1.0)
    with pytest.raises(InputError, match=r"z must be .* 3x5x6"):
        built(z[:, :1], 1.0)


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_a_source_of_one_image_has_a_defined_answer(name: str) -> None:
    one, z = smooth(0, 1), smooth(9, 2)
    built = build_denoiser(
        name, one, sigmas=SIGMAS, params=PARAMS[name], sensitivity=maps((3, 5, 6), 4)
    )
    if name == "lukoianov":
        with pytest.raises(InputError, match="needs at least 2 images, got 1"):
            built(z, 1.5)
    elif name != "els":
        torch.testing.assert_close(built(z, 1.5), one.expand(2, -1, -1, -1), atol=1e-5, rtol=0)
    else:
        assert bool(built(z, 1.5).isfinite().all())


def test_what_a_method_needs_is_asked_for() -> None:
    with pytest.raises(UsageError, match="pass teacher="):
        build_denoiser("pspc-flex", smooth(0), sigmas=SIGMAS, params=PARAMS["pspc-flex"])
    with pytest.raises(InputError, match="sensitivity must be"):
        build_denoiser("pspc-flex", smooth(0), sigmas=SIGMAS, params=PARAMS["pspc-flex"],
                       sensitivity=maps((3, 5, 6), 3))  # fmt: skip


@pytest.mark.parametrize("fault", [float("nan"), float("inf"), -0.1])
def test_sensitivity_that_is_none_is_refused(fault: float) -> None:
    broken = maps((3, 5, 6), 4)
    broken[2, 1, 1, 0, 0] = fault
    with pytest.raises(InputError, match="sensitivity maps must be finite and non-negative"):
        build_denoiser("pspc-flex", smooth(0), sigmas=SIGMAS, params=PARAMS["pspc-flex"],
                       sensitivity=broken)  # fmt: skip


def test_sensitivity_comes_from_the_teacher_where_it_is_not_given() -> None:
    digits, sigma = load_dataset("digits"), 0.5
    params = {"thresholds": [0.6]}
    asked = build_denoiser(
        "pspc-flex", digits.train, sigmas=[sigma], params=params, teacher="digits-ddpmpp"
    )
    own_maps = sensitivity_maps(load_teacher("digits-ddpmpp"), digits.train, [sigma], samples=32)
    given = build_denoiser(
        "pspc-flex", digits.train, sigmas=[sigma], params=params, sensitivity=own_maps
    )
    z = digits.test.values()[:2]
    assert torch.equal(asked(z, sigma), given(z, sigma))
    optimal = build_denoiser("optimal", digits.train, sigmas=[sigma])
    assert not torch.allclose(asked(z, sigma), optimal(z, sigma), atol=1e-3)


def test_a_built_denoiser_says_what_it_is() -> None:
    source = Source(smooth(0))
    built = build_denoiser("lukoianov", source, sigmas=SIGMAS, params={"threshold": 0.1})
    assert built.name == "lukoianov"
    assert built.params == {"threshold": 0.1, "orientation": "rows"}
    assert built.source is source
    assert built.fpmc(1.5) is built.fpmc(1.5)


def test_only_collections_have_an_fpmc() -> None:
    with pytest.raises(PluginError, match="'wiener' is not a filtered posterior mean collection"):
        build_denoiser("wiener", smooth(0), sigmas=SIGMAS).fpmc(1.5)


def test_bytes_and_floats_are_the_same_source() -> None:
    levels = ((smooth(0) + 1) * 127.5).round().to(torch.uint8)
    z = smooth(9, 2)
    answers = [
        build_denoiser("ls", images, sigmas=[0.3], params={"patch_sizes": [3]})(z, 0.3)
        for images in (levels, levels.float() / 127.5 - 1, Source(levels))
    ]
    torch.testing.assert_close(answers[0], answers[1], atol=1e-5, rtol=0)
    assert torch.equal(answers[0], answers[2])


# --- windows


@pytest.mark.parametrize("sigma", [0.05, 1.0, 80.0])
def test_windows_at_their_limits(sigma: float) -> None:
    z = smooth(9, 3) + sigma * torch.randn(3, 3, 5, 6, generator=torch.Generator().manual_seed(1))

    def windows(query_width: float, response_width: float) -> Tensor:
        widths = {"query_widths": [query_width], "response_widths": [response_width]}
        return denoise("windows", sigma, z, **widths)

    optimal = denoise("optimal", sigma, z)
    torch.testing.assert_close(windows(float("inf"), 1.0), optimal)
    torch.testing.assert_close(windows(1e4, 0.0), optimal, atol=2e-4, rtol=0)
    pixelwise = denoise("ls", sigma, z, patch_sizes=[1])
    torch.testing.assert_close(windows(0.0, 0.0), pixelwise)
    torch.testing.assert_close(windows(0.05, 0.05), pixelwise)
    assert not torch.equal(windows(0.0, 2.0), pixelwise)


@pytest.mark.parametrize("width", [-1.0, float("nan")])
def test_widths_that_are_none(width: float) -> None:
    with pytest.raises(ParameterError, match="query_widths"):
        build_denoiser(
            "windows",
            smooth(0),
            sigmas=[1.0],
            params={"query_widths": [width], "response_widths": [1.0]},
        )
