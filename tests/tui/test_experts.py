"""The screen of experts: where each token goes, and an expert that is switched off."""

from __future__ import annotations

from pathlib import Path

import pytest

from interpboard.engine import protocol
from tests.tui.conftest import Board, Boards
from tests.tui.over import press_what_all_have
from tui.slots.experts.view import ExpertsScreen

SIZES = ((60, 20), (80, 24), (120, 40))
OPENS = ("colon", *"experts", "enter")


async def opened(b: Board) -> ExpertsScreen:
    await b.press(*OPENS)
    await b.pilot.pause()
    assert isinstance(b.app.screen, ExpertsScreen)
    return b.app.screen


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_screen_of_experts(board: Boards, size: tuple[int, int]) -> None:
    async with board(size) as b:
        await opened(b)
        await b.press("j", "space")
        b.matches(f"experts-{size[0]}x{size[1]}")


async def test_it_begins_at_the_explained_token_and_its_heaviest_expert(board: Boards) -> None:
    async with board((80, 24)) as b:
        screen = await opened(b)
        assert screen.of is not None
        last = len(screen.of.axes[1].labels) - 1
        assert screen.readout().plain.startswith(f" L0 E{last % 4}  {last} ")
        assert "0.700  rank 1/2  exact" in screen.readout().plain
        await b.press("left_square_bracket")
        assert f"  {last - 1} " in screen.readout().plain
        assert "the token does not go there" in screen.readout().plain
        await b.press(*["right_square_bracket"] * 3)
        assert f"  {last} " in screen.readout().plain
        tokens = screen.of.extra["tokens"].values[0, last % 4]
        assert f" {int(tokens)} of {last + 1} tokens go to it" in screen.details().plain


async def test_an_expert_is_switched_off_for_every_token_and_on_again(board: Boards) -> None:
    async with board((80, 24)) as b:
        screen = await opened(b)
        await b.press("j", "0", "space")
        assert b.app.state.interventions.text == "1.e0=zero"
        assert screen.readout().plain.endswith("off")
        assert screen.grid.data is not None
        assert screen.grid.data.off == {(1, 0)}
        assert "clean run" in b.lines()[0]
        asked = [dict(r.params) for r in b.engine.requests if r.analysis == "what_if"]
        assert asked[-1]["interventions"] == "1.e0=zero"
        await b.press("space")
        assert b.app.state.interventions.text == ""
        assert screen.grid.data.off == frozenset()


async def test_an_expert_that_is_not_there_or_that_nobody_goes_to_is_said(board: Boards) -> None:
    async with board((80, 24)) as b:
        screen = await opened(b)
        await b.press("dollar_sign")
        assert "the layer has no such expert" in screen.readout().plain
        await b.press("space")
        assert b.messages[-1] == "There is no L0 E7: the layer has fewer experts."
        assert b.app.state.interventions.text == ""
        await b.press("j", "space")
        assert (
            b.messages[-1] == "No token of this prompt goes to L1 E7: without it nothing changes."
        )


async def test_a_model_without_mixtures_says_so_in_the_title(board: Boards) -> None:
    async with board((80, 24)) as b:
        said = "Nothing of this kind."
        b.engine.refused["expert_routing"] = protocol.Failed(0, "unsupported", said, "")
        screen = await opened(b)
        assert said in b.lines()[0]
        assert screen.readout().plain == ""
        await b.press("space", "left_square_bracket")
        assert b.app.state.interventions.text == ""


async def test_what_all_screens_have(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with board((80, 24)) as b:
        await opened(b)
        await press_what_all_have(
            b, tmp_path / "state" / "yank.txt", "", opens=OPENS,
            markdown="expert", code="expert_routing",
        )  # fmt: skip
