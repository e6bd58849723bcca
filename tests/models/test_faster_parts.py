"""Gradients by faster kernels are those of the modules' own; one that gives others is not used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import gelu
from transformers.activations import NewGELUActivation

from interpboard.circuits.heads.estimates import estimated_effects
from interpboard.circuits.lens.logit import logit_lens
from interpboard.models.anatomy import find_anatomy
from interpboard.models.faster_parts import faster_parts, products_are_faster
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.selfcheck import self_check
from interpboard.results import PromptInfo
from interpboard.runs.edits import Edit
from interpboard.runs.gradients.embeddings import metric_and_gradient, prompt_embeddings
from interpboard.runs.gradients.sites import site_gradients
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from tests.lm import case, fingerprint
from tests.tiny import tiny_model

# Conv1D and a GELU of eight passes; grouped heads, gated; parallel blocks; norms behind; a flat MLP.
FAMILIES = ("gpt2", "llama", "gpt_neox", "gemma2", "opt")
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-10}


@pytest.fixture(autouse=True)
def _products_as_on_any_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interpboard.models.faster_parts.products_are_faster", lambda: True)


@pytest.mark.parametrize(
    ("processor", "mkl", "faster"),
    [("Intel Xeon", True, False), ("Intel Xeon", False, True), ("AMD EPYC", True, True)],
)
def test_layers_keep_their_own_products_where_mkl_is_made_for_the_processor(
    processor: str, mkl: bool, faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"cpu_name": processor}, raising=False
    )
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    decide = products_are_faster.__wrapped__
    monkeypatch.setattr("interpboard.models.faster_parts.products_are_faster", decide)
    lm, _, _ = case("gpt2")
    with faster_parts(lm.anatomy):
        replaced = {
            type(module).__name__ for module in lm.model.modules() if "forward" in vars(module)
        }
    assert ("Conv1D" in replaced) == faster
    assert "NewGELUActivation" in replaced


def _plain(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric
) -> tuple[list[tuple[torch.Tensor, ...]], torch.Tensor]:
    """z and its gradient [pos, head, d_head] of each layer, and the gradient at the embeddings, by hooks and
    autograd alone."""
    seen: list[torch.Tensor] = []
    begin: list[torch.Tensor] = []

    def on_z(_module: Any, args: Any) -> Any:
        seen.append(args[0])
        return None

    def on_embedding(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        begin.append(output.detach().clone().requires_grad_())
        return begin[0]

    handles = [part.register_forward_pre_hook(on_z) for part in lm.anatomy.out_proj]
    handles.append(lm.anatomy.embedding.register_forward_hook(on_embedding))
    try:
        with torch.enable_grad():
            logits = lm.model(input_ids=input_ids(lm, prompt)).logits[:, metric.info.position]
            *slopes, back = torch.autograd.grad(metric.of(logits).sum(), [*seen, *begin])
    finally:
        for handle in handles:
            handle.remove()
    heads = [
        tuple(part.detach()[0].unflatten(-1, (lm.anatomy.n_heads, -1)) for part in (z, slope))
        for z, slope in zip(seen, slopes, strict=True)
    ]  # fmt: skip
    return heads, back


def _of_size(found: Any, expected: Any) -> float:
    """The largest difference as a share of the largest number."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_estimates_and_gradients_of_tokens_are_those_of_plain_hooks(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric = case(family, dtype, name="logit", position=5)
    assert lm.verified.faster_parts == (dtype == torch.float32 or family == "gpt2")
    before = fingerprint(lm)
    heads, back = _plain(lm, prompt, metric)
    cells = [
        (Edit("z", layer, "zero", head=head),) for layer in range(3) for head in range(4)
    ]  # fmt: skip
    both = (Edit("z", 0, "zero", head=1), Edit("z", 0, "zero", head=2))
    somewhere = (Edit("z", 1, "zero", head=3, positions=(2, 4)),)
    whole = (Edit("z", 2, "zero"), Edit("z", 0, "zero", head=0))
    found = estimated_effects(lm, prompt, metric, [*cells, both, somewhere, whole])
    of_heads = np.array([-(z * slope).sum((0, 2)).double().numpy() for z, slope in heads])
    z, slope = heads[1]
    known = [
        *of_heads.ravel(),
        of_heads[0, 1] + of_heads[0, 2],
        -float((z * slope)[[2, 4], 3].double().sum()),
        of_heads[2].sum() + of_heads[0, 0],
    ]
    assert _of_size(found, known) < CLOSE[dtype]
    _, gradient = metric_and_gradient(lm, prompt, metric, prompt_embeddings(lm, prompt)[None])
    assert _of_size(gradient, back) < CLOSE[dtype]
    assert fingerprint(lm) == before


