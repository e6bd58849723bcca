"""Relevance through both stacks, against the rules written out by hand, layer by layer backwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from interpboard.attribution.lrp import lrp
from interpboard.attribution.lrp_rules import relevance_rules
from interpboard.results import MetricRequest
from interpboard.runs.gradients.embeddings import metric_of_forward
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from tests.lm import fingerprint
from tests.strips import FAMILIES, TEXT, Plain, strips_lm

BOTH = [(family, dtype) for family in ("t5", "bart") for dtype in (torch.float32, torch.float64)]
OTHERS = [family for family in FAMILIES if family not in ("t5", "bart")]
Tensor = torch.Tensor


class Backwards:
    """What a unit of each activation is worth to the logit, by the rules: norms at their statistics,
    activations and patterns as constants, a gate's product shared half and half."""

    def __init__(self, plain: Plain) -> None:
        self.plain, self.seen = plain, {}
        handles = [module.register_forward_hook(self._keep) for module in plain.model.modules()]
        self.entering: dict[str, Tensor] = {}
        for name, block in (("E", plain.above[0]), ("D", plain.below[0])):

            def enter(_module: Any, args: Any, name: str = name) -> None:
                self.entering[name] = args[0].detach()[0]

            handles.append(block.register_forward_pre_hook(enter))
        self.norms_first = plain.sublayers or plain.norms_first
        own = plain.model.config._attn_implementation
        plain.model.set_attn_implementation("eager")
        with torch.no_grad():
            out = plain.model(
                input_ids=plain.source, decoder_input_ids=plain.prefix, output_attentions=True
            )
        plain.model.set_attn_implementation(own)
        for handle in handles:
            handle.remove()
        self.logits = out.logits[0]
        self.patterns = {"E": out.encoder_attentions, "D": out.decoder_attentions}
        self.patterns["X"] = out.cross_attentions

    def _keep(self, module: Any, args: Any, out: Any) -> None:
        if args and isinstance(args[0], Tensor) and isinstance(out, Tensor):
            self.seen[module] = args[0].detach()[0], out.detach()[0]

    def norm(self, norm: Any, worth: Tensor) -> Tensor:
        x = self.seen[norm][0]
        if isinstance(norm, torch.nn.LayerNorm):
            slope = (
                worth * norm.weight * (x.var(-1, unbiased=False, keepdim=True) + norm.eps).rsqrt()
            )
            return slope - slope.mean(-1, keepdim=True)
        rms = (x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon).rsqrt()
        return worth * norm.weight * rms

    def attention(self, name: str, worth: Tensor) -> Tensor:
        """Of what the keys and values of the attention of ``name`` are made of."""
        out = self.plain.out_proj(name)
        within = self.plain.sublayers
        block = (self.plain.above if name[0] == "E" else self.plain.below)[int(name[1:])]
        if within:
            module = (
                block.layer[1].EncDecAttention if name[0] == "X" else block.layer[0].SelfAttention
            )
        else:
            module = block.encoder_attn if name[0] == "X" else block.self_attn
        v = module.v if within else module.v_proj
        pattern = self.patterns[name[0]][int(name[1:])][0].detach()
        of_z = (worth @ out.weight).unflatten(-1, (2, -1))
        of_v = torch.einsum("hqk,qhd->khd", pattern.to(of_z), of_z).flatten(1)
        return of_v @ v.weight

    def mlp(self, block: Any, worth: Tensor) -> Tensor:
        if not self.plain.sublayers:
            before, after = self.seen[block.activation_fn]
            of_activated = worth @ block.fc2.weight
            return (of_activated * _ratio(before, after)) @ block.fc1.weight
        mlp = block.layer[-1].DenseReluDense
        before, after = self.seen[mlp.act]
        of_neurons = worth @ mlp.wo.weight
        if not hasattr(mlp, "wi_1"):
            return (of_neurons * _ratio(before, after)) @ mlp.wi.weight
        up = self.seen[mlp.wi_1][1]
        of_gate = 0.5 * of_neurons * up * _ratio(before, after)
        return of_gate @ mlp.wi_0.weight + (0.5 * of_neurons * after) @ mlp.wi_1.weight

    def scores(self, target: int) -> tuple[Tensor, Tensor]:
        """Relevance [pos] of what enters the first layers of encoder and decoder."""
        plain, config = self.plain, self.plain.model.config
        worth = torch.zeros_like(next(iter(self.seen[plain.decoder.embed_tokens][1:])))
        worth[-1] = plain.model.get_output_embeddings().weight[target]
        if getattr(config, "scale_decoder_outputs", False):
            worth = worth * config.d_model**-0.5
        worth = self._final(plain.decoder, worth)
        states = torch.zeros_like(self.seen[plain.encoder.embed_tokens][1])
        for number in reversed(range(len(plain.below))):
            block = plain.below[number]
            worth = self._part(block, -1, worth, lambda w, block=block: self.mlp(block, w))
            worth, cross = self._cross(block, number, worth)
            states = states + cross
            worth = self._part(block, 0, worth, lambda w, n=number: self.attention(f"D{n}", w))
        of_prefix = worth
        worth = self._final(plain.encoder, states)
        for number in reversed(range(len(plain.above))):
            block = plain.above[number]
            worth = self._part(block, -1, worth, lambda w, block=block: self.mlp(block, w))
            worth = self._part(block, 0, worth, lambda w, n=number: self.attention(f"E{n}", w))
        return (
            (worth * self.entering["E"]).sum(-1),
            (of_prefix * self.entering["D"]).sum(-1),
        )

    def _final(self, stack: Any, worth: Tensor) -> Tensor:
        norm = getattr(stack, "final_layer_norm", None) or getattr(stack, "layer_norm", None)
        return worth if norm is None else self.norm(norm, worth)

    def _norm_of(self, block: Any, part: int) -> Any:
        if self.plain.sublayers:
            return block.layer[part].layer_norm
        return {0: block.self_attn_layer_norm, -1: block.final_layer_norm}[part]

    def _part(self, block: Any, part: int, worth: Tensor, through: Any) -> Tensor:
        norm = self._norm_of(block, part)
        if self.norms_first:  # x + f(norm(x))
            return worth + self.norm(norm, through(worth))
        worth = self.norm(norm, worth)  # norm(x + f(x))
        return worth + through(worth)

    def _cross(self, block: Any, number: int, worth: Tensor) -> tuple[Tensor, Tensor]:
        if not self.norms_first:
            worth = self.norm(block.encoder_attn_layer_norm, worth)
        return worth, self.attention(f"X{number}", worth)


