"""Two runs that differ by rounding only: there is nothing to recover, and nothing is divided by it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from interpboard.patching.causal_tracing import causal_trace
from interpboard.patching.confidence import patching_confidence
from interpboard.patching.estimates import attribution_patching
from interpboard.patching.paths import path_patching
from interpboard.results import MetricInfo, TokenRef
from interpboard.runs.metrics import Metric
from interpboard.runs.rounding import difference_beyond_rounding
from tests.lm import case

POSITION = 2


@pytest.mark.parametrize("name", ["logit", "prob", "kl", "rank"])
def test_a_trace_of_noise_behind_the_metrics_position_says_that_there_is_nothing(name: str) -> None:
    lm, prompt, metric = case(name=name, position=POSITION)
    result = causal_trace(lm, prompt, metric, subject=(len(prompt.tokens) - 1,), samples=3)
    assert (result.values == 0).all()
    assert np.isnan(result.extra["recovered"].values).all()
    assert any("nothing to recover" in warning for warning in result.warnings)


def test_shares_of_no_difference_are_not_numbers_in_path_and_attribution_patching() -> None:
    lm, prompt, metric = case(position=POSITION)
    corrupted = _as_long(lm, prompt)
    paths = path_patching(lm, prompt, metric, corrupted=corrupted)
    estimates = attribution_patching(lm, prompt, metric, corrupted=corrupted)
    for result, share in ((paths, "share"), (estimates, "recovered")):
        assert np.isnan(result.extra[share].values).all()
        assert any("nothing to recover" in warning for warning in result.warnings)


def test_a_mean_over_pairs_that_differ_by_rounding_has_no_share() -> None:
    lm, prompt, metric = case(position=POSITION)
    corrupted = _as_long(lm, prompt)
    result = patching_confidence(
        lm, prompt, metric, corrupted=corrupted, pairs=f"{prompt.text} => {corrupted}", resamples=20
    )
    assert np.isnan(result.extra["share"].values).all()


@pytest.mark.parametrize(
    ("name", "clean", "other", "apart"),
    [
        ("logit", 14.0, 14.0 - 3e-6, False),
        ("logit", 14.0, 13.9, True),
        ("logit_diff", 0.1, 0.1 - 3e-6, False),  # the rounding is that of the logits
        ("prob", 1e-9, 2e-9, True),
        ("prob", 0.5, 0.5 - 1e-7, False),
        ("rank", 3.0, 4.0, True),
        ("rank", 3.0, 3.0, False),
        ("kl", 0.0, 1e-8, False),
        ("kl", 0.0, 0.01, True),
    ],
)
def test_what_is_rounding_follows_the_metric(
    name: str, clean: float, other: float, apart: bool
) -> None:
    info = MetricInfo(name, 0, TokenRef(0, "a"), TokenRef(1, "b") if name == "logit_diff" else None)
    found = Metric(info, torch.tensor([14.0, 13.9, 2.0])).apart(clean, other)
    assert (found == pytest.approx(clean - other)) if apart else math.isnan(found)


def test_what_is_rounding_follows_the_number_format() -> None:
    near = (14.0, 14.0 - 1e-4)
    kept = [
        dtype
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
        if not math.isnan(difference_beyond_rounding(*near, dtype, 15.0))
    ]
    assert kept == [torch.float64, torch.float32]


def _as_long(lm: object, prompt: object) -> str:
    """A prompt of as many tokens that differs only behind ``POSITION``."""
    tokens = list(prompt.tokens)  # type: ignore[attr-defined]
    tokens[-1] = next(t for t in tokens[POSITION + 1 :] if t != tokens[-1])
    return "".join(tokens)
