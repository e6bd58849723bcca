"""The public classes hold a model and its tokenizer, and add nothing to what the functions give."""

from __future__ import annotations

import numpy as np
import pytest

from interpboard.patching import ActivationPatcher, CausalTracer
from interpboard.patching.activation import activation_patching
from interpboard.patching.causal_tracing import causal_trace
from interpboard.patching.paths import path_patching
from tests.lm import case, fingerprint
from tests.patching.test_activation import CLEAN, CORRUPTED


def test_the_tracer_gives_what_the_function_gives() -> None:
    lm, prompt, metric = case(text=CLEAN, name="prob")
    before = fingerprint(lm)
    with CausalTracer(lm.model, lm.tokenizer) as tracer:
        trace = tracer.trace_causal_effect(CLEAN, ["Eiffel", "Tower"], samples=2)
    expected = causal_trace(lm, prompt, metric, subject="Eiffel Tower", samples=2)
    np.testing.assert_array_equal(trace.restoration_effect, expected.values)
    np.testing.assert_allclose(trace.indirect_effects.mean(0), trace.restoration_effect)
    assert trace.total_effect == pytest.approx(float(expected.extra["total_effect"].values))
    assert trace.top(3) == trace.result.top(3)
    assert trace.to_json() == trace.result.to_json()
    assert trace._repr_html_() == trace.result._repr_html_()
    assert repr(trace).startswith("CausalTrace of 'The Eiffel Tower")
    with pytest.raises(AttributeError, match="no_such"):
        _ = trace.no_such
    assert fingerprint(lm) == before


def test_the_patcher_gives_what_the_function_gives() -> None:
    lm, prompt, metric = case(text=CLEAN)
    with ActivationPatcher(lm.model, lm.tokenizer) as patcher:
        exact = patcher.patch(CLEAN, CORRUPTED, site="z")
        estimate = patcher.estimate(CLEAN, CORRUPTED, site="z")
        paths = patcher.paths(CLEAN, CORRUPTED, "2.mlp")
    expected = activation_patching(lm, prompt, metric, corrupted=CORRUPTED, site="z")
    np.testing.assert_array_equal(exact.values, expected.values)
    assert estimate.axes == exact.axes
    through = path_patching(lm, prompt, metric, corrupted=CORRUPTED, receiver="2.mlp")
    np.testing.assert_array_equal(paths.values, through.values)
