"""Rollout and flow: sums, bounds, one layer by hand, and networkx's maximum flow."""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.attribution import AttentionAttributor
from interpboard.attribution import fused_attention as fused
from interpboard.attribution.attention_flow import attention_flow
from interpboard.attribution.attention_rollout import attention_rollout
from interpboard.attribution.fused_attention import (
    fused_attention,
    rows_to_one,
    with_residual,
)
from interpboard.attribution.max_flow import max_flow
from interpboard.attribution.value_weighted_rollout import value_weighted_rollout
from interpboard.circuits.heads.attention import attention
from interpboard.errors import BadParameter, Cancelled, Unaffordable, Unsupported
from interpboard.models import attention_sites
from interpboard.models.sites import at_site
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.watch import SILENT, Watch
from tests.lm import case, fingerprint, unproved
from tests.masked import TEXT as MASKED_TEXT
from tests.masked import masked_lm

BOTH = pytest.mark.parametrize("family", ["gpt2", "llama"])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
METHODS: list[Any] = [attention_rollout, attention_flow, value_weighted_rollout]


@pytest.mark.parametrize("method", [attention_rollout, value_weighted_rollout])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "mistral_windowed"])
@DTYPES
def test_rows_of_a_rollout_sum_to_one_and_never_look_ahead(
    family: str, dtype: torch.dtype, method: Any
) -> None:
    lm, prompt, metric = case(family, dtype, position=6)
    found = method(lm, prompt, metric)
    through = found.extra["rollout"].values
    np.testing.assert_allclose(through.sum(-1), 1, rtol=1e-9)
    assert np.abs(np.triu(through, 1)).max() == 0
    assert through.min() >= 0
    np.testing.assert_array_equal(found.values, through[6])


