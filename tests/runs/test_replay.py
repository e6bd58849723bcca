"""The evaluator against plain hooked forwards of the unmodified model, one at a time."""

from __future__ import annotations

import dataclasses
import itertools
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter, Cancelled, OutOfMemory
from interpboard.models.attention_sites import ATTENTION_SITES
from interpboard.models.language_model import LanguageModel
from interpboard.models.packed import in_width
from interpboard.models.sites import HEAD_SITES, SITES
from interpboard.runs.batch import Batch
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import TOLERANCE, case, fingerprint
from tests.models.test_selfcheck import FORMATS, IN_BOTH
from tests.plain_hooks import plain_metric
from tests.tiny import FAMILIES

KINDS = ("zero", "patch", "add")


def _random_edits(
    lm: LanguageModel, dtype: torch.dtype, n_pos: int, *, whole: bool = True
) -> list[Counterfactual]:
    """Every site with every kind, at some layer; whole and at positions; and several at once.

    Unless ``whole``, every other is left out: each site with each kind at all positions or at some."""
    anatomy = lm.anatomy
    generator = torch.Generator().manual_seed(7)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    sites = [site for site in SITES if site in lm.verified.sites]
    d_v = anatomy.d_head[0]
    d_qk = int(getattr(lm.model.config, "qk_head_dim", d_v))
    width = {"q": d_qk, "k": d_qk, "v": d_v, "z": d_v, "pattern": n_pos}
    singles = []
    for number, (site, kind, positions) in enumerate(
        itertools.product(sites, KINDS, (None, (1, 4)))
    ):
        if not whole and number % 4 in (
            1,
            2,
        ):  # a kind everywhere, the next at two positions, in turn
            continue
        layer = number % anatomy.n_layers
        heads = anatomy.n_kv_heads if site in ("k", "v") else anatomy.n_heads
        head = number % heads if site in HEAD_SITES else None
        if site == "neuron":
            n_neurons = in_width(anatomy.down_proj[layer])
            neuron = number % n_neurons if number % 2 else None
            value = random(1) if neuron is not None else random(1, n_neurons)
            singles.append(Edit(site, layer, kind, None, positions, value, neuron))
            continue
        value = random(1, width.get(site, anatomy.d_model))
        singles.append(Edit(site, layer, kind, head, positions, value))
    every_head = Edit("z", 1, "add", None, (2,), random(1, anatomy.n_heads, d_v))
    pairs = [(a, b) for a, b in zip(singles[::5], singles[3::5], strict=False)]
    return [(edit,) for edit in singles] + [(every_head,)] + pairs


def _changed(edit: Edit, value: torch.Tensor) -> torch.Tensor:
    """The edit written out by hand, on [1, pos, …] with heads in their own dimension."""
    value = value.clone()
    part = value[0]
    part = part if edit.head is None else part[:, edit.head]
    part = part if edit.neuron is None else part[:, edit.neuron]
    for pos in edit.positions or range(value.shape[1]):
        if edit.kind == "zero":
            part[pos] = 0
        else:
            new = edit.value[0]
            part[pos] = new if edit.kind == "patch" else part[pos] + new
    return value


@pytest.mark.parametrize(("family", "dtype"), FORMATS)
def test_every_site_and_kind_equals_a_plain_hooked_forward(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype, name="logprob", position=5)
    whole = family in IN_BOTH
    counterfactuals = _random_edits(lm, dtype, len(prompt.token_ids), whole=whole)
    before = fingerprint(lm)
    measured = evaluate(record(lm, prompt), counterfactuals, metric)
    assert fingerprint(lm) == before
    expected = [
        plain_metric(lm, prompt, metric, [(e.site, e.layer, partial(_changed, e)) for e in edits])
        for edits in counterfactuals
    ]
    tolerance = TOLERANCE[dtype]
    if dtype == torch.float64 and family in {"gpt_neo", "gptj", "bloom", "falcon"}:
        tolerance = {"rtol": 1e-6, "atol": 1e-6}  # parts of their attention are float32 always
    inside = np.array([any(e.site in ATTENTION_SITES for e in edits) for edits in counterfactuals])
    np.testing.assert_allclose(measured[~inside], np.array(expected)[~inside], **tolerance)
    if dtype == torch.float64:  # the eager attention of the oracle takes its softmax in float32
        tolerance = {"rtol": 1e-6, "atol": 1e-6}
    np.testing.assert_allclose(measured[inside], np.array(expected)[inside], **tolerance)
    moved = np.abs(measured - metric.baseline) > 1e-4
    assert moved.mean() > 0.85, "edits hardly act: the test shows nothing"


