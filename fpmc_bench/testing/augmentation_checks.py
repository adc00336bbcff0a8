"""What every augmentation promises. `task(rate)` asks to add to `source`, of `images` of codes."""

from collections.abc import Callable

import torch
from torch import Tensor

from fpmc_bench import Source
from fpmc_bench.contracts import Augmentation, AugmentationTask
from fpmc_bench.testing.checks import Checks
from fpmc_bench.testing.watching import fresh_cache, loads, process_changes, random_changes

Task = Callable[..., AugmentationTask]
AUGMENTATION = Checks()


@AUGMENTATION.add()
def _builds(build: Callable[[], Augmentation], task: Task) -> None:
    """It can be made, and takes a task."""
    build().check(task())


@AUGMENTATION.add("builds")
def _adds_images(augmentation: Augmentation, task: Task, source: Source) -> None:
    """What it adds is a source of images of the same shape, about as many as the rate says."""
    added = augmentation.augment(task())
    assert isinstance(added, Source), f"it adds a {type(added).__name__}, not a Source"
    assert added.shape == source.shape, f"it adds images {added.shape}, not {source.shape}"
    few, many = len(source) // 2, 2 * len(source)
    assert few <= len(added) <= many, f"at rate 1 it adds {len(added)} images to {len(source)}"


@AUGMENTATION.add("builds", "adds-images")
def _rate(augmentation: Augmentation, task: Task) -> None:
    """A lower rate adds fewer images."""
    fewer, more = len(augmentation.augment(task(0.25))), len(augmentation.augment(task()))
    assert fewer < more, f"it adds {fewer} images at rate 0.25 and {more} at rate 1"


@AUGMENTATION.add("builds", "adds-images")
def _repeatable(augmentation: Augmentation, task: Task) -> None:
    """Equal tasks give equal images: nothing depends on chance."""
    with fresh_cache():
        images = augmentation.augment(task()).values()
    with fresh_cache():
        again = augmentation.augment(task()).values()
    assert torch.equal(images, again), "asked twice, it adds other images"


@AUGMENTATION.add("builds", "adds-images")
def _source_unchanged(
    augmentation: Augmentation, task: Task, source: Source, images: Tensor
) -> None:
    """The source's images are left as they are."""
    augmentation.augment(task())
    assert torch.equal(source.images, images), "it has changed the images that it adds to"


@AUGMENTATION.add("builds", "adds-images", "source-unchanged")
def _made_from(augmentation: Augmentation, task: Task, source: Source) -> None:
    """`made_from` has rows of the source, or -1 for images that were made of none."""
    rows = augmentation.augment(task()).rows_in(source)
    low, high = int(rows.min()), int(rows.max())
    said = f"made_from goes from {low} to {high}, with {len(source)} images"
    assert -1 <= low <= high < len(source), said


@AUGMENTATION.add("builds", "adds-images")
def _held_out_images(augmentation: Augmentation, task: Task) -> None:
    """It loads no images of its own accord, test images least of all."""
    with fresh_cache(), loads() as loaded:
        augmentation.augment(task())
    found = ", ".join(one for one in loaded if one.startswith("images"))
    assert not found, f"beside its task it loads {found}"


@AUGMENTATION.add("builds", "adds-images")
def _evaluation_network(augmentation: Augmentation, task: Task) -> None:
    """It loads no registered network of its own accord: one may be what is measured against."""
    with fresh_cache(), loads() as loaded:
        augmentation.augment(task())
    found = ", ".join(one for one in loaded if one.startswith("network"))
    assert not found, f"beside its task it loads {found}"


@AUGMENTATION.add("builds", "adds-images")
def _process_state(augmentation: Augmentation, task: Task) -> None:
    """Settings of the process are left as they are."""
    with fresh_cache(), process_changes() as changes:
        augmentation.augment(task())
    assert not changes, f"it leaves changed: {', '.join(changes)}"


@AUGMENTATION.add("builds", "adds-images", "repeatable")
def _random_state(augmentation: Augmentation, task: Task) -> None:
    """The generators that everyone draws from are left as they are."""
    with fresh_cache(), random_changes() as moved:
        augmentation.augment(task())
    assert not moved, f"it draws from or seeds the generator of {', '.join(moved)}; use your own"
