"""The screen of steering: what is asked, what each scale says, and a scale that is switched on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from tests.tui.conftest import Board, Boards
from tests.tui.over import press_what_all_have
from tests.tui.test_hostile import check
from tui.slots.steering.direction import DirectionScreen
from tui.slots.steering.view import SteeringScreen
from tui.testing.wait_until_idle import wait_until_idle

SIZES = ((80, 24), (120, 40), (200, 60))


def _asked(b: Board) -> list[dict[str, Any]]:
    return [dict(r.params) for r in b.engine.requests if r.analysis == "steering"]


async def steer(b: Board, toward: str = "Rome") -> SteeringScreen:
    await b.press("A", "enter")
    assert isinstance(b.app.screen, DirectionScreen)
    await b.press(*toward, "enter")
    await b.pilot.pause()
    assert isinstance(b.app.screen, SteeringScreen)
    return b.app.screen


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_screen_of_steering(board: Boards, size: tuple[int, int]) -> None:
    async with board(size) as b:
        await steer(b)
        await b.press("k")
        b.matches(f"steering-{size[0]}x{size[1]}")


async def test_the_question_begins_with_the_prompt_and_the_selected_layer(
    board: Boards, tmp_path: Path
) -> None:
    async with board((80, 24)) as b:
        await b.press("3", "G", "k", "A")
        assert _asked(b) == []
        assert "Enter says what the vector points to" in b.screen
        await b.press("enter")
        b.matches("direction-80x24")
        await b.press(*"Rome", "ctrl+o", *"Italy", "tab", "tab", "tab", "tab")
        await b.press("ctrl+u", *"1,5", "down", "enter")
        (asked,) = _asked(b)
        assert asked["positive"] == "Rome\nItaly"
        assert asked["negative"] == b.app.state.question.text
        assert asked["scales"] == (1.0, 5.0)
        assert asked["layer"] == b.app.state.selection.layer == 2
        assert Path(asked["save"]).parent == tmp_path / "state" / "vectors"
        await b.press("q", "A")
        assert len(_asked(b)) == 1  # nothing is asked twice


async def test_what_cannot_be_a_vector_is_said_and_can_be_put_right(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("A", "enter", "enter")
        assert "needs prompts on both sides" in b.screen
        await b.press(*"Rome", "tab", "tab", *"v.safetensors", "enter")
        assert "one of the two" in b.screen
        await b.press("ctrl+u", "tab", "ctrl+u", "x", "enter")
        assert "layer takes a whole number, not 'x'" in b.screen
        await b.press("escape")
        assert isinstance(b.app.screen, SteeringScreen)
        assert _asked(b) == []


async def test_a_saved_vector_needs_no_prompts_and_is_not_written_again(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("A", "enter", "tab", "ctrl+u", "tab", *"v.safetensors", "enter")
        (asked,) = _asked(b)
        assert asked["vector"] == "v.safetensors"
        assert "save" not in asked
        assert "v.safetensors" in b.screen
        await b.press("space")
        assert b.app.state.interventions.text == '2.resid=steer "v.safetensors" * 2'


async def test_a_saved_vector_without_a_layer_is_added_where_its_file_says(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press(
            "A", "enter", "tab", "ctrl+u", "tab", *"v.safetensors", "tab", "ctrl+u", "enter"
        )
        assert _asked(b)[-1]["layer"] == -1
        assert "added behind layer 1," in b.screen
        await b.press("space")
        assert b.app.state.interventions.text == '1.resid=steer "v.safetensors" * 2'
        await b.press("enter")
        assert b.app.screen.query_one("#field-layer", Input).value == ""
        await b.press("enter")
        assert len(_asked(b)) == 1  # the same is asked for
        await b.press("]")
        assert _asked(b)[-1]["layer"] == 2
        # Of prompts on both sides −1 is the middle one, as it is for the engine.
        await b.press(
            "enter", *"Rome", "tab", *"Paris", "tab", "ctrl+u", "tab", "ctrl+u", *"-1", "enter"
        )
        assert (_asked(b)[-1]["positive"], _asked(b)[-1]["layer"]) == ("Rome", 2)


async def test_a_scale_is_held_and_let_go_and_zero_is_not(board: Boards) -> None:
    async with board((80, 24)) as b:
        screen = await steer(b)
        assert screen.readout().plain == " scale 2  −6.000  8.200 (clean 14.200)  exact"
        await b.press("space")
        (asked,) = _asked(b)
        assert b.app.state.interventions.text == f'2.resid=steer "{asked["save"]}" * 2'
        assert "2 on" in b.screen
        await b.press("k", "k", "space")
        assert "Scale 0 is the model as it is" in b.messages[-1]
        await b.press("j", "space")  # another scale at the same place: in its stead
        assert b.app.state.interventions.text.endswith("* 1")
        await b.press("space")
        assert b.app.state.interventions.text == ""


async def test_the_layer_steps_and_each_layer_has_a_vector_of_its_own(board: Boards) -> None:
    async with board((80, 24)) as b:
        await steer(b)
        await b.press(*"]]]", *"[[[[[")
        layers = [asked["layer"] for asked in _asked(b)]
        assert layers == [2, 3, 2, 1, 0]
        files = {asked["layer"]: asked["save"] for asked in _asked(b)}
        assert len(set(files.values())) == 4


async def test_another_prompt_is_steered_when_the_screen_opens(board: Boards) -> None:
    async with board((80, 24)) as b:
        await steer(b)
        await b.press("q", "p", "ctrl+u", *"Hello world", "enter", "tab", "A")
        assert [r.text for r in b.engine.requests if r.analysis == "steering"][-1] == "Hello world"


async def test_hostile_prompts_are_pictures_and_kept_as_they_are(board: Boards) -> None:
    hostile = "\x1b[31m\u202e[/INST]日本"
    async with board((80, 24)) as b:
        await b.press("A")
        b.app.screen.choose({"layer": 1, "positive": hostile, "negative": "\x07\n"})  # type: ignore[attr-defined]
        await wait_until_idle(b.app)
        assert _asked(b)[0]["positive"] == hostile
        check(b, "result")
        assert "[/INST]" in b.screen
        await b.press("enter")
        check(b, "question")


async def test_every_other_key(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with board((80, 24)) as b:
        yanked = tmp_path / "state" / "yank.txt"
        await steer(b)
        await press_what_all_have(
            b,
            yanked,
            "A",
            markdown="Rome,·how·are·you?",
            code="'positive': 'Rome'",
            before_x=("J", "K"),
        )
