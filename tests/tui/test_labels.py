"""A model with labels on the screen: labels are chosen and listed, and nobody speaks of next tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec.structs import replace

from interpboard.engine import protocol
from interpboard.results import LabelledArray, TokenRef, text_array
from tests.tui.conftest import Boards
from tests.tui.fake import FakeEngine

LABELS = ("NEGATIVE", "POSITIVE", "POSITIVE")


class Labelled(FakeEngine):
    """Answers as a classifier's engine does."""

    problem = "one"
    numbers = (0.5, 0.3, 0.2)

    def event_of(self, request: Any) -> Any:
        if isinstance(request, protocol.RunAnalysis):
            asked = replace(request.metric, target=None, foil=None)
            event = super().event_of(replace(request, metric=asked))
            return self._of_labels(event, request.metric.target)
        event = super().event_of(request)
        if isinstance(event, protocol.Ready):
            model = replace(event.model, label_names=LABELS, problem=self.problem)
            return replace(event, model=model)
        return event

    def _of_labels(self, event: Any, target: str | None) -> Any:
        if not isinstance(event, protocol.Finished):
            return event
        result = event.result
        label = TokenRef(1, target or "NEGATIVE")
        result = replace(result, metric=replace(result.metric, target=label, problem=self.problem))
        if result.analysis == "predictions":
            axis = (replace(result.axes[0], labels=("1", "2", "3")),)
            result = replace(
                result,
                axes=axis,
                values=np.array(self.numbers),
                extra={
                    "token_ids": LabelledArray(axis, np.arange(3)),
                    "tokens": LabelledArray(axis, text_array(LABELS)),
                    "logits": LabelledArray(axis, np.array(self.numbers)),
                },
            )
        return replace(event, result=result)


class Rewarding(Labelled):
    """Answers as a regression's engine does."""

    problem = "value"
    numbers = (1.25, -0.5, -3.0)


async def test_the_target_is_chosen_among_labels_with_their_probabilities(board: Boards) -> None:
    async with board(engine=Labelled) as b:
        assert "labels, read at" in b.screen
        assert "1 NEGATIVE" in b.screen
        await b.press("t")
        for words in ("the label to explain", "3 labels", "▸ the model's own first", "50.0%"):
            assert words in b.screen
        await b.write("neg")
        assert "1 of 3 labels" in b.screen
        await b.press("enter")
        assert b.app.state.question.target == "NEGATIVE"
        assert b.engine.requests[-1].metric.target == "NEGATIVE"
        assert b.engine.vocabularies == 0


async def test_of_two_labels_of_one_name_the_index_is_asked_for(board: Boards) -> None:
    async with board(engine=Labelled) as b:
        await b.press("f")
        await b.write("#2")
        assert "▸ POSITIVE" in b.screen
        await b.press("enter")
        assert b.app.state.question.foil == "#2"
        await b.press("t")
        await b.write("nothing like it")
        await b.press("enter")  # the box stays: no label has this in it
        assert "no label has this in it" in b.screen


class Embedding(Labelled):
    """Answers as a sentence encoder's engine does."""

    problem = "vector"
    numbers = (1.25, -0.5, -3.0)


async def test_a_sentence_encoders_target_is_a_text_or_a_component(board: Boards) -> None:
    async with board(engine=Embedding) as b:
        assert "components" in b.screen
        assert "read at" not in b.screen
        await b.press("t")
        assert "a second text to compare with, or #0 to #2" in b.screen
        await b.write("NEGATIVE weather")
        await b.press("enter")
        assert b.app.state.question.target == "NEGATIVE weather"
        await b.press("t", "ctrl+u", *["backspace"] * 16)
        await b.write("#2")
        await b.press("enter")
        assert b.app.state.question.target == "#2"
        await b.press("f")
        assert "nothing is contrasted" in b.screen


async def test_a_value_is_no_percentage_and_has_no_other_metric(board: Boards) -> None:
    async with board(engine=Rewarding) as b:
        assert "value, read at" in b.screen
        assert "1.250" in b.screen
        assert "125" not in b.screen
        await b.press("M")
        await b.app.animator.wait_for_idle()
        assert b.app.state.question.metric == "logit"
