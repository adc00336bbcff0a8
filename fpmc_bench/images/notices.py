"""What a user should know of their images, though nothing is wrong enough to stop."""

import logging
from functools import cache

from fpmc_bench.documents.text import one_line
from fpmc_bench.launched import is_main

log = logging.getLogger(__name__)


@cache
def notice(line: str) -> None:
    """Say it once, on stderr unless logging goes elsewhere; of several processes the main one."""
    if is_main():
        log.warning(one_line(line))
