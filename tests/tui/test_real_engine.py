"""The main path with the real engine process and the demo model."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

import interpboard.models.demo
from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from tests.tui.conftest import Board
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle


@pytest.mark.usefixtures("forked_engines")
async def test_panes_fill_and_a_death_or_a_model_that_does_not_load_leave_the_old_model(
    tmp_path: Path,
) -> None:
    app = InterpBoardApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        for slot in ("tokens", "heads", "lens", "predictions"):
            assert app.state.slots[slot].result is not None, slot
        result = app.state.slots["predictions"].result
        assert result is not None
        assert result.metric.target is not None
        assert result.metric.target.token == " Paris"
        await b.press("t", *"nonsensewords", "enter")
        await wait_until_idle(app)
        assert "“nonsensewords” is 9 tokens" in b.screen
        await b.press("escape")

        engine = app.session.engine
        assert isinstance(engine, EngineClient)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        while app.state.engine.phase == "ready":
            await pilot.pause(0.05)
        assert "killed by signal 9" in app.state.engine.notice
        assert "·Paris" in b.screen
        await wait_until_idle(app)
        await b.press("enter")
        await wait_until_idle(app)
        assert not app.state.engine.notice
        assert not app.state.busy

        whole, torn = tmp_path / "whole", tmp_path / "torn"  # one ends in the middle
        for folder in (whole, torn):
            shutil.copytree(Path(interpboard.models.demo.__path__[0]) / "weights", folder)
        (torn / "model.safetensors").write_bytes((torn / "model.safetensors").read_bytes()[:5000])
        pid = engine.pid
        await b.press("o", *str(torn), "enter")
        await wait_until_idle(app)
        assert str(torn) in b.messages[-1]
        assert await still_paris(b)
        assert engine.pid == pid

        listener = engine.listener

        def kill_while_loading(slot: str, event: object) -> None:
            if isinstance(event, protocol.Loading) and engine.pid is not None:
                engine.listener = listener
                os.kill(engine.pid, signal.SIGKILL)  # as the system does where memory is short
            listener(slot, event)  # type: ignore[arg-type]

        engine.listener = kill_while_loading
        await b.press("o", *str(whole), "enter")
        await wait_until_idle(app)
        assert "loading whole: killed by signal 9" in app.state.engine.notice
        assert await still_paris(b)


async def still_paris(b: Board) -> bool:
    """The demo is in use and computes."""
    assert b.app.state.model is not None
    assert b.app.state.model.info.name == "demo"
    before = b.app.state.slots["predictions"].result
    await b.press("r")
    await wait_until_idle(b.app)
    after = b.app.state.slots["predictions"].result
    assert before is not None
    assert after is not None
    return after is not before and after.metric.target == before.metric.target
