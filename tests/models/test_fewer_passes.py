"""Norms, gated MLPs and attention in fewer passes: what the modules give, or they are not taken so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaMLP, LlamaRMSNorm

from interpboard.models.anatomy import find_anatomy
from interpboard.models.faster_passes import faster_passes
from interpboard.models.fewer_passes import RmsNorm
from interpboard.models.proof.selfcheck import self_check
from interpboard.models.standin import Standin
from interpboard.runs.edits import Edit
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import case, fingerprint
from tests.tiny import tiny_model

_NORMS = {"input_layernorm", "post_attention_layernorm"}
# Keys that share, biases, norms of queries and keys, norms behind; a gate and an MLP in one map, experts.
FAMILIES = {
    "llama": {*_NORMS, "mlp", "self_attn"}, "mistral": {*_NORMS, "mlp"}, "qwen2": {*_NORMS, "mlp"},
    "qwen3": {*_NORMS, "mlp", "self_attn.q_norm", "self_attn.k_norm"},
    "olmo2": {
        "mlp", "self_attn.q_norm", "self_attn.k_norm", "post_attention_layernorm",
        "post_feedforward_layernorm",
    },
    "phi3": _NORMS, "mixtral": _NORMS,
}  # fmt: skip


def _took(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The classes of what computed in fewer passes."""
    seen: list[str] = []
    own = Standin.forward

    def forward(self: Standin, *args: Any, **kwargs: Any) -> torch.Tensor:
        before = self.took
        found = own(self, *args, **kwargs)
        seen.extend([type(self).__name__] * (self.took - before))
        return found

    monkeypatch.setattr(Standin, "forward", forward)
    return seen


@pytest.mark.parametrize("family", FAMILIES)
def test_edited_runs_are_those_of_plain_hooks(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt, metric = case(family)
    assert [set(names) for names in lm.verified.fewer_passes] == [FAMILIES[family]] * 3
    plainly = replace(
        lm, verified=replace(lm.verified, path="hooks", faster_parts=False, fewer_passes=())
    )
    before = fingerprint(lm)
    edits = [
        *((Edit("z", layer, "zero", head=1),) for layer in range(3)),
        (Edit("resid_pre", 1, "zero", positions=(2,)),),
        (Edit("mlp_out", 0, "zero", positions=(1, 2)),),
        (Edit("q", 1, "zero", head=1, positions=(5, 6)),),
        (Edit("k", 1, "zero", head=0),),
        (Edit("pattern", 1, "block", head=2, keys=(0, 3)),),
    ]
    if family != "mixtral":
        edits.append((Edit("neuron", 1, "zero", positions=(1, 2)),))
    known = evaluate(record(plainly, prompt), edits, metric)
    seen = _took(monkeypatch)
    found = evaluate(record(lm, prompt), edits, metric)
    assert "RmsNorm" in seen
    assert ("GatedMlp" in seen) == ("mlp" in FAMILIES[family])
    assert ("RotaryAttention" in seen) == ("self_attn" in FAMILIES[family])
    size = max(1.0, float(metric.clean_logits.abs().max()))
    np.testing.assert_allclose(found, known, atol=1e-5 * size)
    assert np.abs(known - metric.baseline).max() > 1e-3  # the edits do something
    assert fingerprint(lm) == before


@pytest.mark.parametrize("family", ["gemma2", "gpt2"])
def test_another_norm_and_another_gate_compute_as_ever(family: str) -> None:
    lm, _, _ = case(family)  # Gemma weighs by 1 + w, and its gate is a GELU's
    assert lm.verified.path == "replay"
    assert lm.verified.fewer_passes == ()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_in_another_format_nothing_is_computed_otherwise(dtype: torch.dtype) -> None:
    assert self_check(find_anatomy(tiny_model("llama", dtype))).fewer_passes == ()


def test_a_gradient_and_whoever_looks_between_have_each_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, _, _ = case("llama")
    layer: Any = lm.anatomy.layers[0]
    given = torch.randn(1, 5, lm.anatomy.d_model, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        activated = layer.mlp.act_fn(layer.mlp.gate_proj(given))
        plain = layer.mlp(given)
    seen = _took(monkeypatch)
    with faster_passes(lm.anatomy, lm.verified):
        leaf = given.clone().requires_grad_()
        with torch.enable_grad():
            torch.testing.assert_close(layer.mlp(leaf), plain)
            torch.testing.assert_close(layer.input_layernorm(leaf).shape, given.shape)
        assert not seen
        looked: list[torch.Tensor] = []
        handle = layer.mlp.act_fn.register_forward_hook(lambda _m, _a, out: looked.append(out))
        with torch.no_grad():
            torch.testing.assert_close(layer.mlp(given), plain)
        handle.remove()
        torch.testing.assert_close(looked[0], activated)  # and nobody wrote over it since
        handle = layer.mlp.gate_proj.register_forward_hook(lambda *_: None)
        with torch.no_grad():
            torch.testing.assert_close(layer.mlp(given), plain)
        handle.remove()
        assert not seen
        with torch.no_grad():
            torch.testing.assert_close(layer.mlp(given), plain)
    assert seen == ["GatedMlp"]


def test_who_looks_at_queries_before_they_are_turned_keeps_them_as_they_were() -> None:
    lm, _, _ = case("llama")
    ids = torch.arange(6)[None]
    query: Any = lm.model.model.layers[1].self_attn.q_proj
    looked: list[torch.Tensor] = []
    handle = query.register_forward_hook(lambda _m, _a, out: looked.append(out))
    with torch.no_grad():
        lm.model(input_ids=ids)
        with faster_passes(lm.anatomy, lm.verified):
            lm.model(input_ids=ids)
    handle.remove()
    plain, found = looked
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("changed_on_purpose")
def test_of_the_last_layer_no_queries_are_made_but_the_one_that_is_read() -> None:
    lm, prompt, metric = case("llama")
    made: list[int] = []
    query: Any = lm.anatomy.layers[-1].self_attn.q_proj
    run = record(lm, prompt)
    handle = query.register_forward_pre_hook(lambda _m, args: made.append(args[0].shape[1]))
    evaluate(run, [(Edit("z", 0, "zero", head=1),)], metric)
    handle.remove()
    assert made == [1]


@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e18, 1e25])
def test_a_norm_is_its_formula_at_every_size(size: float) -> None:
    norm = LlamaRMSNorm(8, eps=1e-5)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1, 2, 8))
        given = size * torch.linspace(-3, 2, 24).view(1, 3, 8)
        found = RmsNorm(norm).forward(given)
        x = given.double()
        known = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight.double()
    if size == 1e25:  # squares leave float32, in the module too
        known = torch.zeros_like(known)
    torch.testing.assert_close(found.double(), known, rtol=1e-6, atol=1e-30)


