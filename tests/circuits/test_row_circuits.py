"""Circuits of models that look both ways: edges against path patches by plain hooks, scores against edges."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.circuits.discovery.cases import tokenize_examples
from interpboard.circuits.discovery.edge_scores import edge_scores
from interpboard.circuits.discovery.examples import Example
from interpboard.circuits.discovery.search import circuit
from interpboard.circuits.discovery.whole_rows.evaluator import RowEvaluator
from interpboard.circuits.discovery.whole_rows.scores import RowBatch
from interpboard.errors import BadPosition, BadPrompt, Unsupported
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.classifiers import classifier
from tests.lm import fingerprint
from tests.masked import OTHER, TEXT, masked_lm
from tests.row_paths import RowByHand

BY_HAND = ("bert", "distilbert", "mpnet", "modernbert", "deberta", "deberta-v2", "esmc")
WORKING = (*BY_HAND, "roberta", "electra", "albert")
EXAMPLE = Example(TEXT, OTHER, ("paris",), ("rome",))
SHORT = Example("the city is [MASK]", "the tower is [MASK]", ("paris",), ("rome",))


@cache
def _evaluator(family: str, ablation: str = "corrupted", n: int = 1) -> RowEvaluator:
    lm = masked_lm(family)
    cases = tokenize_examples(lm, [EXAMPLE, SHORT][:n])
    return RowEvaluator.over_rows(lm, cases, "logit_diff", ablation)


@pytest.mark.parametrize("family", BY_HAND)
def test_taking_an_edge_away_is_a_path_patch_by_plain_hooks(family: str) -> None:
    evaluator, by_hand = _evaluator(family), RowByHand(family)
    graph, before = evaluator.wiring.graph, fingerprint(evaluator.wiring.lm)
    senders, receivers = graph.pairs
    differed, tried = 0, list(zip(senders, receivers, strict=True))[::14]
    for sender, receiver in tried:
        edges = graph.edges.copy()
        edges[sender, receiver] = False
        expected = by_hand.without(graph.senders[sender], graph.receivers[receiver])
        assert evaluator.value(edges) == pytest.approx(expected, rel=1e-7, abs=1e-9)
        differed += abs(expected - evaluator.on_clean) > 1e-7
    assert differed > len(tried) / 2
    assert fingerprint(evaluator.wiring.lm) == before


@pytest.mark.parametrize("ablation", ["corrupted", "mean"])
@pytest.mark.parametrize("family", WORKING)
def test_all_edges_are_the_model_and_none_the_reference(family: str, ablation: str) -> None:
    evaluator = _evaluator(family, ablation, 2)
    graph = evaluator.wiring.graph
    assert evaluator.recovered(graph.edges) == pytest.approx(1, abs=1e-8)
    assert evaluator.recovered(np.zeros_like(graph.edges)) == pytest.approx(0, abs=1e-8)
    assert len(evaluator.batches) == 2  # of other lengths: nothing is padded
    lm = masked_lm(family)
    values = []
    for example in (EXAMPLE, SHORT):
        prompt = make_prompt(lm, example.clean)
        request = MetricRequest("logit_diff", target="paris", foil="rome")
        values.append(resolve_metric(lm, prompt, request).baseline)
    assert evaluator.on_clean == pytest.approx(sum(values) / 2, rel=1e-9)


@pytest.mark.parametrize("family", ["bert", "modernbert", "deberta", "deberta-v2", "esmc"])
def test_scores_are_the_exact_edges_to_first_order(family: str) -> None:
    """The reference is brought so near that only the first order is left."""
    evaluator = _evaluator(family)
    batch, graph = evaluator.batches[0], evaluator.wiring.graph
    whole = evaluator.reference(batch)
    same = type(batch)(batch.cases, batch.clean, batch.clean, batch.last)
    clean = RowEvaluator(evaluator.wiring, (same,), "logit_diff", "corrupted").reference(same)
    far = iter(whole.tensors)
    near = clean.map(lambda own: own + 1e-3 * (next(far) - own))

    class Near(RowEvaluator):
        def reference(self, _batch: object) -> object:
            return near

    close = Near(evaluator.wiring, evaluator.batches, "logit_diff", "corrupted")
    scores = edge_scores(close, "eap", scored_by=RowBatch)
    senders, receivers = graph.pairs
    exact, estimated = [], []
    for sender, receiver in list(zip(senders, receivers, strict=True))[::3]:
        edges = graph.edges.copy()
        edges[sender, receiver] = False
        exact.append(close.on_clean - close.value(edges))
        estimated.append(scores[sender, receiver])
    largest = np.abs(exact).max()
    assert largest > 1e-7
    np.testing.assert_allclose(estimated, exact, atol=1e-2 * largest)


def test_a_circuit_of_a_masked_model_is_found_at_its_mask() -> None:
    lm = masked_lm("bert")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit_diff", target="paris", foil="rome"))
    found = circuit(lm, prompt, metric, corrupted=OTHER, search="greedy", keep=0.3, sizes=[4, 12])
    assert found.extra["circuit_faithfulness"].values >= 0.5
    assert 0 < found.extra["circuit_size"].values < len(found.values)
    assert found.extra["clean"].values == pytest.approx(metric.baseline, rel=1e-9)


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "modernbert_mean"])
def test_a_circuit_of_a_classifier_reads_what_its_head_reads(family: str) -> None:
    lm = classifier(family)
    prompt = make_prompt(lm, "The Eiffel Tower is in the city")
    metric = resolve_metric(lm, prompt, MetricRequest("logit", target="POSITIVE"))
    other = "The old Tower is in the city"
    found = circuit(lm, prompt, metric, corrupted=other)
    corrupted = resolve_metric(lm, make_prompt(lm, other), MetricRequest("logit", "POSITIVE"))
    assert found.extra["clean"].values == pytest.approx(metric.baseline, rel=1e-9)
    assert found.extra["corrupted"].values == pytest.approx(corrupted.baseline, rel=1e-9)
    assert found.extra["faithfulness"].values[[0, -1]] == pytest.approx([0, 1], abs=1e-8)


@pytest.mark.usefixtures("changed_on_purpose")
def test_what_is_made_of_more_than_the_stream_has_no_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a map that is called for the stream twice."""
    lm = masked_lm("bert")
    attention: Any = lm.anatomy.layers[0].get_submodule("attention.self")
    twice = _calling_again(attention.query, attention.forward)
    monkeypatch.setattr(attention, "forward", twice)
    with pytest.raises(Unsupported, match="made of more than the stream"):
        RowEvaluator.over_rows(lm, tokenize_examples(lm, [EXAMPLE]), "logit_diff", "corrupted")


