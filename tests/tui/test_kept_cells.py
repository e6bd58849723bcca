"""What is computed is never lost, and what is on the screen is of what stands above it, or says so."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from interpboard.engine.client import EngineClient
from tests.tui.conftest import Board, Boards
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle

OTHER = "The Colosseum is located in the city of"


async def ask(b: Board, text: str) -> None:
    """Write a prompt and run it; the engine is paused."""
    b.app.prompt.show(text)
    b.app.controllers.run_prompt()
    await told(b)


async def told(b: Board) -> None:
    """Wait until what has changed is on the screen."""
    await asyncio.sleep(0.25)
    await b.pilot.pause()


def colours(b: Board, slot: str) -> set[str]:
    """The colours in the rows of a pane's body."""
    region = b.app.panes.of(slot).view.region
    crops = [row.crop(region.x, region.right) for row in b.strips()[region.y : region.bottom]]
    styles = [style for row in crops for _, style, _ in row if style is not None]
    found = {
        style.bgcolor.triplet.hex for style in styles if style.bgcolor and style.bgcolor.triplet
    }
    return found - {"#121212"}


async def midway(b: Board, slot: str = "heads", cells: int = 11) -> None:
    """Run, and let the job of ``slot`` compute so many cells."""
    b.engine.paused = True
    await ask(b, OTHER)
    b.engine.compute(slot, cells)
    await told(b)


async def test_five_prompts_in_a_row_leave_no_number_of_an_older_one_unlabelled(
    board: Boards,
) -> None:
    async with board((200, 60)) as b:
        full = {slot: colours(b, slot) for slot in ("heads", "lens")}
        b.engine.paused = True
        for number in range(5):
            await ask(b, f"Prompt {number} is located in the city of")
            panes = [view for view in b.app.panes.views if view.data.result is not None]
            assert len(panes) >= 5
            assert b.screen.count("previous prompt") >= len(panes) + 1  # and the next tokens
            assert "previous prompt: after" in b.screen
            for slot, before in full.items():
                assert not colours(b, slot) & before, slot
        b.engine.release()
        await wait_until_idle(b.app)
        assert "previous prompt" not in b.screen
        assert {slot: colours(b, slot) for slot in full} == full


async def test_the_list_of_next_tokens_names_the_token_of_its_own_prompt(board: Boards) -> None:
    async with board() as b:
        b.engine.paused = True
        await ask(b, "one two three")
        b.engine.only("predictions")
        await told(b)
        assert "after 2 ·three" in b.screen
        assert "previous prompt: after" not in b.screen


async def test_a_stopped_grid_stays_and_r_asks_for_the_rest_of_it_alone(board: Boards) -> None:
    async with board() as b:
        await midway(b)
        b.engine.release_all_but("heads")
        await told(b)
        await b.press("x")
        await told(b)
        assert "partial: 11 of 32 heads, r goes on" in b.screen
        b.engine.release()
        await wait_until_idle(b.app)
        asked = len(b.engine.requests)
        await b.press("r")
        again = b.engine.requests[asked:]
        assert [request.analysis for request in again] == ["head_ablation"]
        assert again[0].cells is not None
        assert len(again[0].cells) == 11
        await wait_until_idle(b.app)
        assert "partial" not in b.screen


@pytest.mark.parametrize("slot", ["heads", "mlp_ablation"])
async def test_a_whole_result_is_not_given_up_for_a_part_of_the_same(
    board: Boards, slot: str
) -> None:
    async with board() as b:
        whole = b.app.state.slots["heads"].result
        b.engine.paused = True
        await b.press("r")
        b.engine.compute("heads", 5)
        await told(b)
        await b.press("x")
        await told(b)
        assert b.app.state.slots["heads"].result is whole
        assert "partial" not in b.screen


async def test_the_cells_of_a_prompt_that_was_left_are_there_when_it_comes_back(
    board: Boards,
) -> None:
    async with board() as b:
        await midway(b, cells=7)
        await ask(b, "Something else is here in the city of")
        assert "previous prompt" in b.screen
        last = [r for r in b.engine.requests if r.analysis == "head_ablation"][-1]
        assert last.cells is None  # of another prompt
        await ask(b, OTHER)
        last = [r for r in b.engine.requests if r.analysis == "head_ablation"][-1]
        assert last.text == OTHER
        assert last.cells is not None
        assert len(last.cells) == 7


async def test_other_parameters_take_nothing_over(board: Boards) -> None:
    async with board() as b:
        await midway(b)
        b.app.session.set_param("heads", "ablation", "mean")
        await told(b)
        last = [r for r in b.engine.requests if r.analysis == "head_ablation"][-1]
        assert last.params["ablation"] == "mean"
        assert last.cells is None


async def test_a_dead_engine_takes_no_computed_cell_along(board: Boards) -> None:
    async with board() as b:
        await midway(b)
        b.engine.paused = False
        b.engine.die()
        await wait_until_idle(b.app)
        assert "partial: 11 of 32 heads, r goes on" in b.screen
        asked = len(b.engine.requests)
        await b.press("r")
        heads = [r for r in b.engine.requests[asked:] if r.analysis == "head_ablation"]
        assert [len(r.cells or ()) for r in heads] == [11]


