"""The screen of what the model writes next: each key, and what its lines say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from interpboard.display import visible_token
from tests.tui.conftest import Board, Boards
from tests.tui.over import press_what_all_have
from tui import words
from tui.dialogs.parameters import ParametersScreen
from tui.slots.continuation.view import ContinuationScreen

SIZES = ((80, 24), (120, 40), (200, 60))


async def press(b: Board, *keys: str) -> ContinuationScreen:
    await b.press(*keys)
    assert isinstance(b.app.screen, ContinuationScreen)
    return b.app.screen


def asked(b: Board) -> list[dict]:
    return [r.params for r in b.engine.requests if r.analysis == "continuation_attribution"]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_screen_of_a_continuation(board: Boards, size: tuple[int, int]) -> None:
    async with board(size) as b:
        await press(b, "W")
        b.matches(f"continuation-{size[0]}x{size[1]}")


async def test_it_is_asked_for_when_first_looked_at_and_kept(board: Boards) -> None:
    async with board() as b:
        assert asked(b) == []
        await press(b, "W")
        assert asked(b) == [{}]
        await b.press("q")
        await press(b, "W")
        assert len(asked(b)) == 1


async def test_the_cursor_begins_at_what_counted_most_and_the_lines_follow_it(
    board: Boards,
) -> None:
    async with board() as b:
        screen = await press(b, "W")
        result = screen.of
        assert result is not None
        best = int(np.nanargmax(np.abs(result.values[0])))
        assert screen.grid.cursor == (0, best)
        shown = screen.readout().plain
        assert f"from {best} {visible_token(result.axes[1].labels[best])}" in shown
        assert words.signed(float(result.values[0, best])) in shown
        assert shown.endswith("rank 1/9")
        assert "logit, 14.00" in screen.details().plain
        await press(b, "j", "dollar_sign")
        assert screen.readout().plain.startswith(" ·London")
        assert "it comes later" in screen.readout().plain
        assert "logit, 13.00" in screen.details().plain


async def test_m_takes_the_next_method_and_one_without_a_sign_shows_none(board: Boards) -> None:
    async with board() as b:
        screen = await press(b, "W")
        assert "+" in screen.readout().plain or "−" in screen.readout().plain
        await press(b, "m", "m", "m")
        assert [own.get("method") for own in asked(b)] == [
            None, "integrated_gradients", "lrp", "saliency",
        ]  # fmt: skip
        assert "saliency of this token" in screen.details().plain
        assert "logit of each written token" in b.lines()[0]
        assert "+" not in screen.readout().plain


async def test_parameters_say_how_many_tokens(board: Boards) -> None:
    async with board() as b:
        await press(b, "W")
        await b.press("P")
        assert isinstance(b.app.screen, ParametersScreen)
        await b.write("new_tokens=3")
        await b.press("enter")
        screen = await press(b)
        assert asked(b)[-1] == {"new_tokens": 3}
        assert screen.of is not None
        assert screen.of.values.shape[0] == 3


async def test_every_other_key(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with board((80, 24)) as b:
        yanked = tmp_path / "state" / "yank.txt"
        await press(b, "W")
        await press_what_all_have(
            b, yanked, "W", markdown="·London", code="continuation_attribution"
        )
