"""Formulas as MathML, made when the site is built: browsers show them without any script."""

import html
import re

from latex2mathml.converter import convert

INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
BLOCK = re.compile(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', re.DOTALL)
"""As pymdownx.arithmatex leaves `$...$` and `$$...$$`, its `generic` form."""


def as_mathml(page: str) -> str:
    """The HTML of a page with its TeX as MathML; what latex2mathml can't read, it raises."""
    page = INLINE.sub(lambda found: convert(html.unescape(found[1])), page)
    return BLOCK.sub(_block, page)


def _block(found: re.Match[str]) -> str:
    return f'<div class="formula">{convert(html.unescape(found[1]), display="block")}</div>'
