"""Attention of an encoder–decoder: hidden, and followed down, against masks and products written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.attribution.attention_flow import attention_flow
from interpboard.attribution.attention_rollout import attention_rollout
from interpboard.attribution.value_weighted_rollout import value_weighted_rollout
from interpboard.circuits.heads.knockout import attention_knockout, knockout_grid
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.strips import FAMILIES, TEXT, Plain, strips_lm

CASES = [(f, d) for f in ("t5", "bart") for d in (torch.float32, torch.float64)]
CASES += [("pegasus", torch.float64), ("marian", torch.float64)]
every_case = pytest.mark.parametrize(("family", "dtype"), CASES)
TOLERANCE = {"rtol": 1e-4, "atol": 5e-5}


def _attention_of(plain: Plain, name: str) -> Any:
    block = (plain.above if name[0] == "E" else plain.below)[int(name[1:])]
    if plain.sublayers:
        return block.layer[1].EncDecAttention if name[0] == "X" else block.layer[0].SelfAttention
    return block.encoder_attn if name[0] == "X" else block.self_attn


@contextmanager
def _eager(lm: LanguageModel) -> Iterator[None]:
    own = lm.model.config._attn_implementation
    lm.model.set_attn_implementation("eager")
    try:
        yield
    finally:
        lm.model.set_attn_implementation(own)


@torch.no_grad()
def _masked_by_hand(
    lm: LanguageModel, plain: Plain, hide: dict[str, tuple[Sequence[int], Sequence[int]]]
) -> torch.Tensor:
    """Logits [pos, d_vocab] of the model's eager attention with ``hide`` [layer: queries, keys], counted
    within their strips, taken out of each softmax; a query that sees nothing then fetches nothing."""
    home = __import__("sys").modules[type(_attention_of(plain, "E0")).__module__]
    own = home.eager_attention_forward
    modules = {_attention_of(plain, name): pairs for name, pairs in hide.items()}

    def attend(module: Any, q: Any, k: Any, v: Any, mask: Any, *args: Any, **kwargs: Any) -> Any:
        out, weights = own(module, q, k, v, mask, *args, **kwargs)
        if module not in modules:
            return out, weights
        queries, keys = modules[module]
        weights = weights.clone()
        for query in queries:
            for key in keys:
                if q.shape[2] != k.shape[2] or query != key or module in crossing:
                    weights[:, :, query, key] = 0
        sums = weights.sum(-1, keepdim=True)
        weights = weights / torch.where(sums == 0, 1, sums)
        return (weights @ v).transpose(1, 2).contiguous(), weights

    crossing = {_attention_of(plain, name) for name in hide if name[0] == "X"}
    home.eager_attention_forward = attend
    try:
        with _eager(lm):
            return plain.logits()
    finally:
        home.eager_attention_forward = own


def _case(family: str, dtype: torch.dtype) -> tuple[LanguageModel, PromptInfo, Any, Plain]:
    lm = strips_lm(family, dtype)
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest()), Plain(lm, prompt)


@every_case
def test_a_token_of_the_source_is_hidden_from_the_answer_in_cross_attention_alone(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    last = len(prompt.token_ids) - prompt.border - 1
    found = attention_knockout(lm, prompt, metric, unit="token")
    for at in range(len(prompt.token_ids)):
        of_source, where = plain.at(at)
        names = ("X0", "X1") if of_source else ("D0", "D1")
        logits = _masked_by_hand(lm, plain, {name: ([last], [where]) for name in names})
        effect = float(logits[-1, metric.target_id]) - metric.baseline
        np.testing.assert_allclose(found.values[at], effect, **TOLERANCE)
        clean = plain.logits()[-1].double().log_softmax(-1)
        kl = (clean.exp() * (clean - logits[-1].double().log_softmax(-1))).sum()
        np.testing.assert_allclose(found.extra["kl"].values[at], kl, **TOLERANCE)
    assert np.abs(found.values[: prompt.border]).max() > 1e-3, "something was read of the source"
    one = attention_knockout(lm, prompt, metric, unit="token", layers=[5])
    logits = _masked_by_hand(lm, plain, {"X1": ([last], [2])})
    effect = float(logits[-1, metric.target_id]) - metric.baseline
    np.testing.assert_allclose(one.values[2], effect, **TOLERANCE)


@every_case
def test_a_whole_source_that_is_hidden_gives_nothing_and_not_its_mean(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = attention_knockout(lm, prompt, metric, unit="sentence", queries="later")
    assert found.axes[0].labels[0] == "".join(prompt.tokens[: prompt.border])
    assert found.extra["end"].values[0] == prompt.border, "no unit is of both strips"
    logits = plain.logits(
        *(plain.head(name, head, torch.zeros_like) for name in ("X0", "X1") for head in (0, 1))
    )
    effect = float(logits[-1, metric.target_id]) - metric.baseline
    np.testing.assert_allclose(found.values[0], effect, **TOLERANCE)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_what_is_hidden_from_all_that_could_read_it_might_be_anything(family: str) -> None:
    lm, prompt, metric, plain = _case(family, torch.float64)
    hidden = attention_knockout(lm, prompt, metric, unit="token", queries="later").values[1]
    queries = [at for at in range(prompt.border) if at != 1]
    hide = {f"E{i}": (queries, [1]) for i in (0, 1)}
    hide |= {f"X{i}": (range(len(prompt.token_ids) - prompt.border), [1]) for i in (0, 1)}
    for run in (plain, _with_another_token(plain, 1)):
        logits = _masked_by_hand(lm, run, hide)
        effect = float(logits[-1, metric.target_id]) - metric.baseline
        np.testing.assert_allclose(hidden, effect, **TOLERANCE)


def _with_another_token(plain: Plain, at: int) -> Plain:
    other = Plain.__new__(Plain)
    other.__dict__.update(plain.__dict__)
    other.source = plain.source.clone()
    other.source[0, at] = 77
    return other


@pytest.mark.parametrize("family", ["t5", "marian"])
def test_the_grid_of_units_has_a_value_where_one_may_see_the_other(family: str) -> None:
    lm, prompt, metric, plain = _case(family, torch.float64)
    found = knockout_grid(lm, prompt, metric, unit="token")
    border, length = prompt.border, len(prompt.token_ids)
    for query in range(length):
        for key in range(length):
            seen = key < border or border <= key <= query
            assert np.isnan(found.values[query, key]) != seen
    by_hand = {
        (6, 1): {"X0": ([6 - border], [1]), "X1": ([6 - border], [1])},
        (0, 3): {"E0": ([0], [3]), "E1": ([0], [3])},
        (7, 6): {"D0": ([7 - border], [6 - border]), "D1": ([7 - border], [6 - border])},
    }
    for (query, key), hide in by_hand.items():
        logits = _masked_by_hand(lm, plain, hide)
        effect = float(logits[-1, metric.target_id]) - metric.baseline
        np.testing.assert_allclose(found.values[query, key], effect, **TOLERANCE)


def _shares(lm: LanguageModel, plain: Plain, fuse: Any) -> tuple[np.ndarray, np.ndarray]:
    """[pos of the prefix, source token] and [pos of the prefix, prefix token], strip by strip."""
    with _eager(lm):
        out = lm.model(
            input_ids=plain.source, decoder_input_ids=plain.prefix, output_attentions=True
        )

    def mixed(pattern: torch.Tensor) -> np.ndarray:
        fused = fuse(pattern[0].detach().double())
        fused = fused / fused.sum(-1, keepdim=True)
        return np.asarray(0.5 * fused)

    n_source, n_prefix = plain.source.shape[1], plain.prefix.shape[1]
    states = np.eye(n_source)
    for pattern in out.encoder_attentions:
        states = mixed(pattern) @ states + 0.5 * states
    of_source, of_prefix = np.zeros((n_prefix, n_source)), np.eye(n_prefix)
    for own, cross in zip(out.decoder_attentions, out.cross_attentions, strict=True):
        of_source, of_prefix = (mixed(own) @ each + 0.5 * each for each in (of_source, of_prefix))
        of_source, of_prefix = 0.5 * of_source + mixed(cross) @ states, 0.5 * of_prefix
    return of_source, of_prefix


@every_case
def test_rollout_goes_down_the_decoder_and_over_cross_attention_into_the_source(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    for fusion, fuse in (("mean", lambda p: p.mean(0)), ("max", lambda p: p.amax(0))):
        found = attention_rollout(lm, prompt, metric, fusion=fusion)
        of_source, of_prefix = _shares(lm, plain, fuse)
        expected = np.concatenate([of_source[-1], of_prefix[-1]])
        np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.values.sum(), 1, rtol=1e-6)
    few = attention_rollout(lm, prompt, metric, discard=0.5).values
    np.testing.assert_allclose(few.sum(), 1, rtol=1e-6)
    assert np.abs(few - attention_rollout(lm, prompt, metric).values).max() > 1e-3


def _moved_shares(lm: LanguageModel, plain: Plain) -> tuple[np.ndarray, np.ndarray]:
    """As ``_shares``, by the norms of value vectors; the stream of the query counts for itself."""
    with _eager(lm):
        out = lm.model(
            input_ids=plain.source, decoder_input_ids=plain.prefix, output_attentions=True
        )

    def vectors(name: str, pattern: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What each key gives each query [query, key, d_model], and the stream [query, d_model]."""
        stream: list[torch.Tensor] = []
        values: list[torch.Tensor] = []
        plain.logits(plain.stream_before(name, lambda own: stream.append(own[0]) or own))
        for head in (0, 1):
            plain.logits(
                plain.projected(name, "v", head, lambda own: values.append(own[0].clone()) or own)
            )
        weight = plain.out_proj(name).weight.unflatten(1, (2, -1))
        per_head = [
            torch.einsum("qk,kd,md->qkm", pattern[0, h].to(v), v, weight[:, h])
            for h, v in enumerate(values)
        ]
        return (per_head[0] + per_head[1]).detach(), stream[0].detach()

    def own_strip(name: str, pattern: torch.Tensor) -> np.ndarray:
        moved, stream = vectors(name, pattern)
        moved += torch.diag_embed(stream.T).permute(1, 2, 0)
        norms = moved.norm(dim=-1)
        return np.asarray(norms / norms.sum(-1, keepdim=True))

    states = np.eye(plain.source.shape[1])
    for i, pattern in enumerate(out.encoder_attentions):
        states = own_strip(f"E{i}", pattern) @ states
    n_prefix = plain.prefix.shape[1]
    of_source, of_prefix = np.zeros((n_prefix, plain.source.shape[1])), np.eye(n_prefix)
    for i, (own, cross) in enumerate(
        zip(out.decoder_attentions, out.cross_attentions, strict=True)
    ):
        of_source, of_prefix = (own_strip(f"D{i}", own) @ each for each in (of_source, of_prefix))
        moved, stream = vectors(f"X{i}", cross)
        taken, kept = moved.norm(dim=-1).numpy(), stream.norm(dim=-1).numpy()[:, None]
        total = taken.sum(-1, keepdims=True) + kept
        of_source = kept / total * of_source + taken / total @ states
        of_prefix = kept / total * of_prefix
    return of_source, of_prefix


@pytest.mark.parametrize("family", list(FAMILIES))
def test_value_vectors_are_followed_down_both_stacks(family: str) -> None:
    lm, prompt, metric, plain = _case(family, torch.float64)
    found = value_weighted_rollout(lm, prompt, metric)
    of_source, of_prefix = _moved_shares(lm, plain)
    expected = np.concatenate([of_source[-1], of_prefix[-1]])
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.values.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_flow_of_a_token_lies_between_the_widest_path_and_one(family: str) -> None:
    """Of two layers each the flow to a token of the source goes by X alone: at most what X takes."""
    lm, prompt, metric, plain = _case(family, torch.float64)
    flow = attention_flow(lm, prompt, metric).values
    of_source, of_prefix = _shares(lm, plain, lambda p: p.mean(0))
    assert (flow >= np.concatenate([of_source[-1], of_prefix[-1]]) - 1e-9).all()
    assert (flow <= 1 + 1e-9).all()
    assert flow[-1] > flow[prompt.border : -1].max() / 2
