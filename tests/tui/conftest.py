"""An app with a fake engine behind it, and screens as text compared with files."""

from __future__ import annotations

import asyncio
import functools
import os
import string
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.css.model import RuleSet
from textual.css.parse import parse
from textual.css.tokenize import tokenize_values
from textual.css.tokenizer import Token
from textual.keys import key_to_character
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Input

from interpboard.config import Settings
from interpboard.engine.process import EngineProcess
from interpboard.results import Result
from tests.tui.fake import FakeEngine
from tests.tui.real import forking
from tui.app import InterpBoardApp
from tui.terminal import pending
from tui.testing.wait_until_idle import wait_until_idle, wait_until_painted

HANGS_S = 240.0  # then the test ends with the line that waits
MOVES = {*"hjkl", "up", "down", "left", "right", "backspace"}
LETTERS = string.ascii_letters + string.digits
SNAPSHOTS = Path(__file__).with_name("snapshots")


class Board:
    """An app under test: press keys, read the screen."""

    def __init__(self, app: InterpBoardApp, pilot: Pilot[Any]) -> None:
        self.app, self.pilot = app, pilot
        self._read: dict[Screen[Any], list[Strip]] = {}  # until anything can happen

    @property
    def engine(self) -> FakeEngine:
        engine = self.app.session.engine
        assert isinstance(engine, FakeEngine)
        return engine

    async def press(self, *keys: str) -> None:
        """Press keys and wait until their consequences are on the screen.

        Each of the pilot's waits sends a message to every widget: half of what a key takes. So it is asked
        only where nothing else says that all is done, and the pilot itself, which waits so, presses none.
        Letters of a text, and a key that is held down, come in one piece, as from a fast hand:
        ``test_bursts.py`` has that they leave what they leave one by one.
        """
        idle = False
        left = list(keys)
        while left:
            before = self.app.screen
            await self.app._press_keys(self._together(left))
            if not self.app.screen_stack or self.app.screen is not before:
                await self.pilot._wait_for_screen()  # of the screen that the key has opened
            while (self.app.keys_wait or self.app.turns.going) and not pending.left(self.app):
                await asyncio.sleep(0.001)
            idle = not getattr(self.app.session.engine, "paused", False)
            if idle:
                await wait_until_idle(self.app)
        if not idle:
            await self.pilot.pause()
            # Begun by what a key has sent: the engine's own answers to it.
            while self.app.turns.going and not pending.left(self.app):
                await asyncio.sleep(0.001)
            if not pending.left(self.app):
                await wait_until_painted(self.app)

    def _together(self, left: list[str]) -> list[str]:
        """Take the next key from those that are ``left``, and with it letters of the same text, or itself."""
        found = [left.pop(0)]
        text = isinstance(self.app.focused, Input) and _letter(found[0])
        while left and (_letter(left[0]) if text else left[0] == found[0] in MOVES):
            found.append(left.pop(0))
        return found

    async def write(self, text: str) -> None:
        """Type a text."""
        await self.press(*(char if char.isalnum() else _key(char) for char in text))

    def strips(self) -> list[Strip]:
        """The screen's lines with their styles: drawn once for what a test reads in one go."""
        screen = self.app.screen
        if screen not in self._read:
            self._read = {screen: pending.strips(screen)}
            asyncio.get_running_loop().call_soon(self._read.clear)
        return self._read[screen]

    def lines(self) -> list[str]:
        """The screen as the terminal has it."""
        return ["".join(text for text, _, _ in strip).rstrip() for strip in self.strips()]

    @property
    def screen(self) -> str:
        return "\n".join(self.lines())

    @property
    def messages(self) -> list[str]:
        """Everything that was said, the newest last."""
        return [message.text for message in self.app.controllers.messages.said]

    def result(self, slot: str) -> Result:
        """What the engine answered to the question of a slot."""
        result = self.app.state.slots[slot].result
        assert result is not None
        return result

    def readout(self, slot: str) -> str:
        return self.app.panes.of(slot).readout().plain.strip()

    def painted(self) -> str:
        """The screen with its colours: under each line a letter for the style of each cell."""
        letters: dict[str, str] = {}
        shown = []
        for strip in self.strips():
            line, styles = "", ""
            for text, style, _ in strip:
                name = str(style)
                letter = letters.setdefault(name, LETTERS[len(letters) % len(LETTERS)])
                line += text
                styles += letter * cell_len(text)
            shown += [line.rstrip(), styles]
        return "\n".join([*shown, *(f"{letter} {name}" for name, letter in letters.items())])

    def matches(self, name: str, screen: str | None = None) -> None:
        """Compare the screen with a file; UPDATE_SNAPSHOTS=1 writes the file instead."""
        path, screen = SNAPSHOTS / f"{name}.txt", (screen or self.screen) + "\n"
        if os.environ.get("UPDATE_SNAPSHOTS"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(screen, encoding="utf-8")
        assert path.exists(), f"no snapshot {name}: run with UPDATE_SNAPSHOTS=1"
        assert screen == path.read_text(encoding="utf-8")


def _letter(key: str) -> bool:
    character = key_to_character(key)
    return character is not None and character.isprintable()


def _key(char: str) -> str:
    import unicodedata

    return (
        "space"
        if char == " "
        else unicodedata.name(char).lower().replace(" ", "_").replace("-", "_")
    )


@functools.cache
def _tokens(values: tuple[tuple[str, str], ...]) -> dict[str, list[Token]]:
    return tokenize_values(dict(values))


rules: dict[tuple[object, ...], list[RuleSet]] = {}


def parsed_once(
    scope: str, css: str, *rest: object, variable_tokens: dict[str, list[Token]], **named: object
) -> list[RuleSet]:
    """The rules of a style sheet: each app would parse the same text again."""
    key = (scope, css, *rest, id(variable_tokens), *sorted(named.items()))  # ``_tokens`` keeps it
    if key not in rules:
        rules[key] = list(parse(scope, css, *rest, variable_tokens=variable_tokens, **named))
    return rules[key]


@pytest.fixture(autouse=True)
def _no_guessing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual's pilot guesses from the clock whether the app is idle, 40 ms a key; ours can tell.

    Nor does a test wait for the next of the sixty paints of a second: 90 ms at each start.
    """

    async def turn(*_: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("textual.app.wait_for_idle", turn)
    monkeypatch.setattr("textual.pilot.wait_for_idle", turn)
    monkeypatch.setattr("tui.terminal.timers.REST_S", 0.002)
    monkeypatch.setattr("textual.screen.UPDATE_PERIOD", 0.001)
    monkeypatch.setattr("textual.css.stylesheet.parse", parsed_once)
    monkeypatch.setattr(
        "textual.css.stylesheet.tokenize_values", lambda values: _tokens(tuple(values.items()))
    )


@pytest.fixture
def forked_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real engine starts as a fork: see ``tests/tui/real.py``."""
    monkeypatch.setattr(EngineProcess, "spawn", forking())


Boards = Callable[..., AbstractAsyncContextManager[Board]]


@pytest.fixture
def board() -> Boards:
    """``async with board(size=(80, 24)) as b``: settled, unless ``settle=False``."""

    @asynccontextmanager
    async def make(
        size: tuple[int, int] = (120, 40),
        text: str | None = None,
        engine: Callable[..., FakeEngine] = FakeEngine,
        settle: bool = True,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        dark: bool = True,
    ) -> AsyncIterator[Board]:
        app = InterpBoardApp(text=text, settings=settings, dark=dark, engine_factory=engine)
        async with asyncio.timeout(HANGS_S), app.run_test(size=size) as pilot:
            if settle:
                await wait_until_idle(app)
            else:
                await app.session.up.wait()
            yield Board(app, pilot)

    return make
