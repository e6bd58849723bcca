"""Estimates of models some of whose layers have no attention: against gradients by plain autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.critical import find_critical_components
from interpboard.patching.activation import activation_patching
from interpboard.patching.confidence import patching_confidence
from interpboard.patching.estimates import attribution_patching
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from tests.models.test_layer_kinds import mixed

TEXT = "The Eiffel Tower is located in the city of"
OTHER = "The Eiffel Tower is located in the city to"
FAMILIES = ("qwen3_next", "olmo_hybrid", "minimax")


def asked(family: str) -> Any:
    lm = mixed(family)
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest(name="logit"))


def plain_gradients(lm: Any, text: str, metric: Any) -> dict[int, tuple[Any, Any]]:
    """The head outputs [pos, head, d_head] of each layer that has heads, and the metric's gradient there."""
    seen: dict[int, torch.Tensor] = {}
    handles = []
    for layer in lm.verified.layers_with("z"):

        def keep(_module: Any, args: tuple[Any, ...], layer: int = layer) -> None:
            seen[layer] = args[0].requires_grad_()

        handles.append(lm.anatomy.out_proj[layer].register_forward_pre_hook(keep))
    try:
        prompt = make_prompt(lm, text)
        logits = lm.model(input_ids=input_ids(lm, prompt), use_cache=False).logits
        slopes = torch.autograd.grad(
            metric.of(logits[:, metric.info.position])[0], list(seen.values())
        )
    finally:
        for handle in handles:
            handle.remove()
    heads = lm.anatomy.n_heads
    return {
        layer: tuple(
            part.detach()[0].unflatten(-1, (heads, -1)).numpy() for part in (seen[layer], slope)
        )
        for layer, slope in zip(seen, slopes, strict=True)
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_estimates_leave_layers_without_heads_out_and_are_plain_gradients_elsewhere(
    family: str,
) -> None:
    lm, prompt, metric = asked(family)
    having = list(lm.verified.layers_with("z"))
    lacking = [layer for layer in range(3) if layer not in having]
    clean, bad = (plain_gradients(lm, text, metric) for text in (TEXT, OTHER))
    patched = attribution_patching(lm, prompt, metric, corrupted=OTHER, site="z", verify=3)
    assert np.isnan(patched.values[lacking]).all()
    assert bool(lacking) == any("No z in layer 1" in words for words in patched.warnings)
    assert not any("not numbers" in words for words in patched.warnings)
    assert np.isfinite(patched.extra["exact"].values).sum() == 3
    shown = head_ablation(lm, prompt, metric, preview=True)
    assert not any("not numbers" in words for words in shown.warnings)
    for layer in having:
        change = clean[layer][0] - bad[layer][0]
        np.testing.assert_allclose(
            patched.values[layer], (change * bad[layer][1]).sum((0, 2)), rtol=1e-3, atol=1e-5
        )
        z, slope = clean[layer]
        np.testing.assert_allclose(
            shown.extra["estimate"].values[layer], -(z * slope).sum((0, 2)), rtol=1e-3, atol=1e-5
        )
    assert np.isnan(shown.extra["estimate"].values[lacking]).all()


def test_every_method_and_the_previews_of_patching_go_past_such_layers() -> None:
    lm, prompt, metric = asked("minimax")
    lacking = list(lm.verified.layers_without("q"))
    assert lacking
    for site, method in (("q", "atp_qk"), ("k", "atp_star"), ("pattern", "atp"), ("v", "ig")):
        found = attribution_patching(
            lm, prompt, metric, corrupted=OTHER, site=site, method=method, n_steps=2, verify=2
        )
        assert np.isnan(found.values[lacking]).all()
        assert np.isfinite(np.delete(found.values, lacking, 0)).all()
        exact = found.extra["exact"].values
        assert np.isfinite(exact).sum() == 2
        assert np.isnan(exact[lacking]).all()
    whole = activation_patching(lm, prompt, metric, corrupted=OTHER, site="v", preview=True)
    assert np.isfinite(np.delete(whole.extra["estimate"].values, lacking, 0)).all()
    pairs = f"{OTHER} => {TEXT}"
    sure = patching_confidence(
        lm, prompt, metric, corrupted=OTHER, pairs=pairs, site="v", control=True, resamples=20
    )
    assert np.isnan(sure.values[lacking]).all()
    for name in ("low", "p_family", "control"):
        assert np.isfinite(np.delete(sure.extra[name].values, lacking, 0)).all(), name


def test_critical_components_are_those_that_layers_have() -> None:
    lm, prompt, metric = asked("qwen3_next")
    found = find_critical_components(lm, prompt, metric, budget=6)
    labels = found.axes[0].labels
    having = lm.verified.layers_with("z")
    assert {int(label[1]) for label in labels if " H" in label} == set(having)
    assert {label for label in labels if "MLP" in label} == {"L0 MLP", "L1 MLP", "L2 MLP"}
    assert np.isfinite(found.extra["estimate"].values).all()
