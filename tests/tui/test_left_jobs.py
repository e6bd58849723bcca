"""Jobs that were left: what they had computed is kept, and nothing that is there is asked again."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from interpboard.engine import protocol
from interpboard.engine.late import Late
from interpboard.results import Cells
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tests.tui.test_kept_cells import midway, told
from tui.app import InterpBoardApp
from tui.session.replaced import ReplacedJobs
from tui.session.unfinished import known_cells
from tui.testing.wait_until_idle import wait_until_idle


async def test_cells_that_come_after_their_prompt_was_left_are_kept_with_those_before(
    board: Boards,
) -> None:
    async with board() as b:
        await midway(b, cells=11)
        jobs, state = ReplacedJobs({"heads": 7}), b.app.state
        jobs.set_down(state, "heads")
        (known,) = state.slots["heads"].cells
        more = Cells(known.request, np.arange(11, 15), np.arange(11, 15), np.zeros(4))
        assert jobs.heard(state, protocol.Progress(8, 1, 32)) is None  # of a job that goes on
        assert jobs.heard(state, Late(protocol.Progress(8, 1, 32))) is state  # of one long gone
        assert jobs.heard(state, Late(protocol.Progress(7, 14, 32, cells=more))) is state
        last = Cells(known.request, np.arange(15, 17), np.arange(15, 17), np.zeros(2))
        ended = jobs.heard(
            state, Late(protocol.Stopped(7, protocol.Progress(7, 17, 32, cells=last)))
        )
        assert ended is not None
        cells = known_cells(ended, "heads", ended.unfinished[-1].request)
        assert cells is not None
        assert cells.numbers.tolist() == list(range(17))
        assert jobs.heard(state, protocol.Stopped(7)) is None  # it is over


async def test_run_pressed_while_the_model_loads_asks_only_for_what_is_not_there(
    board: Boards,
) -> None:
    async with board() as b:
        await midway(b)
        b.engine.release_all_but("heads")
        await told(b)
        await b.press("x")
        await told(b)
        b.engine.release()
        await wait_until_idle(b.app)

    def loading(listener: Any) -> FakeEngine:
        engine = FakeEngine(listener)
        engine.paused = True
        return engine

    app = InterpBoardApp(resume=True, engine_factory=loading)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(0.5)
        again = Board(app, pilot)
        assert "partial: 11 of 32 heads" in again.screen
        await again.press("r")
        again.engine.release()
        await wait_until_idle(app)
        asked = {request.analysis for request in again.engine.requests}
        assert "head_ablation" in asked
        assert not asked & {"logit_lens", "attention", "integrated_gradients", "top_tokens"}


class Stepping(FakeEngine):
    """A grid is stopped at the end of its step, and tells what was in it; or never is, ``stuck``."""

    stuck = False

    def cancel(self, slot: str | None = None) -> None:
        heads = self._jobs.pop("heads", None) if slot in (None, "heads") else None
        super().cancel(slot)
        if heads is not None and not self.stuck:
            numbers = np.arange(11, 14)
            request = f"{heads.analysis} {heads.text}"
            more = Cells(request, numbers, numbers, np.zeros(3))
            last = protocol.Stopped(0, protocol.Progress(0, 14, 32, cells=more))
            asyncio.get_running_loop().call_later(0.03, self._tell, "heads", last)


class Stuck(Stepping):
    stuck = True


@pytest.mark.parametrize(("engine", "cells"), [(Stepping, 14), (Stuck, 11)])
async def test_the_cells_on_their_way_when_the_app_is_left_are_kept(
    board: Boards, engine: type[FakeEngine], cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.session.engine_link.LAST_STEP_S", 0.2)
    async with board(engine=engine) as b:
        await midway(b, cells=11)
        await b.pilot.press("q")
    app = InterpBoardApp(resume=True, engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)):
        await wait_until_idle(app)
        partial = app.state.slots["heads"].result
        assert partial is not None
        assert partial.partial is not None
        assert partial.partial.cells is not None
        assert len(partial.partial.cells) == cells
