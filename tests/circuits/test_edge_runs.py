"""Edge by edge: exact runs against independent oracles, and the scores against measured effects."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from interpboard.circuits.discovery.cases import tokenize_examples
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.edge_runs import edge_patched, proved_wiring, record_activations
from interpboard.circuits.discovery.edge_scores import edge_scores
from interpboard.circuits.discovery.examples import read_examples
from interpboard.errors import Cancelled, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.patching.estimates import attribution_patching
from interpboard.patching.paths import path_patching
from interpboard.results import MetricRequest
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import TOLERANCE, fingerprint, tiny_lm
from tests.tiny import tiny_tokenizer

CLEAN = "When Mary and John went to the store, John gave a drink to"
CORRUPTED = "When John and Mary went to the house, Mary gave a table in"
FAMILIES = ("gpt2", "llama", "qwen3", "phi3", "opt", "gpt_neo", "starcoder2", "bloom")
WRONG = ("gptj", "gpt_neox", "phi", "falcon", "cohere", "gemma2", "gemma3", "olmo2")


@cache
def evaluator(family: str = "gpt2", dtype: torch.dtype = torch.float64) -> EdgeEvaluator:
    lm = tiny_lm(family, dtype)
    examples = read_examples([{"clean": CLEAN, "corrupted": CORRUPTED, "target": "a", "foil": "b"}])
    return EdgeEvaluator.of(lm, tokenize_examples(lm, examples))


def the_metric(lm):
    prompts = [make_prompt(lm, text) for text in (CLEAN, CORRUPTED)]
    request = MetricRequest("logit_diff", "a", "b")
    return prompts, [resolve_metric(lm, prompt, request) for prompt in prompts]


@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        *((family, torch.float64) for family in FAMILIES),
        ("gpt2", torch.float32),
        ("llama", torch.float32),
    ],
)
def test_no_edges_give_the_corrupted_run_and_all_edges_the_clean_one(family, dtype) -> None:
    found = evaluator(family, dtype)
    before = fingerprint(found.wiring.lm)
    graph = found.wiring.graph
    _, (clean, corrupted) = the_metric(found.wiring.lm)
    tolerance = {"rel": TOLERANCE[dtype]["rtol"], "abs": 5 * TOLERANCE[dtype]["atol"]}
    assert found.value(graph.edges) == pytest.approx(clean.baseline, **tolerance)
    assert found.value(~graph.edges & graph.edges) == pytest.approx(corrupted.baseline, **tolerance)
    assert clean.baseline != pytest.approx(corrupted.baseline, abs=0.1)
    assert fingerprint(found.wiring.lm) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sender_cut_from_all_is_the_sender_patched(family: str) -> None:
    _cut_senders_are_senders_patched(evaluator(family))


def _cut_senders_are_senders_patched(found: EdgeEvaluator) -> None:
    lm, graph = found.wiring.lm, found.wiring.graph
    (clean, corrupted), (metric, _) = the_metric(lm)
    run, donor = record(lm, clean), record(lm, corrupted, sites=("z", "mlp_out"))
    for name, site, head in (("0.1", "z", 1), ("1.3", "z", 3), ("1.mlp", "mlp_out", None)):
        layer = int(name[0])
        value = donor.sites[site][layer][0]
        edit = Edit(site, layer, "patch", head, value=value if head is None else value[:, head])
        edges = graph.edges.copy()
        edges[graph.senders.index(name)] = False
        assert found.value(edges) == pytest.approx(evaluate(run, [(edit,)], metric)[0], abs=1e-8)


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f != "gpt_neo"]
)  # it has no q, k, v sites
def test_an_input_cut_from_all_is_that_query_key_or_value_patched(family: str) -> None:
    found = evaluator(family)
    lm, graph = found.wiring.lm, found.wiring.graph
    (clean, corrupted), (metric, _) = the_metric(lm)
    run, donor = record(lm, clean), record(lm, corrupted, sites=("q", "k", "v"))
    for layer, head, letter in ((0, 2, "q"), (1, 1, "k"), (2, 0, "v"), (1, 3, "q"), (2, 1, "v")):
        value = donor.sites[letter][layer][0][:, head]
        edges = graph.edges.copy()
        edges[:, graph.receivers.index(f"{layer}.{head}.{letter}")] = False
        expected = evaluate(run, [(Edit(letter, layer, "patch", head, value=value),)], metric)[0]
        assert found.value(edges) == pytest.approx(expected, abs=1e-8)
        assert expected != pytest.approx(metric.baseline, abs=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("receiver", ["2.1.k", "1.0.q", "2.mlp", "1.1.v", "output"])
def test_one_edge_cut_is_the_path_patched(family: str, receiver: str) -> None:
    found = evaluator(family)
    lm, graph = found.wiring.lm, found.wiring.graph
    (clean, _), (metric, _) = the_metric(lm)
    paths = path_patching(lm, clean, metric, corrupted=CORRUPTED, receiver=receiver)
    for sender, cell in (("embed", (0, 5)), ("0.3", (0, 3)), ("0.mlp", (0, 4))):
        edges = graph.edges.copy()
        edges[graph.senders.index(sender), graph.receivers.index(receiver)] = False
        effect = found.value(edges) - found.on_clean
        assert effect == pytest.approx(paths.values[cell], abs=1e-8)


@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        ("gpt2", torch.float32),
        *((family, torch.float64) for family in ("gpt2", "llama", "phi3", "opt")),
    ],
)
def test_the_scores_of_a_nodes_edges_add_up_to_its_attribution_patching_score(
    family, dtype
) -> None:
    found = evaluator(family, dtype)
    lm, graph = found.wiring.lm, found.wiring.graph
    (_, corrupted), (metric, _) = the_metric(lm)
    before = fingerprint(lm)
    nodes = edge_scores(found, "eap").sum(1)
    assert fingerprint(lm) == before
    # The other way round, since that one takes its gradient where it patches into.
    heads, mlps = (
        attribution_patching(
            lm, make_prompt(lm, CORRUPTED), metric, corrupted=CLEAN, site=site, along=along
        ).values
        for site, along in (("z", "head"), ("mlp_out", "position"))
    )
    expected = [*np.concatenate([-heads, -mlps.sum(1, keepdims=True)], axis=1).flat]
    near = {torch.float32: (2e-5, 2e-5), torch.float64: (1e-6, 1e-7)}[dtype]
    np.testing.assert_allclose(nodes[1:], expected, rtol=near[0], atol=near[1])
    assert np.abs(nodes).max() > 1e-3
    assert not edge_scores(found, "eap")[~graph.edges].any()
    assert corrupted.text == CORRUPTED


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_score_is_the_slope_of_the_measured_effect(family: str) -> None:
    _slopes_are_scores(evaluator(family))


def _slopes_are_scores(found: EdgeEvaluator) -> None:
    """A small step of every edge: what the edge moves the behaviour by is its score."""
    graph, batch = found.wiring.graph, found.batches[0]
    scores = edge_scores(found, "eap")
    clean = record_activations(found.wiring, batch.clean)
    reference = found.reference(batch)
    near = 3e-3  # some norms round to float32 whatever they are given
    pairs = iter(reference.tensors)
    almost = clean.map(lambda tensor: tensor + near * (next(pairs) - tensor))
    for sender, receiver in (
        ("embed", "1.2.q"),
        ("0.2", "2.0.k"),
        ("1.1", "2.1.v"),
        ("0.0", "0.mlp"),
    ):
        edge = graph.senders.index(sender), graph.receivers.index(receiver)
        edges = graph.edges.copy()
        edges[edge] = False
        with torch.no_grad():
            output = edge_patched(found.wiring, batch.clean, almost, edges)
            moved = float(found.of_output(batch, output)[0]) - found.on_clean
        assert -moved / near == pytest.approx(scores[edge], rel=3e-2, abs=2e-5)


def test_integrated_scores_add_up_to_the_whole_difference_where_the_way_is_followed_closely() -> (
    None
):
    """All of the embedding's edges: the embedding is moved all the way, so its path integral is exact."""
    found = evaluator("gpt2")
    graph = found.wiring.graph
    one, many = (edge_scores(found, "eap_ig", n) for n in (1, 24))
    assert not np.allclose(one, many, atol=1e-3)
    embed = many[0].sum()
    edges = graph.edges.copy()
    edges[0] = False
    # What the embedding does in all is everything: the corrupted embedding is the corrupted run.
    assert found.value(edges) == pytest.approx(found.on_reference, abs=1e-8)
    assert embed == pytest.approx(found.on_clean - found.on_reference, rel=0.02)


