"""After any analysis that intervenes the model is what it was: also after a cancel and an exception."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.errors import Cancelled
from interpboard.models import attention_sites
from interpboard.models.language_model import LanguageModel
from interpboard.results import Document
from interpboard.runs.watch import Watch
from tests.lm import fingerprint, tiny_lm
from tests.patching.test_activation import CLEAN, CORRUPTED
from tests.patching.test_confidence import LINES

ANALYSES: dict[str, dict[str, Any]] = {
    "head_ablation": {"ablation": "mean"},
    "head_pairs": {"top_k": 3, "ablation": "dataset_mean", "references": "The Eiffel\nMary"},
    "compare_ablations": {"components": "0.1,2.3", "references": "The Eiffel\nMary"},
    "critical_components": {"budget": 9},
    "activation_patching": {"corrupted": CORRUPTED, "site": "pattern"},
    "attribution_patching": {
        "corrupted": CORRUPTED, "site": "k", "along": "head_position", "method": "atp_star",
        "verify": 3,
    },
    "path_patching": {"corrupted": CORRUPTED, "receiver": "1.1.k,2.mlp,output"},
    "patching_confidence": {"corrupted": CORRUPTED, "pairs": LINES, "site": "v", "control": True},
    "causal_trace": {"subject": "Eiffel Tower", "samples": 2, "state": "attn"},
}  # fmt: skip


@contextmanager
def untouched(lm: LanguageModel) -> Iterator[None]:
    """Parameters are bitwise the same afterwards, and nothing is hooked, frozen or switched."""
    parameters = {name: value.clone() for name, value in lm.model.named_parameters()}
    before = fingerprint(lm)
    own = lm.model.config._attn_implementation
    logits = lm.model(input_ids=torch.arange(8)[None]).logits
    yield
    assert fingerprint(lm) == before
    for name, value in lm.model.named_parameters():
        assert torch.equal(value, parameters[name]), name
        assert value.grad is None
    assert lm.model.config._attn_implementation == own
    assert not attention_sites._open
    assert torch.equal(lm.model(input_ids=torch.arange(8)[None]).logits, logits)


def _run(lm: LanguageModel, name: str, watch: Watch) -> None:
    analyze(lm, CLEAN, (name,), params={name: ANALYSES[name]}, watch=watch)


@pytest.mark.parametrize("name", ANALYSES)
def test_the_model_is_what_it_was(name: str) -> None:
    lm = tiny_lm("llama")
    asked = []

    def count() -> bool:
        asked.append(1)
        return False

    with untouched(lm):
        _run(lm, name, Watch(cancelled=count))
    assert len(asked) > 3
    for stop in {2, len(asked) // 2, len(asked) - 1}:
        steps = iter(range(len(asked) + 1))
        watch = Watch(cancelled=lambda steps=steps, stop=stop: next(steps) >= stop)
        with untouched(lm), pytest.raises(Cancelled):
            _run(lm, name, watch)


@pytest.mark.usefixtures("changed_on_purpose")
@pytest.mark.parametrize("name", ANALYSES)
def test_an_exception_in_the_middle_of_a_forward_leaves_nothing(name: str) -> None:
    lm = tiny_lm("llama")
    calls = []
    module = lm.anatomy.mlp[1].down_proj
    handle = module.register_forward_hook(lambda *_: calls.append(1))
    _run(lm, name, Watch())
    handle.remove()
    assert len(calls) > 1
    for stop in {min(2, len(calls) - 1), len(calls) // 2, len(calls) - 1}:
        left = iter(range(stop, -1, -1))

        def fail(*_: Any, left: Iterator[int] = left) -> None:
            if next(left) == 0:
                raise ZeroDivisionError

        with untouched(lm):
            handle = module.register_forward_hook(fail)
            try:
                with pytest.raises(ZeroDivisionError):
                    _run(lm, name, Watch())
            finally:
                handle.remove()


@pytest.mark.parametrize("name", ANALYSES)
def test_an_exception_of_the_listener_leaves_nothing(name: str) -> None:
    lm = tiny_lm("gpt2")

    def fail(_done: int, _total: int, partial: Any) -> None:
        if partial is not None:
            raise ZeroDivisionError

    with untouched(lm), pytest.raises(ZeroDivisionError):
        _run(lm, name, Watch(on_progress=fail))


@pytest.mark.parametrize("name", ANALYSES)
def test_a_saved_results_parameters_make_it_again(name: str) -> None:
    lm = tiny_lm("llama")
    first = analyze(lm, CLEAN, (name,), params={name: ANALYSES[name]})
    params = Document.from_json(first.to_json()).results[0].params
    again = analyze(lm, CLEAN, (name,), params={name: params}).results[0]
    assert again.params == first.results[0].params
    np.testing.assert_array_equal(again.values, first.results[0].values)
