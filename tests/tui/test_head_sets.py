"""Sets of heads in the app: held and switched as one, beside a random set, and what is of the clean run."""

from __future__ import annotations

import re

import numpy as np
import pytest

from interpboard.interventions.grammar import places_of
from interpboard.results import Axis, LabelledArray, layer_axis
from tests.tui.conftest import Board, Boards
from tests.tui.stand_ins import Spoken, session
from tui.app import InterpBoardApp
from tui.controllers.head_sets import HeadSets
from tui.session.interventions import InterventionStack, stack_from_text
from tui.slots.heads.sets import chosen_set

SIZES = [(80, 24), (120, 40), (200, 60)]


async def hold(b: Board, words: str) -> None:
    await b.press("I", "ctrl+u")
    await b.write(words)
    await b.press("enter")


def held(b: Board) -> dict[str, str]:
    """What was asked of the engine last."""
    return [
        r.params for r in b.engine.requests if r.analysis == "what_if" and "top_k" not in r.params
    ][-1]


def inside(text: str) -> tuple[str, ...]:
    return places_of(text)


@pytest.mark.parametrize("size", SIZES)
async def test_the_ten_strongest_are_off_beside_ten_random_heads(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press("2")
        grid = b.app.state.slots["heads"].result
        assert grid is not None
        largest = np.argsort(-np.abs(grid.values), axis=None, kind="stable")[:10]
        await b.press("I")
        assert "strongest 10" in b.screen
        await b.press("enter")
        params = held(b)
        assert inside(params["interventions"]) == tuple(f"{i // 8}.{i % 8}" for i in largest)
        drawn = inside(params["controls"])
        assert len(set(drawn)) == 10
        assert not set(drawn) & set(inside(params["interventions"]))
        assert "strongest 10 −25.00 (random 10, seed 0 −2.50)" in b.screen
        assert "14.20 → −10.80 (−25.00)" in b.screen or size[0] == 80
        assert "furthest from 0 in logit ·Paris, zero ablation" in " ".join(b.messages)
        assert re.search(r"\d+ helped", " ".join(b.messages))
        await b.press("i")
        assert re.search(r"on +strongest 10: 10, zero +alone −25.000", b.screen)
        assert re.search(r"off +random 10, seed 0: 10, zero, control +alone −2.500", b.screen)
        assert (
            inside(params["interventions"])[0] in b.screen
        )  # the places of the set under the cursor
        b.matches(f"head-set-{size[0]}x{size[1]}")


async def test_the_set_and_the_random_one_are_exchanged_and_switched_as_one(board: Boards) -> None:
    async with board() as b:
        await hold(b, "strongest 3")
        await b.press("i", "s")
        assert held(b)["interventions"].startswith('"random 3, seed 0"{')
        assert held(b)["controls"].startswith('"strongest 3"{')
        assert re.search(r"off +strongest 3: 3, zero +alone −7.500", b.screen)
        assert re.search(r"on +random 3, seed 0: 3, zero, control +alone −0.750", b.screen)
        await b.press("s", "n")
        assert held(b)["controls"].startswith('"random 3, seed 1"{')
        assert "seed 0" not in b.screen
        await b.press("u", "u")
        assert held(b)["interventions"].startswith('"random 3, seed 0"{')
        await b.press("u", "g", "k", "space")  # off: nothing is held
        assert not b.app.state.interventions.text
        await b.press("space")
        assert b.app.state.interventions.text.startswith('"strongest 3"{')


async def test_a_layer_and_a_type_make_sets_and_what_is_not_there_is_said(board: Boards) -> None:
    async with board() as b:
        await b.press("2")
        await hold(b, "layer 1")
        assert inside(held(b)["interventions"]) == (*(f"1.{h}" for h in range(8)), "1.mlp")
        drawn = inside(held(b)["controls"])
        assert sum(place.endswith("mlp") for place in drawn) == 1
        assert len(drawn) == 9
        await hold(b, "induction")
        types = b.app.state.slots["head_types"].result
        assert types is not None
        labels = types.extra["label"].values
        wanted = [f"{i}.{j}" for i, j in np.argwhere(labels == "induction")]
        assert wanted
        sets = [item for item in b.app.state.interventions.items if item.name == "typed induction"]
        assert list(sets[0].places) == wanted
        before = b.app.state.interventions
        for words, said in (
            ("tail", "No head is typed 'tail'."),
            ("99", "99 heads cannot be chosen: 32 have a value."),
            ("layer 9", "There is no layer 9."),
        ):
            await hold(b, words)
            assert said in b.messages[-1]
        assert b.app.state.interventions == before
        await hold(b, "strongest 20")
        assert "12 are left" in b.messages[-1]
        assert "controls" not in held(b) or "random 20" not in held(b)["controls"]


async def test_what_replaces_a_head_in_the_grid_replaces_it_in_the_set(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2", "a")
        await hold(b, "2")
        assert held(b)["interventions"].endswith("}=mean")
        assert held(b)["controls"].endswith("}=mean")
        assert "mean ablation" in b.messages[-1]


async def test_space_on_a_head_of_a_set_says_which_set_holds_it(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("2")
        await hold(b, "2")
        assert b.readout("heads").endswith("off")  # the strongest is under the cursor
        before = b.app.state.interventions
        await b.press("space")
        assert b.app.state.interventions == before
        assert "2.4 is in the set strongest 2, which is switched as one." in b.messages


async def test_sets_come_back_with_resume_and_the_random_one_still_belongs_to_its_set(
    board: Boards,
) -> None:
    from tests.tui.test_runs import resumed

    async with board() as b:
        await hold(b, "strongest 4")
        stack = b.app.state.interventions.items
    async with resumed() as b:
        assert b.app.state.interventions.items == stack
        assert stack[1].control_of == "strongest 4"
        assert "strongest 4 −10.00" in b.screen
        assert "(random 4, seed 0 −1.00)" in b.screen


async def test_the_strongest_of_an_unfinished_grid_are_named_as_such() -> None:
    async with session(in_sight=("heads",)) as own:
        told = Spoken()
        sets = HeadSets(own, lambda *_: None, told)
        values = np.full((4, 8), np.nan)
        values[0, :3] = (-1.0, 5.0, 0.5)
        marks = np.zeros((4, 8), dtype=bool)
        marks[0, 2] = True
        axes = (layer_axis(4), Axis("head", tuple(map(str, range(8)))))
        wanted = own.slots["heads"].request(own.state)
        own.state = own.state.with_slot(
            "heads", partial=LabelledArray(axes, values, marks), pending=wanted
        )
        sets.add("3")
        assert [item.name for item in own.state.interventions.items] == [
            "strongest 3, 1 by estimates, of 3 of 32", "random 3, seed 0",
        ]  # fmt: skip
        with pytest.raises(Exception, match="3 have a value"):
            chosen_set(own, "4")


async def test_the_strongest_of_an_older_question_are_refused() -> None:
    from dataclasses import replace

    async with session(in_sight=("heads",)) as own:
        told = Spoken()
        sets = HeadSets(own, lambda *_: None, told)
        own.state = replace(own.state, question=replace(own.state.question, position=3))
        sets.add("3")
        assert "Heads shows an older question." in told[-1]
        assert not own.state.interventions.items
        own.state = own.state.with_slot("heads", result=None)
        sets.add("3")
        assert "not known yet" in told[-1]


# -- what is of the clean run says so ---------------------------------------------------------------


@pytest.mark.parametrize("size", [(200, 60)])
async def test_every_pane_that_stays_clean_says_so_while_something_is_held(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size) as b:
        await b.press("g", "l", "s")  # a trace too
        assert "clean run" not in b.screen
        await b.press("2", "g", "0", "space")
        titles = {view.slot.name: str(view.border_title) for view in b.app.panes.views}
        clean = {name for name, title in titles.items() if "clean run" in title}
        assert {"tokens", "heads", "trace", "attention", "neurons"} <= clean
        assert not {"lens", "logits"} & clean  # these show clean → edited
        assert b.screen.count("clean run") == len(clean)
        await b.press("space")
        assert "clean run" not in b.screen


@pytest.mark.parametrize("key", ["V", "W"])
async def test_screens_over_the_panes_say_it_as_well(board: Boards, key: str) -> None:
    async with board() as b:
        await b.press(key, "r", "q", "2", "space", key)
        assert "clean run" in b.lines()[0]


# -- what does not survive another prompt ------------------------------------------------------------


async def ask(b: Board, text: str) -> None:
    await b.press("p", "ctrl+u")
    await b.write(text)
    await b.press("enter")


async def test_what_names_positions_is_let_go_with_a_line_and_undo_does_not_bring_it_back(
    board: Boards,
) -> None:
    async with board() as b:
        await b.press("g", "l", "w", "ctrl+u")
        await b.write(" Rome")
        await b.press("enter", "2", "space")
        await ask(b, "Another prompt altogether")
        assert b.app.state.interventions.text == "2.4=zero"
        assert [t for t in b.messages if "Taken off" in t] == [
            'Taken off: @1=" Rome" (they name positions of the other prompt).'
        ]
        await b.press("u", "u", "u")
        assert "@1" not in b.screen


async def test_a_patch_from_a_prompt_of_another_length_is_let_go_with_a_line(board: Boards) -> None:
    async with board() as b:
        await b.press("d", "end", "backspace", "n", "enter")
        await b.press("i", "a")
        await b.write("2.5=patch")
        await b.press("enter", "a")
        await b.write("1.mlp=zero")
        await b.press("enter", "q")
        assert "exact" in b.lines()[2]
        await ask(b, "Much shorter")
        assert b.app.state.interventions.text == "1.mlp=zero"
        lines = [t for t in b.messages if "Taken off" in t]
        assert lines == ["Taken off: 2.5=patch (their values are of a prompt of another length)."]


async def test_another_model_lets_go_with_a_line(board: Boards) -> None:
    async with board() as b:
        await b.press("2", "space", "o")
        await b.write("other")
        await b.press("enter")
        assert not b.app.state.interventions.items
        assert "Taken off: 2.4=zero (they are of the other model)." in b.messages


async def test_several_typed_at_once_are_several(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("i", "a")
        await b.write("2.5=zero; 1.mlp=mean")
        await b.press("enter")
        assert [item.text for item in b.app.state.interventions.items] == ["2.5=zero", "1.mlp=mean"]
        assert "alone −2.500" in b.screen


def test_a_stack_is_read_back_with_its_sets() -> None:
    stack = InterventionStack().with_set('"a; b"{2.5, 1.0}=zero', '"r"{0.1, 0.2}=zero')
    assert stack.text == '"a; b"{2.5, 1.0}=zero'
    again = stack_from_text(stack.text, '"r"{0.1, 0.2}=zero')
    assert again.items == stack.items
    assert stack_from_text('open "quote').items[0].text == 'open "quote'
    other = stack.with_set('"a; b"{3.0}=zero', '"r2"{0.3}=zero')
    assert [item.name for item in other.items] == ["a; b", "r2"]  # in the place of the former
    assert stack.exchanged(0).text == stack.exchanged(1).text == '"r"{0.1, 0.2}=zero'
    assert stack.exchanged(0).exchanged(0).items == stack.items
    lone = InterventionStack().put("2.5=zero")
    assert lone.exchanged(0) is lone


def test_the_app_is_composed_with_the_command() -> None:
    assert any(getattr(each, "id", "") == "head_set" for each in InterpBoardApp.BINDINGS)
