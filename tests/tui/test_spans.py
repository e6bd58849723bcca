"""Partial repaints leave the terminal with what a full one would show, and send no more than that."""

from __future__ import annotations

import re

from rich.cells import cell_len

from tests.tui.conftest import Boards
from tests.tui.test_robust import Hostile
from tui.screens.spans import Spans

PART = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[[\d;]*m|([^\x1b]+)")


def drawn(screen: list[list[str]], written: str) -> int:
    """Apply terminal output to cells; how many cells were written."""
    x = y = cells = 0
    for row, column, text in PART.findall(written):
        if row:
            y, x = int(row) - 1, int(column) - 1
        for char in text:
            width = cell_len(char)
            if width:
                screen[y][x : x + width] = [char, *[""] * (width - 1)]
            else:
                screen[y][x - 1] += char
            x += width
            cells += width
    return cells


def cells_of(lines: list[str]) -> list[list[str]]:
    screen = []
    for line in lines:
        row: list[str] = []
        for char in line:
            width = cell_len(char)
            if width:
                row += [char, *[""] * (width - 1)]
            else:
                row[-1] += char
        screen.append(row + [" "] * (80 - len(row)))
    return screen


async def test_partial_repaints_add_up_to_the_screen_and_begin_where_the_change_is(
    board: Boards,
) -> None:
    async with board((80, 24), engine=Hostile) as b:
        for pane in ("1", "2", "3"):
            await b.press(pane)
            compositor, written, dirty = b.app.screen._compositor, [], 0
            screen = cells_of(b.lines())
            original = compositor.render_partial_update

            def caught(original=original, written=written):  # type: ignore[no-untyped-def]
                update = original()
                if update is not None:
                    assert isinstance(update, Spans)
                    written.append((update.render_segments(b.app.console), update.spans))
                return update

            compositor.render_partial_update = caught  # type: ignore[method-assign]
            await b.press(*"hljkhljk")
            compositor.render_partial_update = original  # type: ignore[method-assign]
            assert written
            for text, spans in written:
                dirty = sum(x2 - x1 for _, x1, x2 in spans)
                assert drawn(screen, text) <= dirty
            assert screen == cells_of(b.lines())
