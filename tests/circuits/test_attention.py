"""Patterns are the model's own, and what sums them up is known by hand."""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np
import pytest
import torch

from interpboard.circuits.heads import attention as attention_module
from interpboard.circuits.heads.attention import attention, summarise
from interpboard.errors import BadParameter, Cancelled, Unaffordable, Unsupported
from interpboard.models.language_model import open_model
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.watch import Watch
from tests.lm import TOLERANCE, case, fingerprint, unproved
from tests.masked import TEXT as MASKED_TEXT
from tests.masked import masked_lm
from tests.models.test_selfcheck import FORMATS

OF_THEIR_OWN = ("falcon", "bloom", "gptj", "gpt_neo")
FAMILIES = ("gpt2", "llama", "qwen3", "gemma2", "mistral_windowed", "gpt_oss", *OF_THEIR_OWN)


@pytest.mark.parametrize(("family", "dtype"), [each for each in FORMATS if each[0] in FAMILIES])
def test_the_patterns_are_those_of_the_eager_model(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype)
    before = fingerprint(lm)
    result = attention(lm, prompt, metric)
    assert fingerprint(lm) == before
    eager = copy.deepcopy(lm.model)
    eager.config._attn_implementation = "eager"
    with torch.no_grad():
        weights = eager(input_ids=input_ids(lm, prompt), output_attentions=True).attentions
    expected = torch.cat(weights).numpy()
    np.testing.assert_allclose(result.values, expected, **TOLERANCE[torch.float32])
    assert not result.warnings
    assert np.ptp(expected[:, :, -1]) > 0.05


def test_the_pattern_of_gpt2_is_the_softmax_of_queries_and_keys_by_hand() -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    block = lm.model.transformer.h[0]
    with torch.no_grad():
        hidden = lm.model.transformer.wte(input_ids(lm, prompt))[0]
        hidden = hidden + lm.model.transformer.wpe.weight[: len(hidden)]
        query, key, _ = block.attn.c_attn(block.ln_1(hidden)[None])[0].split(32, dim=-1)
        scores = query[:, 8:16] @ key[:, 8:16].T / 8**0.5
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
    result = attention(lm, prompt, metric, layers=(0,), heads=(1,))
    np.testing.assert_allclose(result.values[0, 0], scores.softmax(-1), rtol=1e-5, atol=1e-7)


def test_chosen_heads_have_the_values_that_they_have_among_all() -> None:
    lm, prompt, metric = case("llama")
    whole = attention(lm, prompt, metric)
    part = attention(lm, prompt, metric, layers=(2, 0), heads=(3, 1))
    assert [axis.labels for axis in part.axes] == [("2", "0"), ("3", "1"), *(prompt.tokens,) * 2]
    np.testing.assert_array_equal(part.values, whole.values[[2, 0]][:, [3, 1]])
    for name in ("entropy", "distance", "first", "top_pairs", "top_probs"):
        expected = whole.extra[name].values[[2, 0]][:, [3, 1]]
        np.testing.assert_array_equal(part.extra[name].values, expected)


def test_what_sums_a_pattern_up_is_known_by_hand() -> None:
    previous = np.eye(4, k=-1)
    previous[0, 0] = 1
    even = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    sinking = np.eye(4) / 4
    found = summarise(np.stack([previous, even, sinking])[None])
    # Queries 1 to 3: the first query is left out, since it has no choice.
    np.testing.assert_allclose(found.entropy, [[0, np.log([2, 3, 4]).mean(), 0]], atol=1e-12)
    np.testing.assert_allclose(found.distance, [[1, np.mean([0.5, 1, 1.5]), 0]])
    np.testing.assert_allclose(found.first, [[1 / 3, np.mean([1 / 2, 1 / 3, 1 / 4]), 0]])
    np.testing.assert_allclose(found.sink, [[0, 0, 0.75]], atol=1e-12)


def test_what_sums_patterns_up_is_computed_a_head_at_a_time() -> None:
    patterns = np.tril(np.random.default_rng(0).random((4, 8, 64, 64), dtype=np.float32))
    tracemalloc.start()
    whole = summarise(patterns)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * patterns.nbytes, "in float64 all of it, twice over: it was there four times"
    np.testing.assert_array_equal(whole.entropy[1:, 2:3], summarise(patterns[1:, 2:3]).entropy)


