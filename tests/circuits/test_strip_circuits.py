"""Circuits of encoder–decoders: edges against path patches by hooks, scores against exact edges, the ends."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from interpboard.circuits.discovery import normed_sums
from interpboard.circuits.discovery.cases import tokenize_examples
from interpboard.circuits.discovery.edge_scores import edge_scores
from interpboard.circuits.discovery.examples import Example
from interpboard.circuits.discovery.search import circuit
from interpboard.circuits.discovery.strips import scores
from interpboard.circuits.discovery.strips.evaluator import StripEvaluator
from interpboard.circuits.discovery.strips.graph import StripGraph
from interpboard.circuits.discovery.strips.scores import StripBatch
from interpboard.errors import BadPrompt, Unaffordable
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.strip_paths import CLEAN, CORRUPTED, EMBED, MLP, by_hand
from tests.strips import Plain, strips_lm

WORKING = ("t5", "mt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "bigbird_pegasus")
EXAMPLE = Example(CLEAN, CORRUPTED, ("#17",), ("#23",))


@cache
def _evaluator(family: str, ablation: str = "corrupted", n: int = 1) -> StripEvaluator:
    lm = strips_lm(family, torch.float64)
    other = Example("The old city ||| the", "The Tower city ||| the", ("#17",), ("#23",))
    cases = tokenize_examples(lm, [EXAMPLE, other][:n])
    return StripEvaluator.in_strips(lm, cases, "logit_diff", ablation)


def _column(part: str) -> int:
    return MLP if part == "mlp" else EMBED if part == "embed" else int(part)


def _by_hand(family: str, sender: str, receiver: str) -> float:
    name, _, part = sender.partition(".")
    name = {"E": "E0", "D": "D0"}.get(name, name)
    logits = by_hand(family).logits((name, _column(part)), receiver)[-1]
    return float(logits[17] - logits[23])


def test_streams_that_are_carried_and_streams_that_are_summed_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluator = _evaluator("t5")
    every = evaluator.wiring.graph.edges
    some = every & (np.random.default_rng(0).random(every.shape) < 0.7)
    summed = evaluator.value(some), edge_scores(evaluator, "eap", scored_by=StripBatch)
    for module in (normed_sums, scores):
        monkeypatch.setattr(module, "norms_sums", lambda _layers: True)
    carried = evaluator.value(some), edge_scores(evaluator, "eap", scored_by=StripBatch)
    assert summed[0] == pytest.approx(carried[0], rel=1e-10)
    np.testing.assert_allclose(summed[1], carried[1], atol=1e-10)
    assert np.abs(carried[1]).max() > 1e-3
    assert abs(carried[0] - evaluator.on_clean) > 1e-3


def test_the_graph_of_two_streams() -> None:
    graph = StripGraph(3, 1, 1, ("E0", "D0", "X0"))
    assert graph.senders == ("E.embed", "E0.0", "E0.mlp", "D.embed", "D0.0", "X0.0", "X0.mlp")
    seen = {
        receiver: {graph.senders[i] for i in np.flatnonzero(graph.edges[:, column])}
        for column, receiver in enumerate(graph.receivers)
    }
    assert seen["E0.0.q"] == {"E.embed"}
    assert seen["E0.mlp"] == {"E.embed", "E0.0"}
    assert seen["D0.0.v"] == {"D.embed"}
    assert seen["X0.0.q"] == {"D.embed", "D0.0"}
    assert seen["X0.0.k"] == seen["X0.0.v"] == {"E.embed", "E0.0", "E0.mlp"}
    assert seen["X0.mlp"] == {"D.embed", "D0.0", "X0.0"}
    assert seen["output"] == {"D.embed", "D0.0", "X0.0", "X0.mlp"}
    assert "D0.mlp" not in seen


def test_edges_on_no_way_to_the_output_are_left_out() -> None:
    graph = StripGraph(3, 1, 1, ("E0", "D0", "X0"))

    def alive(*names: str) -> set[str]:
        chosen = np.zeros_like(graph.edges)
        for sender, receiver in (name.split(">") for name in names):
            chosen[graph.senders.index(sender), graph.receivers.index(receiver)] = True
        return {graph.name(s, r) for s, r in zip(*np.nonzero(graph.alive(chosen)), strict=True)}

    whole = {"E.embed>E0.mlp", "E0.mlp>X0.0.v", "X0.0>output"}
    assert alive(*whole, "E.embed>E0.0.q") == whole
    assert alive("E.embed>E0.mlp", "E0.mlp>X0.0.v", "D.embed>output") == {"D.embed>output"}
    assert alive("E0.mlp>X0.0.v", "X0.0>output") == set()


@pytest.mark.parametrize("family", WORKING)
def test_taking_an_edge_away_is_a_path_patch_by_hand(family: str) -> None:
    evaluator = _evaluator(family)
    graph = evaluator.wiring.graph
    senders, receivers = graph.pairs
    every = 16 if family == "t5" else 64
    differed = 0
    for sender, receiver in list(zip(senders, receivers, strict=True))[::every]:
        edges = graph.edges.copy()
        edges[sender, receiver] = False
        expected = _by_hand(family, graph.senders[sender], graph.receivers[receiver])
        assert evaluator.value(edges) == pytest.approx(expected, rel=1e-7, abs=1e-9)
        differed += abs(expected - evaluator.on_clean) > 1e-7
    assert differed > len(senders) / every / 2


@pytest.mark.parametrize("ablation", ["corrupted", "mean"])
@pytest.mark.parametrize("family", WORKING)
def test_all_edges_are_the_model_and_none_the_reference(family: str, ablation: str) -> None:
    evaluator = _evaluator(family, ablation, 2)
    graph = evaluator.wiring.graph
    assert evaluator.recovered(graph.edges) == pytest.approx(1, abs=1e-8)
    assert evaluator.recovered(np.zeros_like(graph.edges)) == pytest.approx(0, abs=1e-8)
    assert len(evaluator.batches) == 2  # of other lengths
    if ablation == "corrupted":
        values = []
        for example in (CLEAN, "The old city ||| the"):
            logits = Plain(evaluator.wiring.lm, make_prompt(evaluator.wiring.lm, example)).logits()
            values.append(float(logits[-1, 17] - logits[-1, 23]))
        assert evaluator.on_clean == pytest.approx(sum(values) / 2, rel=1e-9)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_a_mean_is_over_the_tokens_of_a_parts_own_strip(family: str) -> None:
    evaluator = _evaluator(family, "mean", 2)
    lm, mean = evaluator.wiring.lm, evaluator.reference(evaluator.batches[0])
    for layer, name in enumerate(lm.anatomy.layer_names):
        seen: list[torch.Tensor] = []
        for text in (CLEAN, "The old city ||| the"):
            plain = Plain(lm, make_prompt(lm, text))
            plain.logits(plain.head(name, 1, lambda z: seen.append(z[0].clone()) or z))  # noqa: B023
        expected = torch.cat(seen).mean(0)
        torch.testing.assert_close(mean.z[layer][0, 0, 1], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("family", WORKING)
def test_scores_are_the_exact_edges_to_first_order(family: str) -> None:
    """The reference is brought so near that only the first order is left."""
    evaluator = _evaluator(family)
    graph, batch = evaluator.wiring.graph, evaluator.batches[0]
    whole = evaluator.reference(batch)
    clean = StripEvaluator.in_strips(
        evaluator.wiring.lm, batch.cases, "logit_diff", "corrupted"
    ).reference(type(batch)(batch.cases, batch.clean, batch.clean, batch.last))
    step = 1e-3  # T5's softmax is in float32
    far = iter(whole.tensors)
    near = clean.map(lambda own: own + step * (next(far) - own))

    class Near(StripEvaluator):
        def reference(self, _batch: object) -> object:
            return near

    close = Near(evaluator.wiring, evaluator.batches, "logit_diff", "corrupted")
    scores = edge_scores(close, "eap", scored_by=StripBatch)
    senders, receivers = graph.pairs
    exact, estimated = [], []
    for sender, receiver in list(zip(senders, receivers, strict=True))[::8]:
        edges = graph.edges.copy()
        edges[sender, receiver] = False
        exact.append(close.on_clean - close.value(edges))
        estimated.append(scores[sender, receiver])
    largest = np.abs(exact).max()
    assert largest > 1e-9
    np.testing.assert_allclose(estimated, exact, atol=1e-2 * largest)


def test_integrated_scores_of_both_embeddings_edges_are_all_of_the_difference() -> None:
    """All that is read of an embedding goes by its edges, so their scores are its integrated gradients."""
    evaluator = _evaluator("t5")
    scores = edge_scores(evaluator, "eap_ig", 50, scored_by=StripBatch)
    senders = evaluator.wiring.graph.senders
    both = scores[[senders.index("E.embed"), senders.index("D.embed")]].sum()
    assert both == pytest.approx(evaluator.on_clean - evaluator.on_reference, rel=0.05)


@pytest.mark.parametrize("search", ["top", "greedy"])
def test_a_circuit_is_found_and_keeps_what_it_says(search: str) -> None:
    lm = strips_lm("t5", torch.float64)
    prompt = make_prompt(lm, CLEAN)
    metric = resolve_metric(lm, prompt, MetricRequest(target="#17", foil="#23"))
    found = circuit(
        lm, prompt, metric, corrupted="The old house Tower is in the", search=search, keep=0.5
    )
    names = np.array(found.axes[0].labels)
    inside = names[found.extra["in_circuit"].values == 1]
    assert any(name.startswith("E") and ">X" in name for name in inside)
    assert not any(name.startswith("E") and ">D" in name for name in names)
    assert found.extra["circuit_faithfulness"].values >= 0.5
    faithfulness = found.extra["faithfulness"].values
    assert faithfulness[0] == pytest.approx(0, abs=1e-8)
    assert faithfulness[-1] == pytest.approx(1, abs=1e-8)


def test_a_circuit_whose_streams_have_no_room_is_refused_with_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = strips_lm("t5", torch.float64)
    cases = tokenize_examples(lm, [EXAMPLE])
    monkeypatch.setattr("interpboard.models.memory.free_memory", lambda _device: 50_000)
    with pytest.raises(
        Unaffordable, match=r"both stacks read in .* are free. Shorten the prompts to 4 tokens"
    ):
        StripEvaluator.in_strips(lm, cases, "logit_diff", "corrupted")


def test_partners_are_as_long_in_either_strip() -> None:
    lm = strips_lm("t5", torch.float64)
    with pytest.raises(BadPrompt, match="tokens of source and"):
        tokenize_examples(
            lm, [Example("The old city ||| the", "The old ||| the city", ("#17",), ("#23",))]
        )
    two = ["The old city ||| the", "The old ||| the city"]
    with pytest.raises(BadPrompt, match="No other prompt"):
        tokenize_examples(
            lm, [Example(text, None, (f"#{17 + n}",), None) for n, text in enumerate(two)]
        )
