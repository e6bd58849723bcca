"""What an analysis would take, asked from the panes before it runs; what cannot fit says what would."""

from __future__ import annotations

import pytest

from interpboard.engine import protocol
from tests.tui.conftest import Board, Boards
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle

TOO_MUCH = protocol.Failed(
    0,
    "unaffordable",
    "Attention of 12 layers × 12 heads × 4,096² is 9.0 GiB, and 16 MiB are the most in one result.",
    "Shorten the prompt to 2,048 tokens and look at one head.",
)


async def ask_plan(b: Board) -> None:
    await b.press("colon")
    await b.write("plan of this")
    await b.press("enter")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)], ids=lambda size: f"{size[0]}")
async def test_the_palette_shows_the_plan_of_the_pane_and_nothing_behind_it_changes(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press("2")
        ran, slots = len(b.engine.requests), b.app.state.slots
        await ask_plan(b)
        assert b.app.state.slots is slots
        assert len(b.engine.requests) == ran
        assert b.engine.planned == [r for r in b.engine.requests if r.analysis == "head_ablation"]
        b.matches(f"plan-{size[0]}x{size[1]}")
        await b.press("q")
        assert "Plan of" not in b.screen


async def test_a_plan_is_of_the_parameters_that_are_chosen(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("1", "P")
        await b.write("n_steps=64")
        await b.press("enter")
        await ask_plan(b)
        assert b.engine.planned[-1].params == {"n_steps": 64}
        assert b.engine.planned[-1] == b.engine.requests[-1]


async def test_a_box_of_parameters_says_the_plan_of_what_is_written_in_it(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("1", "P")
        ran = len(b.engine.requests)
        assert "Plan: 3.2 s  45 MiB  120 passes  96 edited runs, 8 of them timed" in b.screen
        await b.write("n_steps=64")
        assert b.engine.planned[-1].params == {"n_steps": 64}
        await b.write(" nonsense")
        assert "Plan:" not in b.screen
        await b.press("escape")
        assert len(b.engine.requests) == ran


async def test_a_plan_that_cannot_fit_says_what_would(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2")
        b.engine.refused["head_ablation"] = TOO_MUCH
        await ask_plan(b)
        words = " ".join(b.screen.replace("│", " ").replace("┃", " ").split())
        assert TOO_MUCH.remedy in words
        assert "9.0 GiB" in words
        b.engine.refused["integrated_gradients"] = TOO_MUCH
        await b.press("q", "1", "P")
        assert "Plan: Attention of 12 layers" in b.screen


async def test_what_cannot_fit_stands_in_its_pane_beside_the_values_that_were_there(
    board: Boards,
) -> None:
    async with board((120, 40)) as b:
        await b.press("2")
        values = b.result("heads")
        b.engine.refused["head_ablation"] = TOO_MUCH
        await b.press("r")
        assert b.result("heads") is values
        assert "Attention of 12 layers" in b.screen
        assert f"{TOO_MUCH.message} {TOO_MUCH.remedy}" in b.messages
        b.engine.refused.clear()
        await b.press("r")
        assert b.result("heads") is not values
        assert "Attention of 12 layers" not in b.screen


async def test_what_cannot_fit_and_never_ran_stands_as_one_line_in_its_pane(board: Boards) -> None:
    async with board((80, 24), settle=False) as b:
        b.engine.refused["head_ablation"] = TOO_MUCH
        await wait_until_idle(b.app)
        await b.press("2", "z")
        line = next(line for line in b.lines() if "Attention of 12 layers" in line)
        assert "9.0 GiB" in line


async def test_a_box_that_is_left_asks_no_further_and_one_whose_engine_died_says_so(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press("2")
        b.engine.paused = True
        await b.press("colon", *"plan of this".replace(" ", ""))
        await b.press("escape")
        assert not b.engine.busy_slots
        opened(b.app)
        await b.pilot.pause()
        assert "plan" in b.engine.busy_slots
        await b.press("q")
        assert "plan" not in b.engine.busy_slots
        opened(b.app)
        await b.pilot.pause()
        b.engine.die(restarting=False)
        await b.pilot.pause()
        assert "the engine gave no answer" in b.screen


def opened(app: InterpBoardApp) -> None:
    app.controllers.plans.open()


async def test_where_there_is_nothing_to_run_the_palette_says_so(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("4", "colon")
        await b.write("plan of this")
        assert "This pane has nothing to run yet." in b.screen