def test_the_top_pairs_are_the_largest_probabilities_below_the_first_row() -> None:
    lm, prompt, metric = case("gpt2")
    result = attention(lm, prompt, metric, top_k=3)
    for layer in range(3):
        for head in range(4):
            pattern = result.values[layer, head].copy()
            pattern[0] = -1
            expected = np.sort(pattern, axis=None)[::-1][:3]
            np.testing.assert_array_equal(result.extra["top_probs"].values[layer, head], expected)
            for pair, value in zip(
                result.extra["top_pairs"].values[layer, head], expected, strict=True
            ):
                assert pattern[tuple(pair)] == value


def test_in_an_encoder_later_tokens_and_the_first_query_count() -> None:
    lm = masked_lm("bert")
    prompt = make_prompt(lm, MASKED_TEXT)
    result = attention(lm, prompt, resolve_metric(lm, prompt, MetricRequest("logit")), top_k=4)
    ahead = False
    for at in np.ndindex(*result.values.shape[:2]):
        pattern = result.values[at]
        expected = np.sort(pattern, axis=None)[::-1][:4]
        np.testing.assert_array_equal(result.extra["top_probs"].values[at], expected)
        for pair, value in zip(result.extra["top_pairs"].values[at], expected, strict=True):
            assert pattern[tuple(pair)] == value
            ahead |= bool(pair[1] > pair[0])
        n = len(pattern)
        away = sum(pattern[q, k] * abs(q - k) for q in range(n) for k in range(n)) / n
        assert result.extra["distance"].values[at] == pytest.approx(away)
        assert result.extra["first"].values[at] == pytest.approx(pattern[:, 0].mean())
    assert ahead, "no strongest pair of this model is one that a decoder would not have"


def test_a_prompt_of_one_token_has_a_pattern_and_nothing_to_sum_up() -> None:
    lm, prompt, metric = case("llama", text="a")
    result = attention(lm, prompt, metric)
    np.testing.assert_allclose(result.values, 1)
    assert np.isnan(result.extra["entropy"].values).all()
    assert np.isnan(result.extra["top_probs"].values).all()
    assert (result.extra["top_pairs"].values == -1).all()


def test_too_much_is_refused_with_what_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt, metric = case("gpt2")
    monkeypatch.setattr(attention_module, "_MOST_VALUES", 12 * len(prompt.tokens) ** 2 - 1)
    with pytest.raises(Unaffordable, match=r"3 layers × 4 heads × \d+² .* Choose layers"):
        attention(lm, prompt, metric)
    assert attention(lm, prompt, metric, layers=(1,)).values.shape[0] == 1
    with pytest.raises(BadParameter, match="heads 0 to 3"):
        attention(lm, prompt, metric, heads=(4,))


@pytest.mark.usefixtures("changed_on_purpose")
def test_reports_that_are_no_patterns_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt, metric = case("bloom")
    lm = unproved(lm, {"pattern"})
    assert attention(lm, prompt, metric).warnings
    own = lm.anatomy.base.forward

    def twisted(*args, **kwargs):
        output = own(*args, **kwargs)
        if kwargs.get("output_attentions"):
            output.attentions = tuple(a.flip(-1) for a in output.attentions)
        return output

    monkeypatch.setattr(lm.anatomy.base, "forward", twisted)
    with pytest.raises(Unsupported, match="no patterns"):
        attention(lm, prompt, metric)


def test_it_can_be_cancelled_between_layers_and_leaves_nothing() -> None:
    lm, prompt, metric = case("llama")
    before = fingerprint(lm)
    seen: list[int] = []
    watch = Watch(
        on_progress=lambda done, _total, _partial: seen.append(done), cancelled=lambda: 1 in seen
    )
    with pytest.raises(Cancelled):
        attention(lm, prompt, metric, watch=watch)
    assert seen == [0, 1]
    assert fingerprint(lm) == before
    np.testing.assert_allclose(attention(lm, prompt, metric).values.sum(-1), 1, rtol=1e-5)


def test_on_the_demo_model_some_head_looks_at_the_token_before() -> None:
    lm = open_model("demo")
    prompt = make_prompt(lm, "The Eiffel Tower is located in the city of")
    result = attention(lm, prompt, resolve_metric(lm, prompt, MetricRequest()))
    previous = np.diagonal(result.values, offset=-1, axis1=2, axis2=3).mean(-1)
    layer, head = np.unravel_index(previous.argmax(), previous.shape)
    assert previous[layer, head] > 0.5
    assert result.extra["distance"].values[layer, head] < 2