@pytest.mark.parametrize(
    ("family", "dtype"),
    [
        ("gpt2", torch.float32),
        *((each, torch.float64) for each in ("gpt2", "llama", "gemma2", "bloom")),
    ],
)
def test_the_values_do_not_depend_on_the_size_of_the_batch(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype)
    counterfactuals = _random_edits(lm, dtype, len(prompt.token_ids), whole=family == "gpt2")
    tolerance = 1e-5 if dtype == torch.float32 else 1e-10
    run = record(lm, prompt)
    one_by_one = evaluate(run, counterfactuals, metric, tokens_a_step=1)
    for tokens in (30, 10_000):
        values = evaluate(run, counterfactuals, metric, tokens_a_step=tokens)
        np.testing.assert_allclose(values, one_by_one, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        (family, name)
        for turn, family in enumerate(FAMILIES)
        for at, name in enumerate(("logit", "logit_diff", "prob"))
        if family in IN_BOTH or at == turn % 3
    ],
)
def test_what_a_replay_leaves_out_does_not_matter(family: str, name: str) -> None:
    lm, prompt, metric = case(family, name=name, target=" the", foil=" city", position=6)
    counterfactuals = _random_edits(
        lm, torch.float32, len(prompt.token_ids), whole=family in IN_BOTH
    )
    whole = dataclasses.replace(
        lm,
        verified=dataclasses.replace(
            lm.verified,
            some_logits=False,
            mlp_at_one=False,
            keeps_attention=False,
            faster_parts=False,
            faster_head=False,
        ),
    )
    measured = evaluate(record(lm, prompt), counterfactuals, metric)
    expected = evaluate(record(whole, prompt), counterfactuals, metric)
    np.testing.assert_allclose(measured, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama", "olmo2"])
def test_counterfactuals_on_an_edited_row_make_its_edits_too(family: str) -> None:
    # Adding twice, or not at all, to what the row itself had added would give another number.
    lm, prompt, metric = case(family, torch.float64, name="logprob")
    add = torch.ones(1, lm.anatomy.d_model, dtype=torch.float64)
    d_head = lm.anatomy.d_head[0]
    of_the_row = (
        Edit("embed", 0, "add", positions=(1,), value=add),
        Edit("z", 1, "add", 2, value=add[:, :d_head]),
        Edit("resid_post", 1, "add", positions=(3,), value=add),
        Edit("resid_pre", 2, "add", value=0.3 * add),
    )
    own = [(edit,) for edit in _edits_everywhere(lm, add)]
    run = record(lm, prompt, edits=((), of_the_row))
    measured = evaluate(run, own, metric, base=[1] * len(own))
    plain = record(lm, prompt)
    expected = evaluate(plain, [(*of_the_row, *edits) for edits in own], metric)
    np.testing.assert_allclose(measured, expected, rtol=1e-9)


def _edits_everywhere(lm: LanguageModel, add: torch.Tensor) -> list[Edit]:
    part = 0.5 * add[:, : lm.anatomy.d_head[0]]
    stream = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
    return [
        *(Edit(site, layer, "add", value=0.5 * add) for site in stream for layer in range(3)),
        *(
            Edit(site, layer, "add", 1, value=part)
            for site in ("z", "q", "v")
            for layer in range(3)
        ),
        Edit("resid_post", 2, "patch", positions=(8,), value=add),
    ]


def test_patching_an_activation_with_itself_changes_nothing() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    run = record(lm, prompt, sites=SITES)
    own = [
        (Edit(site, layer, "patch", value=run.sites[site][layer][0], positions=positions),)
        for site in SITES
        for layer in range(3)
        for positions in (None, tuple(range(len(prompt.token_ids))))
    ]
    np.testing.assert_allclose(evaluate(run, own, metric), metric.baseline, rtol=0, atol=1e-12)


def test_an_edit_after_the_metrics_position_changes_nothing() -> None:
    lm, prompt, metric = case("mistral_windowed", torch.float64, position=3)
    late = [(Edit(site, 0, "zero", positions=(4, 6)),) for site in SITES]
    values = evaluate(record(lm, prompt), late, metric)
    np.testing.assert_allclose(values, metric.baseline, rtol=0, atol=1e-12)


def test_values_stream_out_and_together_are_the_whole() -> None:
    lm, prompt, metric = case()
    counterfactuals = _random_edits(lm, torch.float32, len(prompt.token_ids))
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
            _random_edits(lm, torch.float32, len(prompt.token_ids)),
            metric,
            watch=Watch(cancelled=cancelled),
            tokens_a_step=1,
        )
    assert len(steps) == 4  # asked before every layer, too
    assert fingerprint(lm) == before


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA ran out"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("MPS backend out of memory"),
    ],
    ids=["cuda", "cpu", "mps"],
)
def test_out_of_memory_halves_the_batch_and_the_values_stay(
    error: RuntimeError,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case()
    run = record(lm, prompt)
    counterfactuals = _random_edits(lm, torch.float32, len(prompt.token_ids))
    expected = evaluate(run, counterfactuals, metric)
    rows: list[int] = []

    def limited(self: Any, position: int, watch: Watch) -> torch.Tensor:
        rows.append(len(self.rows))
        if len(self.rows) > limit:
            raise error
        return replayed(self, position, watch)

    replayed = Batch._replayed
    monkeypatch.setattr(Batch, "_replayed", limited)
    limit = 5
    values = evaluate(run, counterfactuals, metric)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
    assert rows[0] > 5 >= rows[-1]
    limit = 0
    with pytest.raises(OutOfMemory, match="does not fit"):
        evaluate(run, counterfactuals, metric)
    error = RuntimeError("of another kind")
    with pytest.raises(RuntimeError, match="another kind"):
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
