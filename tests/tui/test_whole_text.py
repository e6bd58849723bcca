"""The whole text in Tokens: how likely each token was, beside what is on, and one of them explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from interpboard.engine import protocol
from interpboard.results import LabelledArray, text_array, token_axis
from tests.tui.answers_vocabulary import VOCABULARY
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle

TEXT = "The city of Paris is Paris today"
MASK = "[MASK]"


class Masked(FakeEngine):
    """Answers as the engine of a masked model: without a mask only of whole texts."""

    def event_of(self, request: Any) -> Any:
        if isinstance(request, protocol.RunAnalysis) and request.analysis != "token_losses":
            assert MASK in str(request.text), request.analysis
        event = super().event_of(request)
        if isinstance(event, protocol.Ready):
            return replace(event, model=replace(event.model, mask_token=MASK))
        if isinstance(event, protocol.Finished) and event.result.analysis == "token_losses":
            result, prompt = event.result, event.prompt
            extra = {f"pseudo_{k}" if k == "perplexity" else k: v for k, v in result.extra.items()}
            extra["rank"] = replace(extra["rank"], values=np.ones(len(prompt.tokens)))
            spans, begin = list[tuple[int, int]](), 0
            for token in prompt.tokens:
                spans.append((begin, begin + len(token)))
                begin += len(token)
            values = np.where(np.arange(len(spans)) == 0, 1.0, result.values)
            return replace(
                event,
                result=replace(result, extra=extra, values=values),
                prompt=replace(prompt, spans=tuple(spans)),
            )
        return event


def asked(b: Board) -> list[protocol.RunAnalysis]:
    return [request for request in b.engine.requests if request.analysis == "token_losses"]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)], ids=lambda s: f"{s[0]}x{s[1]}")
async def test_tokens_are_painted_by_how_likely_they_were(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size, TEXT) as b:
        await b.press("X")
        b.matches(f"whole-text-{size[0]}x{size[1]}")


async def test_the_numbers_of_a_token_and_of_the_whole_are_those_of_the_result(
    board: Boards,
) -> None:
    async with board((120, 40), TEXT) as b:
        await b.press("X")
        result = b.result("tokens")
        last = len(result.values) - 1
        assert b.app.panes.of("tokens").subtitle() == (
            f"loss of each token  perplexity {float(result.extra['perplexity'].values):.2f}"
        )
        loss = float(result.values[last])
        assert b.readout("tokens").startswith(
            f"{last} ·today  loss {loss:.3f}  p {np.exp(-loss):.1%}"
        )
        await b.press("0")
        assert b.readout("tokens") == "0 The  no loss: nothing stands before it"
        await b.press("v")
        assert "surprise of each token" in b.screen
        await b.press("v")
        assert "entropy of each token" in b.screen
        await b.press("v")
        assert "loss of each token" in b.screen
        assert len(asked(b)) == 1


async def test_once_more_it_is_the_method_that_was_there(board: Boards) -> None:
    async with board((80, 24), TEXT) as b:
        await b.press("m")
        before = b.result("tokens").analysis
        await b.press("X")
        assert b.result("tokens").analysis == "token_losses"
        await b.press("X")
        assert b.result("tokens").analysis == before


async def test_what_is_on_stands_beside_the_clean_run_at_once_and_goes_with_it(
    board: Boards,
) -> None:
    async with board((80, 24), TEXT) as b:
        await b.press("X", "2", "space", "1")
        place = b.app.state.interventions.text
        assert place
        assert [request.params.get("interventions") for request in asked(b)] == [None, place]
        assert "change of loss of each token" in b.screen
        assert "clean run" not in b.screen
        assert "→" in b.app.panes.of("tokens").subtitle()
        assert "(+1.000)" in b.readout("tokens")
        await b.press("v")
        assert "  loss of each token" in b.screen
        await b.press("2", "space", "1")
        assert "interventions" not in asked(b)[-1].params
        assert "change of loss" not in b.screen


async def test_what_is_on_asks_nothing_of_attribution(board: Boards) -> None:
    async with board((80, 24), TEXT) as b:
        before = len([own for own in b.engine.requests if own.analysis == "integrated_gradients"])
        await b.press("2", "space", "1")
        after = len([own for own in b.engine.requests if own.analysis == "integrated_gradients"])
        assert (before, after) == (1, 1)


async def test_space_explains_the_token_and_again_the_end(board: Boards) -> None:
    async with board((80, 24), TEXT) as b:
        assert " Paris" in VOCABULARY
        await b.press("X", "0", *["right"] * 5, "space")
        question = b.app.state.question
        assert (question.position, question.target) == (4, " Paris")
        assert b.messages[-1] == "Explained: why ·Paris."
        assert "after 4 ·is" in b.screen
        assert b.result("tokens").analysis == "token_losses"
        assert len(asked(b)) == 2  # of this question, and it stays
        await b.press("space")
        assert (b.app.state.question.position, b.app.state.question.target) == (-1, None)
        assert b.messages[-1] == "Explained: what follows the last token."
        await b.press("0", "space")
        assert b.messages[-1] == "The has no loss: nothing stands before it."
        assert b.app.state.question.position == -1


async def test_a_text_without_a_mask_is_scored_and_nothing_else_is_asked(board: Boards) -> None:
    async with board((80, 24), TEXT, engine=Masked) as b:
        assert "loss of each token  pseudo-perplexity" in b.screen
        assert {request.analysis for request in b.engine.requests} == {"token_losses"}
        await b.press("2")
        assert "the prompt has no mask" in b.screen
        await b.press("1", "X")
        assert b.messages[-1].startswith("The prompt has no mask: each token is masked in turn.")
        await b.press("v")
        assert "surprise of each token" in b.screen


async def test_space_puts_the_mask_in_the_place_of_a_word(board: Boards) -> None:
    async with board((80, 24), TEXT, engine=Masked) as b:
        await b.press("0", *["right"] * 3, "space")
        assert b.app.state.question.text == f"The city of {MASK} is Paris today"
        assert b.app.state.question.target == " Paris"
        assert f"› The city of {MASK} is Paris today" in b.screen
        assert b.result("tokens").analysis == "integrated_gradients"
        await b.press("X", "0", "space")
        assert b.messages[-1].startswith(f"The prompt has its {MASK}")
        assert b.app.state.question.text == f"The city of {MASK} is Paris today"


async def test_a_part_of_a_word_is_not_masked_in_the_text(board: Boards) -> None:
    async with board((80, 24), TEXT, engine=Masked) as b:
        b.engine.tokens = lambda text: (text[:5], text[5:])
        await b.press("r", "p", "end", *" and", "enter", "0", "space")
        assert "is a part of a word" in b.messages[-1]
        assert MASK not in b.app.state.question.text


async def test_the_text_of_a_file_has_its_own_tokens(board: Boards) -> None:
    class WithFile(FakeEngine):
        def event_of(self, request: Any) -> Any:
            event = super().event_of(request)
            if not isinstance(event, protocol.Finished) or "file" not in event.result.params:
                return event
            axis = token_axis(("A", " long", " text"))
            extra = {
                name: LabelledArray((axis,), np.ones(3)) if one.axes else one
                for name, one in event.result.extra.items()
            }
            extra["likeliest"] = LabelledArray((axis,), text_array(("x",) * 3))
            values = np.array([np.nan, 1.0, 2.0])
            result = replace(event.result, axes=(axis,), values=values, extra=extra)
            return replace(event, result=result)

    async with board((80, 24), TEXT, engine=WithFile) as b:
        params = {**b.app.state.params, "token_losses": {"file": "book.txt"}}
        b.app.session.change("tokens", params=params)
        await b.press("X", "0", "right")
        assert "A long⁺ text⁺" in b.screen
        assert "of book.txt" in b.screen
        assert b.readout("tokens").startswith("1 ·long  loss 1.000")
        await b.press("space")
        assert b.messages[-1].startswith("This is the text of a file")


@pytest.mark.usefixtures("forked_engines")
async def test_with_the_real_engine_the_explained_token_has_the_probability_of_its_loss(
    tmp_path: Path,
) -> None:
    app = InterpBoardApp("The Eiffel Tower is located in the city of")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("X", "0", *["right"] * 4)
        result = b.result("tokens")
        await b.press("M", "space")  # the probability, of the token under the cursor
        await wait_until_idle(app)
        baseline = b.result("what_if" if app.state.interventions.text else "predictions").baseline
        assert baseline == pytest.approx(np.exp(-result.values[4]), rel=1e-5)
