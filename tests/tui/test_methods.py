"""The screen of methods side by side: each key, what its lines say, and where Enter leads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interpboard.engine import protocol
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tests.tui.over import press_what_all_have
from tui.slots.methods.view import MethodsScreen
from tui.testing.wait_until_idle import wait_until_idle

SIZES = ((80, 24), (120, 40), (200, 60))


def _asked(b: Board) -> int:
    return sum(r.analysis == "compare_attributions" for r in b.engine.requests)


async def press(b: Board, *keys: str) -> MethodsScreen:
    await b.press(*keys)
    await b.pilot.pause()
    assert isinstance(b.app.screen, MethodsScreen)
    return b.app.screen


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_screen_of_methods(board: Boards, size: tuple[int, int]) -> None:
    async with board(size) as b:
        await press(b, "V")
        b.matches(f"methods-{size[0]}x{size[1]}")


async def test_methods_are_asked_for_when_first_looked_at_and_kept(board: Boards) -> None:
    async with board((80, 24)) as b:
        assert _asked(b) == 0
        await press(b, "V")
        assert _asked(b) == 1
        await b.press("q")
        await press(b, "V")
        assert _asked(b) == 1


async def test_the_cursor_begins_where_tokens_is_and_the_readout_follows_it(board: Boards) -> None:
    async with board((120, 40)) as b:
        screen = await press(b, "V")
        assert screen.method == "integrated_gradients"
        assert screen.readout().plain.startswith(" integrated_gradients  8 ")
        scores = screen.of.extra["scores"].values  # type: ignore[union-attr]
        await press(b, "j", "0")
        words = screen.readout().plain
        assert words.startswith(" occlusion  0 The")
        assert f"{abs(scores[1, 0]):.3f}" in words
        assert "rank " in words
        assert "most like integrated gradients (+0.75)" in screen.details().plain
        assert "least like attention rollout (+0.50)" in screen.details().plain


async def test_enter_paints_tokens_with_the_method(board: Boards) -> None:
    async with board((80, 24)) as b:
        await press(b, "2", "V", "j")
        await b.press("enter")
        assert not isinstance(b.app.screen, MethodsScreen)
        assert b.app.panes.active == "tokens"
        assert b.app.state.analyses["tokens"] == "occlusion"
        assert "occlusion" in b.screen


async def test_every_other_key(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with board((80, 24)) as b:
        yanked = tmp_path / "state" / "yank.txt"
        await press(b, "V")
        await press_what_all_have(
            b, yanked, "V", markdown="attention_rollout", code="compare_attributions"
        )


async def test_a_failure_is_said_in_the_title(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = FakeEngine.event_of

    def failing(self: FakeEngine, request: Any) -> Any:
        if getattr(request, "analysis", "") == "compare_attributions":
            return protocol.Failed(0, "unsupported", "It cannot be.", "Choose another.")
        return usual(self, request)

    monkeypatch.setattr(FakeEngine, "event_of", failing)
    async with board((80, 24)) as b:
        screen = await press(b, "V")
        assert "It cannot be." in b.lines()[0]
        assert screen.readout().plain == ""
        await press(b, "y", "enter")


@pytest.mark.parametrize("key", ["V", "W"])
async def test_while_it_is_computed_the_footer_begins_with_the_key_that_stops_it(
    board: Boards, key: str
) -> None:
    async with board((60, 20)) as b:
        b.engine.paused = True
        await b.press(key)
        assert b.lines()[-1].startswith(" x Cancel"), b.screen
        b.engine.release()
        await wait_until_idle(b.app)
        assert b.lines()[-1].strip()
        assert "x Cancel" not in b.lines()[-1]
