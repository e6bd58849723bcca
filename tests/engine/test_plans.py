"""Plans over the real pipe: they count what then runs, disturb nothing, and end when nobody waits."""

from __future__ import annotations

import numpy as np
import pytest

from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from interpboard.registry import ANALYSES
from tests.engine.conftest import Recorder

on_one_loop = pytest.mark.asyncio(loop_scope="module")
TEXT = "The Eiffel Tower is in the city"


@on_one_loop
async def test_a_plan_is_that_of_the_library_and_the_run_is_as_it_would_have_been(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("heads", "head_ablation", TEXT)
    before = await recorder.until("heads", protocol.Finished)
    engine.plan("plan", "head_ablation", TEXT)
    planned = (await recorder.until("plan", protocol.Planned)).plan
    assert planned.analysis == "head_ablation"
    assert planned.tokens == len(before.prompt.tokens)
    assert planned.rows == np.isfinite(before.result.values).sum()
    engine.run("heads", "head_ablation", TEXT)
    after = await recorder.until("heads", protocol.Finished, 2)
    np.testing.assert_array_equal(after.result.values, before.result.values)


@on_one_loop
async def test_a_plan_goes_before_a_grid_that_runs_and_the_grid_goes_on(
    engine: EngineClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ANALYSES["causal_trace"].cells
    engine.run("trace", "causal_trace", TEXT, params={"subject": [1, 2], "samples": 400})
    await recorder.until("trace", protocol.Progress)
    engine.plan("plan", "occlusion", TEXT)
    await recorder.until("trace", protocol.Finished)
    kinds = [(slot, type(event).__name__) for slot, event in recorder.events]
    assert kinds.index(("plan", "Planned")) < kinds.index(("trace", "Finished"))
    assert ("trace", "Stopped") not in kinds
    (finished,) = recorder.of("trace", protocol.Finished)
    assert np.isfinite(finished.result.values).any()


@on_one_loop
async def test_what_cannot_be_run_is_refused_as_the_run_would_be(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.plan("plan", "head_ablation", TEXT, params={"ablation": "nonsense"})
    refused = await recorder.until("plan", protocol.Failed)
    assert refused.kind == "bad_parameter"


@on_one_loop
async def test_a_plan_that_is_left_never_ends_the_engine(
    engine: EngineClient, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interpboard.engine.client.CANCEL_GRACE_S", 0.0)
    pid = engine.pid
    engine.plan("plan", "smoothgrad", TEXT * 8, params={"samples": 400})
    engine.cancel("plan")
    await recorder.until("plan", protocol.Stopped)
    engine.run("heads", "predictions", TEXT)
    await recorder.until("heads", protocol.Finished)
    assert engine.pid == pid
