"""Differences of results: entry by entry, and never of what cannot be compared."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from interpboard.comparison import difference
from interpboard.errors import BadParameter
from interpboard.results import Axis, Document, layer_axis, token_axis
from tests import sample


def of(*values: float, labels: tuple[str, ...] = ("a", "b"), **more: object) -> Document:
    return sample.document(sample.result("x", (token_axis(labels),), values, **more))


def test_a_difference_is_taken_entry_by_entry_and_is_signed() -> None:
    result = difference(of(3.0, 1.0, baseline=5.0), of(1.0, 2.0, baseline=7.0))
    assert result.values.tolist() == [2.0, -1.0]
    assert (result.analysis, result.baseline) == ("difference of x", -2.0)
    assert result.warnings == ()


def test_labels_that_differ_name_both() -> None:
    result = difference(of(1.0, 2.0), of(1.0, 2.0, labels=("a", "c")))
    assert result.axes[0].labels == ("a", "b / c")


def test_next_tokens_are_matched_by_token_and_not_by_rank() -> None:
    first = sample.document(sample.predictions((" Paris", " Rome")))
    second = sample.document(sample.predictions((" Rome", " London")))
    result = difference(first, second)
    assert result.axes == (Axis("next token", (" Paris", " Rome", " London")),)
    p = first.results[0].values
    np.testing.assert_array_equal(result.values, [np.nan, p[1] - p[0], np.nan])


def test_what_else_differs_is_said() -> None:
    metric = msgspec.structs.replace(sample.METRIC, name="prob", position=3)
    first = of(1.0, 2.0, params={"ablation": "zero", "seed": 1})
    second = of(1.0, 2.0, metric=metric, params={"ablation": "mean", "seed": 1})
    assert difference(first, second).warnings == (
        "different metrics: logit − prob",
        "different positions: 8 − 3",
        "different parameters: ablation=zero − ablation=mean",
    )


def test_a_model_of_one_name_and_other_weights_is_said_wherever_two_results_meet() -> None:
    from interpboard.visualization.blocks import Look
    from interpboard.visualization.html import report
    from tui.dialogs.compare_runs import side_by_side

    first, same, second = (
        msgspec.structs.replace(
            of(1.0, 2.0), model=msgspec.structs.replace(sample.full().model, weights=weights)
        )
        for weights in ("numbers:a.b", "numbers:a.b", "numbers:a.c")
    )
    assert difference(first, same).warnings == ()
    assert difference(first, second).warnings == (
        "different weights: demo had others in the second",
    )
    for other, said in ((same, False), (second, True)):
        assert ("other weights than in A" in report([first, other])) is said
        assert ("other weights than in A" in side_by_side(first, other, Look(120)).plain) is said


def test_different_analyses_and_sizes_are_refused() -> None:
    other = sample.document(sample.result("y", (layer_axis(2),), [1.0, 2.0]))
    with pytest.raises(BadParameter, match="x and y are different analyses"):
        difference(of(1.0, 2.0), other)
    with pytest.raises(BadParameter, match="different sizes \\(2 and 3\\)"):
        difference(of(1.0, 2.0), of(1.0, 2.0, 3.0, labels=("a", "b", "c")))
