"""A recording's budget: it counts all that is kept, and what is beyond it lies in host memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from interpboard.models import kept_tensors
from interpboard.models.kept_tensors import Keeper, Kept
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.record import KEPT_ON_DEVICE, Run, record
from interpboard.runs.replay import evaluate
from tests.lm import case, tiny_lm

SITES = ("z", "resid_post")


def _edits(d_model: int) -> list[Counterfactual]:
    """Some that reuse keys and values, keep head outputs, or begin in the middle."""
    value = torch.ones(1, d_model, dtype=torch.float64)
    return [
        (Edit("z", 1, "zero", head=2, positions=(3,)),),
        (Edit("q", 2, "zero", head=0, positions=(5,)),),
        (Edit("mlp_out", 0, "add", positions=(4,), value=value),),
        (Edit("embed", 0, "add", positions=(2,), value=value),),
        (Edit("resid_post", 1, "patch", positions=(6,), value=value),),
    ]


def _all_kept(run: Run) -> list[torch.Tensor]:
    return [
        *(call.hidden.tensor for call in run.calls),
        *(one.z.tensor for one in run.attended),
        *(part.tensor for call in run.calls for pair in call.keys_values for part in pair),
        *(value for values in run.sites.values() for value in values),
    ]


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3", "qwen3"])
def test_the_budget_counts_everything_and_changes_no_value(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logprob")
    edits = _edits(lm.anatomy.d_model)
    rows = ((), edits[2])
    whole = record(lm, prompt, SITES, rows)
    expected = evaluate(whole, edits, metric, base=[0, 1, 0, 1, 0])
    everything = _bytes(_all_kept(whole))
    assert any(call.keys_values for call in whole.calls)
    assert whole.attended
    assert (whole.keeper.on_device, whole.keeper.in_host) == (everything, 0)
    assert everything < KEPT_ON_DEVICE
    for budget in (0, 3, everything // 3, everything - 1):
        run = record(lm, prompt, SITES, rows, keep_on_device=budget)
        values = evaluate(run, edits, metric, base=[0, 1, 0, 1, 0])
        np.testing.assert_array_equal(values, expected)
        torch.testing.assert_close(run.residuals(1), whole.residuals(1), rtol=0, atol=0)
        assert run.keeper.on_device <= budget
        assert run.keeper.on_device + run.keeper.in_host == everything == _bytes(_all_kept(run))
        assert (run.keeper.on_device == 0) == (budget < 4)


def test_what_is_beyond_the_budget_lies_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    # The host is played by a device without memory, so that what was moved there is known by it.
    monkeypatch.setattr(kept_tensors, "HOST", "meta")
    lm, prompt, _ = case("gpt2")
    moved = record(lm, prompt, SITES, keep_on_device=0)
    assert all(tensor.is_meta for tensor in _all_kept(moved))
    assert not moved.resid_final.is_meta
    hidden = _bytes([moved.calls[0].hidden.tensor])
    some = record(lm, prompt, SITES, keep_on_device=3 * hidden)
    kept = [tensor for tensor in _all_kept(some) if not tensor.is_meta]
    assert _bytes(kept) == some.keeper.on_device == 3 * hidden
    for call in some.calls:
        call.keeper.budget = 0
    for part in some.calls[0].keys_and_values():  # asked for later, and beyond it all the same
        assert part.tensor.is_meta


def test_a_part_of_what_is_kept_comes_on_the_device_it_was_on() -> None:
    tensor = torch.arange(12.0).reshape(3, 4)
    there = Kept(tensor, torch.device("meta"))
    assert there[1].is_meta
    assert there[:, 2:].shape == (3, 2)
    here = Kept(tensor, torch.device("cpu"))
    rows = torch.tensor([2, 0])
    torch.testing.assert_close(here[rows, 1:3], tensor[rows, 1:3])


def test_only_what_may_be_changed_in_place_is_copied() -> None:
    value = torch.zeros(4)
    keeper = Keeper()
    assert keeper.keep(value).tensor is value
    assert keeper.keep(value, copy=True).tensor is not value
    assert Keeper(0).keep(value, copy=True).tensor is not value


def test_keys_and_values_keep_no_more_than_themselves_alive() -> None:
    lm = tiny_lm("gpt2")  # whose queries, keys and values are one tensor
    run = record(lm, case("gpt2")[1])
    for part in run.calls[1].keys_and_values():
        assert part.tensor.untyped_storage().nbytes() == _bytes([part.tensor])


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_keys_and_values_are_made_without_the_rest_of_the_layer(family: str) -> None:
    lm = tiny_lm(family)
    prompt = case(family)[1]
    run = record(lm, prompt)
    passed: list[object] = []
    with lm.anatomy.mlp[1].register_forward_hook(lambda *_args: passed.append(None)):
        found = run.calls[1].keys_and_values()
    assert not passed
    cache = DynamicCache(config=lm.anatomy.model.config)
    with torch.no_grad():
        lm.anatomy.model(input_ids=torch.tensor([prompt.token_ids]), past_key_values=cache)
    for part, expected in zip(found, (cache.layers[1].keys, cache.layers[1].values), strict=True):
        torch.testing.assert_close(part[:], expected)
