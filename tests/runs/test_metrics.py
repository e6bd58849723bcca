"""Metrics on logits whose right answers are known by hand."""

from __future__ import annotations

import math

import pytest
import torch

from interpboard.registry.metric_names import METRICS
from interpboard.results import MetricInfo, TokenRef
from interpboard.runs.metrics import Metric

# Probabilities 1/2, 1/4, 1/8, 1/8.
CLEAN = torch.tensor([math.log(4), math.log(2), 0.0, 0.0], dtype=torch.float64)


def _metric(name: str) -> Metric:
    return Metric(MetricInfo(name, 0, TokenRef(1, "b"), TokenRef(0, "a")), CLEAN)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("logit", math.log(2)),
        ("logit_diff", -math.log(2)),
        ("prob", 0.25),
        ("logprob", math.log(0.25)),
        ("kl", 0.0),
        ("rank", 2.0),
    ],
)
def test_each_metric_gives_the_number_known_by_hand(name: str, expected: float) -> None:
    assert _metric(name).baseline == pytest.approx(expected, abs=1e-12)


def test_kl_is_from_the_clean_run_to_the_edited_one() -> None:
    uniform = torch.zeros(1, 4, dtype=torch.float64)
    expected = sum(p * math.log(4 * p) for p in (0.5, 0.25, 0.125, 0.125))
    assert float(_metric("kl").of(uniform)[0]) == pytest.approx(expected)


def test_rows_are_independent_and_half_precision_is_widened() -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    for name in METRICS:
        together = _metric(name).of(logits)
        alone = torch.cat([_metric(name).of(row[None]) for row in logits])
        torch.testing.assert_close(together, alone)
        assert _metric(name).of(logits.bfloat16()).dtype == torch.float32


def test_only_rank_has_no_gradient() -> None:
    assert [name for name in METRICS if not _metric(name).differentiable] == ["rank"]
    flat = [name for name in METRICS if not _metric(name).has_slope]
    assert sorted(flat) == ["kl", "rank"]
