"""Rows that begin at different positions, laid end to end: against plain hooked forwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.models import end_to_end as laying
from interpboard.models.anatomy import Anatomy, find_anatomy
from interpboard.models.calls import LayerCall, recording_calls
from interpboard.models.end_to_end import Laid, replay_laid
from interpboard.models.proof.end_to_end import end_to_end_agrees
from interpboard.models.proof.rounding import ONE_STEP
from interpboard.models.proof.selfcheck import random_prompts
from interpboard.patching.causal_tracing import causal_trace
from interpboard.runs import end_to_end, ends, replay, steps
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.end_to_end import EndToEnd, lie_end_to_end
from interpboard.runs.joins import started_late
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run, record
from interpboard.runs.replay import evaluate
from tests.lm import case, fingerprint
from tests.tiny import tiny_model

CLOSE = {torch.float32: 1e-5, torch.float64: 1e-10}
FAMILIES = ["gpt2", "llama", "gpt_neox", "gemma2", "mistral_windowed"]
POSITION = 6
STOP = POSITION + 1


@pytest.fixture
def laid(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each step had that were laid end to end."""
    rows: list[int] = []

    def heard(run: Run, some: list[Counterfactual], *rest: Any) -> EndToEnd:
        rows.append(len(some))
        return EndToEnd(run, some, *rest)

    monkeypatch.setattr(replay, "EndToEnd", heard)
    return rows


def _noised(d_model: int, dtype: torch.dtype) -> tuple[Counterfactual, ...]:
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(5, 2, d_model, generator=generator, dtype=torch.float64).to(dtype)
    return ((), *((Edit("embed", 0, "add", positions=(1, 2), value=each),) for each in noise))


