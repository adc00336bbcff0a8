"""Which class a class-conditional network is asked about: WHAT[label=3] or WHAT[label=mean].

Nothing here could choose for its user: an all-zero label is an input that most of these networks
never met, and one class is another denoiser than the next.
"""

import re
from collections.abc import Callable
from typing import Literal, cast

from torch import Tensor

from fpmc_bench.documents.names import selection_name
from fpmc_bench.errors import UsageError

Label = int | Literal["mean", "none"]
"""A class, from 0; the mean over all classes; or no class, where label dropout trained that."""

LABELLED = re.compile(r"(?P<what>.+)\[label=\"?(?P<label>[^\[\]\"]*)\"?\]", re.DOTALL)


def without_label(text: str) -> str:
    """WHAT of WHAT[label=...], and of WHAT."""
    match = LABELLED.fullmatch(text)
    return match["what"] if match else text


def label_of(text: str) -> Label | None:
    """The label of WHAT[label=...]; None where there is none. UsageError for one of no kind."""
    match = LABELLED.fullmatch(text)
    if match is None:
        return None
    label: str = match["label"]
    if label in ("mean", "none"):
        return cast(Literal["mean", "none"], label)
    if not re.fullmatch(r"[0-9]{1,9}", label):
        raise UsageError(f"{text}: label must be a class from 0 up, mean or none, got '{label}'")
    return int(label)


def labelled_name(name: str, label: Label | None) -> str:
    """Of a network with this label: another name for every one of them."""
    return name if label is None else selection_name(name, {"label": label})


def refuse_label(origin: str, label: Label | None, classes: int, *, none: bool = False) -> None:
    """UsageError unless the network at `origin`, of so many classes, can answer for this label.

    `none`: whether its training left labels out, so that it knows what no label means.
    """
    if not classes:
        if label is not None:
            raise UsageError(f"{origin} is not conditioned on classes; leave out [label={label}]")
        return
    choices = f"'{origin}[label=0]' to '[label={classes - 1}]', or '[label=mean]' for the mean of "
    choices += "its answers over all of them"
    if none:
        choices += ", or '[label=none]' for its answer without one, which label dropout trained"
    if label is None:
        raise UsageError(
            f"{origin} is conditioned on {classes} classes; say which one to ask: {choices}"
        )
    if label == "none" and not none:
        raise UsageError(
            f"{origin} was trained without label dropout, so that it has never seen an image "
            f"without its label; choose one: {choices}"
        )
    if isinstance(label, int) and label >= classes:
        raise UsageError(f"{origin} has {classes} classes and no {label}; choose one: {choices}")


def answer_for(ask: Callable[[int | None], Tensor], label: Label | None, classes: int) -> Tensor:
    """What a network answers for a label; "mean" is the mean over classes of its answers.

    `ask` gives the answer [B,C,H,W] for one class, or for none. Every class has the same share in
    the mean, at every noise level. That is no posterior mean: there the classes that z is likelier
    to be of would count for more.
    """
    if label != "mean":
        return ask(label if isinstance(label, int) else None)
    total = ask(0)
    for one in range(1, classes):
        total = total + ask(one)
    return total / classes
