"""The clean runs' metrics of several prompts at once: each prompt's own, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from interpboard.results import MetricRequest
from interpboard.runs.baselines import know_baselines
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.lm import tiny_lm

TEXTS = (
    "Rome is in the city of",
    "The keys to the cabinet",
    "When the city of Rome",
    "the the the",
)
NAMES = ("logit_diff", "logit", "prob", "rank", "kl")


def resolved(dtype: torch.dtype = torch.float32) -> list[Metric]:
    """Of each text a metric of each name, with targets of their own."""
    lm = tiny_lm("gpt2", dtype)
    return [
        resolve_metric(
            lm,
            make_prompt(lm, text),
            MetricRequest(name, target, " the" if name == "logit_diff" else None),
        )
        for text, target in zip(TEXTS, (" Paris", " city", " table", " Paris"), strict=True)
        for name in NAMES
    ]


def known(metrics: list[Metric]) -> list[str]:
    return [metric.info.name for metric in metrics if "baseline" in vars(metric)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_measured_at_once_is_what_each_metric_measures_by_itself(
    dtype: torch.dtype,
) -> None:
    at_once, alone = resolved(dtype), resolved(dtype)
    know_baselines(at_once)
    # What another rule reads than logits of tokens is not looked at.
    assert sorted(known(at_once)) == ["logit"] * 4 + ["logit_diff"] * 4
    assert not known(alone)
    assert [metric.baseline for metric in at_once] == [metric.baseline for metric in alone]
    own = [metric.baseline for metric in alone if metric.info.name == "logit_diff"]
    assert len(set(own)) == len(own)  # any two exchanged would be seen


@pytest.mark.parametrize("number", [torch.nan, torch.inf, -torch.inf])
def test_a_logit_that_is_no_number_leaves_that_metric_to_itself(number: float) -> None:
    metrics = [metric for metric in resolved() if metric.info.name == "logit_diff"]
    logits = metrics[1].clean_logits.clone()
    logits[0] = number  # not one that it reads
    metrics[1] = replace(metrics[1], clean_logits=logits)
    know_baselines(metrics)
    assert ["baseline" in vars(metric) for metric in metrics] == [True, False, True, True]
    by_itself = metrics[1].baseline
    assert (by_itself == by_itself) == (
        number == -torch.inf
    )  # a token that is masked is none's fault


def test_without_memory_for_all_of_them_each_is_left_to_itself_and_no_row_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once, alone = resolved(), resolved()
    with monkeypatch.context() as patch:

        def no_room(*_args: object) -> None:
            raise torch.OutOfMemoryError("out of memory")

        patch.setattr(torch, "stack", no_room)
        know_baselines(at_once)
    assert not known(at_once)
    assert [metric.baseline for metric in at_once] == [metric.baseline for metric in alone]

    def broken(*_args: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(torch, "stack", broken)
    with pytest.raises(RuntimeError, match="no such thing"):
        know_baselines(resolved())
