"""Relevance propagation: conservation where it is promised, the rules by hand, refusals by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.attribution.lrp import lrp
from interpboard.attribution.lrp_rules import relevance_rules
from interpboard.attribution.lrp_steps import as_multiple, frozen_norm, let_pass
from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from interpboard.runs.gradients.embeddings import metric_of_forward
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from tests.lm import TEXT, case, fingerprint
from tests.tiny import tiny_model, tiny_tokenizer

WITHOUT_BIASES = ("llama", "mistral", "qwen3", "gemma3", "phi3", "olmo2")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", WITHOUT_BIASES)
def test_relevance_is_conserved_where_there_are_no_biases(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype, name="logit_diff", target="s", foil="t")
    result = lrp(lm, prompt, metric, attention="frozen")
    assert result.values.sum() == pytest.approx(metric.baseline, rel=1e-3, abs=1e-3)
    assert float(result.extra["delta"].values) == pytest.approx(0, abs=1e-3)
    assert np.abs(result.values).max() > 0.01


@pytest.mark.parametrize("family", ["gpt2", "opt", "gpt_neox", "starcoder2", "falcon", "gptj"])
def test_relevance_is_conserved_once_the_biases_are_zero(family: str) -> None:
    model = tiny_model(family, torch.float64)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data.zero_()
    lm = LanguageModel.of(model, tiny_tokenizer(), family)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest(position=6))
    result = lrp(lm, prompt, metric, attention="frozen")
    assert result.values.sum() == pytest.approx(metric.baseline, rel=1e-5)
    assert not result.values[7:].any()  # later tokens cannot matter


@pytest.mark.parametrize("attention", ["softmax", "frozen"])
@pytest.mark.parametrize("family", ["gpt2", "opt", *WITHOUT_BIASES])
def test_the_rules_leave_what_the_model_computes(family: str, attention: str) -> None:
    lm, prompt, metric = case(family, torch.float64)
    with torch.no_grad(), relevance_rules(lm, attention):
        ruled = float(metric_of_forward(lm, metric, input_ids(lm, prompt))[0])
    assert ruled == pytest.approx(metric.baseline, rel=1e-5)


def test_the_shares_of_attention_are_those_of_the_rules_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v, above = (torch.randn(4, 3, generator=generator, dtype=torch.float64) for _ in "qkvg")
    for leaf in (q, k, v):
        leaf.requires_grad_()
    logits = let_pass(q, 0.25) @ let_pass(k, 0.25).T
    pattern = logits.softmax(-1)
    out = pattern @ let_pass(v, 0.5)
    got = torch.autograd.grad((out * above).sum(), (q, k, v))
    with torch.no_grad():
        onto_pattern = 0.5 * pattern * (above @ v.T)  # ε-rule, half to each factor
        onto_logits = logits * (onto_pattern - pattern * onto_pattern.sum(-1, keepdim=True))
        per_product = 0.5 * onto_logits / logits
        r_q = q * (per_product @ k)
        r_k = k * (per_product.T @ q)
        r_v = 0.5 * v * (pattern.T @ above)
    for leaf, gradient, expected in zip((q, k, v), got, (r_q, r_k, r_v), strict=True):
        torch.testing.assert_close(leaf.detach() * gradient, expected)


def test_norms_and_activations_pass_all_relevance_on() -> None:
    x = torch.randn(2, 8, dtype=torch.float64, requires_grad=True)
    above = torch.randn(2, 8, dtype=torch.float64)
    activated = torch.nn.functional.gelu(x)
    (gradient,) = torch.autograd.grad((as_multiple(x, activated) * above).sum(), x)
    torch.testing.assert_close(gradient * x, activated * above)
    norm = torch.nn.LayerNorm(8, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((frozen_norm(norm, x, norm(x)) * above).sum(), x)
    assert float((gradient * x).sum()) == pytest.approx(float((norm(x) * above).sum()))
    assert torch.equal(as_multiple(torch.zeros(3), torch.zeros(3)), torch.zeros(3))


@pytest.mark.parametrize("family", ["gpt_oss", "bloom"])
def test_families_without_a_rule_are_refused_by_name(family: str) -> None:
    with pytest.raises(Unsupported, match=f"no rule for {family}"):
        lrp(*case(family))


def test_bad_options_are_refused_and_nothing_is_left() -> None:
    lm, prompt, metric = case("llama")
    before = fingerprint(lm)
    lrp(lm, prompt, metric)
    with pytest.raises(BadParameter, match="linear"):
        lrp(lm, prompt, metric, attention="linear")
    with pytest.raises(Unsupported, match="rank"):
        lrp(*case(name="rank"))
    assert fingerprint(lm) == before
