"""Keys that come in one piece do what the same keys do that come one by one."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from textual import events
from textual.pilot import Pilot

from interpboard.config import DEFAULT_TEXT
from tests.tui.conftest import Board, Boards
from tests.tui.emulator import Emulator
from tests.tui.fake import FakeEngine
from tests.tui.terminal import FAKE, Terminal
from tui.app import InterpBoardApp
from tui.terminal.pending import unpainted
from tui.testing.wait_until_idle import wait_until_idle

CHARACTERS = {"enter": "\r", "slash": "/", "full_stop": ".", "question_mark": "?", "colon": ":"}
# Not what ends the app, writes files, or asks the engine how long something would take.
KEYS = (*"hjklgpaszn1234567", *CHARACTERS, "tab", "escape", "backspace", "ctrl+u", "left", "0")
SIZE = (80, 24)


def post(app: InterpBoardApp, key: str) -> None:
    char = CHARACTERS.get(key, key if len(key) == 1 else None)
    app.post_message(events.Key(key, char))


async def typed(keys: list[str], *, at_once: bool) -> tuple[str, str, str]:
    """After ``keys``, none of which is answered before the last: the screen, the prompt, and the focus."""
    app = InterpBoardApp(engine_factory=FakeEngine)
    async with app.run_test(size=SIZE) as pilot:
        await wait_until_idle(app)
        board = Board(app, pilot)
        board.engine.paused = True
        for key in keys:
            post(app, key)
            if not at_once:
                await _settled(app, pilot)
        await _settled(app, pilot)
        board.engine.paused = False
        board.engine.release()
        await wait_until_idle(app)
        await pilot.pause()
        return board.screen, app.prompt.text, app.panes.focus_name


async def _settled(app: InterpBoardApp, pilot: Pilot[int]) -> None:
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0.002)
        moving = app.panes.moving or app.turns.going
        busy = app.keys_wait or app.message_queue_size or moving or unpainted(app.screen)
        quiet = 0 if busy else quiet + 1


@pytest.mark.parametrize(
    ("keys", "text", "focus"),
    [
        ("p a j enter j", DEFAULT_TEXT + "aj", "tokens"),
        ("p ctrl+u q j", "qj", "prompt"),
        ("p x enter 2 j l", DEFAULT_TEXT + "x", "heads"),
        ("p a escape j p b", DEFAULT_TEXT + "ab", "prompt"),
        ("p left left x enter", DEFAULT_TEXT[:-2] + "x" + DEFAULT_TEXT[-2:], "tokens"),
        ("slash o f enter p y", DEFAULT_TEXT + "y", "prompt"),
        ("3 p 3 enter 3 full_stop 7 enter l", DEFAULT_TEXT + "3", "heads"),
    ],
)
async def test_letters_are_text_as_long_as_the_focus_is_in_the_prompt(
    keys: str, text: str, focus: str
) -> None:
    _, written, where = await typed(keys.split(), at_once=True)
    assert (written, where) == (text, focus)


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(KEYS), min_size=6, max_size=16))
@example(["p", "a", "enter", "slash", "t", "enter", "n", "3", "full_stop", "7", "j"])
def test_any_keys_at_once_leave_the_screen_that_they_leave_one_by_one(keys: list[str]) -> None:
    slowly = asyncio.run(typed(keys, at_once=False))
    assert asyncio.run(typed(keys, at_once=True)) == slowly


async def test_a_paste_between_keys_is_where_it_was_typed(board: Boards) -> None:
    async with board(SIZE) as b:
        post(b.app, "p")
        post(b.app, "ctrl+u")
        post(b.app, "a")
        b.app.post_message(events.Paste("some text"))
        for key in ("b", "enter", "j"):
            post(b.app, key)
        await wait_until_idle(b.app)
        assert (b.app.prompt.text, b.app.panes.focus_name) == ("asome textb", "tokens")


def rest(terminal: Terminal) -> None:
    """Read until nothing more comes."""
    seen = -1
    while seen < len(terminal.output):
        seen = len(terminal.output)
        terminal.read(1.0)


MODES = re.compile(r"\x1b\[[?<>=][^A-Za-z]*[A-Za-z]|\x1b[=>]")


@pytest.mark.parametrize(("keys", "text"), [("paj\rj", DEFAULT_TEXT + "aj"), ("p\x15qj", "qj")])
def test_a_terminal_that_sends_a_run_of_keys_at_once(
    keys: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERPBOARD_STATE", str(tmp_path))
    terminal = Terminal(FAKE)
    try:
        terminal.until("Eiffel", "Paris")
        rest(terminal)
        terminal.press(keys)
        rest(terminal)
        emulator = Emulator(SIZE)
        emulator.write(MODES.sub("", terminal.output.decode()))
        shown = "".join(emulator.texts[1]).strip()
        assert shown.removeprefix("›").strip() == text
    finally:
        terminal.close()
