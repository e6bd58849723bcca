"""Circuits: data, search, measured worth; by hand on a linear model, and on the demo model."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from interpboard import Result, open_model
from interpboard.analyze import analyze
from interpboard.circuits import CircuitAnalyzer
from interpboard.circuits.discovery.behaviours import load_behaviour
from interpboard.circuits.discovery.cases import tokenize_examples
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.edge_scores import edge_scores
from interpboard.circuits.discovery.examples import read_examples
from interpboard.circuits.discovery.faithfulness import curve_areas, measure_edges, prune, top_edges
from interpboard.errors import Cancelled
from interpboard.models.anatomy import find_anatomy
from interpboard.models.language_model import LanguageModel
from interpboard.results import Document, MetricRequest
from interpboard.runs.watch import Watch
from tests.lm import fingerprint, tiny_lm


@cache
def demo() -> LanguageModel:
    return open_model("demo", device="cpu")


@cache
def found(behavior: str) -> Result:
    params = {"behavior": behavior, "sizes": None if behavior == "induction" else (152,)}
    return analyze(demo(), "a", ["circuit"], MetricRequest(), {"circuit": params}).results[0]


def by_hand() -> LanguageModel:
    """Two layers of two heads, width 4, no norms and no MLPs: on one token every head is linear.

    Heads copy: 0.0 writes twice coordinate 0 to coordinate 1; 1.0 reads coordinates 0 and 1 and writes
    their sum to coordinate 2; 1.1 writes three times coordinate 0 to coordinate 3. The logit of ``y`` is
    coordinate 2, that of ``z`` coordinate 3.
    """
    config = tf.GPT2Config(
        vocab_size=4, n_embd=4, n_layer=2, n_head=2, n_positions=8, tie_word_embeddings=False,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = tf.GPT2LMHeadModel(config).eval().double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        first, second = (block.attn for block in model.transformer.h)
        values, value = slice(8, 12), 8
        first.c_attn.weight[0, value] = 1  # coordinate 0 into head 0's first dimension
        first.c_proj.weight[0, 1] = 2
        second.c_attn.weight[:2, value] = 1
        second.c_proj.weight[0, 2] = 1
        second.c_attn.weight[0, value + 2] = 1  # head 1's first dimension
        second.c_proj.weight[2, 3] = 3
        assert first.c_attn.weight[:, values].shape == (4, 4)
        model.transformer.wte.weight[1, 0] = 1  # w: coordinate 0; x: nothing
        model.lm_head.weight[2, 2] = 1
        model.lm_head.weight[3, 3] = 1
    for block in model.transformer.h:
        block.ln_1, block.ln_2 = nn.Identity(), nn.Identity()
    model.transformer.ln_f = nn.Identity()
    words = Tokenizer(models.WordLevel({"x": 0, "w": 1, "y": 2, "z": 3}, unk_token="x"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    # Not opened: the self-check rightly refuses a model in which no query can change anything.
    likeness = tiny_lm("gpt2", torch.float64)
    return LanguageModel(
        model,
        tf.PreTrainedTokenizerFast(tokenizer_object=words),
        find_anatomy(model),
        likeness.verified,
        likeness.info,
    )


def test_edges_of_a_linear_model_are_the_numbers_worked_out_by_hand() -> None:
    lm = by_hand()
    example = {"clean": "w", "corrupted": "x", "target": "y", "foil": "z"}
    evaluator = EdgeEvaluator.of(lm, tokenize_examples(lm, read_examples([example])))
    # y: coordinate 0 and twice that through 0.0, so 3; z: 3.
    assert (evaluator.on_clean, evaluator.on_reference) == (0, 0)
    graph = evaluator.wiring.graph
    expected = {
        "embed>0.0.v": 2, "embed>1.0.v": 1, "0.0>1.0.v": 2, "1.0>output": 3,
        "embed>1.1.v": -3, "1.1>output": -3,
    }  # fmt: skip
    for method in ("eap", "eap_ig"):
        scores = edge_scores(evaluator, method)
        named = {graph.name(s, r): scores[s, r] for s, r in zip(*graph.pairs, strict=True)}
        assert {name: score for name, score in named.items() if score} == pytest.approx(expected)
    for names, value in (
        (("embed>1.0.v", "1.0>output"), 1),
        (("embed>0.0.v", "0.0>1.0.v", "1.0>output"), 2),
        (("embed>1.1.v", "1.1>output"), -3),
        (("embed>1.0.v", "0.0>1.0.v", "1.0>output"), 1),  # 0.0 hears nothing, so it sends nothing
        (("embed>1.0.v",), 0),
    ):
        edges = np.zeros_like(graph.edges)
        for name in names:
            sender, receiver = name.split(">")
            edges[graph.senders.index(sender), graph.receivers.index(receiver)] = True
        assert evaluator.value(edges) == pytest.approx(value)


@pytest.mark.parametrize("behavior", ["ioi", "induction"])
def test_a_fifth_of_the_edges_keeps_most_of_the_behaviour(behavior: str) -> None:
    """Measured on the weights of the time: ioi 0.91 with 105 of 1519 edges, induction 0.95 with 28."""
    result = found(behavior)
    share = float(result.extra["circuit_size"].values) / len(result.values)
    assert float(result.extra["circuit_faithfulness"].values) >= 0.85
    assert share <= 0.2
    assert float(result.extra["circuit_completeness"].values) >= 0.85
    assert float(result.extra["clean"].values) > float(result.extra["corrupted"].values) + 1


def test_the_series_ends_at_nothing_and_everything() -> None:
    curve = found("induction").extra
    assert curve["size"].values[[0, -1]].tolist() == [0, 1519]
    for name in ("faithfulness", "completeness"):
        np.testing.assert_allclose(curve[name].values[[0, -1]], [0, 1], atol=1e-3)


def test_the_areas_of_a_series_are_those_of_trapezoids_worked_out_by_hand() -> None:
    cpr, cmd = curve_areas(100, [10, 50], [0.6, 1.2])
    # (0+0.6)/2·0.1 + (0.6+1.2)/2·0.4 + (1.2+1)/2·0.5, and of |1−f|: 0.7·0.1 + 0.3·0.4 + 0.1·0.5
    assert cpr == pytest.approx(0.03 + 0.36 + 0.55)
    assert cmd == pytest.approx(0.07 + 0.12 + 0.05)
    assert curve_areas(7, [], []) == (pytest.approx(0.5), pytest.approx(0.5))  # a straight way up
    perfect = curve_areas(100, [0, 1, 100], [0.0, 1.0, 1.0])
    assert perfect == (pytest.approx(0.995), pytest.approx(0.005))
    assert np.isnan(curve_areas(4, [2], [np.nan])).all()


def test_a_result_has_the_areas_of_its_own_series() -> None:
    result = found("ioi")
    shares = np.array([0, *map(int, result.extra["faithfulness"].axes[0].labels)])
    edges = len(result.axes[0].labels)
    own = np.array([0.0, *result.extra["faithfulness"].values])
    assert shares[-1] < edges
    shares, own = np.append(shares, edges) / edges, np.append(own, 1.0)
    for name, height in (("cpr", own), ("cmd", np.abs(1 - own))):
        by_hand = ((height[1:] + height[:-1]) / 2 * np.diff(shares)).sum()
        assert result.extra[name].values == pytest.approx(by_hand)


def test_what_a_result_says_of_its_circuit_is_what_running_it_measures() -> None:
    result = found("induction")
    named = load_behaviour("induction")
    evaluator = EdgeEvaluator.of(demo(), tokenize_examples(demo(), named.examples))
    graph = evaluator.wiring.graph
    edges = np.zeros_like(graph.edges)
    edges[graph.pairs] = result.extra["in_circuit"].values.astype(bool)
    assert edges.sum() == result.extra["circuit_size"].values
    again = measure_edges(evaluator, edges)
    assert again.faithfulness == pytest.approx(float(result.extra["circuit_faithfulness"].values))
    enters = result.extra["enters"].values
    size = int(np.nanmin(enters[result.extra["in_circuit"].values == 1]))
    place = result.extra["size"].axes[0].labels.index(str(size))
    assert (enters <= size).sum() == result.extra["size"].values[place]
    outgoing = np.zeros(graph.edges.shape)
    outgoing[graph.pairs] = result.values
    np.testing.assert_allclose(result.extra["nodes"].values[:-1], outgoing.sum(1))


def test_a_pruned_circuit_is_smaller_and_cannot_spare_any_edge() -> None:
    named = load_behaviour("induction")
    evaluator = EdgeEvaluator.of(demo(), tokenize_examples(demo(), named.examples[:4]))
    graph = evaluator.wiring.graph
    scores = edge_scores(evaluator)
    whole = top_edges(graph, scores, 60)
    sizes: list[int] = []
    kept = prune(evaluator, whole, scores, 0.85, on_size=sizes.append)
    assert evaluator.recovered(kept) >= 0.85
    assert kept.sum() == sizes[-1] < whole.sum()
    assert sizes == sorted(sizes, reverse=True)
    spared = []
    for sender, receiver in zip(*np.nonzero(kept), strict=True):
        trial = kept.copy()
        trial[sender, receiver] = False
        spared.append(evaluator.recovered(trial) >= 0.85)
    # An edge tried early may become free by what went later: rarely, and never most of them.
    assert np.mean(spared) < 0.2


def test_a_result_can_be_made_again_from_what_it_holds_and_goes_through_json() -> None:
    lines = "The keys to the cabinet => The key to the cabinet | are | is"
    document = analyze(
        demo(), "a", ["circuit"], MetricRequest(),
        {"circuit": {"dataset": lines, "method": "eap", "sizes": "50", "keep": "0.1"}},
    )  # fmt: skip
    first = document.results[0]
    assert first.extra["clean_prompts"].values.tolist() == ["The keys to the cabinet"]
    assert first.extra["targets"].values.tolist() == [" are"]
    read = Document.from_json(document.to_json()).results[0]
    again = analyze(demo(), "b", ["circuit"], MetricRequest(), {"circuit": read.params}).results[0]
    np.testing.assert_allclose(again.values, first.values, atol=1e-7)
    assert again.extra["circuit_size"].values == first.extra["circuit_size"].values


def test_one_prompt_against_another_uses_its_own_metric() -> None:
    given = {"corrupted": "The key to the cabinet", "sizes": [20], "edges": 20, "method": "eap"}
    request = MetricRequest("logit_diff", " are", " is")
    document = analyze(demo(), "The keys to the cabinet", ["circuit"], request, {"circuit": given})
    result = document.results[0]
    assert (result.metric.target.token, result.metric.foil.token) == (" are", " is")
    assert result.baseline == pytest.approx(float(result.extra["clean"].values))
    assert result.extra["in_circuit"].values.sum() == result.extra["circuit_size"].values <= 20


def test_the_class_takes_prompts_alone_and_pairs_them_by_length() -> None:
    prompts = [
        "The capital of France is", "The capital of Italy is", "The capital of Spain is",
        "The capital of Norway is",
    ]  # fmt: skip
    before = fingerprint(demo())
    with CircuitAnalyzer(demo().model, demo().tokenizer) as analyzer:
        result = analyzer.discover_circuits(prompts, "capitals", method="eap", sizes=[100])
        named = analyzer.discover_circuits(target_behavior="agreement", method="eap", sizes=[9])
    assert result.params["behavior"] == "capitals"
    pairs = zip(
        result.extra["clean_prompts"].values, result.extra["corrupted_prompts"].values, strict=True
    )
    for clean, corrupted in pairs:
        assert corrupted in prompts
        assert corrupted != clean
    assert result.baseline > 0
    assert named.params["behavior"] == "agreement"
    assert fingerprint(demo()) == before


def test_progress_ends_at_the_end_and_cancelling_leaves_the_model_as_it_was() -> None:
    lm = demo()
    before = fingerprint(lm)
    steps: list[tuple[int, int]] = []
    params = {"circuit": {"behavior": "agreement", "method": "eap", "sizes": "9,30"}}
    heard = Watch(on_progress=lambda done, total, _part: steps.append((done, total)))
    analyze(lm, "a", ["circuit"], MetricRequest(), params, watch=heard)
    assert steps[-1] == (4, 4)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    for patience in (2, 20):
        left = iter([False] * patience + [True] * 1000)
        stop = Watch(cancelled=lambda left=left: next(left))
        with pytest.raises(Cancelled):
            analyze(lm, "a", ["circuit"], MetricRequest(), params, watch=stop)
    assert fingerprint(lm) == before


@pytest.mark.usefixtures("changed_on_purpose")
@pytest.mark.parametrize(("method", "n_steps", "forwards"), [("eap", 1, 2), ("eap_ig", 3, 5)])
def test_scoring_every_edge_takes_two_forward_passes_and_one_backward_a_batch(
    method: str, n_steps: int, forwards: int
) -> None:
    # eap_ig: one backward a step, and the clean and the reference run once.
    lm = tiny_lm("llama")
    made = EdgeEvaluator.of(
        lm, tokenize_examples(lm, read_examples(["The city => The Eiffel | is | of"]))
    )
    fresh = EdgeEvaluator(made.wiring, made.batches, "logit_diff", "corrupted")
    passes, backwards = [], []
    whole = lm.anatomy.layers[1]
    handles = [
        whole.register_forward_hook(lambda *_: passes.append(1)),
        whole.register_full_backward_hook(lambda *_: backwards.append(1)),
    ]
    try:
        edge_scores(fresh, method, n_steps)
    finally:
        for handle in handles:
            handle.remove()
    assert len(made.batches) == 1
    assert len(passes) == forwards
    assert len(backwards) == (n_steps if method == "eap_ig" else 1)


def test_of_a_large_graph_the_strongest_edges_and_the_circuit_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = found("induction")
    monkeypatch.setattr("interpboard.circuits.discovery.listed_edges.LISTED_AT_MOST", 5)
    params = {"behavior": "induction", "edges": 20, "sizes": (20,)}
    some = analyze(demo(), "a", ["circuit"], MetricRequest(), {"circuit": params}).results[0]
    scores = dict(zip(whole.axes[0].labels, whole.values, strict=True))
    kept = dict(zip(some.axes[0].labels, some.values, strict=True))
    assert kept == pytest.approx({name: scores[name] for name in kept})
    assert set(sorted(scores, key=lambda name: -abs(scores[name]))[:5]) <= set(kept)
    assert some.extra["in_circuit"].values.sum() == some.extra["circuit_size"].values > 5
    assert any(f"Of {len(scores):,} edges" in warning for warning in some.warnings)
