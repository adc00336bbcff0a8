"""A row's colour, dashes and marker as a small drawing, for tables and legends."""

from markupsafe import Markup

from fpmc_bench.results.render.colours import Look

DASHES = {"solid": "", "dash": "6 3", "dot": "1.5 3", "dashdot": "6 2.5 1.5 2.5"}
MARKERS = {
    "circle": '<circle cx="16" cy="7" r="4"/>',
    "square": '<path d="M12.2 3.2h7.6v7.6h-7.6z"/>',
    "triangle-up": '<path d="M16 2.2l4.8 8.4h-9.6z"/>',
    "triangle-down": '<path d="M16 11.8l4.8-8.4h-9.6z"/>',
    "diamond": '<path d="M16 1.8l5.2 5.2-5.2 5.2-5.2-5.2z"/>',
    "cross": '<path d="M14.4 2.5h3.2v2.9h2.9v3.2h-2.9v2.9h-3.2v-2.9h-2.9v-3.2h2.9z"/>',
    "x": '<path d="M13 2.4l3 3 3-3 1.6 1.6-3 3 3 3-1.6 1.6-3-3-3 3-1.6-1.6 3-3-3-3z"/>',
    "star": '<path d="M16 1.6l1.4 3.7 4 .2-3.1 2.5 1 3.8-3.3-2.1-3.3 2.1 1-3.8-3.1-2.5 4-.2z"/>',
    "hexagon": '<path d="M16 2.4l4 2.3v4.6l-4 2.3-4-2.3v-4.6z"/>',
}


def swatch(look: Look) -> Markup:
    """A line with a marker on it, as SVG; all of it is ours, and nothing is a stranger's text."""
    dashes = f' stroke-dasharray="{DASHES[look.dash]}"' if DASHES[look.dash] else ""
    return Markup(  # of parts that are listed here
        f'<svg class="swatch" width="32" height="14" viewBox="0 0 32 14" aria-hidden="true">'
        f'<path d="M1 7h30" fill="none" stroke="{look.colour}" stroke-width="2"{dashes}/>'
        f'<g fill="{look.colour}">{MARKERS[look.marker]}</g></svg>'
    )
