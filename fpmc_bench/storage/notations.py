"""JSON and TOML from files that may say anything: what is wrong with them is always a ValueError.

The parsers of Python call themselves for every bracket, and end with a RecursionError where these
are nested deeper than any document's.
"""

import json
import tomllib
from typing import Any

TOO_DEEP = "its brackets are nested too deep"
LONGEST_SHOWN = 60


def parsed_json(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError for what is no JSON, or is no text."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def parsed_toml(text: str) -> dict[str, Any]:
    """The table that a TOML text is; ValueError for what is no TOML."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def short_json(value: Any) -> str:
    """Plain data in a message: as JSON, cut where that is long."""
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
