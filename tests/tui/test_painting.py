"""What is sent adds up to the screen, and is no more than what changed."""

from __future__ import annotations

import asyncio
import re
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tests.tui.conftest import Board, Boards
from tests.tui.emulator import Emulator
from tests.tui.fake import FakeEngine
from tests.tui.test_robust import Hostile
from tui.app import InterpBoardApp
from tui.terminal.cursor_moves import SOMEWHERE, cursor_way
from tui.terminal.painting import Terminal, cell_update
from tui.terminal.pending import unpainted
from tui.testing.wait_until_idle import wait_until_idle
from tui.widgets.line import Line

CONSOLE = Console(color_system="truecolor", force_terminal=True)
MOVE_BYTES, SWITCH_BYTES, FIRST_BYTES = 1300, 12_000, {80: 40_000, 120: 60_000, 200: 100_000}
DIGITS = "12345678"


class Watched:
    """What an app would send to its terminal, and what that leaves on it."""

    def __init__(self, app: InterpBoardApp) -> None:
        self.app, self.sent = app, 0
        self.emulator = Emulator(app.size)
        self.terminal = Terminal()
        self._display = app._display
        app._display = self.display  # type: ignore[method-assign]
        self.display(app.screen, app.screen._compositor.render_full_update())

    def display(self, screen: object, update: object) -> None:
        if not self.app._batch_count:
            changed = cell_update(update, self.terminal, self.app.size)
            if changed is not None:
                text = changed.render_segments(CONSOLE)  # type: ignore[attr-defined]
                self.sent += len(text.encode())
                self.emulator.write(text)
        self._display(screen, update)  # type: ignore[arg-type]

    def check(self) -> None:
        """The screen is what a complete paint by Textual itself makes it."""
        whole = Emulator(self.app.size)
        whole.write(self.app.screen._compositor.render_full_update().render_segments(CONSOLE))
        assert self.emulator.shown() == whole.shown()

    async def bytes_of(self, board: Board, *keys: str) -> int:
        before = self.sent
        await board.press(*keys)
        return self.sent - before


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: str(size[0]))
async def test_a_cursor_move_and_a_switch_of_panes_stay_within_their_bytes(
    board: Boards, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board(size) as b:
        await b.press("1", "g", "s")
        watched = Watched(b.app)
        assert watched.sent <= FIRST_BYTES[size[0]]
        for digit in DIGITS:
            switch = await watched.bytes_of(b, digit)
            watched.check()
            assert switch <= SWITCH_BYTES or (size[0] > 80 and digit == "8"), digit
            alone, at_rest = [], []
            for key in "jklhl":
                before = watched.sent
                with monkeypatch.context() as unrested:
                    if digit != "8":  # a screen of its own, which rests by itself
                        unrested.setattr("tui.terminal.timers.REST_S", 3600.0)
                    await b.pilot.press(key)
                    await asyncio.sleep(0.002)  # from the terminal to the app
                    while b.app.keys_wait or unpainted(b.app.screen):
                        await asyncio.sleep(0.002)
                alone.append(watched.sent - before)
                if b.app.panes.moving:  # now it rests
                    b.app.panes.cursor_rested()
                await wait_until_idle(b.app)
                at_rest.append(watched.sent - before - alone[-1])
            watched.check()
            if digit == "8":
                await b.press("q")
            else:  # some keys do nothing, and some scroll a list
                assert statistics.median(filter(None, alone)) <= MOVE_BYTES, (digit, alone)
            assert max(at_rest) <= MOVE_BYTES, (digit, at_rest)
        watched.check()


async def test_screens_over_the_panes_and_hostile_text_add_up(board: Boards) -> None:
    async with board((80, 24), engine=Hostile) as b:
        watched = Watched(b.app)
        for keys in (
            "1l", "2jz", "3kv", "4", "5lv", "6j", "7j", ("question_mark",), ("escape",), ("colon",),
            ("f",), ("escape",), "e", ("escape",), "i", ("escape",), "C", ("escape",), "L", "q",
            "8j", "q", ("ctrl+t",), ("r",), "p", ("escape",),
        ):  # fmt: skip
            await b.press(*keys)
            watched.check()


async def test_an_unchanged_screen_sends_nothing_and_a_forgotten_one_everything(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        watched = Watched(b.app)
        whole = watched.sent
        b.app.screen.refresh(layout=True)
        await wait_until_idle(b.app)
        assert watched.sent == whole
        watched.terminal.forget()
        b.app.screen.refresh(layout=True)
        await wait_until_idle(b.app)
        assert watched.sent == 2 * whole


async def test_after_a_resize_everything_is_sent(board: Boards) -> None:
    async with board((80, 24), engine=FakeEngine) as b:
        b.app.terminal.fit(80, 24)
        await b.pilot.resize_terminal(81, 24)
        await b.pilot.resize_terminal(80, 24)
        await wait_until_idle(b.app)
        assert b.app.terminal.known_size == (0, 0)


STYLES = [
    Style(color="#d0d0d0", bgcolor="#121212"),
    Style(color="#87d7af", bgcolor="#121212", bold=True),
    Style(color="#d0d0d0", bgcolor="#121212", underline=True),
    Style(bgcolor="#5f87d7", reverse=True),
    Style(color="red"),
    Style(),
]
TEXTS = st.text("ab ·─日é🙂\u0301", min_size=0, max_size=6)
LINES = st.lists(st.tuples(TEXTS, st.sampled_from(STYLES)), max_size=5)
WIDTH = 12


def line(parts: list[tuple[str, Style]]) -> Strip:
    return Strip([Segment(text, style) for text, style in parts]).adjust_cell_length(
        WIDTH, STYLES[0]
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(LINES, min_size=3, max_size=3), min_size=2, max_size=4), st.data())
def test_any_updates_in_a_row_leave_what_the_last_one_shows(
    frames: list[list[list[tuple[str, Style]]]], data: st.DataObject
) -> None:
    size = (WIDTH, 3)
    terminal, emulator = Terminal(), Emulator(size)
    for frame in frames:
        strips = [line(parts) for parts in frame]
        update = LayoutUpdate([[strip] for strip in strips], Region(0, 0, *size))
        emulator.write(cell_update(update, terminal, size).render_segments(CONSOLE))  # type: ignore[attr-defined]
        whole = Emulator(size)
        for y, strip in enumerate(strips):
            whole.write(f"\x1b[{y + 1};1H{strip.render(CONSOLE)}")
        assert emulator.shown() == whole.shown()
    at = data.draw(st.integers(0, WIDTH - 4))
    part = Strip([Segment("xy z", STYLES[1])])
    update = ChopsUpdate([{}, {at: part}, {}], [(1, at, at + 4)], [[], [at + 4], []])
    emulator.write(cell_update(update, terminal, size).render_segments(CONSOLE))  # type: ignore[attr-defined]
    whole.write(f"\x1b[2;{at + 1}H{part.render(CONSOLE)}")
    assert emulator.shown() == whole.shown()


CELLS = st.tuples(st.integers(0, 130), st.integers(0, 250))


@given(CELLS, CELLS, st.booleans())
def test_the_way_to_a_cell_ends_there_and_is_no_longer_than_its_address(
    start: tuple[int, int], end: tuple[int, int], column_known: bool
) -> None:
    emulator = Emulator((251, 131))
    emulator.y, emulator.x = start
    found = cursor_way(start[0], start[1] if column_known else SOMEWHERE, *end)
    emulator.write(found)
    assert (emulator.y, emulator.x) == end
    assert len(found) <= len(f"\x1b[{end[0] + 1};{end[1] + 1}H")
    assert "\n" not in found, "the terminal driver makes two characters of a line feed"


def test_a_column_of_numbers_is_sent_by_steps_and_the_right_edge_by_addresses() -> None:
    blue, size = Style(bgcolor="#00005f", color="#87afd7"), (8, 3)

    def update(*numbers: str) -> LayoutUpdate:
        lines = [Strip([Segment("abcd", STYLES[0]), Segment(each, blue)]) for each in numbers]
        return LayoutUpdate([[line] for line in lines], Region(0, 0, *size))

    def sent(before: tuple[str, ...], after: tuple[str, ...]) -> str:
        terminal = Terminal()
        cell_update(update(*before), terminal, size).render_segments(CONSOLE)  # type: ignore[attr-defined]
        text = cell_update(update(*after), terminal, size).render_segments(CONSOLE)  # type: ignore[attr-defined]
        return re.sub(r"\x1b\[[\d;]*m", "", text)

    steps = sent(("1.0 ", "2.0 ", "3.0 "), ("1.5 ", "2.5 ", "3.5 "))
    assert steps == "\x1b[1;7H5\b\x1b[B5\b\x1b[B5"
    edge = sent((" 1.0", " 2.0", " 3.0"), (" 1.5", " 2.5", " 3.5"))
    assert edge == "\x1b[1;8H5\x1b[2;8H5\x1b[3;8H5"


def test_one_new_letter_is_one_move_one_colour_and_one_letter() -> None:
    terminal, size = Terminal(), (WIDTH, 1)

    def sent(text: str) -> str:
        update = LayoutUpdate([[line([(text, STYLES[0])])]], Region(0, 0, *size))
        return cell_update(update, terminal, size).render_segments(CONSOLE)  # type: ignore[attr-defined]

    sent("hello world")
    assert sent("hello wurld") == "\x1b[1;8H\x1b[38;5;252;48;5;233mu\x1b[m"
    assert sent("hello wurld") == ""


async def test_ctrl_l_draws_over_what_something_else_has_written(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2")
        watched = Watched(b.app)
        watched.emulator.write("\x1b[3;1HBroadcast message from root")
        await b.press("j")
        with pytest.raises(AssertionError):
            watched.check()
        b.app.terminal.forget = watched.terminal.forget  # type: ignore[method-assign]
        await b.press("ctrl+l")
        watched.check()


async def test_a_repaint_asks_only_the_widgets_that_have_changed_for_their_lines(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board((120, 40)) as b:
        watched = Watched(b.app)
        await b.pilot.pause(0.1)
        asked: list[Widget] = []
        lines = Widget.render_lines

        def counted(widget: Widget, crop: Region) -> list[Strip]:
            asked.append(widget)
            return lines(widget, crop)

        monkeypatch.setattr(Widget, "render_lines", counted)
        first, last = b.app.query_one("#status", Line), b.app.query_one("#footer", Line)
        first.set(Text("the first line of the screen"))
        last.set(Text("the last line of the screen"))
        while unpainted(b.app.screen):
            await b.pilot.pause(0.01)
        assert {first, last} == set(asked), "whatever lies between them was drawn too"
        watched.check()


def test_cells_of_one_colour_are_sent_together_where_that_is_shorter() -> None:
    black, blue, size = Style(bgcolor="#000001"), Style(bgcolor="#00005f", color="#87afd7"), (20, 8)
    lines = [
        Strip([Segment(" " * y, black), Segment("1.0", blue), Segment("." * (17 - y), black)])
        for y in range(8)
    ]
    update = LayoutUpdate([[line] for line in lines], Region(0, 0, *size))
    changed = cell_update(update, Terminal(), size)
    assert changed is not None
    sent = changed.render_segments(CONSOLE)  # type: ignore[union-attr]
    assert sent.count("48;5;17") == 1, "the blue cells of eight lines need their colour once"
    shown, whole = Emulator(size), Emulator(size)
    shown.write(sent)
    whole.write(update.render_segments(CONSOLE))
    assert shown.shown() == whole.shown()
