"""Datasets that come with scikit-learn, and those that a user keeps in files."""

from fpmc_bench import hookimpl
from fpmc_bench.contracts import Dataset
from fpmc_plugins.datasets.cifar10 import Cifar10
from fpmc_plugins.datasets.digits import Digits
from fpmc_plugins.datasets.faces import FFHQ64, AFHQv2
from fpmc_plugins.datasets.own_images import ImageFolder, ImageZip
from fpmc_plugins.datasets.photos import Photos


@hookimpl
def fpmc_datasets() -> list[type[Dataset]]:
    return [Digits, Photos, Cifar10, FFHQ64, AFHQv2, ImageZip, ImageFolder]
