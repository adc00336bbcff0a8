"""Any precision and response: the source in blocks, past a running softmax."""

from fpmc_bench.engine.blocks import FLOAT_BYTES
from fpmc_bench.engine.exact import stream_exactly
from fpmc_bench.engine.prepared import PreparedModel
from fpmc_bench.engine.ways.base import SOFTMAX_OPERATIONS, Way, Work
from fpmc_bench.fpmc import FPMC


def _fits(model: FPMC) -> bool:
    return True


def _path(prepared: PreparedModel) -> str:
    """The products of Q and of R."""
    return f"{prepared.precision.path} / {prepared.response.path}"


def _work(prepared: PreparedModel) -> Work:
    model, spreads = prepared.model, not prepared.one_pass
    dimensions, estimators = model.shape.dimensions, model.estimators
    differences, average = 3 * dimensions, 2 * dimensions
    operations = differences + prepared.precision.operations + SOFTMAX_OPERATIONS * estimators
    operations += average + spreads * prepared.response.operations
    rows = prepared.precision.columns + 2 * estimators + spreads * prepared.response.columns
    return Work(operations, 2 * FLOAT_BYTES * rows)


STREAMED = Way(_fits, _path, _work, stream_exactly)