def _centred(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    hidden = hidden - 1e-3 * hidden.mean(-1, keepdim=True)
    scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
    return self.weight * hidden * scale  # type: ignore[no-any-return]


def _other_epsilon(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + 2 * self.variance_epsilon)
    return self.weight * hidden * scale  # type: ignore[no-any-return]


def _steeper(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    gate = nn.functional.silu(1.0001 * self.gate_proj(hidden))
    return self.down_proj(gate * self.up_proj(hidden))  # type: ignore[no-any-return]


def _clipped(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    gate = self.act_fn(self.gate_proj(hidden)).clamp(max=7.0)
    return self.down_proj(gate * self.up_proj(hidden))  # type: ignore[no-any-return]


_attention = LlamaAttention.forward


def _unturned(self: Any, hidden_states: torch.Tensor, **given: Any) -> Any:
    cos, sin = given.pop("position_embeddings")
    cos = cos + 0.01 * (1 - cos)
    return _attention(self, hidden_states, position_embeddings=(cos, sin), **given)


def _sharper(self: Any, hidden_states: torch.Tensor, **given: Any) -> Any:
    own, self.scaling = self.scaling, 1.01 * self.scaling
    try:
        return _attention(self, hidden_states, **given)
    finally:
        self.scaling = own


@pytest.mark.parametrize(
    ("of", "forward", "left"),
    [
        (LlamaRMSNorm, _centred, {"mlp", "self_attn"}),
        (LlamaRMSNorm, _other_epsilon, {"mlp", "self_attn"}),
        (LlamaMLP, _steeper, {*_NORMS, "self_attn"}),
        (LlamaMLP, _clipped, {*_NORMS, "self_attn"}),
        (LlamaAttention, _unturned, {*_NORMS, "mlp"}),
        (LlamaAttention, _sharper, {*_NORMS, "mlp"}),
    ],
)
def test_a_module_that_is_not_what_its_parts_say_is_left_alone(
    of: Any, forward: Any, left: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of, "forward", forward)
    verified = self_check(find_anatomy(tiny_model("llama")))
    assert verified.path == "replay"
    assert [set(names) for names in verified.fewer_passes] == [left] * 3


def test_a_module_that_became_more_than_its_class_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model("llama")
    anatomy = find_anatomy(model)
    verified = self_check(anatomy)
    layer: Any = model.model.layers[1]
    for part in (layer.input_layernorm, layer.mlp.gate_proj):
        own = part.forward
        part.forward = lambda given, own=own: 2 * own(given)
    ids = torch.arange(6)[None]
    with torch.no_grad():
        known = model(input_ids=ids).logits
        seen = _took(monkeypatch)
        with faster_passes(anatomy, verified):
            found = model(input_ids=ids).logits
    assert sorted(seen) == ["GatedMlp"] * 2 + ["RmsNorm"] * 5 + ["RotaryAttention"] * 3
    torch.testing.assert_close(found, known, rtol=1e-4, atol=1e-5)


class _Gained(LlamaMLP):
    gain: float

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.gain * super().forward(x)
        return found


def test_a_layer_between_with_a_number_of_its_own_is_proved_by_itself() -> None:
    """What stands in for an MLP knows nothing of a gain: neutral in the first layer and the last it fits."""
    model = tiny_model("llama")
    for layer, gain in zip(model.model.layers, (1.0, 2.0, 1.0), strict=True):
        layer.mlp.__class__, layer.mlp.gain = _Gained, gain
    names = self_check(find_anatomy(model)).fewer_passes
    assert ["mlp" in own for own in names] == [True, False, True]
