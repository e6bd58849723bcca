"""Attribution of a greedy continuation: the method on every prefix, and nothing from the future."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.attribution import GradientAttributor
from interpboard.attribution.continuation import CONTINUATION_METHODS, continuation_attribution
from interpboard.errors import BadParameter, Cancelled, Unsupported
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, token_text
from interpboard.runs.watch import Watch
from tests.lm import case, fingerprint


@pytest.mark.parametrize("method", CONTINUATION_METHODS)
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_each_row_is_the_method_on_what_stood_before_the_token(family: str, method: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logprob")
    found = continuation_attribution(lm, prompt, metric, new_tokens=3, method=method)
    length = len(prompt.token_ids)
    written = lm.model.generate(
        input_ids(lm, prompt), max_new_tokens=3, do_sample=False, pad_token_id=0
    )[0, length:]
    assert found.values.shape == (3, length + 2)
    # The first is the model's own top token: the metric of the request itself.
    first = CONTINUATION_METHODS[method](lm, prompt, metric).values
    np.testing.assert_allclose(found.values[0, :length], first, rtol=1e-9)
    assert found.extra["metric"].values[0] == pytest.approx(metric.baseline)
    for number in range(3):
        row = found.values[number]
        assert np.isfinite(row[: length + number]).all()
        assert np.isnan(row[length + number :]).all()
    tokens = tuple(token_text(lm.tokenizer, int(token)) for token in written)
    assert found.axes[0].labels == tokens
    assert found.axes[1].labels == (*prompt.tokens, *tokens[:2])


def test_a_later_row_is_the_method_on_the_longer_text() -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    found = continuation_attribution(lm, prompt, metric, new_tokens=2)
    longer = PromptInfo("", found.axes[1].labels, (*prompt.token_ids, metric.target_id))
    own = resolve_metric(lm, longer, MetricRequest())
    expected = CONTINUATION_METHODS["grad_x_input"](lm, longer, own).values
    np.testing.assert_allclose(found.values[1], expected, rtol=1e-9)


def test_the_attributor_has_it_and_nothing_is_left_behind() -> None:
    lm, prompt, metric = case("llama")
    before = fingerprint(lm)
    with GradientAttributor(lm.model, lm.tokenizer) as attributor:
        found = attributor.continuation(prompt.text, new_tokens=2)
    expected = continuation_attribution(lm, prompt, metric, new_tokens=2)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)
    with pytest.raises(Cancelled):
        continuation_attribution(lm, prompt, metric, watch=Watch(cancelled=lambda: True))
    assert fingerprint(lm) == before


def test_what_cannot_be_is_refused_in_a_line() -> None:
    lm, prompt, metric = case()
    with pytest.raises(BadParameter, match="at least one token"):
        continuation_attribution(lm, prompt, metric, new_tokens=0)
    with pytest.raises(BadParameter, match="beyond the model's context"):
        continuation_attribution(lm, prompt, metric, new_tokens=999)
    with pytest.raises(BadParameter, match="no method 'x'"):
        continuation_attribution(lm, prompt, metric, method="x")
    with pytest.raises(Unsupported, match="rank"):
        continuation_attribution(*case(name="rank"))