@BOTH
@pytest.mark.parametrize("fusion", ["mean", "max", "min"])
def test_a_rollout_is_the_product_written_out(family: str, fusion: str) -> None:
    lm, prompt, metric = case(family, torch.float64)
    patterns = attention(lm, prompt, metric).values.astype(float)  # [layer, head, query, key]
    expected = np.eye(patterns.shape[-1])
    for heads in patterns:
        fused = getattr(heads, fusion)(0)
        fused = fused / fused.sum(-1, keepdims=True)
        expected = (0.5 * fused + 0.5 * np.eye(len(fused))) @ expected
    found = attention_rollout(lm, prompt, metric, fusion=fusion)
    np.testing.assert_allclose(found.extra["rollout"].values, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("method", "family"),
    [*itertools.product(METHODS, ["gpt2", "llama"]), (attention_rollout, "gptj")],
)
def test_a_few_queries_at_a_time_give_what_all_at_once_give(
    method: Any, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case(family, torch.float64)
    options = {} if method is value_weighted_rollout else {"discard": 0.3}
    whole = method(lm, prompt, metric, **options).values
    monkeypatch.setattr(attention_sites, "PATTERN_BLOCK", 2 * 4 * 9)  # two queries
    np.testing.assert_allclose(method(lm, prompt, metric, **options).values, whole, rtol=1e-9)


def test_a_flow_through_more_than_is_held_says_what_would_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("gpt2")
    monkeypatch.setattr(fused, "MOST_AT_ONCE", lm.anatomy.n_layers * 8 * 8**2)
    with pytest.raises(Unaffordable, match="Shorten the prompt to 8 tokens, or use attention_rol"):
        attention_flow(lm, prompt, metric)
    assert attention_rollout(lm, prompt, metric).values.sum() == pytest.approx(1)


def test_discarding_leaves_out_the_smallest_of_each_row() -> None:
    lm, prompt, _ = case("gpt2", torch.float64)
    whole = fused_attention(lm, prompt, "mean", 0.0, SILENT)
    some = fused_attention(lm, prompt, "mean", 0.5, SILENT)
    for layer in range(len(whole)):
        for query in range(whole.shape[1]):
            gone = np.flatnonzero((some[layer, query] == 0) & (whole[layer, query] > 0))
            assert len(gone) == query // 2
            kept = np.setdiff1d(np.arange(query), gone)
            if len(gone) and len(kept):
                assert whole[layer, query, gone].max() <= whole[layer, query, kept].min()
    np.testing.assert_allclose(some.sum(-1), 1)


def oracle(layers: np.ndarray, top: int, bottom: int) -> float:
    graph = nx.DiGraph()
    depth = len(layers)
    graph.add_nodes_from([(depth, top), (0, bottom)])
    for layer, query, key in zip(*np.nonzero(layers), strict=True):
        capacity = float(layers[layer, query, key])
        graph.add_edge((layer + 1, query), (layer, key), capacity=capacity)
    return float(nx.maximum_flow_value(graph, (depth, top), (0, bottom)))


@given(
    depth=st.integers(1, 5),
    size=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0.2, 1.0),
    causal=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_maximum_flow_is_networkxs(
    depth: int, size: int, seed: int, density: float, causal: bool
) -> None:
    generator = np.random.default_rng(seed)
    layers = generator.random((depth, size, size)) * (
        generator.random((depth, size, size)) < density
    )
    layers = np.tril(layers) if causal else layers
    for bottom in range(size):
        expected = oracle(layers, size - 1, bottom)
        assert max_flow(layers, size - 1, bottom) == pytest.approx(expected, abs=1e-9)


@BOTH
@DTYPES
def test_flow_is_at_most_one_and_at_least_the_widest_path(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype)
    layers = with_residual(fused_attention(lm, prompt, "mean", 0.0, SILENT))
    widest = np.zeros(layers.shape[-1])
    widest[metric.info.position] = 1
    for layer in layers[::-1]:
        widest = np.minimum(widest[:, None], layer).max(0)
    found = attention_flow(lm, prompt, metric).values
    assert (found <= 1 + 1e-9).all()
    assert (found >= widest - 1e-9).all()
    expected = [oracle(layers, metric.info.position, key) for key in range(len(found))]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_through_one_layer_flow_and_rollout_are_the_layer_itself() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    layers = with_residual(fused_attention(lm, prompt, "mean", 0.0, SILENT))[:1]
    rolled = attention_rollout(_with_layers(lm, 1), prompt, metric).extra["rollout"].values
    np.testing.assert_allclose(rolled, layers[0])
    for top in (0, 4, 8):
        flows = [max_flow(layers, top, key) for key in range(9)]
        np.testing.assert_allclose(flows, layers[0, top])


@BOTH
@DTYPES
def test_the_first_layers_vectors_by_hand(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype)
    seen: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for site in ("pattern", "v", "resid_pre"):
            keep = lambda value, site=site: seen.__setitem__(site, value[0].double())  # noqa: E731
            with at_site(lm.anatomy, site, 0, keep):
                lm.model(input_ids=input_ids(lm, prompt))
    weight = lm.anatomy.out_proj[0].weight.detach().double()
    weight = weight if family == "gpt2" else weight.T  # [head · d_head, d_model]
    value = seen["v"].repeat_interleave(4 // seen["v"].shape[1], 1)
    vectors = torch.einsum("qhk,khd,hdm->qkm", seen["pattern"], value, weight.unflatten(0, (4, -1)))
    vectors += torch.diag_embed(seen["resid_pre"].T).permute(1, 2, 0)
    expected = rows_to_one(vectors.norm(dim=-1).numpy())
    one = _with_layers(lm, 1)
    found = value_weighted_rollout(one, prompt, metric).extra["rollout"].values
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(found, expected, **close)


def _with_layers(lm: Any, count: int) -> Any:
    """The same model as if only its first layers were asked about."""
    from dataclasses import replace

    cut = {
        name: getattr(lm.anatomy, name)[:count]
        for name in ("layers", "attention", "out_proj", "mlp", "attn_out", "mlp_out", "before_mlp")
    }
    return replace(lm, anatomy=replace(lm.anatomy, **cut))


def test_a_key_whose_value_is_nothing_brings_nothing() -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    plain = value_weighted_rollout(lm, prompt, metric).values
    assert plain[:-1].min() > 0
    silence = [at_site(lm.anatomy, "v", layer, lambda value: value * 0) for layer in range(3)]
    for silent in silence:
        silent.__enter__()
    try:
        found = value_weighted_rollout(lm, prompt, metric).values
    finally:
        for silent in silence[::-1]:
            silent.__exit__(None, None, None)
    np.testing.assert_allclose(found, np.eye(9)[8], atol=1e-12)


@pytest.mark.parametrize("family", ["gemma2", "olmo2"])
def test_where_heads_vectors_do_not_add_up_it_is_said(family: str) -> None:
    with pytest.raises(Unsupported, match="do not add up"):
        value_weighted_rollout(*case(family))
    found = attention_rollout(*case(family)).values
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("family", ["gptj", "bloom"])
def test_without_values_the_weighted_one_is_refused_by_name(family: str) -> None:
    lm, prompt, metric = case(family)
    assert np.isfinite(value_weighted_rollout(lm, prompt, metric).values).all()
    lm = unproved(lm, {"q", "k", "v", "pattern"})
    with pytest.raises(Unsupported, match="pattern"):
        value_weighted_rollout(lm, prompt, metric)
    assert attention_rollout(lm, prompt, metric).values.sum() == pytest.approx(1)


@torch.no_grad()
def test_of_an_encoder_every_key_counts_by_what_it_brings() -> None:
    lm = masked_lm("bert", torch.float64)
    prompt = make_prompt(lm, MASKED_TEXT)
    ids = input_ids(lm, prompt)
    metric = resolve_metric(lm, prompt, MetricRequest("logit", target="paris"))
    streams = lm.model.bert(input_ids=ids, output_hidden_states=True).hidden_states
    expected = torch.eye(ids.shape[1]).double()
    for layer, stream in zip(lm.model.bert.encoder.layer, streams, strict=False):
        own = layer.attention.self
        query, key, value = (
            made(stream)[0].unflatten(-1, (4, -1)) for made in (own.query, own.key, own.value)
        )
        pattern = (torch.einsum("ihd,jhd->hij", query, key) / value.shape[-1] ** 0.5).softmax(-1)
        out = layer.attention.output.dense.weight.unflatten(1, (4, -1))
        brought = torch.einsum("hij,jhd,mhd->ijm", pattern, value, out)
        brought += torch.diag_embed(stream[0].T).permute(1, 2, 0)
        norms = brought.norm(dim=-1)
        expected = (norms / norms.sum(-1, keepdim=True)) @ expected
    found = value_weighted_rollout(lm, prompt, metric).extra["rollout"].values
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_attributor_is_thin_over_the_functions() -> None:
    lm, prompt, metric = case("llama")
    with AttentionAttributor(lm.model, lm.tokenizer) as attributor:
        for function in METHODS:
            found = getattr(attributor, function.__name__)(prompt.text)
            np.testing.assert_allclose(found.values, function(lm, prompt, metric).values, rtol=1e-6)
            assert found.analysis == function.__name__


@pytest.mark.parametrize("function", METHODS)
def test_nothing_is_left_behind_also_after_a_cancel(function: Any) -> None:
    lm, prompt, metric = case("llama")
    before = fingerprint(lm)
    function(lm, prompt, metric)
    with pytest.raises(Cancelled):
        function(lm, prompt, metric, watch=Watch(cancelled=lambda: True))
    assert fingerprint(lm) == before


def test_bad_options_are_refused_in_a_line() -> None:
    lm, prompt, metric = case()
    with pytest.raises(BadParameter, match="no fusion 'sum'"):
        attention_rollout(lm, prompt, metric, fusion="sum")
    with pytest.raises(BadParameter, match="below 1"):
        attention_flow(lm, prompt, metric, discard=1.0)
