"""One place decides which view suits a result; page, markdown, web, print and mouse all follow it."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from interpboard.errors import BadParameter
from interpboard.results import Axis, LabelledArray, Result, text_array
from interpboard.visualization.figures.choice import FIGURES, PRINTED, figure_for
from interpboard.visualization.html.cards import card
from interpboard.visualization.interactive.choice import MOVING
from interpboard.visualization.single_result import prompt_of_result
from interpboard.visualization.suiting import View, view_of
from tests import sample


def made(*names: str, extra: dict[str, Any] | None = None, **more: Any) -> Result:
    axes = tuple(Axis(name, ("0", "1", "2")[: 2 + i]) for i, name in enumerate(names))
    shape = tuple(len(axis.labels) for axis in axes)
    return sample.result("own", axes, np.ones(shape), extra, **more)


def lens(*names: str) -> Result:
    axes = made(*names).axes
    words = text_array(["a"] * 6).reshape(2, 3, 1)
    return made(*names, extra={"top_tokens": LabelledArray((*axes, Axis("top", ("1",))), words)})


CASES: list[tuple[Result, View, str]] = [
    (made(), "number", "number"),
    (made("token"), "strip", "strip"),
    (made("rank"), "bars", "bars"),
    (made("edge"), "bars", "bars"),
    (made("layer", "head"), "heads", "grid"),
    (made("layer", "token"), "grid", "grid"),
    (made("layer", "token", params={"subject": [0]}), "trace", "grid"),
    (lens("layer", "token"), "lens", "lens"),
    (lens("layer", "head"), "lens", "lens"),
    (lens("run", "rank"), "lens", "lens"),
    (made("score", "layer", "head"), "many", "slices"),
]


@pytest.mark.parametrize(("result", "view", "kind"), CASES)
def test_every_writer_follows_the_view(result: Result, view: View, kind: str) -> None:
    assert view_of(result) == view
    assert card(result, prompt_of_result(result)).figure.kind == kind
    page, markdown = result.to_text(), result.to_markdown()
    assert ("the most likely token, and the target's probability" in page) == (view == "lens")
    assert ("most likely token, and the target's probability" in markdown) == (view == "lens")
    if view == "number":
        with pytest.raises(BadParameter, match="own is a single number"):
            figure_for(result, {})
    else:
        assert figure_for(result, {}) == FIGURES.get(view, "strongest")


def test_an_edge_alone_makes_no_circuit_and_with_its_membership_it_does() -> None:
    (axis,) = made("edge").axes
    member = {"in_circuit": LabelledArray((axis,), np.array([1, 0]))}
    assert view_of(made("edge", extra=member)) == "circuit"


def test_every_view_that_can_be_drawn_has_a_figure_in_print_and_for_the_mouse() -> None:
    assert set(get_args(View)) - set(FIGURES) == {"number", "many"}
    assert set(FIGURES.values()) <= set(PRINTED)
    assert set(PRINTED) == set(MOVING)
