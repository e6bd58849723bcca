"""A chat in Tokens: who speaks, what is the template's, and sums by turn, sentence and word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpboard.engine import protocol
from interpboard.results import Chat, Message
from interpboard.results.chats import chat_json
from interpboard.results.info import Turn
from interpboard.runs.chat import make_chat
from tests.runs.test_chat import chat, chat_lm
from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle
from tui.widgets.token_strip import wrap
from tui.widgets.turn_margin import TurnMargin
from tui.words import shorten_middle

OWN = Chat((Message("system", "Be brief"), Message("user", "Why is it blue")))


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (120, 40)])
async def test_roles_stand_at_the_left_where_turns_begin(size: tuple[int, int]) -> None:
    app = InterpBoardApp(chat=chat_json(OWN), engine_factory=FakeEngine)
    async with app.run_test(size=size) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        b.matches(f"chat-tokens-{size[0]}x{size[1]}")


async def test_units_are_summed_by_the_methods_that_there_are_and_tokens_come_back() -> None:
    app = InterpBoardApp(chat=chat_json(OWN), engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)

        def asked() -> tuple[str, dict[str, object]]:
            of_tokens = [
                r
                for r in b.engine.requests
                if r.analysis
                in ("unit_attribution", "context_cite", "integrated_gradients", "shapley")
            ]
            return of_tokens[-1].analysis, of_tokens[-1].params

        await b.press("1", "v")
        gradients = {"unit": "word", "method": "integrated_gradients"}
        assert asked() == ("unit_attribution", gradients)
        await b.press("v", "v")
        assert asked()[1]["unit"] == "turn"
        assert "by turn, integrated gradients of logit" in b.screen
        await b.press("m")
        assert asked() == ("context_cite", {"unit": "turn"})
        assert "LDS 0.83 on held-out runs" in b.screen
        await b.press("g")
        assert "in <system>" in b.readout("tokens")
        assert "+0.50" in b.readout("tokens")
        assert "a linear fit to 64 runs" in b.readout("tokens")
        await b.press("m", "m", "m", "v")
        assert asked()[0] == "shapley"


async def test_of_a_text_there_are_no_turns() -> None:
    app = InterpBoardApp(text="Why is it", engine_factory=FakeEngine)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("v", "v", "v")
        units = [r.params["unit"] for r in b.engine.requests if r.analysis == "unit_attribution"]
        assert units == ["word", "sentence"]
        assert b.app.state.analyses["tokens"] == "integrated_gradients"


@pytest.mark.parametrize("style", ["chatml", "llama3", "gemma"])
def test_every_line_of_a_real_template_is_of_one_turn(style: str) -> None:
    prompt = make_chat(chat_lm(style), chat("Be brief.", "What is it?", "A cat.", "And that?"))
    margin = TurnMargin(prompt.turns)
    lines = wrap(prompt.tokens, 20, margin.begins)

    def turn_of(token: int) -> Turn:
        return next(turn for turn in prompt.turns if turn.begin <= token < turn.end)

    for line in lines:
        assert len({turn_of(piece.token).begin for piece in line}) == 1
    said = [margin.said(line[0].token, 80).strip(" ▏") for line in lines]
    assert [word for word in said if word] == [turn.role for turn in prompt.turns]
    words = [token for at, token in enumerate(prompt.tokens) if at not in margin.marks]
    assert "cat" in "".join(words)
    assert not any("start" in word for word in words), "marks are the template's"


def test_the_engine_makes_a_chat_by_the_models_template_and_puts_nothing_around_a_bare_text() -> (
    None
):
    from interpboard.analyze import begin
    from interpboard.results import MetricRequest

    lm = chat_lm("llama3")
    request = protocol.decode_request(protocol.frame(protocol.Tokenize(1, OWN))[4:])
    assert isinstance(request, protocol.Tokenize)
    assert request.text == OWN
    begun = begin(lm, OWN, "predictions", MetricRequest(), {})
    assert begun.prompt == make_chat(lm, OWN)
    assert begun.metric.info.position == len(begun.prompt.token_ids) - 1
    again = begin(lm, begun.prompt.text, "predictions", MetricRequest(), {}, bare=True)
    assert again.prompt.token_ids == begun.prompt.token_ids


@given(st.text("abc ", max_size=60), st.integers(5, 40))
def test_the_middle_of_a_long_text_is_left_out_and_its_ends_stay(text: str, width: int) -> None:
    cut = shorten_middle(text, width)
    if len(text) <= width:
        assert cut == text
        return
    before, _, behind = cut.partition("…")
    assert len(cut) == width
    assert text.startswith(before.rstrip())
    assert behind
    assert text.endswith(behind)
