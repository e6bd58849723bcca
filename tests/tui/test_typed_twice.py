"""Keys that come faster than they act: a box that is answered or left twice is left once."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from interpboard.config import DEFAULT_TEXT
from tests.tui.conftest import Board, Boards
from tui.testing.wait_until_idle import wait_until_idle

KEYS = {"enter": "\r", "escape": None}


async def at_once(b: Board, *keys: str) -> None:
    """The terminal brings ``keys`` in one piece."""
    for key in keys:
        b.app.post_message(events.Key(key, KEYS.get(key, key if len(key) == 1 else None)))
    await wait_until_idle(b.app)
    await b.pilot.pause()


@pytest.mark.parametrize("key", list(KEYS))
async def test_twice_the_same_key_leaves_the_box_and_nothing_else(
    board: Boards, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where an export goes
    async with board((80, 24)) as b:
        for opens in ("o", "f", ":", "e", ";", "slash", "I"):
            await b.press(opens)
            assert len(b.app.screen_stack) == 2, opens
            await at_once(b, key, key, key)
            assert b.app.is_running
            assert len(b.app.screen_stack) <= 2, opens  # an answer may open the next box
            assert b.app.screen_stack[0].id == "board"
            if len(b.app.screen_stack) == 2:
                await at_once(b, "escape")
            assert b.app.screen is b.app.screen_stack[0], opens


async def test_keys_behind_the_one_that_goes_to_the_prompt_are_the_prompts(board: Boards) -> None:
    async with board((80, 24)) as b:
        before = b.app.panes.view.cursor
        for keys, text in (
            (("ctrl+a", "delete", "end"), DEFAULT_TEXT[1:]),
            (("ctrl+u",), ""),
            (("x", "ctrl+u", "3"), "3"),
            (("ctrl+u", "q", "j"), "qj"),
        ):
            await at_once(b, "p", *keys)
            assert (b.app.prompt.text, b.app.panes.focus_name) == (text, "prompt")
            assert b.app.panes.view.cursor == before
            await b.press("escape")


async def test_a_box_over_a_screen_leaves_the_screen_where_it_is(board: Boards) -> None:
    async with board() as b:
        await b.press("8")
        await wait_until_idle(b.app)
        below = b.app.screen
        await b.press("slash")
        if b.app.screen is not below:
            await at_once(b, "escape")
        await b.press("question_mark")
        assert b.app.screen is not below
        await at_once(b, "escape")
        assert b.app.screen is below
