"""What a pane calls its numbers is what they are of: never the last grid's words, nor those of the next."""

from __future__ import annotations

import asyncio

import pytest

from tests.tui.conftest import Board, Boards


async def told(b: Board) -> None:
    """Wait until what has changed is on the screen."""
    await asyncio.sleep(0.25)
    await b.pilot.pause()


def title(b: Board, slot: str) -> str:
    """The title in a pane's frame, as it stands there."""
    said = b.app.panes.of(slot).border_title
    assert said is not None
    return str(said)


async def test_a_grid_under_way_is_named_by_its_own_metric_from_its_first_cell_on(
    board: Boards,
) -> None:
    async with board((200, 60)) as b:
        assert "Δ logit ·Paris" in title(b, "heads")
        b.engine.paused = True
        await b.press("M")
        await told(b)
        assert "Δ logit ·Paris" in title(b, "heads")  # the old numbers, by their old name
        b.engine.compute("heads", 11)
        await told(b)
        assert "Δ p ·Paris" in title(b, "heads")


async def test_a_trace_under_way_is_named_by_its_own_metric_and_subject(board: Boards) -> None:
    async with board((200, 60)) as b:
        await b.press("1", "home", "right", "s")
        await told(b)
        assert "Δ logit ·Paris" in title(b, "trace")
        b.engine.paused = True
        await b.press("M", "right", "s")
        await told(b)
        assert "noise on Eiffel Tower" not in b.screen
        b.engine.compute("trace", 5)
        await told(b)
        assert "Δ p ·Paris" in title(b, "trace")
        assert "noise on Eiffel Tower" in b.screen


async def test_heads_are_named_by_the_ablation_they_were_made_with(board: Boards) -> None:
    async with board((200, 60)) as b:
        b.engine.paused = True
        await b.press("2", "a")
        await told(b)
        assert "zero ablation" in title(b, "heads")
        b.engine.compute("heads", 11)
        await told(b)
        assert "mean ablation" in title(b, "heads")


@pytest.mark.parametrize("presses", [1, 2])
async def test_tokens_are_named_by_the_method_that_painted_them(
    board: Boards, presses: int
) -> None:
    async with board((200, 60)) as b:
        before = title(b, "tokens")
        b.engine.paused = True
        await b.press("1", *["m"] * presses)
        await told(b)
        assert title(b, "tokens") == before
        b.engine.release()
        await told(b)
        assert title(b, "tokens") != before


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)], ids=str)
async def test_an_edited_prompt_is_told_also_while_a_grid_is_under_way(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        b.engine.paused = True
        await b.press("2", "M")
        b.engine.compute("heads", 11)
        await b.press("p", "x", "escape")
        await told(b)
        assert "prompt edited: r runs" in b.screen