@pytest.mark.parametrize("family", WRONG)
def test_a_model_whose_graph_would_be_wrong_is_refused_by_name(family: str) -> None:
    lm = tiny_lm(family)
    before = fingerprint(lm)
    with pytest.raises(Unsupported, match=f"not available on {lm.info.family}"):
        proved_wiring(lm)
    assert fingerprint(lm) == before


def test_an_edge_carries_the_scale_of_what_is_added() -> None:
    lm = tiny_lm("granite", torch.float64)
    kept = [layer.residual_multiplier for layer in lm.anatomy.layers]
    try:
        for layer in lm.anatomy.layers:
            layer.residual_multiplier = 0.5
        found = evaluator.__wrapped__("granite")
        assert [own.scale for own in found.wiring.layers] == pytest.approx([0.5] * 3)
        _cut_senders_are_senders_patched(found)
        _slopes_are_scores(found)
    finally:
        for layer, value in zip(lm.anatomy.layers, kept, strict=True):
            layer.residual_multiplier = value


@pytest.mark.usefixtures("changed_on_purpose")
def test_a_stream_that_is_more_than_a_scaled_sum_is_found_out() -> None:
    lm = tiny_lm("granite", torch.float64)
    handle = lm.anatomy.layers[1].register_forward_hook(lambda _m, _a, out: 1.1 * out)
    try:
        with pytest.raises(Unsupported, match="not what heads and MLPs write"):
            proved_wiring(lm)
    finally:
        handle.remove()
    assert proved_wiring(lm).graph.n_layers == 3


