"""Datasets that come with scikit-learn: no network needed."""

from fpmc_bench import hookimpl
from fpmc_bench.contracts import Dataset
from fpmc_plugins.datasets.digits import Digits
from fpmc_plugins.datasets.photos import Photos


@hookimpl
def fpmc_datasets() -> list[type[Dataset]]:
    return [Digits, Photos]
