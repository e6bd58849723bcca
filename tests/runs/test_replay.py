"""The evaluator against plain hooked forwards of the unmodified model, one at a time."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter, Cancelled, OutOfMemory
from interpboard.models.anatomy import Anatomy
from interpboard.models.sites import SITES
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import TOLERANCE, case, fingerprint
from tests.models.test_selfcheck import NO_FLOAT64
from tests.tiny import FAMILIES

KINDS = ("zero", "patch", "add")


def _random_edits(anatomy: Anatomy, dtype: torch.dtype) -> list[Counterfactual]:
    """Every site with every kind, at some layer; whole and at positions; and several at once."""
    generator = torch.Generator().manual_seed(7)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    singles = []
    for number, (site, kind, positions) in enumerate(
        itertools.product(SITES, KINDS, (None, (1, 4)))
    ):
        layer = number % anatomy.n_layers
        head = number % anatomy.n_heads if site == "z" else None
        width = anatomy.d_head[layer] if site == "z" else anatomy.d_model
        singles.append(Edit(site, layer, kind, head, positions, random(1, width)))
    every_head = Edit("z", 1, "add", None, (2,), random(1, anatomy.n_heads, anatomy.d_head[1]))
    pairs = [(a, b) for a, b in zip(singles[::5], singles[3::5], strict=False)]
    return [(edit,) for edit in singles] + [(every_head,)] + pairs


def _by_plain_hooks(
    anatomy: Anatomy, ids: torch.Tensor, edits: Counterfactual, metric: Metric
) -> float:
    """The same counterfactual in one forward of the model, hooks written out by hand."""

    def changed(edit: Edit, value: torch.Tensor) -> torch.Tensor:
        value = value.clone().reshape(1, len(ids[0]), -1)  # opt's MLP sees two dimensions
        heads = value.unflatten(-1, (anatomy.n_heads, -1)) if edit.site == "z" else value
        part = heads[0] if edit.head is None else heads[0, :, edit.head]
        for pos in edit.positions or range(value.shape[1]):
            if edit.kind == "zero":
                part[pos] = 0
            else:
                new = edit.value[0]
                part[pos] = new if edit.kind == "patch" else part[pos] + new
        return value

    handles = []
    for edit in edits:
        module, is_input = {
            "embed": (anatomy.embedding, False),
            "resid_pre": (anatomy.layers[edit.layer], True),
            "resid_post": (anatomy.layers[edit.layer], False),
            "z": (anatomy.out_proj[edit.layer], True),
            "attn_out": (anatomy.attention[edit.layer], False),
            "mlp_out": (anatomy.mlp[edit.layer], False),
        }[edit.site]
        if is_input:

            def before(_m: Any, args: Any, kwargs: Any, edit: Edit = edit) -> Any:
                if args:
                    return (changed(edit, args[0]), *args[1:]), kwargs
                hidden = changed(edit, kwargs["hidden_states"])
                return args, {**kwargs, "hidden_states": hidden}

            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        else:

            def after(_m: Any, _args: Any, out: Any, edit: Edit = edit) -> Any:
                if isinstance(out, tuple):
                    return (changed(edit, out[0]), *out[1:])
                return changed(edit, out).reshape(out.shape)

            handles.append(module.register_forward_hook(after))
    with torch.no_grad():
        logits = anatomy.model(input_ids=ids).logits[:, metric.info.position]
    for handle in handles:
        handle.remove()
    return float(metric.of(logits)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_site_and_kind_equals_a_plain_hooked_forward(family: str, dtype: torch.dtype) -> None:
    if dtype == torch.float64 and family in NO_FLOAT64:
        return  # refused by name at load: see test_selfcheck
    lm, prompt, metric = case(family, dtype, name="logprob", position=5)
    counterfactuals = _random_edits(lm.anatomy, dtype)
    before = fingerprint(lm)
    measured = evaluate(record(lm, prompt), counterfactuals, metric)
    assert fingerprint(lm) == before
    ids = input_ids(lm, prompt)
    expected = [_by_plain_hooks(lm.anatomy, ids, edits, metric) for edits in counterfactuals]
    tolerance = TOLERANCE[dtype]
    if dtype == torch.float64 and family in {"gpt_neo", "gptj", "bloom", "falcon"}:
        tolerance = {"rtol": 1e-6, "atol": 1e-6}  # parts of their attention are float32 always
    np.testing.assert_allclose(measured, expected, **tolerance)
    moved = np.abs(measured - metric.baseline) > 1e-4
    late = [all(e.positions == (5,) for e in edits) for edits in counterfactuals]
    assert moved.sum() >= len(moved) - sum(late) - 8, "edits hardly act: the test shows nothing"


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bloom"])
def test_the_values_do_not_depend_on_the_size_of_the_batch(family: str) -> None:
    lm, prompt, metric = case(family)
    counterfactuals = _random_edits(lm.anatomy, torch.float32)
    run = record(lm, prompt)
    one_by_one = evaluate(run, counterfactuals, metric, tokens_a_step=1)
    for tokens in (30, 100, 10_000):
        values = evaluate(run, counterfactuals, metric, tokens_a_step=tokens)
        np.testing.assert_allclose(values, one_by_one, rtol=1e-5, atol=1e-5)


def test_patching_an_activation_with_itself_changes_nothing() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    run = record(lm, prompt, sites=SITES)
    own = [
        (Edit(site, layer, "patch", value=run.sites[site][layer][0]),)
        for site in SITES
        for layer in range(3)
    ]
    np.testing.assert_allclose(evaluate(run, own, metric), metric.baseline, rtol=0, atol=1e-12)


def test_an_edit_after_the_metrics_position_changes_nothing() -> None:
    lm, prompt, metric = case("mistral_windowed", torch.float64, position=3)
    late = [(Edit(site, 0, "zero", positions=(4, 6)),) for site in SITES]
    values = evaluate(record(lm, prompt), late, metric)
    np.testing.assert_allclose(values, metric.baseline, rtol=0, atol=1e-12)


def test_values_stream_out_and_together_are_the_whole() -> None:
    lm, prompt, metric = case()
    counterfactuals = _random_edits(lm.anatomy, torch.float32)
    seen = np.full(len(counterfactuals), np.nan)
    batches = []

    def take(indices: list[int], values: np.ndarray) -> None:
        seen[indices] = values
        batches.append(len(indices))

    values = evaluate(record(lm, prompt), counterfactuals, metric, on_values=take, tokens_a_step=60)
    np.testing.assert_array_equal(seen, values)
    assert len(batches) > 3


def test_a_cancel_stops_at_the_next_step_and_leaves_no_hook() -> None:
    lm, prompt, metric = case()
    before = fingerprint(lm)
    steps = []

    def cancelled() -> bool:
        steps.append(1)
        return len(steps) > 3

    with pytest.raises(Cancelled):
        evaluate(
            record(lm, prompt),
            _random_edits(lm.anatomy, torch.float32),
            metric,
            watch=Watch(cancelled=cancelled),
            tokens_a_step=1,
        )
    assert len(steps) == 4
    assert fingerprint(lm) == before


def test_out_of_memory_halves_the_batch_and_the_values_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case()
    run = record(lm, prompt)
    counterfactuals = _random_edits(lm.anatomy, torch.float32)
    expected = evaluate(run, counterfactuals, metric)
    rows: list[int] = []

    def limited(run: Any, batch: list[Counterfactual], position: int) -> torch.Tensor:
        rows.append(len(batch))
        if len(batch) > limit:
            raise torch.OutOfMemoryError("out of memory")
        return replayed(run, batch, position)

    from interpboard.runs import replay

    replayed = replay._replayed
    monkeypatch.setattr(replay, "_replayed", limited)
    limit = 5
    values = evaluate(run, counterfactuals, metric)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
    assert rows[0] > 5 >= rows[-1]
    limit = 0
    with pytest.raises(OutOfMemory, match="does not fit"):
        evaluate(run, counterfactuals, metric)


def test_edits_outside_the_model_are_refused() -> None:
    lm, prompt, metric = case()
    run = record(lm, prompt)
    with pytest.raises(BadParameter, match="0 to 2"):
        evaluate(run, [(Edit("mlp_out", 3),)], metric)
    with pytest.raises(BadParameter, match="0 to 3"):
        evaluate(run, [(Edit("z", 0, head=4),)], metric)
    with pytest.raises(BadParameter, match="clean run"):
        evaluate(run, [()], metric)
