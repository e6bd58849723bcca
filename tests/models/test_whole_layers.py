"""Gradients through layers in one piece are those of their modules; a layer that is more is left as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from interpboard.errors import NotFinite
from interpboard.models import whole_layers
from interpboard.models.anatomy import find_anatomy
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.selfcheck import self_check
from interpboard.results import PromptInfo
from interpboard.runs import steps
from interpboard.runs.gradients.embeddings import (
    evenly,
    metric_and_gradient,
    prompt_embeddings,
)
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from tests.lm import case, fingerprint
from tests.tiny import VOCAB, tiny_model

CLOSE = {torch.float32: 1e-5, torch.float64: 1e-10}
POSITION = 5


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which of both ways a layer was computed in one piece, each time it was."""
    seen: list[str] = []

    def counted(name: str, own: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def call(*args: Any) -> torch.Tensor:
            seen.append(name)
            return own(*args)

        return call

    for name in ("in_one_piece", "in_one_piece_at"):
        monkeypatch.setattr(whole_layers, name, counted(name, getattr(whole_layers, name)))
    return seen


def _several(lm: LanguageModel, prompt: PromptInfo) -> torch.Tensor:
    """The prompt's embeddings [row, pos, d_model], shrunk and turned around."""
    own = prompt_embeddings(lm, prompt)
    return torch.stack([own, 0.1 * own, own.flip(0)])


def _plain(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Metric [row] and its gradient at ``rows`` by the model's own forward, one hook and autograd."""
    leaf = rows.clone().requires_grad_()
    handle = lm.anatomy.embedding.register_forward_hook(lambda *_: leaf)
    try:
        with torch.enable_grad():
            ids = input_ids(lm, prompt).expand(len(rows), -1)
            logits = lm.model(input_ids=ids).logits[:, metric.info.position]
            values = metric.of(logits)
            return values.detach(), torch.autograd.grad(values.sum(), leaf)[0]
    finally:
        handle.remove()


def _same(found: Any, known: Any, dtype: torch.dtype) -> None:
    for one, other in zip(found, known, strict=True):
        allowed = CLOSE[dtype] * float(other.abs().max())
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=0, atol=allowed)


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("position", [0, POSITION, -1])
def test_gradients_in_one_piece_are_those_of_the_model_itself(
    dtype: torch.dtype,
    products: bool,
    position: int,
    monkeypatch: pytest.MonkeyPatch,
    taken: list[str],
) -> None:
    monkeypatch.setattr(whole_layers, "products_are_faster", lambda: products)
    lm, prompt, metric = case("gpt2", dtype, name="logprob", position=position)
    assert lm.verified.whole_layers
    before, rows = fingerprint(lm), _several(lm, prompt)
    found = metric_and_gradient(lm, prompt, metric, rows)
    assert taken == ["in_one_piece", "in_one_piece", "in_one_piece_at"]
    _same(found, _plain(lm, prompt, metric, rows), dtype)
    assert fingerprint(lm) == before


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt_neox"])
def test_other_families_compute_by_their_modules(family: str, taken: list[str]) -> None:
    lm, prompt, metric = case(family, torch.float64, position=POSITION)
    assert not lm.verified.whole_layers
    rows = _several(lm, prompt)
    found = metric_and_gradient(lm, prompt, metric, rows)
    assert not taken
    expected = _plain(lm, prompt, metric, rows)
    close = CLOSE[torch.float32] if family == "gemma2" else CLOSE[torch.float64]
    for one, other in zip(found, expected, strict=True):
        assert float((one - other).abs().max() / other.abs().max()) < close


def test_layers_with_scales_of_their_own_and_wider_mlps_are_theirs(taken: list[str]) -> None:
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=VOCAB, n_embd=32, n_layer=3, n_head=4, n_inner=40, n_positions=64,
        initializer_range=0.2, scale_attn_by_inverse_layer_idx=True,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval().double()
    own, prompt, metric = case("gpt2", torch.float64, position=POSITION)
    anatomy = find_anatomy(model)
    lm = replace(own, model=model, anatomy=anatomy, verified=self_check(anatomy))
    assert lm.verified.whole_layers
    rows = _several(lm, prompt)
    taken.clear()
    found = metric_and_gradient(lm, prompt, metric, rows)
    assert taken == ["in_one_piece", "in_one_piece", "in_one_piece_at"]
    _same(found, _plain(lm, prompt, metric, rows), torch.float64)


def test_a_pass_whose_layers_are_recomputed_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, taken: list[str]
) -> None:
    lm, prompt, metric = case("gpt2", torch.float64, position=POSITION)
    rows = _several(lm, prompt)
    monkeypatch.setattr(steps, "MEMORY_A_STEP", 1)
    assert steps.layers_are_recomputed(lm, 1, whole=True)
    found = metric_and_gradient(lm, prompt, metric, rows)
    assert not taken
    _same(found, _plain(lm, prompt, metric, rows), torch.float64)


