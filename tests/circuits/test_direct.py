"""Direct contributions sum to the logit, and are what hand-written norms say they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from torch import nn

from interpboard.circuits.direct.attribution import direct_logit_attribution
from interpboard.circuits.direct.path import pull_back
from interpboard.errors import Cancelled, Unsupported
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.results import MetricRequest, PromptInfo, Result
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.watch import Watch
from tests.lm import TEXT, case, fingerprint
from tests.models.test_selfcheck import FORMATS
from tests.tiny import _GATED, tiny_model, tiny_tokenizer

FAMILIES = [
    "gpt2", "llama", "gpt_neox", "phi", "opt", "bloom", "falcon", "gemma2", "gemma3", "olmo2", "qwen3",
    "cohere", "granite", "mixtral", "gpt_oss", "deepseek_v3",
]  # fmt: skip
# RMSNorm works in float32 in every model, hence the second figure.
CLOSE = {torch.float32: 2e-6, torch.float64: 1e-7}


def biased_case(
    family: str, dtype: torch.dtype, **request: Any
) -> tuple[LanguageModel, PromptInfo, Metric]:
    """A model all of whose biases and norm weights are random, not as initialised."""
    model = tiny_model(family, torch.float64, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return looked_into(model.to(dtype), **request)


def looked_into(model: Any, **request: Any) -> tuple[LanguageModel, PromptInfo, Metric]:
    lm = LanguageModel.of(model, tiny_tokenizer(), "made for the test")
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest(**request))


def value(result: Result, component: str) -> float:
    return float(result.values[result.axes[0].labels.index(component)])


@pytest.mark.parametrize(("family", "dtype"), [each for each in FORMATS if each[0] in FAMILIES])
def test_contributions_sum_to_the_logit(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype)
    before = fingerprint(lm)
    result = direct_logit_attribution(lm, prompt, metric)
    assert fingerprint(lm) == before
    total = metric.baseline
    if family == "gemma2":
        cap = lm.model.config.final_logit_softcapping
        total = cap * np.arctanh(metric.baseline / cap)
        assert "before the cap" in result.warnings[0]
    else:
        assert result.warnings == ()
    assert result.values.sum() == pytest.approx(total, abs=CLOSE[dtype])
    assert abs(result.extra["unexplained"].values) < CLOSE[dtype]
    assert result.extra["accumulated"].values[-1] == pytest.approx(total, abs=CLOSE[dtype])
    assert np.abs(result.extra["heads"].values).max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", ["gpt2", "phi", "llama", "gemma2", "olmo2"])
def test_biases_are_in_the_sum_of_a_difference(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = biased_case(family, dtype, name="logit_diff", target="a", foil="b")
    result = direct_logit_attribution(lm, prompt, metric)
    if family != "gemma2":
        assert result.values.sum() == pytest.approx(metric.baseline, abs=10 * CLOSE[dtype])
    labels = result.axes[0].labels
    assert ("L0 bias" in labels) == (family in ("gpt2", "phi"))
    assert ("final norm bias" in labels) == (family in ("gpt2", "phi"))
    assert ("unembed bias" in labels) == (family == "phi")


def test_every_contribution_is_what_layer_norm_by_hand_gives() -> None:
    lm, prompt, metric = biased_case("gpt2", torch.float64)
    result = direct_logit_attribution(lm, prompt, metric, neurons=True)
    run = record(lm, prompt, sites=("z", "neuron", "mlp_out"))
    body = lm.model.transformer
    stream = run.resid_final[0, -1]
    sigma = (stream.var(unbiased=False) + body.ln_f.eps).sqrt()

    def written(vector: torch.Tensor) -> float:
        normed = (vector - vector.mean()) / sigma * body.ln_f.weight
        return float(normed @ lm.model.lm_head.weight[metric.target_id])

    with torch.no_grad():
        assert value(result, "embed") == pytest.approx(written(run.calls[0].hidden[0, -1]))
        for layer, block in enumerate(body.h):
            assert value(result, f"L{layer} bias") == pytest.approx(written(block.attn.c_proj.bias))
            mlp = written(run.sites["mlp_out"][layer][0, -1])
            assert value(result, f"L{layer} MLP") == pytest.approx(mlp)
            for head in range(4):
                rows = block.attn.c_proj.weight[head * 8 : head * 8 + 8]
                expected = written(run.sites["z"][layer][0, -1, head] @ rows)
                assert value(result, f"L{layer} H{head}") == pytest.approx(expected, abs=1e-12)
                assert result.extra["heads"].values[layer, head] == value(
                    result, f"L{layer} H{head}"
                )
            neuron = run.sites["neuron"][layer][0, -1, 5] * block.mlp.c_proj.weight[5]
            assert result.extra["neurons"].values[layer, 5] == pytest.approx(written(neuron))
            bias = result.extra["mlp_bias"].values[layer]
            assert bias == pytest.approx(written(block.mlp.c_proj.bias))
        bias = float(body.ln_f.bias @ lm.model.lm_head.weight[metric.target_id])
        assert value(result, "final norm bias") == pytest.approx(bias)


def test_a_head_behind_a_late_norm_is_what_both_norms_by_hand_give() -> None:
    lm, prompt, metric = biased_case("gemma2", torch.float32)
    result = direct_logit_attribution(lm, prompt, metric, neurons=True)
    run = record(lm, prompt, sites=("z", "neuron"))

    def normed(vector: torch.Tensor, norm: nn.Module, whole: torch.Tensor) -> torch.Tensor:
        return vector * (1 + norm.weight) / (whole.pow(2).mean() + norm.eps).sqrt()  # type: ignore

    def written(vector: torch.Tensor) -> float:
        final = normed(vector, lm.anatomy.final_norm, run.resid_final[0, -1])
        return float(final @ lm.model.lm_head.weight[metric.target_id])

    with torch.no_grad():
        for layer, block in enumerate(lm.model.model.layers):
            z = run.sites["z"][layer][0, -1]
            weight = block.self_attn.o_proj.weight
            whole = weight @ z.flatten()
            part = weight[:, 12:24] @ z[1]
            expected = written(normed(part, block.post_attention_layernorm, whole))
            assert value(result, f"L{layer} H1") == pytest.approx(expected, abs=1e-6)
            active = run.sites["neuron"][layer][0, -1]
            down = block.mlp.down_proj.weight
            neuron = normed(active[7] * down[:, 7], block.post_feedforward_layernorm, down @ active)
            assert result.extra["neurons"].values[layer, 7] == pytest.approx(
                written(neuron), abs=1e-6
            )


def test_what_the_family_scales_before_adding_is_scaled() -> None:
    torch.manual_seed(1)
    config = tf.GraniteConfig(
        **_GATED, residual_multiplier=0.22, embedding_multiplier=3.0, logits_scaling=3.0
    )
    model = tf.GraniteForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    lm, prompt, metric = looked_into(model)
    result = direct_logit_attribution(lm, prompt, metric, neurons=True)
    assert result.values.sum() == pytest.approx(metric.baseline, abs=2e-6)
    heads = result.extra["heads"].values
    assert np.abs(heads).max() > 1e-3
    np.testing.assert_allclose(
        result.extra["neurons"].values.sum(1), result.extra["mlp"].values, atol=1e-6
    )


def test_the_accumulated_view_adds_layer_by_layer() -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    result = direct_logit_attribution(lm, prompt, metric)
    extra = {name: array.values for name, array in result.extra.items()}
    assert result.extra["accumulated"].axes[0].labels == ("embed", "0", "1", "2")
    np.testing.assert_allclose(np.diff(extra["accumulated"]), extra["attention"] + extra["mlp"])
    constants = value(result, "final norm bias")
    assert extra["accumulated"][0] == pytest.approx(value(result, "embed") + constants)


def test_models_whose_parts_do_not_add_up_are_refused() -> None:
    config = tf.OPTConfig(
        vocab_size=420, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, ffn_dim=48,
        word_embed_proj_dim=32, max_position_embeddings=64, pad_token_id=1, bos_token_id=None,
        eos_token_id=None, do_layer_norm_before=False, _remove_final_layer_norm=False,
    )  # fmt: skip
    torch.manual_seed(0)
    model = tf.OPTForCausalLM(config).eval()
    model.model.decoder.final_layer_norm = nn.Identity()
    lm, prompt, metric = looked_into(model)
    with pytest.raises(Unsupported):
        direct_logit_attribution(lm, prompt, metric)


def test_a_norm_whose_scale_cannot_be_held_is_refused() -> None:
    def norm(x: torch.Tensor) -> torch.Tensor:
        return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)

    at, direction = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    with pytest.raises(Unsupported, match="The norm of this model does not become affine"):
        pull_back(norm, at, direction, "The norm")


@pytest.mark.parametrize("name", ["prob", "kl", "rank"])
def test_a_metric_that_is_no_sum_is_refused_with_one_that_is(name: str) -> None:
    lm, prompt, metric = case("llama", name=name)
    with pytest.raises(Unsupported, match="Use logit, or logit_diff"):
        direct_logit_attribution(lm, prompt, metric)


def test_it_can_be_cancelled_at_a_layer_and_leaves_nothing() -> None:
    lm, prompt, metric = case("gpt2")
    before = fingerprint(lm)
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(0)
        return len(asked) == 3

    with pytest.raises(Cancelled):
        direct_logit_attribution(lm, prompt, metric, watch=Watch(cancelled=cancelled))
    assert fingerprint(lm) == before


def test_on_the_demo_model_heads_write_the_indirect_object() -> None:
    lm = open_model("demo")
    prompt = make_prompt(lm, "When Mary and John went to the store, John gave a drink to")
    request = MetricRequest("logit_diff", " Mary", " John")
    metric = resolve_metric(lm, prompt, request)
    result = direct_logit_attribution(lm, prompt, metric)
    assert result.values.sum() == pytest.approx(metric.baseline, abs=1e-4)
    # Both names stand in the prompt: which of the two is wanted, only attention can have found out.
    assert result.extra["heads"].values.max() > 0.1 * metric.baseline
    assert abs(value(result, "embed")) < 0.25 * metric.baseline
