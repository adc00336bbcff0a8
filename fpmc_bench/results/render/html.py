"""Tables as HTML, for a notebook: text stays text, and nothing is fetched."""

from itertools import zip_longest

from jinja2 import Environment

from fpmc_bench.documents.text import one_line
from fpmc_bench.results.render.cells import CHECKED, TIMES, notes, ranking
from fpmc_bench.results.table import Table

TEMPLATE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
{% for table in tables %}
<table>
<caption>{{ table.title }}</caption>
<thead><tr>{% for head in table.heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for cells in table.lines %}
<tr>{% for cell in cells %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
<ul>
{% for note in table.notes %}
<li>{{ note }}</li>
{% endfor %}
</ul>
{% endfor %}
""")


def render_html(*tables: Table) -> str:
    """The leaderboards, each with its notes; a fragment of a page."""
    return TEMPLATE.render(tables=[_plain(table) for table in tables])


def _plain(table: Table) -> dict[str, object]:
    shown = ranking(table)
    figures = [
        [" ± ".join(pair) for pair in zip(column.values, column.errors, strict=True)]
        for column in shown.figures.values()
    ]
    heads = [f"{column.headed(metric)} ± s.e." for metric, column in shown.figures.items()]
    columns = [shown.ranks, shown.marks, shown.entries, *figures, shown.seconds.values]
    lines = zip_longest(*columns, shown.checked, fillvalue="")
    return {
        "title": one_line(f"{table.suite}: {table.protocol}"),
        "heads": ["rank", "", "entry", *heads, shown.seconds.headed(TIMES), CHECKED],
        "lines": [[one_line(cell) for cell in line] for line in lines],
        "notes": [one_line(note) for note in (table.caption[0], *notes(table))],
    }