def _calling_again(query: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
    def twice(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        found = forward(hidden, *args, **kwargs)
        query(2 * hidden)
        return found

    return twice


def test_heads_that_are_told_apart_wrongly_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a map whose rows are not queries, keys and values one after the other."""
    from interpboard.circuits.discovery.whole_rows import wiring

    def turned(lm: object, layer: int) -> object:
        found = known(lm, layer)
        return (found[1], found[0], found[2])

    known = wiring.projections_of
    monkeypatch.setattr(wiring, "projections_of", turned)
    with pytest.raises(Unsupported, match="cannot be told apart by heads"):
        RowEvaluator.over_rows(masked_lm("bert"), (), "logit_diff", "corrupted")


def test_a_mask_elsewhere_or_none_is_refused() -> None:
    lm = masked_lm("bert")
    elsewhere = Example(TEXT, "the tower of [MASK] is rome in the city", ("paris",), ("rome",))
    with pytest.raises(BadPrompt, match="not at the same position"):
        tokenize_examples(lm, [elsewhere])
    with pytest.raises(BadPosition, match="0 mask tokens"):
        tokenize_examples(lm, [Example("the city is paris", None, ("paris",), None)])


def test_partners_of_a_masked_prompt_have_the_mask_where_it_was() -> None:
    lm = masked_lm("bert")
    texts = ["the city is [MASK]", "[MASK] is the city", "the tower is [MASK]"]
    answers = ("paris", "rome", "berlin")
    examples = [Example(t, None, (a,), None) for t, a in zip(texts, answers, strict=True)]
    with pytest.raises(BadPrompt, match="No other prompt of 6 tokens"):
        tokenize_examples(lm, examples)
    first, last = tokenize_examples(lm, [examples[0], examples[2]])
    assert first.corrupted == last.clean
    assert first.foils == last.targets
