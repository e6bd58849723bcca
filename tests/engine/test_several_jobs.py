"""Several jobs through the engine process: each with the function's own values, the quick before the slow."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from interpboard.analyze import analyze
from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from tests.engine.conftest import Recorder
from tests.lm import TEXT, tiny_lm
from tests.patching.test_activation import CLEAN
from tests.patching.test_nothing_left import ANALYSES

on_one_loop = pytest.mark.asyncio(loop_scope="module")


@on_one_loop
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


@on_one_loop
async def test_jobs_run_the_quickest_first_and_what_nobody_looks_at_last(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("busy", "slow", TEXT, params={"steps": 40})
    await recorder.until("busy", protocol.Progress)
    engine.run("path", "integrated_gradients", TEXT)
    engine.run("hidden", "logit_lens", TEXT)
    engine.run("grid", "head_ablation", TEXT)
    engine.run("lens", "logit_lens", TEXT)
    engine.aside(["hidden"])
    for slot in ("path", "hidden", "grid", "lens"):
        await recorder.until(slot, protocol.Finished)
    order = [slot for slot, event in recorder.events if isinstance(event, protocol.Finished)]
    assert order == ["busy", "lens", "grid", "path", "hidden"]


@on_one_loop
async def test_estimates_of_every_grid_come_before_the_exact_values_of_any(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("busy", "slow", TEXT, params={"steps": 40})
    await recorder.until("busy", protocol.Progress)
    engine.run("heads", "head_ablation", TEXT, params={"preview": True})
    corrupted = {"corrupted": TEXT.replace("Eiffel", "Paris"), "preview": True}
    engine.run("trace", "activation_patching", TEXT, params=corrupted)
    for slot in ("heads", "trace"):
        await recorder.until(slot, protocol.Finished)
    shown = [
        (slot, bool(event.partial.estimated.all()))
        for slot, event in recorder.events
        if slot != "busy" and isinstance(event, protocol.Progress) and event.partial is not None
    ]
    estimates = [at for at, (slot, all_of_it) in enumerate(shown) if all_of_it]
    exact = [at for at, (slot, all_of_it) in enumerate(shown) if not all_of_it]
    assert {shown[at][0] for at in estimates} == {"heads", "trace"}
    assert not exact or exact[0] > min(at for at in estimates if shown[at][0] == "trace")


@on_one_loop
async def test_a_long_list_of_runs_comes_after_the_estimates_of_a_grid_and_before_its_exact_values(
    engine: EngineClient, recorder: Recorder
) -> None:
    each_alone = "; ".join(f"0.{head}=zero; 1.{head}=mean" for head in range(4)) + "; 0.mlp=zero"
    engine.run("busy", "slow", TEXT, params={"steps": 40})
    await recorder.until("busy", protocol.Progress)
    engine.run("mlps", "what_if", TEXT, params={"interventions": each_alone})
    engine.run("heads", "head_ablation", TEXT, params={"preview": True})
    engine.run("one", "what_if", TEXT, params={"interventions": "0.1=zero"})
    for slot in ("one", "heads", "mlps"):
        await recorder.until(slot, protocol.Finished)
    ended = [slot for slot, event in recorder.events if isinstance(event, protocol.Finished)]
    assert ended == ["busy", "one", "mlps", "heads"]
    estimates = next(
        at
        for at, (slot, event) in enumerate(recorder.events)
        if slot == "heads" and isinstance(event, protocol.Progress) and event.partial is not None
    )
    begun = [at for at, (slot, _) in enumerate(recorder.events) if slot == "mlps"]
    assert estimates < begun[0]


def _as_text(params: dict[str, Any]) -> dict[str, str]:
    """As they come from a command line."""
    return {key: str(value) for key, value in params.items()}
