"""What the model writes with interventions on, and what it writes as a part of the prompt."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from interpboard.config import Settings
from interpboard.engine import protocol
from tests.tui.answers_vocabulary import VOCABULARY
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.slots.continuation.view import ContinuationScreen
from tui.testing.wait_until_idle import wait_until_idle

TEXT = "The city of"


def edited(b: Board) -> list[dict[str, Any]]:
    return [dict(r.params) for r in b.engine.requests if r.analysis == "edited_continuation"]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_both_texts_stand_one_above_the_other(board: Boards, size: tuple[int, int]) -> None:
    async with board(size, TEXT) as b:
        await b.press("2", "space", "W")
        b.matches(f"edited-continuation-{size[0]}x{size[1]}")


async def test_it_is_asked_only_while_something_is_on_and_as_long_as_the_clean_one(
    board: Boards,
) -> None:
    async with board((80, 24), TEXT) as b:
        await b.press("W")
        assert edited(b) == []
        assert " edited" not in b.screen
        await b.press("q", "2", "space", "W")
        place = b.app.state.interventions.text
        assert edited(b) == [{"interventions": place, "new_tokens": 8}]
        assert " edited▏·Paris·Madrid" in b.screen
        share = float(b.result("continuation_edited").values[1, 1])
        assert f"edited: ·Madrid {share:.1%} for ·London" in b.screen


async def test_what_is_on_can_be_changed_from_there(board: Boards) -> None:
    async with board((80, 24), TEXT) as b:
        await b.press("2", "space", "W", "i", "space", "q")
        assert isinstance(b.app.screen, ContinuationScreen)
        assert b.app.state.interventions.text == ""
        assert " edited▏" not in b.screen
        await b.press("i", "space", "q")
        assert " edited▏" in b.screen


async def test_enter_puts_what_is_written_up_to_the_row_behind_the_prompt(board: Boards) -> None:
    async with board((80, 24), TEXT) as b:
        await b.press("W", "j", "enter")
        text = TEXT + "".join(VOCABULARY[:2])
        assert b.app.state.question.text == text
        assert f"› {text}" in b.screen
        assert not isinstance(b.app.screen, ContinuationScreen)
        assert b.result("predictions") is not None


async def test_half_a_character_is_not_put_there(board: Boards) -> None:
    class Halves(FakeEngine):
        def event_of(self, request: Any) -> Any:
            event = super().event_of(request)
            if isinstance(event, protocol.Finished) and "metric" in event.result.extra:
                event.result.extra["text"].values[:] = "\ufffd"
                return replace(event)
            return event

    async with board((80, 24), TEXT, engine=Halves) as b:
        await b.press("W", "enter")
        assert isinstance(b.app.screen, ContinuationScreen)
        assert "half a character" in b.messages[-1]
        assert b.app.state.question.text == TEXT


@pytest.mark.usefixtures("forked_engines")
async def test_the_prefix_of_an_encoder_decoder_is_filled_with_its_own_words() -> None:
    text = "The Eiffel Tower is located in the city of Rome."
    app = InterpBoardApp(text, Settings(model="demo-t5"))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("W")
        await wait_until_idle(app)
        written = b.result("continuation").extra["text"].values.tolist()
        await b.press("j", "j", "enter")
        await wait_until_idle(app)
        assert app.state.question.text == f"{text} ||| {written[2].lstrip()}"
        prompt = app.state.slots["predictions"].prompt
        assert prompt is not None
        assert "".join(prompt.tokens[prompt.border + 1 :]).strip() == written[2].strip()
        await b.press("W", "G")
        await wait_until_idle(app)
        again = b.result("continuation").extra["text"].values.tolist()
        assert (written[2] + again[-1]).startswith(written[-1][: len(written[2] + again[-1])])
