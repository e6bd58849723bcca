"""The job that runs is named, and half of an answer makes no older one this prompt's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tui.conftest import Boards
from tests.tui.test_kept_cells import OTHER, ask, told
from tui.testing.wait_until_idle import wait_until_idle


async def test_the_job_that_runs_is_named_and_one_that_has_given_way_waits(board: Boards) -> None:
    async with board() as b:
        b.engine.paused = True
        await ask(b, OTHER)
        assert "next tokens" in b.lines()[0]  # nothing has begun: what is quick comes first
        b.engine.compute("tokens", 1, 60.0)
        await told(b)
        assert "integrated gradients  12%" in b.lines()[0]
        b.engine.compute("heads", 16, 20.0)
        await told(b)
        assert "head ablation  50%" in b.lines()[0]
        assert "previous prompt, waiting at 12%" in b.screen
        assert any("running 50% of 32 heads" in line for line in b.lines()[1:])
        await b.press("L")
        assert "integrated gradients: waiting at 12%" in b.screen


@pytest.mark.parametrize("slot", ["tokens", "methods"])
async def test_cells_that_a_view_does_not_draw_do_not_make_an_older_answer_this_prompts(
    board: Boards, slot: str
) -> None:
    async with board() as b:
        if slot != "tokens":
            await b.press("V" if slot == "methods" else "C")
            if slot == "circuit":
                await b.press("enter", "enter")
            await wait_until_idle(b.app)
        assert b.app.state.slots[slot].result is not None
        b.engine.paused = True
        b.app.session.set_question(replace(b.app.state.question, text=OTHER))
        b.app.session.run(slot)
        await told(b)
        b.engine.compute(slot, 1)
        await told(b)
        assert b.app.state.previous(slot) == "previous prompt"
        older = (
            "previous prompt, running" if slot == "tokens" else "an older question │ attributions"
        )
        assert older in b.screen


async def test_what_is_asked_again_is_right_meanwhile_and_does_not_wait(board: Boards) -> None:
    async with board((200, 60)) as b:
        b.engine.paused = True
        await b.press("r")
        assert len(b.app.state.busy) > 4
        assert "waiting" not in b.screen
        assert "older values" not in b.screen
        await b.press("2", "a")  # ablation by the mean: another question to two panes
        assert b.screen.count("waiting: older values") >= 1
        b.engine.paused = False
        b.engine.release()
        await wait_until_idle(b.app)
        assert "older values" not in b.screen
