"""Of what is too large for a page the strongest entries are shown, by name, and the rest is counted."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from interpboard.results import Axis, LabelledArray, Result, layer_axis, text_array, token_axis
from interpboard.visualization import export
from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.selections import details, selections
from interpboard.visualization.terminal import render
from tests import sample

LOOK = PageStyle(100)
SCORES = ("previous_token", "name_mover")


def numbered(name: str, count: int) -> Axis:
    return Axis(name, tuple(str(i) for i in range(count)))


def neurons(**extra: Any) -> Result:
    """3 layers of 1,024 neurons: 2.117 has -5, 0.3 has +2, all others less."""
    values = np.random.default_rng(0).uniform(-1, 1, (3, 1024))
    values[2, 117], values[0, 3] = -5, 2
    axes = (layer_axis(3), numbered("neuron", 1024))
    return sample.result("neurons", axes, values, extra, params={"neuron": "2.117"})


def attended() -> Result:
    """Two heads: 0.0 looks from position 8 at 2, and 0.1 at itself; both mostly at the first token."""
    tokens = sample.TOKENS
    values = np.zeros((1, 2, 9, 9))
    values[..., 0] = 0.5
    values[0, 0, 8, 2] = 0.4
    values[0, 1, 8, 8] = 0.3
    values[0, 1, 3, 1] = 0.2
    axes = (layer_axis(1), numbered("head", 2), Axis("query", tokens), Axis("key", tokens))
    return sample.result("attention", axes, values)


def test_of_thousands_of_neurons_the_strongest_are_listed_in_order_with_their_sign() -> None:
    (only,) = selections(neurons(), LOOK)
    assert only.rows[:2] == (("L2 N117", -5.0), ("L0 N3", 2.0))
    assert len(only.rows) == 16
    assert only.note == "the 16 of 3072 of largest magnitude; all are in the JSON and CSV"


def test_no_page_of_neurons_is_longer_than_a_screen() -> None:
    page = sample.document(neurons())
    assert len(render(page, 100).splitlines()) < 40
    assert len(export.markdown(page).splitlines()) < 60


def test_a_grid_that_fits_is_shown_whole() -> None:
    axes = (layer_axis(3), numbered("head", 64))
    assert selections(sample.result("head_ablation", axes, np.ones((3, 64))), LOOK) == []


def test_a_long_prompt_is_no_selection() -> None:
    axes = (layer_axis(2), token_axis(tuple("x" * 200)))
    assert selections(sample.result("logit_lens", axes, np.ones((2, 200))), LOOK) == []


def test_the_highest_activation_of_a_corpus_comes_first_whatever_the_size_of_the_lowest() -> None:
    values = np.zeros((1, 100))
    values[0, 1], values[0, 2] = -9, 4
    axes = (layer_axis(1), numbered("neuron", 100))
    (only,) = selections(sample.result("max_activating", axes, values), LOOK)
    assert only.rows[0] == ("L0 N2", 4.0)


def test_each_type_of_head_names_its_heads_with_what_chance_gives() -> None:
    values, null = np.zeros((2, 2, 2)), np.full((2, 2, 2), 0.05)
    values[0, 1, 0] = 0.9
    values[1] = np.nan  # the target does not stand in the prompt
    axes = (Axis("score", SCORES), layer_axis(2), numbered("head", 2))
    result = sample.result("head_scores", axes, values, {"null": LabelledArray(axes, null)})
    (only,) = selections(result, LOOK)
    assert only.title == "previous_token"
    assert only.rows[0] == ("L1 H0  (null 5.00%)", 0.9)
    assert re.search(
        r"^L1 H0  \(null 5\.00%\) .* 90\.00%$", render(sample.document(result), 100), re.M
    )


def test_attention_names_where_each_head_looks_and_never_the_first_token() -> None:
    here, anywhere = selections(attended(), LOOK)
    assert here.rows == (("L0 H0 ·of@8 → ·Tower@2", 0.4), ("L0 H1 ·of@8 → ·of@8", 0.3))
    assert anywhere.rows == (("L0 H0 ·of@8 → ·Tower@2", 0.4), ("L0 H1 ·is@3 → ·Eiffel@1", 0.2))


def test_the_pattern_of_one_head_is_a_grid_of_queries_and_keys() -> None:
    whole = attended()
    one = sample.result("attention", (whole.axes[0], numbered("head", 1), *whole.axes[2:]),
                        whole.values[:, :1])  # fmt: skip
    page = render(sample.document(one), 100)
    row = next(line for line in page.splitlines() if line.startswith("·of "))
    assert row.split() == ["·of", ".50000", "0", ".40000", *["0"] * 6]


def test_components_that_were_not_measured_are_counted_and_not_listed() -> None:
    axes = (Axis("component", ("L0 H1", "L2 MLP", "embed 3")),)
    (only,) = selections(sample.result("critical_components", axes, [-2.0, np.nan, np.nan]), LOOK)
    assert only.rows == (("L0 H1", -2.0),)
    assert only.note == "2 without a value are left out; all are in the JSON and CSV"


def test_what_is_known_of_one_neuron_is_shown_beside_the_grid() -> None:
    rank = (numbered("rank", 2),)
    result = neurons(
        along=LabelledArray((token_axis(sample.TOKENS),), np.arange(9.0)),
        promoted=LabelledArray(rank, text_array([" Paris", " Rome"])),
        promoted_by=LabelledArray(rank, np.array([0.5, 0.25])),
    )
    along, promoted = details(result, LOOK)
    assert along.rows[1] == ("·Eiffel@1", 1.0)
    assert promoted.rows == (("·Paris", 0.5), ("·Rome", 0.25))
    assert "activation of neuron 2.117 by token" in render(sample.document(result), 100)


@pytest.mark.parametrize("hostile", sample.HOSTILE)
def test_examples_of_a_neuron_are_harmless_and_no_wider_than_the_page(hostile: str) -> None:
    rank = (numbered("rank", 1),)
    columns = {"peak_token": hostile, "text_before": "word " * 30, "text_after": hostile}
    extra = {name: LabelledArray(rank, text_array([text])) for name, text in columns.items()}
    extra["activation"] = LabelledArray(rank, np.array([4.5]))
    page = render(sample.document(neurons(**extra)), 60)
    assert "[[" in page
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)
    assert max(len(line) for line in page.splitlines()) <= 60
