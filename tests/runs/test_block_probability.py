"""A probability from the vocabulary a block at a time is that from all logits at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.results import MetricInfo, TokenRef
from interpboard.runs import block_probability, residual_metric
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import Metric
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import case

POSITION = 6


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows went by blocks, of seven tokens or so, at each call."""
    found: list[int] = []

    def heard(anatomy: Any, residual: torch.Tensor, metric: Metric) -> torch.Tensor:
        found.append(len(residual))
        monkeypatch.setattr(block_probability, "NUMBERS", 7 * len(residual))
        return block_probability.probability_by_blocks(anatomy, residual, metric)

    monkeypatch.setattr(residual_metric, "_LOGITS_A_STEP", {"cpu": 1})
    monkeypatch.setattr(residual_metric, "probability_by_blocks", heard)
    return found


def _cells(d_model: int) -> list[Counterfactual]:
    far = torch.full((d_model,), 3e38)
    pairs = [(layer, head) for layer in range(3) for head in range(4)]
    heads = [(Edit("z", layer, head=head),) for layer, head in pairs]
    return [*heads, (Edit("resid_post", 2, "add", value=far),)]


@pytest.mark.parametrize("faster", [True, False], ids=["oneDNN", "own"])
@pytest.mark.parametrize("name", ["prob", "logprob"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_values_are_those_of_plain_hooked_forwards(
    family: str, name: str, faster: bool, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_probability, "products_are_faster", lambda: faster)
    lm, prompt, metric = case(family, name=name, position=POSITION)
    assert lm.verified.some_logits
    hooks = replace(lm, verified=replace(lm.verified, path="hooks", faster_parts=False))
    cells = _cells(lm.anatomy.d_model)
    found = evaluate(record(lm, prompt), cells, metric)
    assert sum(calls) == len(cells)
    expected = evaluate(record(hooks, prompt), cells, metric)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
    assert np.isnan(found[-1])
    assert np.isfinite(found[:-1]).all()


def test_tokens_that_the_model_masks_count_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, _, _ = case("gpt2", name="prob", position=POSITION)
    logits = torch.randn(5, lm.anatomy.d_vocab, generator=torch.Generator().manual_seed(1))
    logits[:, 8:24] = -torch.inf  # two whole blocks, and none of the target's
    logits[3, 40] = -torch.inf
    logits[4, 2] = torch.inf
    masked = Metric(MetricInfo("prob", POSITION, TokenRef(30, "")), logits[0])

    def some(_anatomy: Any, given: torch.Tensor, tokens: slice, _by: Any) -> torch.Tensor:
        return logits[: len(given), tokens]

    monkeypatch.setattr(block_probability, "unembed_between", some)
    monkeypatch.setattr(block_probability, "NUMBERS", 8 * len(logits))
    found = block_probability.probability_by_blocks(
        lm.anatomy, torch.zeros(5, lm.anatomy.d_model), masked
    )
    torch.testing.assert_close(found, masked.of(logits), equal_nan=True)
    assert found.isnan().tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("name", ["kl", "rank", "logit"])
def test_other_metrics_read_all_logits_or_few(name: str, calls: list[int]) -> None:
    lm, prompt, metric = case("gpt2", name=name, position=POSITION)
    evaluate(record(lm, prompt), _cells(lm.anatomy.d_model)[:3], metric)
    assert not calls
