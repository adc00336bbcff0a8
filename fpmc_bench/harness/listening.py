"""What listeners are told, and how little it matters what they make of it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fpmc_bench.catalog.process_state import own_randomness
from fpmc_bench.catalog.strangers import strangers_code
from fpmc_bench.contracts import Listener

log = logging.getLogger(__name__)


@dataclass
class Audience:
    """The listeners of a run; in processes that are not the main one there are none."""

    listeners: Sequence[Listener] = ()
    _gone: set[int] = field(default_factory=set)

    def tell(self, event: str, *what: Any) -> None:
        """Call a method of `Listener` by its name, of each that has not raised yet.

        Settings of the process that one changes are put back, and its random numbers are its own.
        """
        for place, listener in enumerate(self.listeners):
            if place in self._gone:
                continue
            who = f"listener '{listener.name}'"
            try:
                with own_randomness(), strangers_code(who, log.debug):
                    getattr(listener, event)(*what)
            except Exception as error:  # whatever a stranger's plugin raises is only its own
                self._gone.add(place)
                said = " ".join(f"{type(error).__name__}: {error}".split())
                log.warning("%s is told nothing more, for it raised %s", who, said)
