"""What a user should know of their images, though nothing is wrong enough to stop."""

import logging
import os
from functools import cache

log = logging.getLogger(__name__)


@cache
def notice(line: str) -> None:
    """Say it once, on stderr unless logging goes elsewhere; of several processes the main one."""
    if os.environ.get("RANK", "0") == "0":
        log.warning(line)
