"""Keys of the configuration file act, and footer and help show them."""

from __future__ import annotations

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
    chosen = {"zoom": "Z", "metric": "z", "ablation": "!", "down": "|", "leave": "ctrl+e"}
    app = InterpBoardApp(settings=Settings(keys=chosen), engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("z")
        assert b.engine.requests[-1].metric.name == "prob"
        assert not app.screen_stack[0].has_class("-zoomed")
        await b.press("Z")
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
        assert app.focus_name == "prompt"
        await b.press("ctrl+e")
        assert app.focus_name == "heads"


async def test_footer_and_help_show_the_rebound_keys() -> None:
    settings = Settings(keys={"zoom": "Z,f5", "interventions": "ctrl+x"})
    app = InterpBoardApp(settings=settings, engine_factory=FakeEngine)
    async with app.run_test(size=(200, 60)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("6")
        assert " Z Zoom" in b.lines()[-1]
        assert " Ctrl+x What if" in b.lines()[-1]
        await b.press("question_mark", "G")
        assert "Z F5" in b.screen
