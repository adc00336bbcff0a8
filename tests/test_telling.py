"""How far work is: bars, lines a minute apart, lines of JSON, a table that is drawn over."""

import io
import json
import logging
import re
import sys
import traceback

import pytest
import tqdm.auto

from fpmc_bench.cli.printing import echo
from fpmc_bench.telling.bars import Bar, shows_bars
from fpmc_bench.telling.lines import JsonLines, json_lines, tell
from fpmc_bench.telling.live import AboveLive, Live, live_stderr
from fpmc_bench.telling.times import span


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """What a program writes to one, and what can be read there in the end."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        """Lines, after `\\x1b[nF\\x1b[J`: up n lines, and clear from there."""
        lines = [""]
        for up, text in re.findall(r"\x1b\[(\d+)F\x1b\[J|([^\x1b]+)", self.getvalue()):
            if up:
                lines = [*lines[: len(lines) - 1 - int(up)], ""]
            else:
                first, *others = text.split("\n")
                lines = [*lines[:-1], lines[-1] + first, *others]
        return lines


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (99, "99 s"),
        (119, "2 min"),
        (59.6 * 60, "1 h 00 min"),
        (3 * 3600 + 5 * 60, "3 h 05 min"),
        (23.999 * 3600, "1 d 00 h"),
        (52 * 3600, "2 d 04 h"),
    ],
)
def test_spans_are_rounded_to_what_matters(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_off_a_terminal_there_is_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Bar("decoding", 600, "image", clock=clock) as bar:
        for _ in range(300):
            clock.now += 1
            bar.advance()
            bar.note("3 skipped")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 300 / 60 + 1, "and one at its end"
    assert lines[0] == "fpmc-bench: decoding: 60 of 600 images, 3 skipped, about 9 min left"
    assert lines[-1] == "fpmc-bench: decoding: 300 of 600 images, 3 skipped, in 5 min"


def test_what_is_brief_says_nothing_and_what_is_hidden_never(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Bar("decoding", 9, "image", brief=True, clock=clock) as bar:
        clock.now += 59
        bar.advance(9)
    with Bar("decoding", 9, "image", hidden=True, clock=clock) as bar:
        clock.now += 600
        bar.advance(9)
    assert capsys.readouterr().err == ""
    with Bar("fetching", None, "B", done=5, brief=True, scaled=True, clock=clock) as bar:
        clock.now += 60
        bar.advance(2_000_000)
    assert capsys.readouterr().err == (
        "fpmc-bench: fetching: 2.00MB\nfpmc-bench: fetching: 2.00MB, in 60 s\n"
    )


def test_on_a_terminal_there_is_a_bar_that_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert shows_bars()
    with Bar("rows", 4, "unit", even=False) as bar:
        bar.note("about 4 min left")
        bar.advance(3)
        bar.refresh()
    *_, drawn, end = terminal.getvalue().rstrip("\r").split("\r")
    assert re.fullmatch(r"rows: .*3/4 \[00:00, about 4 min left\]\s*", drawn)
    assert not end.strip()
    assert "\n" not in terminal.getvalue()


def test_bars_suit_where_they_are_shown(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """In a notebook, whose stderr is no terminal, they are tqdm's own kind; no word of widgets."""
    assert not shows_bars()
    assert not recwarn.list
    assert "ipywidgets" not in sys.modules
    monkeypatch.setattr(tqdm.auto, "notebook_tqdm", type("Widget", (), {}))
    assert shows_bars()


def test_all_that_is_said_is_json_where_that_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("RANK", "3")
    with json_lines():
        tell("a row", "unit_finished", row="ls.sample-mse", items=[0, 50])
        print("from a plugin", file=sys.stderr)
        echo("fpmc-bench: x failed:\nTraceback \x1b[31m\n", err=True)
        logging.getLogger("fpmc_bench.test").warning("of the log")
        try:
            raise ValueError("nothing")
        except ValueError:
            traceback.print_exc()
        sys.stderr.write("no end")
    tell("and as before", "end")
    *lines, plain = stream.getvalue().splitlines()
    assert plain == "fpmc-bench: and as before"
    found = [json.loads(line) for line in lines]
    assert {(one["process"], bool(one["host"])) for one in found} == {(3, True)}
    assert all(
        re.fullmatch(r"\d{4}(-\d\d){2}T\d\d:\d\d:\d\d\.\d{3}Z", one["time"]) for one in found
    )
    assert (found[0]["event"], found[0]["items"]) == ("unit_finished", [0, 50])
    texts = [one["text"] for one in found[1:]]
    assert {one["event"] for one in found[1:]} == {"message"}
    assert texts[:2] == ["from a plugin", "fpmc-bench: x failed:\nTraceback \\x1b[31m"]
    assert "ValueError: nothing" in "\n".join(texts)
    assert texts[-1] == "no end"


def test_a_reader_that_has_gone_misses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    tell("nobody hears this", "progress")
    monkeypatch.setattr(sys, "stderr", JsonLines(Closed()))
    tell("nor that", "progress")


def test_what_is_drawn_over_makes_way_for_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "24")
    monkeypatch.setenv("LINES", "4")
    with live_stderr() as live:
        assert isinstance(sys.stderr, AboveLive)
        live.draw(["one", "two"])
        assert terminal.screen == ["one", "two", ""]
        print("a warning", file=sys.stderr)
        assert terminal.screen == ["a warning", "one", "two", ""]
        live.draw(["a line that is too long for a row", "2", "3", "4"])
        assert terminal.screen == [
            "a warning",
            "a line that is too long",
            "2",
            "... and 2 lines more",
            "",
        ]
        sys.stderr.write("half a ")
        live.draw(["two"])
        sys.stderr.write("line")
    assert sys.stderr is terminal
    assert terminal.screen == ["a warning", "half a line", ""]


def test_nothing_is_drawn_where_nothing_was() -> None:
    terminal = Terminal()
    Live(terminal).clear()
    assert terminal.getvalue() == ""
