"""Relevance through mixtures of experts: kept where there are no biases, and a block's rule by hand."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.attribution.lrp import lrp
from interpboard.attribution.lrp_mixtures import keeps_relevance, mixture_rules
from interpboard.attribution.lrp_rules import relevance_rules
from interpboard.errors import Unsupported
from interpboard.runs.gradients.embeddings import metric_of_forward
from interpboard.runs.prompt import input_ids
from tests.lm import fingerprint
from tests.mixtures import FAMILIES, asked, mixture

# gpt_oss computes its activation in a function; the attention of qwen2_moe has biases.
WITHOUT_BIASES = tuple(name for name in FAMILIES if name not in ("gpt_oss", "qwen2_moe"))


@pytest.mark.parametrize("family", WITHOUT_BIASES)
def test_relevance_is_kept_through_experts_and_what_they_share(family: str) -> None:
    lm = mixture(family)
    prompt, metric = asked(lm)
    before = fingerprint(lm)
    result = lrp(lm, prompt, metric, attention="frozen")
    assert result.values.sum() == pytest.approx(metric.baseline, rel=1e-4)
    assert (np.abs(result.values) > 1e-4).sum() > 3
    with torch.no_grad(), relevance_rules(lm, "frozen"):
        ruled = float(metric_of_forward(lm, metric, input_ids(lm, prompt))[0])
    assert ruled == pytest.approx(metric.baseline, rel=1e-5)
    assert fingerprint(lm) == before


def test_the_relevance_of_a_block_is_that_by_hand() -> None:
    lm = mixture("mixtral", torch.float64, "eager")
    of_layer = lm.anatomy.mixtures[1]
    assert of_layer is not None
    experts: Any = of_layer.experts
    generator = torch.Generator().manual_seed(3)
    into, above = (torch.randn(1, 5, 16, generator=generator, dtype=torch.float64) for _ in "xy")
    routed: list[Any] = []
    handle = experts.register_forward_pre_hook(lambda _m, args: routed.append(args))
    with ExitStack() as stack:
        mixture_rules(stack, of_layer, lm.anatomy.layers[1])
        (slope,) = torch.autograd.grad((of_layer.block(into.requires_grad_()) * above).sum(), into)
    handle.remove()
    _, index, weights = routed[0]
    wanted = torch.zeros(5, 16, dtype=torch.float64)
    for token, rank in np.ndindex(5, 2):
        x, expert = into.detach()[0, token], int(index[token, rank])
        rows_gate, rows_up = experts.gate_up_proj[expert].detach().chunk(2)
        gate, up = rows_gate @ x, rows_up @ x
        active = torch.nn.functional.silu(gate)
        from_above = weights[token, rank].detach() * (
            above[0, token] @ experts.down_proj[expert].detach()
        )
        of_gate = (from_above * active / gate * up) @ rows_gate
        of_up = (from_above * active) @ rows_up
        wanted[token] += 0.5 * (of_gate + of_up) * x
    np.testing.assert_allclose(
        (slope * into.detach())[0].numpy(), wanted.numpy(), rtol=1e-5, atol=1e-9
    )


def test_a_block_that_multiplies_once_more_is_found_out_and_refused() -> None:
    lm = mixture("olmoe")
    prompt, metric = asked(lm)
    of_layer = lm.anatomy.mixtures[0]
    assert of_layer is not None
    square = of_layer.block.register_forward_hook(lambda _m, args, out: out * args[0].mean())
    try:
        with pytest.raises(Unsupported, match="mixture of layer 0 loses relevance"):
            lrp(lm, prompt, metric)
        assert not keeps_relevance(of_layer, 16)
    finally:
        square.remove()


def test_experts_whose_activation_is_no_module_are_refused_by_that_reason() -> None:
    lm = mixture("gpt_oss")
    with pytest.raises(Unsupported, match="what activates its experts is no module"):
        lrp(lm, *asked(lm))
