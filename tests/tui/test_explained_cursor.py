"""After another prompt the cursor is on the explained token again, if it was there."""

from __future__ import annotations

import pytest

from tests.tui.conftest import Board, Boards

LONGER = " Paris and the Colosseum is located in the city of"
PANES = {"tokens": "1", "lens": "3"}


async def write_more(b: Board, text: str) -> None:
    await b.press("p")
    await b.write(text)
    await b.press("enter")


def check_end(b: Board, slot: str) -> None:
    result, prompt = b.app.state.slots[slot].result, b.app.state.slots[slot].prompt
    assert result is not None
    assert prompt is not None
    assert b.app.panes.view.position == result.metric.position == len(prompt.tokens) - 1


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=str)
async def test_the_cursor_goes_along_to_the_end_of_a_longer_prompt(
    board: Boards, size: tuple[int, int]
) -> None:
    """In the pane that has the focus, and in one that is gone to then."""
    async with board(size) as b:
        for (slot, key), more in zip(PANES.items(), (LONGER, " it"), strict=True):
            await b.press(key)
            before = b.app.panes.view.position
            await write_more(b, more)
            check_end(b, slot)
            assert b.app.panes.view.position > before
            for other, to in PANES.items():
                await b.press(to)
                check_end(b, other)


@pytest.mark.parametrize("slot", PANES)
async def test_a_cursor_on_another_token_stays_there(board: Boards, slot: str) -> None:
    async with board((120, 40)) as b:
        await b.press(PANES[slot], "h", "h")
        await write_more(b, LONGER)
        assert b.app.panes.view.position == 6


async def test_the_panes_that_follow_come_along(board: Boards) -> None:
    async with board((120, 40)) as b:
        await b.press("1", "h", "l")  # from now on a token is selected
        await write_more(b, LONGER)
        last = b.app.panes.of("tokens").position
        assert last == b.app.panes.of("lens").position
        assert b.app.state.selection.token == last
        assert f" {last} ·of" in b.screen


async def test_after_a_shorter_prompt_too(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("p", *["backspace"] * 8, "enter")
        prompt = b.app.state.slots["tokens"].prompt
        assert prompt is not None
        assert b.app.panes.of("tokens").position == len(prompt.tokens) - 1
