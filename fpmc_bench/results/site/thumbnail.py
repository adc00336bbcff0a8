"""The curves of a table in small, for the card that leads to it: lines alone, as SVG."""

import math

from markupsafe import Markup

from fpmc_bench.results.render.colours import looks_of
from fpmc_bench.results.site.swatches import DASHES
from fpmc_bench.results.table import Table

WIDTH, HEIGHT, ROOM = 320, 140, 8


def thumbnail(table: Table) -> Markup:
    """Error against noise level, both logarithmic; "" where the protocol has no noise levels."""
    means = [figure.mean for row in table.rows for figure in row.by_sigma]
    positive = [math.log10(mean) for mean in means if math.isfinite(mean) and mean > 0]
    if len(table.sigmas) < 2 or not positive:
        return Markup()
    left, right = math.log10(min(table.sigmas)), math.log10(max(table.sigmas))
    low, high = min(positive), max(positive)
    looks = looks_of(table)
    lines = []
    for row in reversed(table.rows):
        points = [
            (
                ROOM + (WIDTH - 2 * ROOM) * (math.log10(sigma) - left) / (right - left),
                HEIGHT - ROOM - (HEIGHT - 2 * ROOM) * (math.log10(mean) - low) / (high - low or 1),
            )
            for sigma, figure in zip(table.sigmas, row.by_sigma, strict=True)
            if math.isfinite(mean := figure.mean) and mean > 0
        ]
        look = looks[row.entry]
        lines.append(
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" '
            f'stroke="{look.colour}" stroke-dasharray="{DASHES[look.dash] or "none"}"/>'
        )
    return Markup(  # numbers and colours of ours
        f'<svg class="thumbnail" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" fill="none" '
        f'stroke-width="1.6" stroke-linejoin="round">{"".join(lines)}</svg>'
    )
