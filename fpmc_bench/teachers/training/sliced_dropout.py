"""Dropout of some rows of a batch exactly as they would have it within the whole batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class SlicedDropout(TorchFunctionMode):
    """While active, `functional.dropout` draws the whole batch's mask and uses `rows` of it.

    Networks see only their share of a batch, where several processes divide it or one takes it in
    parts. With the generator seeded alike before each share, no division changes a mask. On the
    CPU these are, to the bit, the masks of torch's own dropout on the whole batch; on a GPU torch's
    fused kernel draws others, so there this is used even for a whole batch.
    """

    def __init__(self, rows: slice, batch: int) -> None:
        super().__init__()
        self.rows, self.batch = rows, batch

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(
        self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return input
        mask = input.new_empty((self.batch, *input.shape[1:])).bernoulli_(1 - p)
        # a copy of the rows, not a view: autograd would keep the whole batch's mask alive
        return input * (mask[self.rows] / (1 - p))
