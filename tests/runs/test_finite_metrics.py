"""Logits that are not finite, and tokens that the model masks itself: what metrics make of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from interpboard.errors import NotFinite
from interpboard.results import MetricInfo, MetricRequest, TokenRef
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.overflow import overflowing_lm

FINE = "The city of of"


@pytest.mark.parametrize("metric", ["logit", "logit_diff", "prob", "logprob", "kl", "rank"])
@pytest.mark.parametrize("spoilt", [float("nan"), float("inf"), float("-inf")])
def test_a_metric_is_nan_where_any_logit_is_not_finite(metric: str, spoilt: float) -> None:
    clean = torch.linspace(-1, 1, 8)
    foil = TokenRef(3, "c") if metric == "logit_diff" else None
    of = Metric(MetricInfo(metric, 0, TokenRef(2, "b"), foil), clean)
    rows = clean.repeat(3, 1)
    rows[1, 6] = spoilt  # neither target nor foil
    found = of.of(rows)
    assert found.isnan().tolist() == [False, True, False]


def test_logits_whose_sum_leaves_the_format_are_finite_all_the_same() -> None:
    clean = torch.linspace(-1, 1, 8)
    large = torch.full((8,), 3e38)
    opposite = clean.clone()
    opposite[3:5] = torch.tensor([torch.inf, -torch.inf])
    of = Metric(MetricInfo("prob", 0, TokenRef(2, "b")), clean)
    found = of.of(torch.stack([clean, large, opposite]))
    assert found.isnan().tolist() == [False, False, True]
    assert float(found[1]) == pytest.approx(1 / 8)


@pytest.mark.parametrize("metric", ["logit", "prob", "logprob", "kl", "rank"])
def test_tokens_that_the_model_masks_itself_make_nothing_nan(metric: str) -> None:
    clean = torch.linspace(-1, 1, 8)
    clean[6:] = -torch.inf
    of = Metric(MetricInfo(metric, 0, TokenRef(2, "b")), clean)
    rows = torch.stack([clean, clean + torch.linspace(0, 1, 8), clean])
    rows[2, 7] = torch.inf
    plain = Metric(MetricInfo(metric, 0, TokenRef(2, "b")), clean[:6])
    torch.testing.assert_close(of.of(rows)[:2], plain.of(rows[:2, :6]))
    assert bool(of.of(rows)[2].isnan())
    with torch.enable_grad():
        leaf = rows[:2].clone().requires_grad_()
        if metric != "rank":
            (gradient,) = torch.autograd.grad(of.of(leaf).sum(), leaf)
            assert bool(gradient.isfinite().all())


@pytest.mark.usefixtures("changed_on_purpose")
def test_a_masked_token_is_known_from_the_self_checks_prompts() -> None:
    lm = overflowing_lm(torch.float32)  # a model of its own: it is changed here
    lm.model.lm_head.register_forward_hook(_mask_last)
    request = MetricRequest("prob")
    metric = resolve_metric(lm, make_prompt(lm, FINE), request)
    assert metric.baseline > 0
    lm.model.lm_head.register_forward_hook(_mask_what_the_prompt_says)
    with pytest.raises(NotFinite, match="in the logits"):
        resolve_metric(lm, make_prompt(lm, FINE), request)


def _mask_last(_module: Any, _args: Any, logits: torch.Tensor) -> torch.Tensor:
    masked = logits.clone()
    masked[..., -20:] = -torch.inf
    return masked


def _mask_what_the_prompt_says(_module: Any, _args: Any, logits: torch.Tensor) -> torch.Tensor:
    return logits.masked_fill(logits == logits.amax(-1, keepdim=True), -torch.inf)
