"""What every teacher promises.

`load()` gives the `network`, x [64,C,H,W] are training images, `noise` is like them, and z
[5,C,H,W] the first of both together at `sigma`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from fpmc_bench.contracts import TeacherModel
from fpmc_bench.testing.checks import CLOSE, EQUAL, Checks
from fpmc_bench.testing.watching import fresh_cache, process_changes, random_changes

Load = Callable[[], TeacherModel]
TEACHER = Checks()
STEADY = ("builds", "answers", "finite", "input-unchanged", "repeatable")


@TEACHER.add()
def _builds(load: Load) -> None:
    """It can be loaded."""
    load()


@TEACHER.add("builds")
def _identity(load: Load) -> None:
    """A network has a name, and a fingerprint that is the same when it is loaded again."""
    one, other = load(), load()
    for kind in ("name", "fingerprint"):
        first, second = (getattr(network, kind, None) for network in (one, other))
        assert str(first or "") == first != "", f"its {kind} is {first!r}, not a text"
        assert first == second, f"loaded twice, its {kind} is another"


@TEACHER.add("builds")
def _answers(network: TeacherModel, z: Tensor, sigma: float) -> None:
    """An answer is a tensor with an image for every image."""
    answer = network(z, sigma)
    found = list(getattr(answer, "shape", [])) or type(answer).__name__
    assert found == list(z.shape), f"at sigma {sigma:g} its answer is {found}, not {list(z.shape)}"


@TEACHER.add("builds", "answers")
def _dtype(network: TeacherModel, z: Tensor, sigma: float) -> None:
    """An answer is of the type of the question: float32 or float64."""
    for asked in (z, z.double()):
        found = network(asked, sigma).dtype
        assert found == asked.dtype, f"at sigma {sigma:g} it answers {asked.dtype} with {found}"


@TEACHER.add("builds", "answers")
def _finite(network: TeacherModel, z: Tensor, sigma: float) -> None:
    """Answers to noisy images are finite."""
    answer = network(z, sigma)
    assert bool(answer.isfinite().all()), f"at sigma {sigma:g} it answers NaN or infinite values"


@TEACHER.add("builds", "answers")
def _no_gradient(network: TeacherModel, z: Tensor, sigma: float) -> None:
    """No gradient is attached to an answer to images that have none: its weights are fixed."""
    assert not network(z, sigma).requires_grad, f"at sigma {sigma:g} its answer requires grad"


@TEACHER.add("builds", "answers")
def _differentiable(network: TeacherModel, z: Tensor, sigma: float) -> None:
    """An answer can be differentiated by the question: maps of sensitivity are made so."""
    asked = z.clone().requires_grad_()
    with torch.enable_grad():
        answer = network(asked, sigma)
    assert answer.requires_grad, f"at sigma {sigma:g} no gradient leads from its answer to z"
    (gradient,) = torch.autograd.grad(answer.sum(), asked)
    assert bool(gradient.isfinite().all()), f"at sigma {sigma:g} its gradient is not finite"


@TEACHER.add("builds", "answers")
def _input_unchanged(network: TeacherModel, z: Tensor, sigma: float) -> None:
    """The images that it is asked about are left as they are."""
    asked = z.clone()
    network(asked, sigma)
    assert torch.equal(asked, z), f"at sigma {sigma:g} it changes the images it is asked about"


@TEACHER.add("builds", "answers", "finite", "input-unchanged")
def _repeatable(network: TeacherModel, z: Tensor, sigma: float) -> None:
    """Asked twice, it answers the same: nothing depends on chance."""
    answer, again = network(z, sigma), network(z, sigma)
    moved = (again - answer).abs().max().item()
    allowed = EQUAL * max(1.0, answer.abs().max().item())
    assert moved <= allowed, f"asked twice at sigma {sigma:g}, its answers differ by {moved:.2g}"


@TEACHER.add(*STEADY)
def _batch(network: TeacherModel, z: Tensor, sigma: float) -> None:
    """The answer to an image is the same whatever images are asked with it."""
    alone = network(z[:1], sigma)
    moved = (network(z, sigma)[:1] - alone).abs().max().item()
    allowed = CLOSE * max(1.0, alone.abs().max().item())
    said = f"at sigma {sigma:g} four images beside it move the answer to an image by {moved:.2g}"
    assert moved <= allowed, said


@TEACHER.add(*STEADY, "batch")
def _large_batch(network: TeacherModel, x: Tensor, noise: Tensor, z: Tensor, sigma: float) -> None:
    """The answer to an image is the same in a batch of 64."""
    answer = network(z, sigma)
    moved = (network(x + sigma * noise, sigma)[:5] - answer).abs().max().item()
    allowed = CLOSE * max(1.0, answer.abs().max().item())
    assert moved <= allowed, f"at sigma {sigma:g} a batch of 64 moves its answers by {moved:.2g}"


@TEACHER.add(*STEADY)
def _order(network: TeacherModel, z: Tensor, sigma: float) -> None:
    """The order of images in a batch moves no answer."""
    answer = network(z, sigma)
    moved = (network(z.flip(0), sigma).flip(0) - answer).abs().max().item()
    allowed = CLOSE * max(1.0, answer.abs().max().item())
    assert moved <= allowed, f"at sigma {sigma:g} another order moves its answers by {moved:.2g}"


@TEACHER.add(*STEADY)
def _limit_at_zero(network: TeacherModel, x: Tensor, noise: Tensor) -> None:
    """Where there is hardly any noise, it answers the image: values in [-1, 1], and not noise."""
    sigma, spread = 0.002, float(x.std())
    z = x[:5] + sigma * noise[:5]
    far = (network(z, sigma) - z).square().mean().sqrt().item()
    said = f"at sigma {sigma:g} its answer is {far:.2g} away from the image (root mean square)"
    assert far <= 3 * sigma + 0.25 * spread, said


@TEACHER.add(*STEADY)
def _limit_at_infinity(network: TeacherModel, x: Tensor, noise: Tensor) -> None:
    """Where there is nothing but noise, it answers an image without it."""
    sigma, spread = 80.0, float(x.std())
    answer = network(x[:5] + sigma * noise[:5], sigma)
    far = (answer - x.mean(0)).square().mean().sqrt().item()
    said = f"at sigma {sigma:g} its answer is {far:.2g} away from the images' mean"
    assert far <= 2 * spread, said


@TEACHER.add(*STEADY, "limit-at-zero", "limit-at-infinity")
def _noise_level(network: TeacherModel, x: Tensor, noise: Tensor) -> None:
    """It takes sigma for what it is: told half or double of it, its error is greater."""
    sigma = x.std().item()
    z = x + sigma * noise
    told = (sigma / 2, sigma, 2 * sigma)
    errors = [(network(z, one) - x).square().mean().item() for one in told]
    half, right, double = (f"{one:.2g}" for one in errors)
    said = f"its error is {half}, {right} and {double} where it is told half, all and double"
    assert errors[1] < min(errors[0], errors[2]), said


@TEACHER.add("builds")
def _process_state(load: Load, z: Tensor, sigma: float) -> None:
    """Settings of the process are left as they are."""
    with fresh_cache(), process_changes() as changes:
        load()(z, sigma)
    assert not changes, f"it leaves changed: {', '.join(changes)}"


@TEACHER.add("builds", "repeatable")
def _random_state(load: Load, z: Tensor, sigma: float) -> None:
    """The generators that everyone draws from are left as they are."""
    with fresh_cache(), random_changes() as moved:
        load()(z, sigma)
    assert not moved, f"it draws from or seeds the generator of {', '.join(moved)}; use your own"
