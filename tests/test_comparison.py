"""Differences of results: entry by entry, and never of what cannot be compared."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from interpboard.comparison import difference, differences
from interpboard.errors import BadParameter
from interpboard.results import (
    Axis,
    Document,
    PromptInfo,
    TokenRef,
    layer_axis,
    text_array,
    token_axis,
)
from interpboard.results.partial import Partial
from tests import sample


def of(*values: float, labels: tuple[str, ...] = ("a", "b"), **more: object) -> Document:
    return sample.document(sample.result("x", (token_axis(labels),), values, **more))


def test_a_difference_is_b_less_a_entry_by_entry() -> None:
    result = difference(of(3.0, 1.0, baseline=5.0), of(1.0, 2.0, baseline=7.0))
    assert result.values.tolist() == [-2.0, 1.0]
    assert (result.analysis, result.baseline) == ("difference of x", 2.0)
    assert result.warnings == ()
    assert "positive: larger in B" in result.meaning
    assert (result.extra["a"].values.tolist(), result.extra["b"].values.tolist()) == (
        [3.0, 1.0],
        [1.0, 2.0],
    )


def test_a_difference_says_what_it_was_made_from_wherever_it_is_written() -> None:
    a = sample.document(sample.ablation(), model="first")
    b = sample.document(sample.ablation(), model="second")
    made, reasons = differences(a, b)
    assert reasons == ()
    for text in (made.to_text(200), made.to_json(), made.to_csv(), made.to_html()):
        assert "first" in text
        assert "second" in text
        assert "difference of head_ablation" in text
    assert made.results[0].params["ablation"] == "zero"
    assert Document.from_json(made.to_json()).results[0].params == made.results[0].params


def test_a_word_exchanged_for_another_is_compared_at_its_place() -> None:
    result = difference(of(1.0, 2.0), of(1.0, 5.0, labels=("a", "c")))
    assert result.axes[0].labels == ("a", "b / c")
    assert result.values.tolist() == [0.0, 3.0]
    assert result.params["aligned_by"] == "place"


def test_prompts_of_other_lengths_are_aligned_by_tokens_and_the_rest_has_no_difference() -> None:
    result = difference(of(1.0, 2.0), of(7.0, 1.5, 4.0, labels=("new", "a", "b")))
    assert result.axes[0].labels == ("B: new", "a", "b")
    np.testing.assert_array_equal(result.values, [np.nan, 0.5, 2.0])
    assert result.extra["only_in_token"].values.tolist() == ["B", "", ""]
    assert result.params["aligned_by"] == "token"


def test_the_same_words_at_other_places_are_not_compared_by_place() -> None:
    first = of(1.0, 2.0, 3.0, labels=("a", "b", "c"))
    result = difference(first, of(9.0, 1.0, 2.0, labels=("x", "a", "b")))
    assert result.axes[0].labels == ("B: x", "a", "b", "A: c")
    np.testing.assert_array_equal(result.values, [np.nan, 0.0, 0.0, np.nan])


def test_an_attention_pattern_is_aligned_along_queries_and_keys() -> None:
    def pattern(tokens: tuple[str, ...]) -> Document:
        axes = (Axis("query", tokens), Axis("key", tokens))
        size = len(tokens)
        return sample.document(
            sample.result("x", axes, np.arange(size * size).reshape(size, size) / 10)
        )

    result = difference(pattern(("a", "b")), pattern(("n", "a", "b")))
    expected = np.full((3, 3), np.nan)
    expected[1:, 1:] = np.array([[0.4, 0.5], [0.7, 0.8]]) - np.array([[0.0, 0.1], [0.2, 0.3]])
    np.testing.assert_allclose(result.values, expected)


def test_parts_that_are_listed_by_strength_are_matched_by_name() -> None:
    def ranked(labels: tuple[str, ...], values: list[float]) -> Document:
        return sample.document(sample.result("x", (Axis("component", labels),), values))

    result = difference(ranked(("0.1", "2.3"), [5.0, 4.0]), ranked(("2.3", "1.0"), [6.0, 3.0]))
    assert result.axes[0].labels == ("A: 0.1", "2.3", "B: 1.0")
    np.testing.assert_array_equal(result.values, [np.nan, 2.0, np.nan])


def test_next_tokens_are_matched_by_token_and_not_by_rank() -> None:
    first = sample.document(sample.predictions((" Paris", " Rome")))
    second = sample.document(sample.predictions((" Rome", " London")))
    result = difference(first, second)
    assert result.axes == (Axis("next token", ("A:  Paris", " Rome", "B:  London")),)
    p = first.results[0].values
    np.testing.assert_array_equal(result.values, [np.nan, p[0] - p[1], np.nan])


def test_what_else_differs_is_said() -> None:
    metric = msgspec.structs.replace(sample.METRIC, position=3, target=TokenRef(12, " Rome"))
    first = of(1.0, 2.0, params={"ablation": "zero", "seed": 1})
    second = of(1.0, 2.0, metric=metric, params={"ablation": "mean", "seed": 1})
    result = difference(first, second)
    assert result.warnings == (
        "different targets: A ·Paris, B ·Rome",
        "different positions: A 8, B 3",
        "different parameters: A ablation=zero, B ablation=mean",
    )
    assert result.metric.target is None
    assert (result.params["a_ablation"], result.params["b_ablation"]) == ("zero", "mean")


def test_a_model_of_one_name_and_other_weights_is_said_wherever_two_results_meet() -> None:
    from interpboard.visualization.blocks import PageStyle
    from interpboard.visualization.html import report
    from tui.dialogs.compare_runs import two_columns

    first, same, second = (
        msgspec.structs.replace(
            of(1.0, 2.0), model=msgspec.structs.replace(sample.full().model, weights=weights)
        )
        for weights in ("numbers:a.b", "numbers:a.b", "numbers:a.c")
    )
    assert difference(first, same).warnings == ()
    assert difference(first, second).warnings == (
        "different weights: demo had others in A than in B",
    )
    for other, said in ((same, False), (second, True)):
        assert ("other weights than in A" in report([first, other])) is said
        assert (
            "other weights than in A" in two_columns(first, other, PageStyle(120)).plain
        ) is said


def shaped(layers: int) -> Document:
    document = sample.document(sample.result("x", (layer_axis(layers),), [1.0] * layers))
    return msgspec.structs.replace(
        document, model=msgspec.structs.replace(document.model, layers=layers)
    )


def tokenized(fingerprint: str, *ids: int) -> Document:
    document = of(1.0, 2.0)
    return msgspec.structs.replace(
        document,
        model=msgspec.structs.replace(document.model, tokenizer=fingerprint),
        prompt=PromptInfo("ab", ("a", "b"), ids),
    )


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (sample.document(sample.result("y", (token_axis(("a", "b")),), [1.0, 2.0])), "analyses"),
        (of(1.0, 2.0, metric=msgspec.structs.replace(sample.METRIC, name="prob")), "metrics"),
        (of(1.0, 2.0, neutral=1.0), "No effect is 0 in A and 1 in B"),
        (sample.document(sample.result("x", (layer_axis(2),), [1.0, 2.0])), "different axes"),
        (of(1.0, 2.0, labels=("c", "d")), "nothing in common"),
        (sample.document(sample.result("x", (token_axis(("a",)),), text_array(["a"]))), "text"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(other: Document, said: str) -> None:
    with pytest.raises(BadParameter, match=said) as refused:
        difference(of(1.0, 2.0), other)
    assert "\n" not in str(refused.value)


def test_a_partial_result_is_not_compared_on_either_side() -> None:
    whole = of(1.0, 2.0)
    partial = of(1.0, np.nan, partial=Partial(1, 2, "heads"))
    for pair, side in (((partial, whole), "A"), ((whole, partial), "B")):
        with pytest.raises(BadParameter, match=f"{side} is partial: 1 of 2 heads are computed"):
            difference(*pair)


def test_layers_of_models_of_other_shapes_are_refused_and_their_predictions_are_not() -> None:
    with pytest.raises(BadParameter, match="3 layers × 4 heads and 2 layers × 4 heads"):
        difference(shaped(3), shaped(2))
    tokens = [msgspec.structs.replace(of(1.0, 2.0), model=shaped(n).model) for n in (3, 2)]
    assert difference(*tokens).values.tolist() == [0.0, 0.0]


def test_another_tokenizer_is_refused_unless_it_splits_the_text_alike() -> None:
    for other in (tokenized("two", 0, 2), tokenized("two", 1, 0)):
        with pytest.raises(BadParameter, match="different tokenizers"):
            difference(tokenized("one", 0, 1), other)
    alike = difference(tokenized("one", 0, 1), tokenized("two", 0, 1))
    assert alike.warnings == ("different tokenizers, which split this text alike",)


def test_documents_are_compared_analysis_by_analysis_and_the_rest_is_named() -> None:
    metric = msgspec.structs.replace(sample.METRIC, name="prob")
    prob = msgspec.structs.replace(sample.gradients(), metric=metric)
    made, reasons = differences(
        sample.document(sample.predictions(), sample.gradients(), sample.ablation()),
        sample.document(sample.predictions(), prob, sample.lens()),
    )
    assert [result.analysis for result in made.results] == ["difference of predictions"]
    assert reasons == (
        "integrated_gradients: A explains logit, B prob: different metrics. "
        "Explain the same metric in both.",
        "head_ablation: only in A.",
        "logit_lens: only in B.",
    )
    with pytest.raises(BadParameter, match="Nothing can be compared"):
        differences(sample.document(sample.ablation()), sample.document(sample.lens()))
