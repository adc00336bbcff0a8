"""Parts of pages that the code says better: help of commands, parameters of plugins.

A mark in a page, `<!-- commands -->`, `<!-- help -->` or `<!-- plugin NAME -->`, is replaced when
the site is built: nothing generated is committed, and nothing is ever out of date.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import click
from click.testing import CliRunner

from fpmc_bench.cli import main

COLUMNS = 88


def filled_in(markdown: str) -> str:
    """A page's Markdown with its marks replaced."""
    for mark, made in (("commands", commands), ("help", help_of_commands)):
        if f"<!-- {mark} -->" in markdown:
            markdown = markdown.replace(f"<!-- {mark} -->", made())
    return re.sub(r"<!-- plugin ([\w.+-]+) -->", lambda found: plugin(found[1]), markdown)


def leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    """(its words, the command) of everything below a command that does something."""
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if below is not None and not below.hidden:
            yield from leaves(below, (*path, name))


def commands() -> str:
    """Every command with a line on it, as a table that leads to its help."""
    lines = (
        f"| [`{words}`](#{_anchor(words)}) | {command.get_short_help_str(COLUMNS)} |"
        for words, command in leaves(main, ("fpmc-bench",))
    )
    return "\n".join(["| command | |", "|---|---|", *lines])


def help_of_commands() -> str:
    """Every command with its help, a section each."""
    return "\n".join(
        f"## `{words}` {{#{_anchor(words)}}}\n\n```text\n{help_of(words, command)}\n```\n"
        for words, command in leaves(main, ("fpmc-bench",))
    )


def help_of(words: str, command: click.Command) -> str:
    """What `--help` prints."""
    settings = main.context_settings  # which commands take from the group above them
    context = click.Context(command, info_name=words, terminal_width=COLUMNS, **settings)
    return command.get_help(context)


def _anchor(words: str) -> str:
    return words.replace(" ", "-")


@cache
def plugin(name: str) -> str:
    """Citation and parameters of what is registered under a name, as `fpmc-bench info` has them."""
    result = CliRunner().invoke(main, ["info", name, "--json"])
    assert result.exit_code == 0, result.output
    return "\n\n".join(_described(one) for one in json.loads(result.stdout))


def _described(details: dict[str, Any]) -> str:
    link = f" [{details['url']}]({details['url']})" if details["url"] else ""
    lines = [f"**Cite** {details['citation']}.{link}", ""]
    if details.get("formula"):
        lines += ["```text", details["formula"], "```", ""]
    if details.get("needs"):
        lines += [f"**Needs** {', '.join(details['needs'])}", ""]
    if not details["parameters"]:
        return "\n".join([*lines, "No parameters."])
    lines += ["| parameter | type | default |", "|---|---|---|"]
    for one in details["parameters"]:
        default = one["default"] if one["default"] == "required" else f"`{one['default']!r}`"
        lines.append(f"| `{one['name']}` | `{one['type']}` | {default} |".replace("typing.", ""))
    return "\n".join(lines)