@pytest.mark.parametrize("site", ["resid_mid", "neuron", "mlp_out", "resid_post"])
def test_what_lies_behind_the_last_mlp_is_there_at_every_position(site: str) -> None:
    lm, prompt, metric = case("gpt2", position=5)
    plainly = replace(lm, verified=replace(lm.verified, mlp_at_one=False, faster_parts=False))
    found, known = (site_gradients(one, prompt, metric, site) for one in (lm, plainly))
    assert found.activations[-1].shape[0] == len(prompt.token_ids)
    for some, all_of_it in (
        (found.activations, known.activations),
        (found.gradients, known.gradients),
    ):
        for one, other in zip(some, all_of_it, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_a_lens_by_the_faster_head_is_that_of_the_heads_own(family: str) -> None:
    lm, prompt, metric = case(family)
    assert lm.verified.faster_head
    plainly = replace(lm, verified=replace(lm.verified, faster_head=False))
    before = fingerprint(lm)
    found, known = (logit_lens(one, prompt, metric) for one in (lm, plainly))
    np.testing.assert_allclose(found.values, known.values, rtol=1e-5, atol=1e-9)
    for name in ("entropy", "kl"):
        found_there, known_there = (one.extra[name].values for one in (found, known))
        np.testing.assert_allclose(found_there, known_there, rtol=1e-5, atol=1e-5)
    assert fingerprint(lm) == before


def _steeper(self: Any, given: torch.Tensor) -> torch.Tensor:
    return 1.0001 * gelu(given, approximate="tanh")


def _erf(self: Any, given: torch.Tensor) -> torch.Tensor:
    return gelu(given)


@pytest.fixture
def _other_gelu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewGELUActivation, "forward", request.param)


@pytest.mark.usefixtures("_other_gelu")
@pytest.mark.parametrize("_other_gelu", [_steeper, _erf], indirect=True)
def test_an_activation_that_is_not_what_its_name_says_is_not_replaced() -> None:
    model = tiny_model("gpt2")
    assert not self_check(find_anatomy(model)).faster_parts


def test_a_map_that_is_more_than_its_class_computes_as_ever() -> None:
    """A weight that asks for a gradient, a forward of its own, a parametrization, another format."""
    model = tiny_model("gpt2")
    anatomy = find_anatomy(model)
    mlps = [layer.mlp for layer in model.transformer.h]
    mlps[0].c_fc.forward = lambda given: 2 * type(mlps[0].c_fc).forward(mlps[0].c_fc, given)
    mlps[2].c_fc.bfloat16()
    given = torch.randn(1, 3, anatomy.d_model, generator=torch.Generator().manual_seed(0))
    own = [mlps[i].c_fc(given.to(mlps[i].c_fc.weight.dtype)) for i in range(3)]
    hidden = torch.randn(1, 3, 4 * anatomy.d_model, generator=torch.Generator().manual_seed(1))
    mlps[1].c_proj.weight.requires_grad_()
    with faster_parts(anatomy):
        for i in range(3):
            found = mlps[i].c_fc(given.to(mlps[i].c_fc.weight.dtype))
            torch.testing.assert_close(found, own[i])
        mlps[1].c_proj(hidden).sum().backward()
    expected = hidden[0].sum(0)[:, None].expand(-1, anatomy.d_model)
    torch.testing.assert_close(mlps[1].c_proj.weight.grad, expected)


@pytest.mark.usefixtures("changed_on_purpose")
def test_hooks_on_a_faster_part_see_what_passes_and_change_it() -> None:
    lm, prompt, metric = case("gpt2")
    part: nn.Module = lm.anatomy.out_proj[0]
    seen: list[tuple[int, ...]] = []

    def hook(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(output.shape))
        return output * 0

    embeddings = prompt_embeddings(lm, prompt)[None]
    plain = metric_and_gradient(lm, prompt, metric, embeddings)[0]
    handle = part.register_forward_hook(hook)
    try:
        changed = metric_and_gradient(lm, prompt, metric, embeddings)[0]
    finally:
        handle.remove()
    assert seen == [(1, len(prompt.token_ids), lm.anatomy.d_model)]
    assert not torch.isclose(changed, plain)
