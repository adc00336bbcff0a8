"""Pages from templates: every text is escaped, and shows itself and does nothing else."""

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from fpmc_bench import __version__
from fpmc_bench.documents.text import printable
from fpmc_bench.results.site.swatches import swatch
from fpmc_bench.results.site.views import link


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _breakable(name: str) -> Markup:
    """A name that may go on in the next line after a + or -."""
    return Markup(re.sub(r"(?<=[+-])(?=\w)", "<wbr>", str(escape(printable(name)))))


PAGES = Environment(
    loader=PackageLoader("fpmc_bench.results.site"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_shown,
)
PAGES.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False}
PAGES.globals.update(version=__version__, swatch=swatch, link=link)
PAGES.filters["breakable"] = _breakable


def page(template: str, **content: Any) -> bytes:
    """HTML of one page; jinja2's own error for what a template asks for and is not given."""
    return PAGES.get_template(template).render(content).encode()
