"""Interventions through the engine process: the values of the function, with progress on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from interpboard.analyze import analyze
from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from tests.engine.conftest import Recorder
from tests.lm import tiny_lm
from tests.patching.test_activation import CLEAN
from tests.patching.test_nothing_left import ANALYSES


@pytest.mark.asyncio(loop_scope="module")
async def test_every_intervention_gives_the_functions_values_and_tells_how_far_it_is(
    engine: EngineClient, recorder: Recorder
) -> None:
    lm = tiny_lm()
    for name, params in ANALYSES.items():
        engine.run(name, name, CLEAN, params=_as_text(params))
        finished = await recorder.until(name, protocol.Finished)
        expected = analyze(lm, CLEAN, (name,), params={name: params}).results[0]
        assert finished.result.axes == expected.axes, name
        np.testing.assert_allclose(
            finished.result.values, expected.values, rtol=1e-4, atol=1e-5, err_msg=name
        )
        assert set(finished.result.extra) == set(expected.extra)
        assert recorder.of(name, protocol.Progress), name
    async with asyncio.timeout(5):
        await engine.idle.wait()


def _as_text(params: dict[str, Any]) -> dict[str, str]:
    """As they come from a command line."""
    return {key: str(value) for key, value in params.items()}
