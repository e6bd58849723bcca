"""What a kind of model cannot do is not offered, and the palette says why."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from interpboard.engine import protocol
from tests.tui.conftest import Boards
from tests.tui.fake import FakeEngine
from tui.slots.circuit.view import CircuitScreen
from tui.slots.neurons.examples import ONE_TEXT, how_to_have

MASK = "[MASK]"


class FillsMasks(FakeEngine):
    def event_of(self, request: Any) -> Any:
        event = super().event_of(request)
        if isinstance(event, protocol.Ready):
            return replace(event, model=replace(event.model, mask_token=MASK))
        return event


class ReadsTwo(FakeEngine):
    def event_of(self, request: Any) -> Any:
        event = super().event_of(request)
        if isinstance(event, protocol.Ready):
            names = ("E0", "E1", "D0", "D1")
            return replace(event, model=replace(event.model, layer_names=names))
        return event


async def test_behaviours_of_texts_that_go_on_are_listed_for_models_that_tell_what_follows(
    board: Boards,
) -> None:
    async with board((80, 24), "The city of") as b:
        await b.press("C")
        assert "induction" in b.screen
    async with board((80, 24), f"The city of {MASK}", engine=FillsMasks) as b:
        await b.press("C")
        assert isinstance(b.app.screen, CircuitScreen)
        assert "induction" not in b.screen
        assert "own prompts" in b.screen
        await b.press("j", "enter")
        assert "Write the corrupted prompt first" in b.messages[-1]


async def test_the_circuit_of_a_pair_without_a_mask_says_so(board: Boards) -> None:
    async with board((80, 24), "The city of", engine=FillsMasks) as b:
        await b.press("C", "j", "enter")
        assert b.messages[-1] == "The prompt has no mask: a circuit is read at one."
        assert not [own for own in b.engine.requests if own.analysis == "circuit"]


async def test_examples_are_not_offered_for_a_model_that_reads_two_texts(board: Boards) -> None:
    async with board((120, 40), "The city of", engine=ReadsTwo) as b:
        await b.press("7")
        assert b.app.state.model is not None
        assert how_to_have(b.app.state.model.info, "F", "E") == (ONE_TEXT,)
        for key in ("F", "E"):
            await b.press(key)
            assert b.messages[-1].startswith("Max-activating examples go over one text")
        await b.press("colon", *"collect")
        assert "go over one text" in b.screen