async def test_a_later_prompt_cancels_what_nobody_waits_for(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2")
        b.engine.paused = True
        await ask(b, OTHER)
        await b.press("3")
        await told(b)
        assert "heads" in b.engine.busy_slots
        assert set(b.engine.put_aside) == {"heads", "mlp_ablation"}
        await ask(b, "Yet another one in the city of")
        assert "heads" not in b.engine.busy_slots
        assert "lens" in b.engine.busy_slots


async def test_how_long_it_takes_stands_in_the_status_line_and_in_the_frame(board: Boards) -> None:
    async with board() as b:
        await midway(b)
        lines = b.lines()
        assert "of 32 heads, 30 s left, x stops" in lines[0]
        assert any("running 34% of 32 heads, 30 s left, x stops" in line for line in lines[1:])
        await b.press("L")
        assert "head ablation: 34% of 32 heads, 30 s left, x stops" in b.screen


async def test_a_long_job_says_its_size_and_what_it_is_expected_to_take_before_its_first_step(
    board: Boards,
) -> None:
    async with board() as b:
        b.engine.paused = True
        await ask(b, OTHER)
        b.engine.compute("heads", 0, 40.0, expected=True)
        await b.pilot.pause(0.3)
        lines = b.lines()
        assert "of 32 heads, about 40 s, x stops" in lines[0]
        assert any("running 0% of 32 heads, about 40 s, x stops" in line for line in lines[1:])
        b.engine.compute("heads", 4, 6.0)  # measured, it is not long after all
        await b.pilot.pause(0.3)
        assert "of 32 heads, 6.0 s left " in b.lines()[0]
        b.engine.compute("heads", 8, 5.0)
        await b.press("L")
        assert "head ablation: 25% of 32 heads, 5.0 s left" in b.screen
        assert "stops" not in b.lines()[0]
        b.engine.compute("heads", 30, 0.04)  # it is over before that is read
        await b.pilot.pause(0.3)
        assert "94% " in b.lines()[0]
        assert " s left" not in b.lines()[0]


async def test_of_a_short_job_nothing_is_said_before_its_first_step(board: Boards) -> None:
    async with board() as b:
        b.engine.paused = True
        await ask(b, OTHER)
        b.engine.compute("heads", 0, 4.0, expected=True)
        await b.pilot.pause(0.3)
        assert "of 32 heads" in b.lines()[0]
        assert "about" not in b.lines()[0]


async def test_another_model_takes_nothing_of_the_old_one_and_says_what_it_drops(
    board: Boards,
) -> None:
    async with board() as b:
        await b.press("f")
        await b.write(" Rome")
        await b.press("enter", "M", "M")
        assert b.app.state.question.foil == " Rome"
        await b.press("o")
        await b.write("other")
        b.engine.paused = True
        await b.press("enter")
        b.engine.only("model")
        await told(b)
        assert "other" in b.lines()[0]
        assert all(answer.result is None for answer in b.app.state.slots.values())
        assert any("the foil ·Rome dropped" in message for message in b.messages)
        b.engine.release()
        await wait_until_idle(b.app)
        assert b.app.state.slots["heads"].result is not None
        assert not b.app.state.slots["heads"].failure


async def test_saved_results_of_one_model_are_not_shown_under_the_name_of_another(
    board: Boards,
) -> None:
    async with board() as b:
        await b.press("8", "enter")  # reopened: no question has been answered since
        assert b.app.state.good is None
        await b.press("o")
        await b.write("other")
        b.engine.paused = True
        await b.press("enter")
        b.engine.only("model")
        await told(b)
        assert "other" in b.lines()[0]
        assert all(answer.result is None for answer in b.app.state.slots.values())


async def test_what_was_computed_when_the_app_was_left_is_gone_on_with(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with board() as b:
        await midway(b)
        await b.press("q")
    app = InterpBoardApp(resume=True, engine_factory=type(b.engine))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        again = Board(app, pilot)
        assert "partial: 11 of 32 heads, r goes on" in again.screen
        await again.press("8")
        assert "partial Head ablation" in again.screen
        await again.press("q")
        await again.press("r")
        heads = [r for r in again.engine.requests if r.analysis == "head_ablation"]
        assert [len(r.cells or ()) for r in heads] == [11]
        await again.press("8")
        assert "partial Head ablation" not in again.screen
        rows = [
            line for line in again.lines() if "Head ablation" in line or "head_ablation" in line
        ]
        # The whole took the part's place.
        assert len([row for row in rows if OTHER[:12] in row]) == 1


LINE = re.compile(r"causal_trace: (\d+) cells were known, (\d+) computed in .* s, (\w+)")
MARK = ("1", "g", "l", "s", "l", "s")


@pytest.mark.usefixtures("forked_engines")
async def test_a_grid_stopped_at_a_half_and_finished_in_another_sitting_computes_each_cell_once(
    tmp_path: Path,
) -> None:
    app = InterpBoardApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        app.session.set_param("causal_trace", "samples", 150)
        await b.press(*MARK[:-1])
        await pilot.press(MARK[-1])  # the trace begins: it is in sight
        while app.state.slots["trace"].job is None or not app.state.slots["trace"].cells:
            await pilot.pause(0.01)
        await pilot.press("x")
        await wait_until_idle(app)
        trace = app.state.slots["trace"]
        assert trace.result is not None or "is kept" in trace.failure
        assert app.state.unfinished[-1].slot == "trace"
    app = InterpBoardApp(resume=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        assert "partial: " in b.screen
        await b.press("r")
        await wait_until_idle(app)
        assert "partial: " not in b.screen
        result = app.state.slots["trace"].result
        assert result is not None
        assert result.partial is None
        every = result.extra["per_sample"].values
        engine = app.session.engine
        assert isinstance(engine, EngineClient)
        log = engine.log_path.read_text()
    (known, first, how), (before, rest, end) = LINE.findall(log)[-2:]
    assert (known, how, first, end) == ("0", "stopped", before, "done")
    noised = every[:, :, result.params["subject"][0] :]
    # Behind the last layer nothing but the metric's position is read.
    assert int(first) + int(rest) == noised.size - noised[:, -1, :-1].size
