"""What a user should know of their images, though nothing is wrong enough to stop."""

import logging
import os
from functools import cache

from fpmc_bench.documents.text import one_line

log = logging.getLogger(__name__)


@cache
def notice(line: str) -> None:
    """Say it once, on stderr unless logging goes elsewhere; of several processes the main one."""
    if os.environ.get("RANK", "0") == "0":
        log.warning(one_line(line))