def _cells(lm: Any, dtype: torch.dtype) -> list[Counterfactual]:
    """One or two states a row, before and behind every layer, with what is edited in the layer beside it."""
    generator = torch.Generator().manual_seed(6)
    width = lm.anatomy.d_model

    def value(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    found: list[Counterfactual] = []
    for layer in range(lm.anatomy.n_layers):
        for at in (1, 3, 5, POSITION):
            both = (at, POSITION) if at < POSITION else (at,)
            found += [
                (Edit("resid_post", layer, "patch", positions=(at,), value=value(1, width)),),
                (
                    Edit("resid_pre", layer, "add", positions=both, value=value(len(both), width)),
                    Edit("z", layer, "zero", head=1, positions=both),
                    Edit("mlp_out", layer, "add", positions=both, value=value(1, width)),
                ),
            ]
    return found


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_rows_laid_end_to_end_equal_plain_hooked_forwards(
    family: str, dtype: torch.dtype, laid: list[int]
) -> None:
    lm, prompt, metric = case(family, dtype, name="logprob", position=POSITION)
    assert lm.verified.end_to_end
    hooks = replace(lm, verified=replace(lm.verified, path="hooks", faster_parts=False))
    rows, cells = _noised(lm.anatomy.d_model, dtype), _cells(lm, dtype)
    asked = {"base": [row for row in range(6) for _ in cells], "tokens_a_step": 96}
    before = fingerprint(lm)
    measured = evaluate(record(lm, prompt, edits=rows), cells * 6, metric, **asked)  # type: ignore[arg-type]
    assert sum(laid) == len(measured)
    assert len(laid) > 4
    assert fingerprint(lm) == before
    expected = evaluate(record(hooks, prompt, edits=rows), cells * 6, metric, **asked)  # type: ignore[arg-type]
    allowed = CLOSE[dtype] if dtype == torch.float32 or family != "gemma2" else 1e-6
    np.testing.assert_allclose(measured, expected, rtol=allowed, atol=allowed)
    by_row = measured.reshape(6, -1)
    assert (np.ptp(by_row, axis=0) > 1e-4).mean() > 0.7, "samples are not told apart"
    assert (np.ptp(by_row, axis=1) > 1e-2).all(), "cells are not told apart"


def test_a_layer_has_no_token_twice_and_none_before_a_row_begins(
    laid: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case("llama", name="prob")
    tokens: dict[int, int] = {}

    def counted(
        anatomy: Anatomy, layer: int, call: LayerCall, hidden: torch.Tensor, rows: Laid
    ) -> torch.Tensor:
        tokens[layer] = tokens.get(layer, 0) + len(hidden)
        return replay_laid(anatomy, layer, call, hidden, rows)

    monkeypatch.setattr(end_to_end, "replay_laid", counted)
    causal_trace(lm, prompt, metric, subject=(2, 3), samples=5)
    length = len(prompt.token_ids)
    # Restored behind layer 0; what is restored behind layer 1 joins in the last, which is rows again.
    assert tokens == {1: 5 * sum(length - at for at in range(2, length))}
    assert laid == [5 * (2 * (length - 2) + 1)]


def test_a_row_that_is_not_finite_is_no_number_and_the_others_are_as_they_were(
    laid: list[int],
) -> None:
    lm, prompt, metric = case("gpt2", name="prob", position=POSITION)
    run = record(lm, prompt, edits=_noised(lm.anatomy.d_model, torch.float32))
    cells = _cells(lm, torch.float32)[::2] * 6
    base = [row for row in range(6) for _ in range(len(cells) // 6)]
    plain = evaluate(run, cells, metric, base=base)
    beyond = torch.full((1, lm.anatomy.d_model), torch.inf)
    cells[13] = (replace(cells[13][0], value=beyond),)
    found = evaluate(run, cells, metric, base=base)
    assert np.isnan(found[13])
    others = np.arange(len(cells)) != 13
    np.testing.assert_allclose(found[others], plain[others], rtol=1e-5)
    assert laid == [len(cells)] * 2


def test_a_step_has_no_more_rows_than_whole_ones_fit(
    laid: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late rows are of few tokens, and bring keys and values of all before."""
    lm, prompt, metric = case("llama", name="prob", position=POSITION)
    run = record(lm, prompt, edits=_noised(lm.anatomy.d_model, torch.float32))
    cells = _cells(lm, torch.float32)[::2] * 6
    base = [row for row in range(6) for _ in range(len(cells) // 6)]
    whole = evaluate(run, cells, metric, base=base)
    assert max(laid) > 7
    laid.clear()
    monkeypatch.setattr(steps, "reused_in_memory", lambda _lm: 7 * STOP + 1)
    found = evaluate(run, cells, metric, base=base)
    assert max(laid) == 7
    np.testing.assert_allclose(found, whole, rtol=1e-5)


def test_what_is_edited_elsewhere_or_everywhere_is_not_laid_end_to_end() -> None:
    lm, prompt, _ = case("llama", position=POSITION)
    rows = _noised(lm.anatomy.d_model, torch.float32)
    run = record(lm, prompt, edits=rows)
    cells = _cells(lm, torch.float32)[::2] * 6
    base = [row for row in range(6) for _ in range(len(cells) // 6)]

    def may(other: Run = run, *edits: Edit) -> bool:
        changed = [edits, *cells[1:]] if edits else cells
        changed = [started_late(other, row, b) for row, b in zip(changed, base, strict=True)]
        return lie_end_to_end(other, changed, base, POSITION, STOP)

    assert may()
    first = cells[0][0]
    assert not may(run, replace(first, positions=None))
    assert not may(run, replace(first, positions=(1, STOP)))
    assert not may(run, first, Edit("pattern", 1, "zero", head=0, positions=(3,)))
    assert not may(run, first, Edit("k", 1, "zero", head=0, positions=(3,)))
    assert not may(run, Edit("embed", 0, "zero", positions=(3,)))
    assert not may(run, Edit("attn_out", 1, "zero", positions=(3,)))  # keeps its attention
    in_layers = (*rows[:5], (Edit("mlp_out", 0, "zero", positions=(2,)),))
    assert not may(record(lm, prompt, edits=in_layers))
    off = replace(lm, verified=replace(lm.verified, end_to_end=False))
    assert not may(record(off, prompt, edits=rows))
    assert not lie_end_to_end(run, cells[:12], base[:12], POSITION, STOP), "few begin alike"


def _proved(model: Any) -> bool:
    anatomy = find_anatomy(model)
    calls: list[LayerCall] = []
    with torch.no_grad(), recording_calls(anatomy, calls):
        anatomy.base(input_ids=random_prompts(anatomy)[0], use_cache=False)
    return end_to_end_agrees(anatomy, calls, range(len(calls)), ONE_STEP)


def test_layers_that_look_at_the_token_before_are_not_proved() -> None:
    model = tiny_model("llama")
    assert _proved(model)

    def shifted(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        return output + 0.1 * torch.cat([output[:, :1], output[:, :-1]], 1)

    model.model.layers[1].mlp.register_forward_hook(shifted)
    assert not _proved(model)


@pytest.mark.parametrize("fault", ["positions", "before", "mask"])
def test_the_proof_sees_rows_at_wrong_places(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    assert _proved(model)
    if fault == "positions":  # as of tokens of one prompt

        def counted(self: Laid) -> tuple[torch.Tensor, torch.Tensor]:
            tokens = self.segments[-1].tokens.stop
            return torch.zeros(tokens, dtype=torch.long), torch.arange(tokens) % 8

        monkeypatch.setattr(Laid, "places", counted)
    elif fault == "before":
        own = laying._of_rows
        monkeypatch.setattr(laying, "_of_rows", lambda kept, rows: own(kept, rows).flip(2))
    else:
        monkeypatch.setattr(LayerCall, "mask_of", lambda *_args: None)
    assert not _proved(model)


def test_the_metric_of_several_steps_is_computed_at_once_and_told_once(
    laid: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case("gpt2", name="logprob", position=POSITION)
    run = record(lm, prompt, edits=_noised(lm.anatomy.d_model, torch.float32))
    cells = _cells(lm, torch.float32)[::2] * 6
    base = [row for row in range(6) for _ in range(len(cells) // 6)]
    sizes: list[int] = []
    own = ends.metric_of_residual

    def fails_once(some: Run, streams: torch.Tensor, asked: Metric) -> torch.Tensor:
        sizes.append(len(streams))
        if len(sizes) == 2:
            raise torch.OutOfMemoryError("out of memory")
        return own(some, streams, asked)

    monkeypatch.setattr(ends, "metric_of_residual", fails_once)
    told: dict[int, float] = {}

    def hear(indices: list[int], values: np.ndarray) -> None:
        assert not set(indices) & set(told)
        told.update(zip(indices, values.tolist(), strict=True))

    found = evaluate(run, cells, metric, base=base, on_values=hear, tokens_a_step=64)
    assert sorted(told) == list(range(len(cells)))
    np.testing.assert_array_equal([told[i] for i in range(len(cells))], found)
    taken = sizes[:1] + sizes[2:]
    assert sum(taken) == len(cells)
    assert len(taken) < len(laid) / 2
    monkeypatch.setattr(ends, "TOGETHER", 1)
    each = evaluate(run, cells, metric, base=base)
    np.testing.assert_allclose(found, each, rtol=1e-5)
    assert np.ptp(found) > 1e-2