def _ratio(before: Tensor, after: Tensor) -> Tensor:
    return torch.where(before == 0, torch.zeros_like(after), after / before)


@pytest.mark.parametrize(("family", "dtype"), [*BOTH, *((f, torch.float64) for f in OTHERS)])
def test_relevance_goes_over_cross_attention_into_the_source_by_the_rules(
    family: str, dtype: torch.dtype
) -> None:
    lm = strips_lm(family, dtype)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    before = fingerprint(lm)
    found = lrp(lm, prompt, metric, attention="frozen")
    assert fingerprint(lm) == before
    of_source, of_prefix = Backwards(Plain(lm, prompt)).scores(metric.target_id)
    expected = torch.cat([of_source, of_prefix]).detach()
    np.testing.assert_allclose(found.values, expected, rtol=2e-3, atol=2e-4)
    assert float(expected[: prompt.border].abs().max()) > 1e-3, "something came from the source"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", ["t5", "mt5"])
def test_relevance_of_source_and_prefix_sums_to_the_logit_where_there_are_no_biases(
    family: str, dtype: torch.dtype
) -> None:
    lm = strips_lm(family, dtype)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit_diff", " the", " city"))
    found = lrp(lm, prompt, metric, attention="frozen")
    assert found.values.sum() == pytest.approx(metric.baseline, rel=1e-3, abs=1e-3)
    assert float(found.extra["delta"].values) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("attention", ["softmax", "frozen"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_the_rules_leave_what_an_encoder_decoder_computes(family: str, attention: str) -> None:
    lm = strips_lm(family, torch.float64)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    with torch.no_grad(), relevance_rules(lm, attention):
        ruled = float(metric_of_forward(lm, metric, input_ids(lm, prompt))[0])
    assert ruled == pytest.approx(metric.baseline, rel=1e-5)
    found = lrp(lm, prompt, metric, attention=attention)
    assert np.isfinite(found.values).all()
    assert np.abs(found.values[: prompt.border]).max() > 1e-4
