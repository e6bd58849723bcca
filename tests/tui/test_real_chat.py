"""A chat with the real engine and the chat model that comes with the program, from writing to W."""

from __future__ import annotations

import pytest

from interpboard.config import Settings
from tests.tui.conftest import Board
from tests.tui.test_chat import write_chat
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle

QUESTION = "What is the capital of France?"


@pytest.mark.usefixtures("forked_engines")
async def test_a_chat_is_written_explained_at_its_answer_summed_by_turn_and_gone_on_with() -> None:
    app = InterpBoardApp(settings=Settings(model="demo-chat"))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await write_chat(b, QUESTION)
        await b.press("r")
        await wait_until_idle(app)
        said = app.state.slots["predictions"]
        assert said.result is not None
        assert said.prompt is not None
        assert [turn.role for turn in said.prompt.turns] == ["user", "assistant"]
        answer = said.prompt.turns[-1]
        assert answer.content[0] == answer.content[1], "the answer begins"
        assert said.result.metric.position == len(said.prompt.tokens) - 1
        assert said.result.metric.target is not None
        assert said.result.metric.target.token.strip() == "Paris"
        assert app.state.model is not None
        assert app.state.model.info.name == "demo-chat"
        margin = [line for line in b.lines() if " ▏" in line]
        assert any("user" in line for line in margin)
        assert any("assistant" in line for line in margin)

        await b.press("1", "v", "v", "v")
        await wait_until_idle(app)
        by_turn = app.state.slots["tokens"].result
        assert by_turn is not None
        assert by_turn.axes[0].labels == ("user 1", "assistant 1")
        assert list(by_turn.extra["end"].values) == [turn.end for turn in said.prompt.turns]
        assert "by turn" in b.screen

        await b.press("colon", *"hide each unit", "enter")
        await wait_until_idle(app)
        hidden = app.state.slots["tokens"].result
        assert hidden is not None
        assert hidden.analysis == "attention_knockout"
        assert hidden.extra["kl"].values[0] > 1, "the answer reads the question"
        await b.press("g")
        assert "KL " in b.readout("tokens")

        await b.press("W")
        await wait_until_idle(app)
        written = app.state.slots["continuation"].result
        assert written is not None
        assert written.axes[0].labels[0].strip() == "Paris"
