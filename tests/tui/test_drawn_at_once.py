"""What goes a shorter way than Textual's comes to the same cells, and to the terminal in its order."""

from __future__ import annotations

import os
import pty
import tty

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult
from textual.widget import Widget

from tests.tui.conftest import Board, Boards
from tests.tui.test_painting import Watched
from tui.terminal.driver import Outlet
from tui.terminal.painting import strip_cells
from tui.widgets.line import GrowingLine, Line

WIDTH = 24
STYLES = ("", "bold #87d7af", "#d0d0d0 on #121212", Style(underline=True), Style(color="red"))
PARTS = st.tuples(st.text("ab ·─日é12.  ", max_size=12), st.sampled_from(STYLES))


def drawn_by_both(line: Line) -> list[bool]:
    line.refresh()
    both = []
    for y in range(line.size.height):
        ours, theirs = line.render_line(y), Widget.render_line(line, y)
        width, style = line.size.width, line.rich_style
        both_whole = (strip.adjust_cell_length(width, style) for strip in (ours, theirs))
        cells = [strip_cells([strip], ColorSystem.TRUECOLOR) for strip in both_whole]
        both.append(cells[0] == cells[1])
    return both


async def test_every_line_of_the_panes_is_drawn_as_textual_draws_it(board: Boards) -> None:
    async with board((120, 40)) as b:
        for key in ("2", "space", "p", "escape", "colon"):
            await b.press(key)
            lines = [line for line in b.app.screen.query(Line) if line.size]
            assert lines
            for line in lines:
                assert all(drawn_by_both(line)), (key, line, line.text)


class OneLine(App[None]):
    """A line of two rows."""

    def compose(self) -> ComposeResult:
        yield GrowingLine()

    CSS = f"GrowingLine {{ width: {WIDTH}; height: 2; color: #444444; background: #eeeeee; }}"


async def test_any_text_in_two_rows_is_drawn_as_textual_draws_it() -> None:
    app = OneLine()
    async with app.run_test():
        line = app.query_one(GrowingLine)

        @settings(max_examples=60, deadline=None)
        @given(st.lists(PARTS, max_size=6), st.sampled_from(STYLES))
        def check(parts: list[tuple[str, str | Style]], base: str | Style) -> None:
            line.set(Text.assemble(*parts, style=base))
            assert all(drawn_by_both(line))

        check()


def test_a_terminal_that_takes_nothing_holds_nobody_up_and_gets_all_in_order() -> None:
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    outlet = Outlet.of(theirs)
    assert outlet is not None
    outlet.start()
    parts = [f"{at}·".ljust(at % 900) for at in range(600)]
    for (
        part
    ) in parts:  # more than a terminal keeps: with nobody who reads, waiting would be for ever
        outlet.write(part)
    expected, read = "".join(parts).encode(), b""
    while len(read) < len(expected):
        read += os.read(ours, 1 << 16)
    assert read == expected
    outlet.write("the end")
    outlet.stop()
    assert os.read(ours, 100) == b"the end"
    os.close(theirs)
    os.close(ours)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
async def test_whatever_was_pressed_the_terminal_shows_what_a_whole_paint_shows(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        watched = Watched(b.app)

        async def go(keys: list[str]) -> None:
            await press_unwaited(b, keys)
            watched.check()

        for keys in ("2 j l k", "3 j j l G", "p a b left ctrl+u c escape", "z j z", "2 space l space",
                     "p d enter 3 l l", "t escape slash o f enter", "ctrl+t 1 l l l 5 j"):  # fmt: skip
            await go(keys.split())


async def press_unwaited(b: Board, keys: list[str]) -> None:
    """One key right behind the other, whatever is still to be painted; then all of it is."""
    for key in keys:
        await b.pilot.press(key)
    await b.press()
    from tui.testing.wait_until_idle import wait_until_idle

    await wait_until_idle(b.app)
