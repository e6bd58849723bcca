"""Reasoning between ``<think>`` marks: folded in Tokens with a sum, opened by a command, hidden."""

from __future__ import annotations

import pytest

from interpboard.config import Settings
from interpboard.results import Chat, Message, PromptInfo
from interpboard.results.chats import chat_json
from interpboard.results.tokens import reasoning_sections
from tests.tui import chats
from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.slots.tokens.reasoning import with_reasoning_folded
from tui.slots.tokens.units import Part
from tui.testing.wait_until_idle import wait_until_idle

THOUGHT = "<think> Sky scatters. Short waves more. </think> Because of"
OWN = Chat(
    (Message("user", "Why is it blue"), Message("assistant", THOUGHT)), continue_final_message=True
)


async def opened(app: InterpBoardApp, pilot: object) -> Board:
    await wait_until_idle(app)
    b = Board(app, pilot)  # type: ignore[arg-type]
    await b.press("1", "g")
    return b


def pane(b: Board) -> str:
    """The screen below the line with the panes' names, without the signs that stand for colours."""
    lines = b.lines()
    first = next(at for at, line in enumerate(lines) if "1 Tokens" in line)
    return "\n".join(lines[first:]).replace("⁻", "").replace("⁺", "")


async def reasoning(b: Board) -> None:
    await b.press("colon", *"show the reasoning", "enter")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_a_section_is_one_line_with_its_sum_and_a_command_opens_it(
    size: tuple[int, int],
) -> None:
    app = InterpBoardApp(chat=chat_json(OWN), engine_factory=FakeEngine)
    async with app.run_test(size=size) as pilot:
        b = await opened(app, pilot)
        prompt, result = app.state.slots["tokens"].prompt, app.state.slots["tokens"].result
        assert prompt is not None
        assert result is not None
        ((begin, end),) = reasoning_sections(prompt)
        assert f"<think> {end - begin} tokens </think>" in b.screen.replace("⁻", "").replace(
            "⁺", ""
        )
        assert "scatters" not in pane(b)
        assert "think" in next(line for line in b.lines() if " tokens </think>" in line)
        await b.press(*["right"] * begin)
        assert f"sum of {end - begin} tokens" in b.readout("tokens")
        total = float(result.values[begin:end].sum())
        assert f"{total:+.3g}"[:4] in b.readout("tokens").replace("−", "-")
        await b.press("right")
        assert b.readout("tokens").startswith(f"{end} "), "the cursor goes on behind it"
        await b.press("left")
        assert b.readout("tokens").startswith(f"{begin} ")
        await reasoning(b)
        assert "scatters" in pane(b)
        await b.press("right")
        assert b.readout("tokens").startswith(f"{begin + 1} ")
        assert "sum of" not in b.readout("tokens")
        await reasoning(b)
        assert "scatters" not in pane(b)
        assert b.readout("tokens").startswith(f"{begin} "), (
            "the cursor is never on what is not shown"
        )


async def test_a_section_in_which_something_is_explained_stays_open() -> None:
    app = InterpBoardApp(chat=chat_json(OWN), engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)) as pilot:
        b = await opened(app, pilot)
        await reasoning(b)
        prompt = app.state.slots["tokens"].prompt
        assert prompt is not None
        ((begin, _),) = reasoning_sections(prompt)
        await b.press("g", *["right"] * (begin + 1), "space")
        await reasoning(b)
        assert "scatters" in pane(b)


async def test_without_a_section_the_command_says_so() -> None:
    app = InterpBoardApp(text="Why is it blue", engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)) as pilot:
        b = await opened(app, pilot)
        await reasoning(b)
        assert "no <think> section" in b.messages[-1] + b.screen


@pytest.mark.parametrize(
    ("said", "sections"),
    [
        ("<think> a b </think> c", ["<think> a b </think>"]),
        ("x <think> a </think> b <think> c </think>", ["<think> a </think>", "<think> c </think>"]),
        ("<think> a b", []),
        ("a </think> b", []),
    ],
)
def test_only_closed_sections_are_reasoning(said: str, sections: list[str]) -> None:
    prompt = chats.prompt(Chat((Message("assistant", said),), continue_final_message=True))
    found = ["".join(prompt.tokens[begin:end]).strip() for begin, end in reasoning_sections(prompt)]
    assert found == sections
    assert reasoning_sections(PromptInfo(prompt.text, prompt.tokens, prompt.token_ids)) == ()


def test_units_that_reach_out_of_a_section_are_not_summed() -> None:
    parts = [Part("a", 0, 3, 1.0, 0), Part("b", 3, 5, 2.0, 1), Part("c", 5, 8, -0.5, 2)]
    tokens = [*"abcdefg", "\n"]
    (first, whole) = with_reasoning_folded(parts, [(3, 8)], tokens)
    assert (first.label, first.sum_of) == ("a", 1)
    assert (whole.score, whole.begin, whole.end, whole.sum_of) == (1.5, 3, 8, 2)
    assert with_reasoning_folded(parts, [(2, 5)], tokens) == parts
    assert with_reasoning_folded(parts, [(4, 7)], tokens) == parts
    assert with_reasoning_folded(parts, [(3, 7)], tokens)[1].sum_of == 2, (
        "a line break reaches nowhere"
    )


@pytest.mark.usefixtures("forked_engines")
async def test_a_sentence_of_the_reasoning_is_hidden_from_the_answer_by_the_chat_model() -> None:
    thought = "<think> Tokyo is the capital of Japan. The currency of Japan is yen. </think>\n"
    own = Chat(
        (
            Message("system", "Think first."),
            Message("user", "What is the currency of the country whose capital is Tokyo?"),
            Message("assistant", thought),
        ),
        continue_final_message=True,
    )
    app = InterpBoardApp(chat=chat_json(own), settings=Settings(model="demo-chat"))
    async with app.run_test(size=(120, 40)) as pilot:
        b = await opened(app, pilot)
        await b.press("colon", *"hide each unit", "enter")
        await wait_until_idle(app)
        hidden = app.state.slots["tokens"]
        assert hidden.result is not None
        assert hidden.prompt is not None
        assert hidden.result.analysis == "attention_knockout"
        ((begin, end),) = reasoning_sections(hidden.prompt)
        ends = hidden.result.extra["end"].values
        inside = [
            i for i, first in enumerate(hidden.result.extra["begin"].values)
            if first < end and begin < ends[i]
        ]  # fmt: skip
        assert len(inside) >= 2, "a sentence is a unit there"
        assert "currency of Japan" not in pane(b)
        await b.press("g", *["right"] * begin)
        assert f"sum of {len(inside)} sentences" in b.readout("tokens")
        assert "KL" not in b.readout("tokens"), "of a sum there is none"
        await reasoning(b)
        assert "of Japan" in pane(b)
        labels = hidden.result.axes[0].labels
        says_yen = next(i for i in inside if "yen" in labels[i])
        assert hidden.result.extra["kl"].values[says_yen] > 0.01
        first = int(hidden.result.extra["begin"].values[says_yen])
        await b.press("g", *["right"] * (first + 1))
        assert "KL " in b.readout("tokens")
