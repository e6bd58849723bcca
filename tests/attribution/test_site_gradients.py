"""Gradients taken a layer at a time are those of a backward pass of the whole model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from interpboard.errors import Cancelled
from interpboard.models.sites import SITES
from interpboard.runs import steps
from interpboard.runs.edits import Edit
from interpboard.runs.gradients import sites as module
from interpboard.runs.gradients.sites import gradients_by_layer
from interpboard.runs.record import record
from interpboard.runs.watch import Watch
from tests.lm import case, fingerprint
from tests.models.test_selfcheck import NO_FLOAT64

DROPPED = ((), (0,), (1, 2))
# One of each way to put a layer together; falcon adds to its MLP's output in place.
FAMILIES = ("gpt2", "llama", "gemma2", "opt", "bloom", "falcon", "granite", "deepseek_v3")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_layer_at_a_time_gives_the_gradients_of_the_whole(family: str) -> None:
    dtype = torch.float32 if family in NO_FLOAT64 else torch.float64
    lm, prompt, metric = case(family, dtype, name="logprob", position=6)
    assert lm.verified.path == "replay"
    in_whole = replace(lm, verified=replace(lm.verified, path="hooks"))
    # Softmax and norms of some families are float32 always.
    near = dict.fromkeys(("rtol", "atol"), 1e-4 if dtype == torch.float32 else 1e-6)
    before = fingerprint(lm)
    add = torch.linspace(-1, 1, lm.anatomy.d_model, dtype=dtype)[None]
    edits = (
        Edit("embed", 0, "add", positions=(1,), value=add),
        Edit("resid_pre", 1, "add", value=0.5 * add),
        Edit("resid_post", 2, "add", value=0.5 * add),
        Edit("z", 0, "zero", head=1),
    )
    sites = [site for site in SITES if site in lm.verified.sites]
    seen = record(lm, prompt, sites, (edits,)).sites
    reached = 0
    for number, site in enumerate(sites):
        without = DROPPED if number % 3 == 0 else DROPPED[:2]  # each is a backward pass of its own
        found = gradients_by_layer(lm, prompt, metric, site, edits=edits, without=without)
        expected = gradients_by_layer(in_whole, prompt, metric, site, edits=edits, without=without)
        assert found.metric == pytest.approx(expected.metric, rel=near["rtol"])
        layers = []
        for one, other in zip(found.layers, expected.layers, strict=True):
            assert one.layer == other.layer
            layers.append(one.layer)
            own = seen[site][one.layer][0]
            torch.testing.assert_close(one.activation, own, **near)
            torch.testing.assert_close(other.activation, own, **near)
            for gradient, known in zip(one.gradients, other.gradients, strict=True):
                torch.testing.assert_close(gradient, known, **near)
                reached += bool(known.abs().max() > 1e-3)
        assert layers == ([0] if site == "embed" else [2, 1, 0])
    assert reached > 50, "hardly any gradient: the test shows nothing"
    assert fingerprint(lm) == before


@pytest.mark.usefixtures("changed_on_purpose")
def test_only_what_is_asked_of_the_layers_is_computed_and_a_cancel_is_heard_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("llama", torch.float64)
    monkeypatch.setattr(module, "backward_pass_is_small", lambda *_: False)
    before = fingerprint(lm)
    ran = []
    handle = lm.anatomy.layers[0].register_forward_hook(lambda *_: ran.append(1))
    try:
        layers = gradients_by_layer(lm, prompt, metric, "z").layers
        assert next(layers).layer == 2
        assert len(ran) == 1  # the recorded pass
        assert [one.layer for one in layers] == [1, 0]
        assert len(ran) == 2
    finally:
        handle.remove()
    asks = iter([False, False, True])
    watch = Watch(cancelled=lambda: next(asks))
    found = gradients_by_layer(lm, prompt, metric, "z", watch=watch).layers
    assert [next(found).layer, next(found).layer] == [2, 1]
    assert fingerprint(lm) == before  # nothing stays open between two layers
    with pytest.raises(Cancelled):
        next(found)
    assert fingerprint(lm) == before


def test_a_backward_pass_is_small_by_what_is_free_and_how_long_the_prompt_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm = case("gpt2")[0]
    a_token = 3 * (8 * 128 + 12 * 32) * 4  # layers; MLP and stream; bytes
    monkeypatch.setattr(steps, "free_memory", lambda _device: 4 * a_token * 10)
    assert steps.backward_pass_is_small(lm, 10, "z")
    assert not steps.backward_pass_is_small(lm, 11, "z")
    assert not steps.backward_pass_is_small(lm, 10, "pattern")
    monkeypatch.setattr(steps, "free_memory", lambda _device: 1 << 50)
    longest = steps.MEMORY_A_STEP // a_token
    assert steps.backward_pass_is_small(lm, longest, "resid_pre")
    assert not steps.backward_pass_is_small(lm, longest + 1, "resid_pre")
