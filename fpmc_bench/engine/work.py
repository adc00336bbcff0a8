"""How much work a (query, source image) pair is, counted, to compare a measured speed with."""

from dataclasses import dataclass

from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.fpmc import Uniform

FLOAT_BYTES = 4
SOFTMAX_OPERATIONS = 4
"""A comparison, a subtraction, an exponential and an addition per weight."""


@dataclass(frozen=True)
class Work:
    """Additions, multiplications and exponentials, and bytes handed from one to the next."""

    operations: float
    bytes: float


def work_per_pair(prepared: PreparedModel) -> Work:
    """Of the float32 path, each array written once and read once.

    The source's own images are not counted: many queries share the reading of them.
    """
    model = prepared.model
    if prepared.searches:
        return _translated(prepared)
    dimensions, estimators = model.shape.dimensions, model.estimators
    if type(model.precision) is type(model.response) is Uniform:
        return Work(4 * dimensions, 2 * FLOAT_BYTES * dimensions)
    differences, average = 3 * dimensions, 2 * dimensions
    operations = differences + prepared.precision.operations + SOFTMAX_OPERATIONS * estimators
    operations += average + (0 if prepared.one_pass else prepared.response.operations)
    rows = prepared.precision.columns + 2 * estimators
    rows += 0 if prepared.one_pass else prepared.response.columns
    return Work(operations, 2 * FLOAT_BYTES * rows)


def _translated(prepared: PreparedModel) -> Work:
    """The interior alone, beside which borders are small."""
    model = prepared.model
    assert model.translations is not None
    channels, height, width = model.shape
    k = model.translations.radius_px
    rows, columns = max(height - 2 * k, 0), max(width - 2 * k, 0)
    products, weights = (height * columns) ** 2, (rows * columns) ** 2
    length = channels * (2 * k + 1) + 1
    operations = 2 * length * products + (2 * k + 1 + SOFTMAX_OPERATIONS + 2 * channels) * weights
    return Work(operations, 2 * FLOAT_BYTES * (products + 2 * weights))
