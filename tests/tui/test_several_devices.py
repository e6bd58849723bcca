"""The app on several devices: an engine on each, one state line for all of them."""

from __future__ import annotations

import asyncio
import os
import signal

import numpy as np
import pytest

from interpboard.config import Settings
from interpboard.engine.lost import SharedDevices
from interpboard.engine.several import SeveralEngines
from tests.tui.compared import FIRST, LONGER, SHOWN, ByText, run
from tests.tui.conftest import HANGS_S, Board, Boards
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle


@pytest.mark.usefixtures("forked_engines")
async def test_grids_are_divided_and_the_death_of_one_engine_is_said_and_loses_nothing() -> None:
    app = InterpBoardApp(settings=Settings(device="cpu,cpu"))
    async with asyncio.timeout(HANGS_S), app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b, engine = Board(app, pilot), app.session.engine
        assert isinstance(engine, SeveralEngines)
        assert " · cpu, cpu" in b.lines()[0]
        before = b.result("heads").values
        assert "·Paris" in b.screen

        pid = engine.pids[1]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while " · 1 of 2 devices: cpu" not in b.lines()[0]:
            await pilot.pause(0.005)
        assert b.messages == [
            "The engine on cpu ended (killed by signal 9). The others go on. It is started again."
        ]
        await b.press("r")
        # Rows that run in other batches are the same but for rounding.
        np.testing.assert_allclose(b.result("heads").values, before, rtol=1e-4, atol=1e-4)
        while engine.pids[1] in (None, pid) or " · cpu, cpu" not in b.lines()[0]:  # it is back
            await pilot.pause(0.01)
        assert app.state.engine.phase == "ready"
        assert not app.state.engine.notice


def asked_heads(b: Board) -> list[str]:
    return [each.text for each in b.engine.requests if each.analysis == "head_ablation"]


async def compared_heads(b: Board) -> None:
    """Both sides' grids of heads are under way."""
    await run(b, LONGER)
    await b.press(SHOWN)
    b.engine.paused = True
    await b.press("2")
    while not {"A:heads", "heads"} <= set(b.engine.busy_slots):
        await b.pilot.pause()


async def test_what_other_engines_go_on_with_of_a_comparison_comes_as_if_none_had_died(
    board: Boards,
) -> None:
    async with board((80, 24), engine=ByText) as b:
        await compared_heads(b)
        b.engine.die(going_on=("A:heads", "heads"))
        b.engine.release()
        await wait_until_idle(b.app)
        assert "B − A +1.000" in b.screen
        assert sorted(asked_heads(b)) == sorted([FIRST, LONGER])


@pytest.mark.parametrize("side", ["A:heads", "heads"])
async def test_the_side_of_a_comparison_that_is_lost_is_asked_again_and_not_waited_for(
    board: Boards, side: str
) -> None:
    async with board((80, 24), engine=ByText) as b:
        await compared_heads(b)
        others = {"A:heads", "heads"} - {side}
        b.engine.die(going_on=tuple(others))
        b.engine.release()
        await wait_until_idle(b.app)
        assert "being computed" not in b.screen
        assert "B − A +1.000" not in b.screen
        assert "engine died" in b.screen
        await b.press("r")
        assert "B − A +1.000" in b.screen
        lost = FIRST if side == "A:heads" else LONGER
        assert asked_heads(b).count(lost) == 2


async def test_both_sides_know_which_engines_share_the_grids_now(board: Boards) -> None:
    """With several no job waits for another: A says so of its own, too."""
    async with board((120, 40), engine=ByText) as b:
        b.engine.listener("", SharedDevices(("cuda:0", "cuda:1", "cuda:2"), 3))
        await run(b, LONGER)
        b.engine.listener("", SharedDevices(("cuda:0", "cuda:1"), 3))
        await b.press(SHOWN)
        side = b.app.controllers.comparison.a
        assert side is not None
        assert side.state.devices == ("cuda:0", "cuda:1")  # and not those of when it was run
        for there in (("cuda:0",), ("cuda:0", "cuda:2")):
            b.engine.listener("", SharedDevices(there, 3, f"{len(there)} are there."))
            await b.pilot.pause()
            assert b.app.state.devices == side.state.devices == there
            assert b.messages.count(f"{len(there)} are there.") == 1
        assert " · 2 of 3 devices: cuda:0, cuda:2" in b.lines()[0]
