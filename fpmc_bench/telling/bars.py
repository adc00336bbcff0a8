"""One way to show how far a loop is: a bar on a terminal or in a notebook, else a line a minute."""

import time
from collections.abc import Callable
from typing import Any, Self

import tqdm.auto

from fpmc_bench.telling.lines import tell, users_stderr
from fpmc_bench.telling.times import span

OWN_TIME = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
"""tqdm's bar without what it makes of the mean."""
LINE_SECONDS = 60
"""Between two lines, where there is no terminal."""


def shows_bars() -> bool:
    """Whether what is written to stderr can be drawn over: on a terminal, and in a notebook."""
    in_notebook = tqdm.auto.notebook_tqdm is not tqdm.auto.std_tqdm
    return in_notebook or users_stderr().isatty()


class Bar:
    """How much of a total is done, in some unit.

    `total` None where it isn't known. `hidden` in processes that don't speak, and where nobody
    wants a bar. `brief` work says its end only where it took long. `scaled`: counts are bytes.
    `even`: what is left takes as long, each, as what is done; else whoever knows better has to say.
    """

    def __init__(
        self,
        label: str,
        total: int | None,
        unit: str,
        *,
        hidden: bool = False,
        done: int = 0,
        brief: bool = False,
        scaled: bool = False,
        even: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self._first, self._hidden, self._brief = done, hidden, brief
        self._scaled, self._even = scaled, even
        self._note, self._facts = "", dict[str, Any]()
        self._clock, self._began = clock, clock()
        self._last = self._began
        self._drawn = None
        if not hidden and shows_bars():
            self._drawn = tqdm.auto.tqdm(
                total=total,
                initial=done,
                desc=label,
                unit="B" if scaled else unit,
                unit_scale=scaled,
                bar_format=None if even else OWN_TIME,
                leave=False,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, count: int = 1) -> None:
        """So much more is done."""
        self.done += count
        if self._drawn is not None:
            self._drawn.update(count)
        else:
            self._tell_now_and_then()

    def note(self, text: str, **facts: Any) -> None:
        """Something about where it stands, for people; and for programs, as fields."""
        self._note, self._facts = text, facts
        if self._drawn is not None:
            self._drawn.set_postfix_str(text, refresh=False)

    def refresh(self) -> None:
        """Show it as it is now, for time goes on, too."""
        if self._drawn is not None:
            self._drawn.refresh()
        else:
            self._tell_now_and_then()

    def close(self) -> None:
        """It has ended, and says so where there is no bar to vanish."""
        if self._drawn is not None:
            self._drawn.close()
        elif not self._hidden and (not self._brief or self._last > self._began):
            self._tell(ended=True)

    def _tell_now_and_then(self) -> None:
        if not self._hidden and self._clock() - self._last >= LINE_SECONDS:
            self._tell(ended=False)

    def _tell(self, *, ended: bool) -> None:
        self._last = self._clock()
        seconds = self._last - self._began
        facts: dict[str, Any] = {"stage": self.label, "unit": self.unit, "done": self.done}
        facts |= {"total": self.total, "seconds": round(seconds, 1), "ended": ended}
        said = [self._counted(), self._note]
        if ended:
            said.append(f"in {span(seconds)}")
        elif self._even and self.total is not None and self.done > self._first:
            left = max(0.0, seconds / (self.done - self._first) * (self.total - self.done))
            said.append(f"about {span(left)} left")
            facts["remaining_seconds"] = round(left, 1)
        text = ", ".join(part for part in said if part)
        tell(f"{self.label}: {text}", "progress", **facts, **self._facts)

    def _counted(self) -> str:
        """12 of 50 images."""
        counts = [self.done] if self.total is None else [self.done, self.total]
        if self._scaled:
            return " of ".join(tqdm.auto.tqdm.format_sizeof(one, "B") for one in counts)
        return f"{' of '.join(map(str, counts))} {self.unit}{'s' * (counts[-1] != 1)}"
