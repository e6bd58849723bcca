"""The last layer at the metric's position alone, with the keys and values that it makes of each row."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.models.absorbed_attention import may_absorb
from interpboard.models.anatomy import find_anatomy
from interpboard.models.calls import LayerCall
from interpboard.models.kept_tensors import Keeper
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import standing_in
from interpboard.models.proof.selfcheck import self_check
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import case, fingerprint
from tests.tiny import tiny_model

CLOSE = {torch.float32: 1e-5, torch.float64: 1e-10}
LAST = 2
POSITION = 6


def _edits(lm: LanguageModel, dtype: torch.dtype) -> list[Counterfactual]:
    """At every site, in the last layer and before it, at all positions and at some; two layers at once. What
    looks at keys behind the metric's position would have every position run."""
    generator = torch.Generator().manual_seed(3)
    found: list[Counterfactual] = []
    wide = {"z": lm.anatomy.d_head[0], "v": lm.anatomy.d_head[0]}
    for site in ("resid_pre", "v", "z", "attn_out", "resid_mid", "mlp_out", "resid_post"):
        width = wide.get(site, lm.anatomy.d_model)
        value = torch.randn(1, width, generator=generator, dtype=torch.float64).to(dtype)
        head = 1 if site in wide else None
        for layer, positions in ((LAST, None), (LAST, (1, POSITION)), (LAST, (3,)), (1, (2, 4))):
            found.append((Edit(site, layer, "add", head, positions, value),))
    hidden = Edit("pattern", LAST, "block", positions=(4, POSITION), keys=(1, 2))
    seen = [
        hidden,
        replace(hidden, layer=1),
        Edit("pattern", LAST, head=2),
        Edit("q", LAST, head=0),
    ]
    found = [row for row in found if row[0].site in lm.verified.sites]
    pairs = [(*a, *b) for a, b in zip(found[::3], found[2::3], strict=False) if a is not b]
    return [*found, *((edit,) for edit in seen if edit.site in lm.verified.sites), *pairs]


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox", "gemma2", "mistral_windowed"])
def test_edits_in_and_before_the_last_layer_equal_plain_hooked_forwards(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric = case(family, dtype, name="logprob", position=POSITION)
    assert lm.verified.one_query
    hooks = replace(lm, verified=replace(lm.verified, path="hooks", faster_parts=False))
    add = torch.ones(1, lm.anatomy.d_model, dtype=dtype)
    own = (Edit("resid_pre", LAST, "add", positions=(2,), value=add), Edit("z", LAST, head=3))
    cells = _edits(lm, dtype)
    rows = [i % 2 for i in range(len(cells))]
    before = fingerprint(lm)
    measured = evaluate(record(lm, prompt, edits=((), own)), cells, metric, base=rows)
    assert fingerprint(lm) == before
    expected = evaluate(record(hooks, prompt, edits=((), own)), cells, metric, base=rows)
    allowed = CLOSE[dtype] if dtype == torch.float32 or family != "gemma2" else 1e-6
    np.testing.assert_allclose(measured, expected, rtol=allowed, atol=allowed)
    moved = np.abs(measured - metric.baseline) > 1e-4
    assert moved.mean() > 0.7, "edits hardly act: the test shows nothing"


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_where_an_edit_looks_at_later_keys_every_position_is_run(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logprob", position=POSITION)
    hooks = replace(lm, verified=replace(lm.verified, path="hooks", faster_parts=False))
    length = len(prompt.token_ids)
    assert length - 2 > POSITION
    generator = torch.Generator().manual_seed(0)
    shape = length, lm.anatomy.n_heads, length  # of all keys, those behind the query among them
    pattern = torch.rand(shape, generator=generator, dtype=torch.float64).softmax(-1)
    there = (Edit("pattern", 1, "patch", value=pattern),)
    late = (Edit("mlp_out", 0, positions=(length - 1,)), Edit("z", LAST, head=1))
    cells = [
        there,
        (Edit("pattern", LAST, "patch", value=pattern),),
        (Edit("z", LAST, head=1),),
        late,
    ]
    measured, expected = (
        [
            float(evaluate(run, [cell], metric, base=[base])[0])
            for cell, base in zip(cells, (0, 0, 1, 1), strict=True)
        ]
        for run in (record(each, prompt, edits=((), there)) for each in (lm, hooks))
    )
    np.testing.assert_allclose(measured, expected, rtol=1e-10, atol=1e-10)
    assert abs(measured[2] - measured[3]) > 1e-6  # what is behind the position acts


@pytest.mark.parametrize("part", ["attention", "mlp", "keys"])
def test_a_last_layer_that_looks_elsewhere_too_runs_at_every_position(part: str) -> None:
    model = tiny_model("llama")

    def with_mean(_module: Any, _args: Any, output: Any) -> Any:
        several = isinstance(output, tuple)
        value = output[0] if several else output
        mixed = value + value.cumsum(1) / 3
        return (mixed, *output[1:]) if several else mixed

    def of_the_first(_module: Any, args: Any, kwargs: Any) -> Any:
        given = kwargs["hidden_states"]
        return args, {**kwargs, "hidden_states": given + given[:, :1]}

    layer = model.model.layers[-1]
    if part == "keys":  # what keys are made of depends on the first position that is given
        layer.self_attn.register_forward_pre_hook(of_the_first, with_kwargs=True)
    else:
        module = layer.self_attn if part == "attention" else layer.mlp
        module.register_forward_hook(with_mean)
    assert not self_check(find_anatomy(model)).one_query


def _around(lm: LanguageModel, dtype: torch.dtype) -> list[Counterfactual]:
    return [
        row
        for row in _edits(lm, dtype)
        if not any(e.layer == LAST and e.site in ("v", "q", "pattern") for e in row)
    ]


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_attention_that_reads_the_streams_makes_no_keys_and_equals_plain_hooked_forwards(
    dtype: torch.dtype, late: bool, attention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case("gpt2", dtype, biases=True, name="logprob", position=POSITION)
    assert lm.verified.absorbed
    hooks = replace(lm, verified=replace(lm.verified, path="hooks", faster_parts=False))
    add = torch.ones(1, lm.anatomy.d_model, dtype=dtype)
    own = (Edit("resid_pre", LAST, "add", positions=(2,), value=add), Edit("z", LAST, head=3))
    cells = [row for row in _around(lm, dtype) if not late or min(e.first for e in row) > 0]
    rows = [i % 2 for i in range(len(cells))]
    config = lm.anatomy.model.config
    before, usual = fingerprint(lm), config._attn_implementation
    config._attn_implementation = attention
    made: list[LayerCall] = []
    try:
        run = record(lm, prompt, edits=((), own))
        plain = record(hooks, prompt, edits=((), own))
        run.calls[-1].keys_and_values()  # those of the recorded rows are made once
        with monkeypatch.context() as patched:
            patched.setattr(LayerCall, "keys_values_of", lambda call, *_given: made.append(call))
            measured = evaluate(run, cells, metric, base=rows)
        expected = evaluate(plain, cells, metric, base=rows)
    finally:
        config._attn_implementation = usual
    assert not made, "queries, keys and values were made"
    assert fingerprint(lm) == before
    np.testing.assert_allclose(measured, expected, rtol=CLOSE[dtype], atol=CLOSE[dtype])
    off = replace(lm, verified=replace(lm.verified, absorbed=False))
    with_keys = evaluate(record(off, prompt, edits=((), own)), cells, metric, base=rows)
    np.testing.assert_allclose(measured, with_keys, rtol=CLOSE[dtype], atol=CLOSE[dtype])
    assert (np.abs(measured - metric.baseline) > 1e-4).mean() > 0.7, "edits hardly act"


@pytest.mark.usefixtures("changed_on_purpose")
def test_keys_that_somebody_makes_otherwise_since_the_model_was_opened_are_made_so() -> None:
    lm, prompt, metric = case("gpt2", name="logprob", position=POSITION)
    hooks = replace(lm, verified=replace(lm.verified, path="hooks", faster_parts=False))
    make, cells = lm.anatomy.attention[LAST].c_attn, _around(lm, torch.float32)
    plain = evaluate(record(lm, prompt), cells, metric)
    with standing_in(make, lambda given: 2 * type(make).forward(make, given)):
        measured = evaluate(record(lm, prompt), cells, metric)
        expected = evaluate(record(hooks, prompt), cells, metric)
    np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(measured - plain).max() > 1e-3


@pytest.mark.parametrize("part", ["hook", "class", "function", "dtype", "forward"])
def test_attention_that_is_more_than_what_is_known_makes_its_keys(part: str) -> None:
    model = tiny_model("gpt2")
    attention = model.transformer.h[-1].attn
    if part == "hook":
        attention.c_attn.register_forward_hook(lambda *_args: None)
    elif part == "class":
        attention.__class__ = type("Another", (type(attention),), {})
    elif part == "function":
        model.config._attn_implementation_internal = "one of their own"
    elif part == "dtype":
        attention.c_attn.to(torch.bfloat16)
    else:  # known of the class, and this is another
        attention.forward = partial(type(attention).forward, attention)
    call = LayerCall(model.transformer.h[-1], Keeper().keep(torch.zeros(1, 8, 32)), {})
    assert not may_absorb(attention, call, 5)


def test_a_query_that_does_not_see_all_before_it_has_its_keys_made() -> None:
    layer = tiny_model("gpt2").transformer.h[-1]
    hidden = Keeper().keep(torch.zeros(1, 8, 32))
    seen = torch.ones(1, 1, 8, 8, dtype=torch.bool).tril()
    lowest = torch.zeros(1, 1, 8, 8).masked_fill(~seen, torch.finfo(torch.float32).min)
    for mask, sees in ((seen, True), (lowest, True), (None, True), (seen.triu(-3), False)):
        call = LayerCall(layer, hidden, {"attention_mask": mask})
        assert may_absorb(layer.attn, call, 5) is sees