def test_of_a_prompt_in_one_piece_more_fits_before_layers_are_recomputed() -> None:
    lm, _, _ = case("gpt2")
    tokens = steps.MEMORY_A_STEP // (4 * lm.anatomy.n_layers * 20 * lm.anatomy.d_model)
    assert steps.layers_are_recomputed(lm, tokens)
    assert not steps.layers_are_recomputed(lm, tokens, whole=True)


def _hook(layer: Any) -> None:
    layer.mlp.act.register_forward_hook(lambda _module, _args, output: 2 * output)


def _forward_of_its_own(layer: Any) -> None:
    own = layer.mlp.forward
    layer.mlp.forward = lambda given: 2 * own(given)


def _subclass(layer: Any) -> None:
    class Twice(type(layer.ln_2)):  # type: ignore[misc]
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(given)  # type: ignore[no-any-return]

    layer.ln_2.__class__ = Twice


def _parametrized(layer: Any) -> None:
    class Twice(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return 2 * weight

    nn.utils.parametrize.register_parametrization(layer.mlp.c_fc, "weight", Twice())


def _one_more(layer: Any) -> None:
    layer.gate = nn.Identity()


@pytest.mark.parametrize(
    "change", [_hook, _forward_of_its_own, _subclass, _parametrized, _one_more]
)
def test_a_layer_that_is_more_than_its_class_computes_as_ever_beside_others_in_one_piece(
    change: Callable[[Any], None], taken: list[str]
) -> None:
    own, prompt, metric = case("gpt2", torch.float64, position=POSITION)
    model = tiny_model("gpt2", torch.float64)
    lm = replace(own, model=model, anatomy=find_anatomy(model))
    rows = _several(lm, prompt)
    plain = _plain(lm, prompt, metric, rows)
    change(model.transformer.h[1])
    found = metric_and_gradient(lm, prompt, metric, rows)
    assert taken == ["in_one_piece", "in_one_piece_at"]
    expected = _plain(lm, prompt, metric, rows)
    _same(found, expected, torch.float64)
    if change is not _one_more:
        assert not torch.allclose(expected[0], plain[0])


@pytest.mark.usefixtures("changed_on_purpose")
def test_a_layer_that_is_given_a_mask_computes_as_ever(taken: list[str]) -> None:
    lm, prompt, metric = case("gpt2", torch.float64, position=POSITION)
    hidden = torch.zeros(1, 1, 9, 9, dtype=torch.bool).fill_(True).tril()
    hidden[..., 3:, 1] = False

    def masked(_module: Any, args: Any, kwargs: Any) -> Any:
        return args[:2], {**kwargs, "attention_mask": hidden}

    handles = [
        layer.register_forward_pre_hook(
            lambda module, args, kwargs: masked(module, (args[0], None), kwargs), with_kwargs=True
        )
        for layer in lm.anatomy.layers
    ]
    try:
        rows = _several(lm, prompt)
        found = metric_and_gradient(lm, prompt, metric, rows)
        assert not taken
        _same(found, _plain(lm, prompt, metric, rows), torch.float64)
    finally:
        for handle in handles:
            handle.remove()
    plain = metric_and_gradient(lm, prompt, metric, rows)
    assert not torch.allclose(found[0], plain[0])


def test_what_attention_makes_in_one_piece_is_heard() -> None:
    own, prompt, metric = case("gpt2", position=POSITION)
    model = tiny_model("gpt2")
    lm = replace(own, model=model, anatomy=find_anatomy(model))
    with torch.no_grad():  # a key: fused attention gives numbers for it
        model.transformer.h[1].attn.c_attn.bias[40] = torch.inf
    with pytest.raises(NotFinite, match="first in the attention of layer 1"):
        metric_and_gradient(lm, prompt, metric, _several(lm, prompt))


def _slope(own: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda values, bias: 1.001 * own(values, bias)


def _twice_at_one(own: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda *args: 1.001 * own(*args)


def _no_bias(own: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda norm, flow, *more: own(norm, flow, *more) + 1e-3 * flow


@pytest.mark.parametrize(
    ("part", "fault"),
    [("gelu_and_slope", _slope), ("attended_at_one", _twice_at_one), ("_norm_back", _no_bias),
     ("_attended", _twice_at_one), ("_back", _twice_at_one)],
)  # fmt: skip
def test_a_piece_that_gives_something_else_is_not_used(
    part: str, fault: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    anatomy = find_anatomy(tiny_model("gpt2"))
    assert self_check(anatomy).whole_layers
    monkeypatch.setattr(whole_layers, part, fault(getattr(whole_layers, part)))
    assert not self_check(anatomy).whole_layers


def test_passes_are_of_as_many_rows_as_each_other_and_no_more_than_fit() -> None:
    for count, most in ((50, 25), (50, 24), (20, 6), (7, 7), (1, 5)):
        left, taken = count, []
        while left:
            taken.append(evenly(left, most))
            left -= taken[-1]
        assert sum(taken) == count
        assert len(taken) == -(-count // most)
        assert most >= max(taken) <= min(taken) + 1