@pytest.mark.usefixtures("changed_on_purpose")
def test_a_deep_model_in_a_narrow_format_is_proved_by_what_rounding_does_to_it() -> None:
    """Sixteen layers of random weights round to 0.12 of a number in bfloat16: no one bound fits all."""
    config = LlamaConfig(
        vocab_size=420, hidden_size=64, num_hidden_layers=16, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=128, max_position_embeddings=64,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(1)
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4.0 if parameter.dim() > 1 else 1.0)
    lm = LanguageModel.of(model.to(torch.bfloat16), tiny_tokenizer(), "deep")
    assert proved_wiring(lm).graph.n_layers == 16
    assert lm.model.model.layers[9].self_attn.o_proj.weight.dtype == torch.bfloat16
    # A fifth less of what one layer's attention adds is no rounding.
    layer = lm.anatomy.layers[9]
    handle = layer.self_attn.register_forward_hook(lambda _m, _a, out: (out[0] * 0.8, *out[1:]))
    try:
        with pytest.raises(Unsupported, match="not what heads and MLPs write"):
            proved_wiring(lm)
    finally:
        handle.remove()


@pytest.mark.parametrize("family", WRONG[::3])
def test_a_wrong_graph_is_refused_in_bfloat16_too(family: str) -> None:
    with pytest.raises(Unsupported, match="not available on"):
        proved_wiring(tiny_lm(family, torch.bfloat16))


def test_a_cancelled_run_leaves_no_hook() -> None:
    found = evaluator("llama")
    before = fingerprint(found.wiring.lm)
    asked = iter([False] * 2 + [True] * 99)
    stop = Watch(cancelled=lambda: next(asked))
    with pytest.raises(Cancelled):
        edge_scores(found, "eap_ig", watch=stop)
    with pytest.raises(Cancelled):
        found.value(found.wiring.graph.edges, Watch(cancelled=lambda: True))
    assert fingerprint(found.wiring.lm) == before


def test_padding_and_batches_change_nothing() -> None:
    lm = tiny_lm("llama", torch.float64)
    lines = [
        {"clean": CLEAN, "corrupted": CORRUPTED, "target": "a", "foil": "b"},
        {"clean": "The keys of", "corrupted": "The table of", "target": "c", "foil": "d"},
    ]
    cases = tokenize_examples(lm, read_examples(lines))
    if len(cases[0].clean.token_ids) == len(cases[1].clean.token_ids):
        pytest.fail("the prompts must differ in length")
    together = EdgeEvaluator.of(lm, cases)
    apart = [EdgeEvaluator.of(lm, [case]) for case in cases]
    assert len(together.batches) == 1
    scores = np.mean([edge_scores(one, "eap") for one in apart], axis=0)
    np.testing.assert_allclose(edge_scores(together, "eap"), scores, atol=1e-9)
    half = together.wiring.graph.edges.copy()
    half[::2] = False
    assert together.value(half) == pytest.approx(np.mean([one.value(half) for one in apart]))


def test_dropping_them_changes_nothing_that_is_computed() -> None:
    found = evaluator("llama")
    graph = found.wiring.graph
    chosen = graph.edges & (np.random.default_rng(3).random(graph.edges.shape) < 0.2)
    alive = graph.alive(chosen)
    assert 0 < alive.sum() < chosen.sum()
    assert found.value(alive) == pytest.approx(found.value(chosen), abs=1e-9)


def test_the_mean_reference_is_the_mean_over_all_tokens() -> None:
    lm = tiny_lm("gpt2", torch.float64)
    cases = tokenize_examples(lm, read_examples([CLEAN, "The keys of"]), partners=False)
    found = EdgeEvaluator.of(lm, cases, ablation="mean")
    runs = [
        record(lm, make_prompt(lm, text), sites=("mlp_out",)) for text in (CLEAN, "The keys of")
    ]
    expected = torch.cat([run.sites["mlp_out"][1][0] for run in runs]).mean(0)
    mean = found.reference(found.batches[0])
    torch.testing.assert_close(mean.mlp[1][0, 0], expected)
    graph = found.wiring.graph
    assert found.recovered(graph.edges) == pytest.approx(1, abs=1e-8)
    assert found.recovered(graph.edges & False) == pytest.approx(0, abs=1e-8)
    assert edge_scores(found, "eap_ig")[graph.edges].any()
    assert input_ids(lm, cases[0].clean).shape[0] == 1
