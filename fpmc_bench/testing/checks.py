"""A check is a short function whose text is what runs, and what a snippet shows.

The names of its parameters say what it needs: `sigma` and `z` make it run at every noise level.
Its docstring is the promise; whatever it raises says how that was broken.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Body = TypeVar("Body", bound=Callable[..., None])

EQUAL = 2e-6
"""Of two answers to one question, relative to the larger of 1 and the answers: 16 units in the last
place of float32. Built-in methods on one processor give the very same numbers."""
CLOSE = 1e-4
"""Of answers whose sums may be in another order, as products of matrices choose by their size: what
the engine is exact to. Those of built-in methods differ by 2e-7."""

SIGMAS = (80.0, 1.0, 0.1, 0.002)
"""Noise levels at which a plugin is asked, unless others are given."""


@dataclass(frozen=True)
class Check:
    """One promise, by name. Looked at only where those it comes `after` were kept.

    `only`: for plugins of this class; `may_refuse`: it asks in a setting of its own, which a
    plugin may refuse.
    """

    name: str
    promise: str
    body: Callable[..., None]
    after: tuple[str, ...]
    only: type
    may_refuse: bool

    @property
    def by_sigma(self) -> bool:
        """Whether it is to be run at every noise level."""
        return "sigma" in self.needs

    @property
    def needs(self) -> tuple[str, ...]:
        """The names that its text uses without making them."""
        return tuple(inspect.signature(self.body).parameters)

    @property
    def text(self) -> str:
        """Its statements, without the docstring."""
        source = textwrap.dedent(inspect.getsource(self.body))
        (function,) = ast.parse(source).body
        assert isinstance(function, ast.FunctionDef)
        lines = source.splitlines()[function.body[1].lineno - 1 :]
        return textwrap.dedent("\n".join(lines))


class Checks(list[Check]):
    """Of one kind of plugin, in the order in which they are looked at."""

    def add(
        self, *after: str, only: type = object, may_refuse: bool = False
    ) -> Callable[[Body], Body]:
        """Around a body, whose name becomes the check's: `_large_batch` is that of large-batch."""

        def added(body: Body) -> Body:
            name = body.__name__.removeprefix("_").replace("_", "-")
            promise = str(body.__doc__).strip().partition("\n")[0]
            self.append(Check(name, promise, body, after, only, may_refuse))
            return body

        return added
