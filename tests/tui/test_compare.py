"""``=``: this prompt against another one, as A, as B, and as B − A, in every pane."""

from __future__ import annotations

import re

import pytest

from tests.tui.compared import FIRST, LONGER, SHOWN, ByText, line, pane, run
from tests.tui.conftest import Boards


async def test_equals_goes_from_b_less_a_to_a_to_b_and_off_and_the_line_above_names_both(
    board: Boards,
) -> None:
    async with board(engine=ByText) as b:
        heads = b.readout("heads")
        await run(b, LONGER)
        newer = b.readout("heads")
        assert heads != newer
        await b.press(SHOWN)
        above = line(b, "before:")
        assert above.startswith(" B − A ")
        assert "A before: The Eiffel" in above
        assert "B The old Eiffel" in above
        assert "= shows A" in above
        assert "B − A of head ablation, logit" in b.screen
        assert "B − A: − smaller in B, + larger in B" in b.screen
        await b.press(SHOWN, "2")
        assert line(b, "before:").startswith(" A ")
        assert heads[:18] in b.screen
        await b.press(SHOWN)
        assert line(b, "before:").startswith(" B ")
        assert newer[:18] in b.screen
        await b.press(SHOWN)
        assert "before:" not in b.screen
        assert newer[:18] in b.screen


async def test_the_difference_of_each_head_is_that_of_the_two_numbers(board: Boards) -> None:
    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN, "2")
        said = pane(b, "heads").shown_readout().plain
        assert "B − A +1.000 larger in B" in said
        numbers = [
            float(re.findall(rf"  {side} ([−+]\S+)", said)[-1].replace("−", "-")) for side in "AB"
        ]
        assert numbers[1] - numbers[0] == pytest.approx(1.0, abs=2e-3)
        own = [pane(b, "heads").data.result.params[f"{side}_clean_run"] for side in "ab"]  # type: ignore[union-attr]
        clean = ", ".join(
            f"{side} {value:.2f}".replace("-", "−") for side, value in zip("AB", own, strict=True)
        )
        assert f"clean run {clean}" in said


async def test_tokens_that_one_prompt_alone_has_are_marked_and_have_no_difference(
    board: Boards,
) -> None:
    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN, "1", "g", "j")
        readout = pane(b, "tokens").shown_readout().plain
        assert "B: ·old" in readout
        assert "only in B: no difference" in readout
        row = line(b, "B: ·old").split()
        assert row[-2] == "·"
        assert "0" not in row
        await b.press("z", "3")
        header = line(b, "·old")
        under = b.lines()[b.lines().index(header) + 1]
        assert under.index("B", 10) > header.index("·old")


async def test_a_pinned_prompt_is_compared_with_until_it_is_not_pinned_any_more(
    board: Boards,
) -> None:
    async with board((80, 24), engine=ByText) as b:
        await b.press("colon")
        await b.write("pin prompt")
        await b.press("enter")
        assert "Pinned" in b.messages[-1]
        await b.press(SHOWN)
        assert "This prompt is the pinned one" in b.messages[-1]
        for text in (LONGER, "A third prompt of"):
            await run(b, text)
        await b.press(SHOWN)
        assert "A pinned: The Eiffel" in b.screen
        await b.press(SHOWN, SHOWN, SHOWN)
        await run(b, FIRST)
        await b.app.action_perform("pin_prompt")
        await run(b, LONGER)
        await b.press(SHOWN)
        assert "A before: The Eiffel" in b.screen


async def test_without_a_prompt_before_it_says_what_to_do(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press(SHOWN)
        assert "no prompt before this one" in b.messages[-1]
        assert "Pin prompt" in b.messages[-1]


async def test_what_a_has_not_is_computed_for_it_once_and_only_when_it_is_looked_at(
    board: Boards,
) -> None:
    async with board((80, 24), engine=ByText) as b:
        await run(b, LONGER)

        def asked(analysis: str) -> list[str]:
            return [r.text for r in b.engine.requests if r.analysis == analysis]

        assert asked("head_ablation") == []
        await b.press(SHOWN, "2")
        assert sorted(asked("head_ablation")) == sorted([FIRST, LONGER])
        assert "B − A +1.000" in b.screen
        await b.press("1", "2", SHOWN, SHOWN)
        assert len(asked("head_ablation")) == 2


async def test_while_a_side_is_computed_there_is_no_difference_of_parts(board: Boards) -> None:
    async with board((80, 24), engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN)
        b.engine.paused = True
        await b.press("2")
        while "A:heads" not in b.engine.busy_slots:
            await b.pilot.pause()
        b.engine.progress("A:heads", 3, 32)
        while "A is being" not in b.screen:
            await b.pilot.pause(0.01)
        assert "A is being computed, 9%" in b.screen
        assert "is being computed" in b.screen
        assert "no difference of parts" in b.screen
        b.engine.release()
        await b.press("2")
        assert "B − A +1.000" in b.screen


async def test_cancel_cancels_what_runs_for_a(board: Boards) -> None:
    async with board((80, 24), engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN)
        b.engine.paused = True
        await b.press("2")
        while "A:heads" not in b.engine.busy_slots:
            await b.pilot.pause()
        await b.press("x")
        assert b.engine.busy_slots == ()
        b.engine.release()
        await b.press("r")
        assert "B − A +1.000" in b.screen


async def test_commands_that_act_on_the_prompt_do_nothing_while_the_other_is_shown(
    board: Boards,
) -> None:
    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN, "2", "enter", "space")
        assert not b.app.state.interventions.items
        assert "acts on B" in b.messages[-1]
        await b.press(SHOWN, "space")
        assert not b.app.state.interventions.items
        await b.press(SHOWN, "space")
        assert b.app.state.interventions.items


async def test_the_metric_and_the_method_are_those_of_both(board: Boards) -> None:
    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN, "M")
        assert "B − A of head ablation, p ·Paris" in b.screen
        await b.press(SHOWN, SHOWN, "2", "a", SHOWN, SHOWN)
        asked = [r for r in b.engine.requests if r.analysis == "head_ablation"][-2:]
        assert {(r.text, r.params["ablation"]) for r in asked} == {
            (LONGER, "mean"),
            (FIRST, "mean"),
        }
        assert "different" not in b.screen


async def test_a_target_chosen_while_comparing_is_explained_in_both(board: Boards) -> None:
    async with board(engine=ByText) as b:
        await run(b, LONGER)
        await b.press(SHOWN, "t")
        await b.write(" Rome")
        await b.press("enter")
        assert "B − A of head ablation, logit ·Rome" in b.screen


async def test_different_targets_are_said_where_the_difference_is(board: Boards) -> None:
    async with board((80, 24), engine=ByText) as b:
        await b.press("t")
        await b.write(" Rome")
        await b.press("enter")
        await b.app.action_perform("pin_prompt")
        await b.press("t")
        await b.write(" London")
        await b.press("enter")
        await run(b, LONGER)
        await b.press(SHOWN, "2", "z")
        assert "different targets: A ·Rome, B ·London" in b.screen
        assert "B − A of head ablation, logit ·London − ·Rome" in b.screen
