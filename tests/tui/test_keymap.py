"""Keys of the configuration file act, and footer and help show them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from interpboard.config import Settings
from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tui import catalogue as keys
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle


@pytest.fixture(autouse=True)
def _usual_keys_afterwards() -> Iterator[None]:
    yield
    keys.use({})


async def test_rebound_keys_act_and_the_old_ones_do_not() -> None:
    chosen = {"zoom": "U", "metric": "z", "ablation": "!", "down": "|", "leave": "ctrl+e"}
    app = InterpBoardApp(settings=Settings(keys=chosen), engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("z")
        assert b.engine.requests[-1].metric.name == "prob"
        assert not app.screen_stack[0].has_class("-zoomed")
        await b.press("U")
        assert app.screen_stack[0].has_class("-zoomed")
        before = len(b.engine.requests)
        await b.press("M", "2", "a")
        assert len(b.engine.requests) == before
        await b.press("exclamation_mark")
        assert b.engine.requests[-2].params == {"ablation": "mean", "preview": True}
        await b.press("g", "vertical_line")
        assert b.readout("heads").startswith("L1 ")
        await b.press("down")
        assert b.readout("heads").startswith("L1 ")
        await b.press("p", "escape")
        assert app.panes.focus_name == "prompt"
        await b.press("ctrl+e")
        assert app.panes.focus_name == "heads"


async def test_footer_and_help_show_the_rebound_keys() -> None:
    settings = Settings(keys={"zoom": "U,f5", "interventions": "ctrl+x"})
    app = InterpBoardApp(settings=settings, engine_factory=FakeEngine)
    async with app.run_test(size=(200, 60)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("6")
        assert " U Zoom" in b.lines()[-1]
        assert " Ctrl+x What if" in b.lines()[-1]
        await b.press("question_mark", "G")
        assert "U F5" in b.screen


async def test_hints_help_and_refusals_name_the_keys_in_use() -> None:
    chosen = {"run": "f5", "subject": "!", "method": "ctrl+x", "corrupted": "f7"}
    chosen |= {"train_lens": "f6", "quit": "f10", "cancel": "f9"}
    app = InterpBoardApp(settings=Settings(keys=chosen), engine_factory=FakeEngine)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("4")
        assert "mark the subject in Tokens with !" in b.screen
        await b.press("question_mark")
        assert "noise on the subject that ! marks in Tokens" in b.screen
        assert "Ctrl+x the method" in b.screen
        await b.press("q", "3", "question_mark")
        assert "maps that F6 trains or T opens" in re.sub(r"[\s│┃]+", " ", b.screen)
        await b.press("q", "p", "x")
        assert "prompt edited: F5 runs" in b.screen
        await b.press("escape", "ctrl+c")
        assert b.messages[-1] == "F10 or Ctrl+q quits, F9 cancels what runs."


def test_about_texts_of_slots_name_commands_and_no_keys() -> None:
    import re

    literal = re.compile(
        r"(?<![\w{:`'])(?:[a-zA-Z]|Enter|Space|Ctrl\+\w|F\d+) (?:runs|opens|marks|chooses|trains)\b"
    )
    for slot in keys.SLOTS:
        for line in slot.about:
            assert not literal.search(line), (slot.name, line)
