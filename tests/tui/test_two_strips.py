"""What a person sees of an encoder–decoder: both strips by name, layers by their group."""

from __future__ import annotations

import re
from typing import Any

from textual.app import App

from interpboard.registry.component_names import head_label, mlp_label, shown_component
from interpboard.registry.layer_names import layer_names, layer_number, layers_with_mlp
from interpboard.results import ModelInfo, PromptInfo
from interpboard.results.sites import layer_label
from interpboard.results.tokens import sections_of
from tui.dialogs.corrupted import CorruptedScreen
from tui.slots.what_if.view import grammar_lines

INFO = ModelInfo(
    "tiny t5", None, "t5", 6, 2, "float32", "cpu",
    layer_names=("E0", "E1", "D0", "X0", "D1", "X1"),
)  # fmt: skip
PROMPT = PromptInfo("a b ||| c", ("a", " b", "<pad>", "c"), (5, 6, 0, 7), border=2)


def test_source_and_prefix_stand_on_lines_of_their_own() -> None:
    assert [(each.role, each.begin, each.end) for each in sections_of(PROMPT)] == [
        ("source", 0, 2),
        ("prefix", 2, 4),
    ]
    assert sections_of(PromptInfo("a", ("a",), (5,))) == ()


def test_layers_go_by_their_group() -> None:
    assert head_label("X0", 1) == "X0 H1"
    assert mlp_label("E1") == "E1 MLP"
    assert head_label(3, 1) == "L3 H1"
    assert shown_component("X0.1") == "X0 H1"
    assert layer_label("in", "E0") == "in E0"
    assert layer_label("in", "embed") == "embed"
    assert layer_number(INFO, "X0") == 3
    assert layers_with_mlp(INFO) == ("E0", "E1", "X0", "X1")
    assert layer_names(ModelInfo("m", None, "gpt2", 2, 2, "float32", "cpu")) == ("0", "1")


class _Words:
    async def of_prompt(self, text: str, _kind: str) -> tuple[str, ...]:
        return tuple(text.split())


async def test_a_corrupted_source_alone_has_the_prefix_of_the_prompt() -> None:
    words: Any = _Words()
    for two, expected in ((True, ["x y ||| c d"]), (False, [])):
        screen = CorruptedScreen("a b ||| c d", "", words, "text", lambda two=two: two)
        app: App[None] = App()
        answers: list[str | None] = []
        async with app.run_test() as pilot:
            app.push_screen(screen, answers.append)
            await pilot.press("x", "space", "y")
            await screen.settled()
            await pilot.press("enter")
            await pilot.pause()
        assert answers == expected, "as one text it would not be as long"


def test_examples_of_interventions_name_the_stack_where_there_are_two() -> None:
    for two, names in ((True, INFO.layer_names), (False, ("0", "1", "2", "3"))):
        written = re.findall(r"(\S+)\.(?:\d+|mlp|resid@\d+)=", " ".join(grammar_lines(two)))
        assert len(written) == 3
        assert set(written) <= set(names)
