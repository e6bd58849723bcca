"""What encoders have beside decoders: heads of types of their own, and neurons that write no answer."""

from __future__ import annotations

import numpy as np
import pytest

from interpboard.results import Axis, LabelledArray
from tests.tui import answers
from tests.tui.answers_of_parts import head_types_answer, neurons_answer
from tests.tui.asked import Answered, Asked
from tests.tui.conftest import Boards
from tui.slots.neurons.view import NeuronsPane


def _encoder_below(asked: Asked) -> Answered:
    """As if layer 0 were an encoder's: no contribution, and peaks, that of neuron 7 the largest."""
    axes, values = neurons_answer(asked)
    rows = [int(label) for label in axes[0].labels]
    peak, at = np.full(values.shape, np.nan), np.full(values.shape, -1)
    if 0 in rows:
        row = rows.index(0)
        values[row] = np.nan
        peak[row] = np.linspace(-0.5, 0.5, values.shape[1])
        peak[row, 7], at[row] = -2.31, 3
    asked.extra |= {"peak": LabelledArray(axes, peak), "peak_at": LabelledArray(axes, at)}
    if rows == [0]:
        for name in ("promoted", "suppressed"):
            asked.extra.pop(name)
            asked.extra.pop(f"{name}_by")
    return axes, values


@pytest.mark.parametrize("way", ["mlp", "found"])
async def test_a_neuron_that_writes_nothing_is_listed_by_its_peak(
    board: Boards, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setitem(answers.ANSWERS, "neurons", _encoder_below)
    async with board((80, 24)) as b:
        await b.press("7")
        pane = b.app.query_one(NeuronsPane)
        assert pane.chosen == (2, 5)
        assert not any(layer == 0 for layer, _ in pane.listed_neurons)
        if way == "mlp":
            await b.press("2", "g", "dollar_sign", "enter")
        else:
            await b.press("slash")
            await b.write("0.7")
            await b.press("enter")
        assert pane.chosen == (0, 7)
        assert {layer for layer, _ in pane.listed_neurons} == {0}
        assert b.readout("neurons").startswith("L0 N7  activation −2.31 at 3 ")
        assert "writes no logits itself" in b.screen
        assert not pane.promoted.bars
        assert "promoted" not in b.screen
        assert "suppressed" not in b.screen
        asked = [r.params for r in b.engine.requests if r.analysis == "neurons"]
        assert asked[-1] == {"neuron": "0.7", "layers": [0]}
        await b.press("v")
        assert pane.chosen == (2, 5)
        assert "all layers" in b.screen
        assert "promoted" in b.screen


async def test_types_that_only_an_encoders_heads_have_are_shown(
    board: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_encoder(asked: Asked) -> Answered:
        axes, values = head_types_answer(asked)
        labels = asked.extra["label"].values
        labels[0, 0], labels[1, 1] = "next_token", "same_source"
        return (
            Axis("score", ("next_token", *axes[0].labels[1:4], "same_source")),
            *axes[1:],
        ), values

    monkeypatch.setitem(answers.ANSWERS, "head_scores", of_encoder)
    async with board((80, 24)) as b:
        await b.press("2")
        assert "x next token" in b.screen
        assert "s same source" in b.screen
