"""Source augmentations (paper section 4.3, appendix B)."""

from fpmc_bench import hookimpl
from fpmc_bench.contracts import Augmentation
from fpmc_plugins.augmentations.flips import HorizontalFlip, VerticalFlip
from fpmc_plugins.augmentations.geometric import Rotate, Scale, Translate
from fpmc_plugins.augmentations.synthetic import Synthetic


@hookimpl
def fpmc_augmentations() -> list[type[Augmentation]]:
    return [HorizontalFlip, VerticalFlip, Translate, Rotate, Scale, Synthetic]
