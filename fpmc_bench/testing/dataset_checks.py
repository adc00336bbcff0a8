"""What every dataset promises. `load(split)` gives a split of `dataset`."""

from collections.abc import Callable

from fpmc_bench import Source
from fpmc_bench.contracts import Dataset
from fpmc_bench.testing.checks import Checks
from fpmc_bench.testing.watching import fresh_cache, process_changes, random_changes

Load = Callable[[str], Source]
DATASET = Checks()


@DATASET.add()
def _builds(load: Load) -> None:
    """Its training images can be loaded."""
    load("train")


@DATASET.add("builds")
def _splits(dataset: Dataset, load: Load) -> None:
    """It has training images, and every split is a source of two images or more."""
    assert "train" in dataset.splits, f"its splits are {dataset.splits}; expected 'train' there"
    for split in dataset.splits:
        images = load(split)
        found = type(images).__name__
        assert isinstance(images, Source), f"load('{split}') gives a {found}, not a Source"
        assert len(images) > 1, f"split '{split}' has {len(images)} image"


@DATASET.add("builds", "splits")
def _one_shape(dataset: Dataset, load: Load) -> None:
    """Images of all splits are of one shape."""
    shapes = {split: tuple(load(split).shape) for split in dataset.splits}
    assert len(set(shapes.values())) == 1, f"images have the shapes {shapes}"


@DATASET.add("builds", "splits")
def _repeatable(dataset: Dataset, load: Load) -> None:
    """Loaded twice, images are the same."""
    for split in dataset.splits:
        with fresh_cache():
            images = load(split).fingerprint
        with fresh_cache():
            again = load(split).fingerprint
        assert images == again, f"loaded twice, the images of split '{split}' differ"


@DATASET.add("builds", "splits", "one-shape", "repeatable")
def _held_out(dataset: Dataset, load: Load) -> None:
    """No image is in both splits: errors on it would measure memory."""
    train, *others = (load(split) for split in dataset.splits)
    seen = {image.numpy().tobytes() for image in train.images}
    for other in others:
        found = sum(image.numpy().tobytes() in seen for image in other.images)
        assert not found, f"{found} of {len(other)} test images are training images too"


@DATASET.add("builds")
def _process_state(dataset: Dataset, load: Load) -> None:
    """Settings of the process are left as they are."""
    with fresh_cache(), process_changes() as changes:
        for split in dataset.splits:
            load(split)
    assert not changes, f"it leaves changed: {', '.join(changes)}"


@DATASET.add("builds", "repeatable")
def _random_state(dataset: Dataset, load: Load) -> None:
    """The generators that everyone draws from are left as they are."""
    with fresh_cache(), random_changes() as moved:
        for split in dataset.splits:
            load(split)
    assert not moved, f"it draws from or seeds the generator of {', '.join(moved)}; use your own"
