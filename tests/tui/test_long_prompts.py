"""A prompt of hundreds of tokens: every letter of it can be read, and what comes next stays in sight."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.tui.conftest import Board, Boards
from tests.tui.test_cut_lines import LONG

SIZES = [(40, 12), (60, 20), (80, 24), (120, 40), (200, 60)]
OTHER = "Another prompt of"


def rows_of_text(b: Board) -> list[str]:
    """What the screen shows of the text, a row each, without frame, scrollbar, spaces and signs."""
    lines, high = b.lines(), b.app.query_one("#strip").size.height
    begin = next(at for at, row in enumerate(lines) if re.match(r"[┏╭]?━? ?1 Tokens  ", row)) + 1
    return [re.sub(r"[▁-█⁻⁺\s┃│]", "", row) for row in lines[begin : begin + high]]


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_no_letter_is_under_the_scrollbar(board: Boards, size: tuple[int, int]) -> None:
    async with board(size, text=LONG) as b:
        whole = LONG.replace(" ", "")
        await b.press("1", "g")
        first = rows_of_text(b)
        assert len(first) > 1
        assert whole.startswith("".join(first))
        await b.press("G")
        last = rows_of_text(b)
        assert whole.endswith("".join(last))
        assert b.app.query_one("#strip").max_scroll_y > 0


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_lists_stay_in_sight_below_the_text(board: Boards, size: tuple[int, int]) -> None:
    async with board(size, text=LONG) as b:
        await b.press("1")
        answer = b.app.state.slots["predictions"].result
        assert answer is not None
        assert re.search(r"strongest first +after \d+", b.screen)
        best = str(answer.extra["tokens"].values[0]).strip()
        assert re.search(rf"  1 ·?{re.escape(best)} ", b.screen)


async def test_what_is_of_the_prompt_before_says_so_beside_what_is_of_this_one(
    board: Boards,
) -> None:
    async with board((120, 40)) as b:
        b.engine.paused = True
        b.app.prompt.show(OTHER)
        await b.pilot.press("r")
        while "tokens" not in b.engine.busy_slots:
            await b.pilot.pause()
        assert b.screen.count("previous prompt: strongest first") == 1
        b.engine.only("predictions")
        while "previous prompt: after" in b.screen:
            await asyncio.sleep(0.001)
            await b.pilot.pause()
        both = next(row for row in b.lines() if "strongest first" in row)
        assert re.search(r"previous prompt: strongest first +after 2 ", both), both
        b.engine.release()
        await b.press("1")
        assert "previous prompt" not in b.screen
