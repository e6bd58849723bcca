"""A timer fires although the process was held up between two readings of the clock."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.tui.conftest import Boards


@pytest.mark.parametrize("where", ["app", "panes", "box", "runs"])
async def test_a_process_held_up_loses_no_timer(
    board: Boards, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board((80, 24)) as b:
        await b.press({"box": "t", "runs": "8"}.get(where, "1"))
        fired = asyncio.Event()
        seconds = itertools.count(1e6)
        monkeypatch.setattr("textual.timer._time.get_time", lambda: float(next(seconds)))
        (b.app if where == "app" else b.app.screen).set_timer(0.01, fired.set)
        async with asyncio.timeout(10):
            await fired.wait()
