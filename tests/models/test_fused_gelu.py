"""A map and the GELU behind it in one: what they give one after the other, or they are not taken so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import gelu
from transformers.activations import NewGELUActivation
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP

from interpboard.models import fused_gelu
from interpboard.models.anatomy import find_anatomy
from interpboard.models.faster_passes import faster_passes
from interpboard.models.fused_gelu import Fused, fused
from interpboard.models.proof.selfcheck import self_check
from interpboard.runs.edits import Edit
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import case, fingerprint
from tests.tiny import tiny_model

# A Conv1D; one without biases of its own; parallel blocks, with and without biases in attention.
FAMILIES = {
    "gpt2": ("mlp.c_fc", "mlp.act"), "gpt_neo": ("mlp.c_fc", "mlp.act"),
    "gptj": ("mlp.fc_in", "mlp.act"), "phi": ("mlp.fc1", "mlp.activation_fn"),
}  # fmt: skip


@pytest.fixture(autouse=True, params=["one kernel", "in place"])
def _of_any_size(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(fused_gelu, "_FEWEST", 1)
    monkeypatch.setattr(fused_gelu, "_PIECE", 3 * 128)  # several pieces, the last one shorter
    monkeypatch.setattr(Fused, "one_kernel", lambda _self: request.param == "one kernel")


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each product was one with its activation."""
    seen: list[bool] = []
    own, own_in_place = fused_gelu.product, fused_gelu.gelu_in_place

    def product(*args: Any, gelu: bool = False) -> torch.Tensor:
        seen.append(gelu)
        return own(*args, gelu=gelu)

    def in_place(*args: Any) -> torch.Tensor:
        seen.append(True)
        return own_in_place(*args)

    monkeypatch.setattr(fused_gelu, "product", product)
    monkeypatch.setattr(fused_gelu, "gelu_in_place", in_place)
    return seen


@pytest.mark.parametrize("family", FAMILIES)
def test_edited_runs_are_those_of_plain_hooks(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt, metric = case(family, biases=True)
    assert lm.verified.fused_gelu == (FAMILIES[family],) * 3
    plainly = replace(
        lm, verified=replace(lm.verified, path="hooks", faster_parts=False, fused_gelu=())
    )
    before = fingerprint(lm)
    edits = [
        *((Edit("z", layer, "zero", head=1),) for layer in range(3)),
        (Edit("neuron", 1, "zero", positions=(1, 2)),),
        (Edit("resid_pre", 1, "zero", positions=(2,)),),
    ]
    known = evaluate(record(plainly, prompt), edits, metric)
    seen = _counted(monkeypatch)
    found = evaluate(record(lm, prompt), edits, metric)
    assert seen
    assert all(seen)
    size = max(1.0, float(metric.clean_logits.abs().max()))
    np.testing.assert_allclose(found, known, atol=1e-5 * size)
    assert np.abs(known - metric.baseline).max() > 1e-3  # the edits do something
    assert fingerprint(lm) == before


def test_in_float64_nothing_is_computed_in_one() -> None:
    lm, _, _ = case("gpt2", torch.float64)
    assert lm.verified.fused_gelu == ()


def test_few_rows_a_gradient_and_whoever_looks_between_have_each_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, _, _ = case("gpt2")
    mlp: Any = lm.anatomy.layers[0].mlp
    given = torch.randn(5, lm.anatomy.d_model, generator=torch.Generator().manual_seed(0))
    plain = mlp.c_fc(given)
    seen = _counted(monkeypatch)
    with fused(mlp.c_fc, mlp.act, fewest=6), torch.no_grad():
        torch.testing.assert_close(mlp.c_fc(given), plain)
    with fused(mlp.c_fc, mlp.act, fewest=5):
        with torch.enable_grad():
            torch.testing.assert_close(mlp.c_fc(given.clone().requires_grad_()), plain)
        for hang in (mlp.c_fc.register_forward_hook, mlp.act.register_forward_pre_hook):
            handle = hang(lambda *_: None)
            with torch.no_grad():
                torch.testing.assert_close(mlp.c_fc(given), plain)
            handle.remove()
        assert not seen
        with torch.no_grad():
            torch.testing.assert_close(mlp.act(mlp.c_fc(given)), gelu(plain, approximate="tanh"))
    assert seen == [True]
    torch.testing.assert_close(mlp.c_fc(given), plain)


def test_an_activation_that_is_given_another_tensor_is_a_fault_and_not_a_number() -> None:
    lm, _, _ = case("gpt2")
    mlp: Any = lm.anatomy.layers[0].mlp
    given = torch.randn(5, lm.anatomy.d_model, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), faster_passes(lm.anatomy, lm.verified):
        made = mlp.c_fc(given)
        with pytest.raises(RuntimeError, match="not given what"):
            mlp.act(made + 0)


def _used_twice(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    before = self.c_fc(hidden)
    found: torch.Tensor = self.c_proj(self.act(before) + 0.1 * before)
    return found


def _changed_between(self: Any, hidden: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = self.c_proj(self.act(1.5 * self.c_fc(hidden)))
    return found


@pytest.mark.parametrize("forward", [_used_twice, _changed_between])
def test_a_map_whose_output_goes_elsewhere_or_is_changed_is_not_followed(
    forward: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GPT2MLP, "forward", forward)
    verified = self_check(find_anatomy(tiny_model("gpt2")))
    assert verified.path == "replay"
    assert verified.fused_gelu == ()


def _steeper(self: Any, given: torch.Tensor) -> torch.Tensor:
    return 1.0001 * gelu(given, approximate="tanh")


def _erf(self: Any, given: torch.Tensor) -> torch.Tensor:
    return gelu(given)


@pytest.mark.parametrize("forward", [_steeper, _erf])
def test_an_activation_that_is_not_what_its_name_says_is_computed_by_itself(
    forward: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NewGELUActivation, "forward", forward)
    assert self_check(find_anatomy(tiny_model("gpt2"))).fused_gelu == ()


def test_a_map_that_became_more_than_its_class_is_not_fused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model("gpt2")
    anatomy = find_anatomy(model)
    verified = self_check(anatomy)
    assert all(verified.fused_gelu)
    part: nn.Module = model.transformer.h[1].mlp.c_fc
    own = part.forward
    part.forward = lambda given: 2 * own(given)  # type: ignore[method-assign]
    ids = torch.arange(6)[None]
    with torch.no_grad():
        known = model(input_ids=ids).logits
        seen = _counted(monkeypatch)
        with faster_passes(anatomy, verified):
            found = model(input_ids=ids).logits
    assert len(seen) == 2
    torch.testing.assert_close(found, known, rtol=1e-4, atol=1e-5)
