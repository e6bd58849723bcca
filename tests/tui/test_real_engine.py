"""The main path with the real engine process and the demo model."""

from __future__ import annotations

import os
import signal

from interpboard.engine.client import EngineClient
from tests.tui.conftest import Board
from tui.app import InterpBoardApp


async def test_four_panes_fill_the_engine_dies_and_enter_works_again() -> None:
    app = InterpBoardApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await app.settled()
        b = Board(app, pilot)
        for slot in ("tokens", "heads", "lens", "predictions"):
            assert app.state.slots[slot].result is not None, slot
        result = app.state.slots["predictions"].result
        assert result is not None
        assert result.metric.target is not None
        assert result.metric.target.token == " Paris"
        await pilot.press("t", *"nonsensewords", "enter")
        await app.settled()
        assert "tokens" in b.toasts[0]

        engine = app.session.engine
        assert isinstance(engine, EngineClient)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        while app.state.engine.phase == "ready":
            await pilot.pause(0.05)
        assert "killed by signal 9" in app.state.engine.notice
        assert "·Paris" in b.screen
        await app.settled()
        await pilot.press("enter")
        await app.settled()
        assert not app.state.engine.notice
        assert not app.state.busy
