"""Cells that are computed stay computed, over the real pipe: stopped, killed, asked again, put off."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpboard.engine import protocol
from interpboard.engine.client import EngineClient, Lost
from interpboard.engine.late import Late
from interpboard.results.partial import Cells, joined_cells
from tests.engine.conftest import Recorder

on_one_loop = pytest.mark.asyncio(loop_scope="module")
TEXT = "The Eiffel Tower is located in the city of"
TRACE: dict[str, Any] = {"subject": [1, 2], "samples": 400}  # long enough to be stopped midway
LINE = re.compile(r"(\w+): (\d+) cells were known, (\d+) computed in .* s, (\w+)")


def told(recorder: Recorder, slot: str) -> Cells | None:
    """Every cell that the pipe has brought for ``slot``."""
    parts = [
        event.cells for event in recorder.of(slot, protocol.Progress) if event.cells is not None
    ]
    last = [event.last for event in recorder.of(slot, protocol.Stopped)]
    parts += [each.cells for each in last if each is not None and each.cells is not None]
    return joined_cells(None, parts)


def said(engine: EngineClient, analysis: str) -> list[tuple[int, int, str]]:
    """What the engine's log says of ``analysis``: cells known, cells computed, how it ended."""
    found = LINE.findall(engine.log_path.read_text())
    return [(int(known), int(now), how) for name, known, now, how in found if name == analysis]


async def stopped_midway(engine: EngineClient, recorder: Recorder, **asked: Any) -> Cells:
    engine.run("pane", "causal_trace", TEXT, **asked)
    while not told(recorder, "pane"):
        await recorder.until(
            "pane", protocol.Progress, len(recorder.of("pane", protocol.Progress)) + 1
        )
    engine.cancel("pane")
    await recorder.until("pane", protocol.Stopped)
    cells = told(recorder, "pane")
    assert cells
    return cells


@on_one_loop
async def test_a_stopped_grid_goes_on_where_it_was_and_computes_each_cell_once(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("whole", "causal_trace", TEXT, params=TRACE)
    whole = (await recorder.until("whole", protocol.Finished)).result
    cells = await stopped_midway(engine, recorder, params=TRACE)
    engine.run("pane", "causal_trace", TEXT, params=TRACE, cells=cells)
    again = (await recorder.until("pane", protocol.Finished)).result
    assert np.array_equal(again.values, whole.values)
    assert again.partial is None
    (_, first, how), (known, rest, _) = said(engine, "causal_trace")
    assert (how, known) == ("stopped", len(cells))
    assert first == known  # all that was computed came over the pipe
    assert 0 < rest == np.isfinite(whole.extra["per_sample"].values).sum() - known - _free(whole)


@on_one_loop
async def test_cells_that_are_on_their_way_when_it_is_stopped_are_not_lost(
    engine: EngineClient, recorder: Recorder
) -> None:
    hears = engine.listener

    def busy_then_stops(slot: str, event: Any) -> None:
        first = told(recorder, "pane") is None
        hears(slot, event)
        if first and told(recorder, "pane") is not None:
            time.sleep(1.0)  # as a busy screen is: meanwhile the engine tells of cells
            engine.cancel("pane")

    engine.listener = busy_then_stops
    try:
        engine.run("pane", "causal_trace", TEXT, params={**TRACE, "samples": 1000})
        await recorder.until("pane", protocol.Stopped)
    finally:
        engine.listener = hears
    known, computed, how = said(engine, "causal_trace")[-1]
    assert (known, how) == (0, "stopped")
    assert len(told(recorder, "pane") or ()) == computed > 0


@on_one_loop
async def test_cells_that_are_on_their_way_when_another_job_takes_the_slot_are_told_as_late(
    engine: EngineClient, recorder: Recorder
) -> None:
    hears, late = engine.listener, Recorder()

    def busy_then_asks(slot: str, event: Any) -> None:
        first = told(recorder, "pane") is None
        if isinstance(event, Late):
            late(slot, event.event)
        hears(slot, event)
        if first and told(recorder, "pane") is not None:
            time.sleep(0.5)  # as a busy screen is: meanwhile the engine tells of cells
            engine.run("pane", "attention", TEXT, params={"layers": [0], "heads": [0]})

    engine.listener = busy_then_asks
    try:
        engine.run("pane", "causal_trace", TEXT, params={**TRACE, "samples": 900})
        await recorder.until("pane", protocol.Finished)
    finally:
        engine.listener = hears
    assert [each.result.analysis for each in recorder.of("pane", protocol.Finished)] == [
        "attention"
    ]
    known, computed, how = said(engine, "causal_trace")[-1]
    assert (known, how) == (0, "stopped")
    before, after = told(recorder, "pane"), told(late, "pane")
    assert before
    assert after
    assert len(joined_cells(before, [after]) or ()) == computed == len(before) + len(after)


@on_one_loop
async def test_what_is_left_and_asked_again_at_once_is_not_begun_anew(
    engine: EngineClient, recorder: Recorder
) -> None:
    asked = {**TRACE, "samples": 390}
    lines = len(said(engine, "causal_trace"))
    engine.run("pane", "causal_trace", TEXT, params=asked)
    while not told(recorder, "pane"):
        count = len(recorder.of("pane", protocol.Progress))
        await recorder.until("pane", protocol.Progress, count + 1)
    engine.run("pane", "attention", TEXT, params={"layers": [0], "heads": [0]})
    engine.run("pane", "causal_trace", TEXT, params=asked)  # nobody has heard of any cell
    again = (await recorder.until("pane", protocol.Finished)).result
    (known, first, how), (before, rest, end) = said(engine, "causal_trace")[lines:]
    assert (known, how, end) == (0, "stopped", "done")
    assert before == first > 0
    assert first + rest == np.isfinite(again.extra["per_sample"].values).sum() - _free(again)
    cells = told(recorder, "pane")
    assert cells
    assert len(cells) == first + rest  # also those that it was not told of the first time


def _free(whole: Any) -> int:
    """Entries that no run is needed for: before the subject, where noise does not reach, and behind the last
    layer but for the metric's position."""
    per_sample = whole.extra["per_sample"].values
    return int(per_sample[:, :, :1].size + per_sample[:, -1, 1:-1].size)


@on_one_loop
async def test_cells_of_another_request_are_not_taken_over(
    engine: EngineClient, recorder: Recorder
) -> None:
    cells = await stopped_midway(engine, recorder, params=TRACE)
    asked = {**TRACE, "noise": 1.0}
    engine.run("other", "causal_trace", TEXT, params=asked)
    alone = (await recorder.until("other", protocol.Finished)).result
    engine.run("pane", "causal_trace", TEXT, params=asked, cells=cells)
    given = (await recorder.until("pane", protocol.Finished)).result
    assert np.array_equal(given.values, alone.values)
    changed = Cells(cells.request, cells.numbers, cells.marks + 1, cells.values + 100)
    engine.run("pane", "causal_trace", TEXT, params=TRACE, cells=changed)
    marked = (await recorder.until("pane", protocol.Finished, 2)).result
    engine.run("other", "causal_trace", TEXT, params=TRACE)
    right = (await recorder.until("other", protocol.Finished, 2)).result
    assert np.array_equal(marked.values, right.values)


@on_one_loop
async def test_something_quick_goes_before_a_grid_that_has_begun_and_the_grid_goes_on(
    engine: EngineClient, recorder: Recorder
) -> None:
    asked = {**TRACE, "samples": 300}
    engine.run("grid", "causal_trace", TEXT, params=asked)
    while not told(recorder, "grid"):
        count = len(recorder.of("grid", protocol.Progress))
        await recorder.until("grid", protocol.Progress, count + 1)
    engine.run("quick", "attention", TEXT, params={"layers": [0], "heads": [0]})
    await recorder.until("quick", protocol.Finished)
    assert not recorder.of("grid", protocol.Finished)
    grid = (await recorder.until("grid", protocol.Finished)).result
    engine.run("alone", "causal_trace", TEXT, params=asked)
    alone = (await recorder.until("alone", protocol.Finished)).result
    assert np.array_equal(grid.values, alone.values)
    (_, before, how), (known, _, end) = said(engine, "causal_trace")[-2:]
    assert (how, end) == ("gave", "done")
    assert known == before


@on_one_loop
async def test_an_integral_gives_way_and_is_gone_on_with(
    engine: EngineClient, recorder: Recorder
) -> None:
    asked = {"n_steps": 1000}
    engine.run("path", "integrated_gradients", TEXT, params=asked)
    await recorder.until("path", protocol.Progress, 2)
    engine.run("quick", "attention", TEXT, params={"layers": [0], "heads": [0]})
    await recorder.until("quick", protocol.Finished)
    assert not recorder.of("path", protocol.Finished)
    path = (await recorder.until("path", protocol.Finished)).result
    done = [event.done for event in recorder.of("path", protocol.Progress)]
    assert done == sorted(done)
    engine.run("alone", "integrated_gradients", TEXT, params=asked)
    alone = (await recorder.until("alone", protocol.Finished)).result
    assert np.array_equal(path.values, alone.values)


@on_one_loop
async def test_a_training_gives_way_to_whatever_is_asked_and_is_gone_on_with(
    engine: EngineClient, recorder: Recorder, tmp_path: Path
) -> None:
    (tmp_path / "corpus.txt").write_text("The capital of Italy is Rome. The sky is blue.\n" * 40)
    asked = {"corpus": str(tmp_path / "corpus.txt"), "steps": 120, "batch": 4, "length": 16}
    engine.run("lens", "tune_lens", TEXT, params={**asked, "out": str(tmp_path / "one")})
    await recorder.until("lens", protocol.Progress, 2)
    engine.run("grid", "head_ablation", TEXT)
    await recorder.until("grid", protocol.Finished)
    assert not recorder.of("lens", protocol.Finished)
    put_off = (await recorder.until("lens", protocol.Finished)).result
    done = [event.done for event in recorder.of("lens", protocol.Progress)]
    assert done == sorted(done)
    engine.run("alone", "tune_lens", TEXT, params={**asked, "out": str(tmp_path / "other")})
    alone = (await recorder.until("alone", protocol.Finished)).result
    assert np.allclose(put_off.values, alone.values, rtol=1e-5)
    assert not put_off.warnings


@on_one_loop
async def test_the_time_left_is_told_from_the_first_step_on_and_falls(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("grid", "causal_trace", TEXT, params={**TRACE, "samples": 80})
    await recorder.until("grid", protocol.Finished)
    seen = recorder.of("grid", protocol.Progress)
    left = [event.left_s for event in seen if event.cells is not None]
    assert left
    assert all(seconds is not None and seconds >= 0 for seconds in left)
    begun = recorder.of("grid", protocol.Begun)
    assert [each.result.analysis for each in begun] == ["causal_trace"]


@on_one_loop
async def test_what_a_job_will_take_is_expected_before_its_first_step_then_measured(
    engine: EngineClient, recorder: Recorder
) -> None:
    engine.run("before", "head_ablation", TEXT)
    await recorder.until("before", protocol.Finished)
    engine.run("grid", "causal_trace", TEXT, params={**TRACE, "samples": 80})
    await recorder.until("grid", protocol.Finished)
    seen = recorder.of("grid", protocol.Progress)
    timed = [event for event in seen if event.left_s is not None]
    assert timed[0].expected
    assert not any(event.cells for event in seen[: seen.index(timed[0]) + 1])
    assert timed[0].total == timed[-1].total > 0
    assert timed[0].left_s > 0
    assert not timed[-1].expected
    measured = [event.expected for event in timed].index(False)
    assert not any(event.expected for event in timed[measured:])


@on_one_loop
async def test_the_first_job_of_all_expects_what_one_small_step_took(
    new_engine: EngineClient, recorder: Recorder
) -> None:
    new_engine.run("grid", "causal_trace", TEXT, params={**TRACE, "samples": 80})
    await recorder.until("grid", protocol.Finished)
    timed = [e for e in recorder.of("grid", protocol.Progress) if e.left_s is not None]
    assert timed[0].expected
    assert timed[0].cells is None
    assert not timed[-1].expected


@on_one_loop
async def test_what_is_computed_survives_the_death_of_the_engine(
    new_engine: EngineClient, recorder: Recorder
) -> None:
    new_engine.run("pane", "causal_trace", TEXT, params={**TRACE, "samples": 200})
    while not told(recorder, "pane"):
        count = len(recorder.of("pane", protocol.Progress))
        await recorder.until("pane", protocol.Progress, count + 1)
    assert new_engine.pid is not None
    os.kill(new_engine.pid, signal.SIGKILL)
    await recorder.until("", Lost)
    cells = told(recorder, "pane")
    assert cells
    await recorder.until("model", protocol.Ready, 2)
    new_engine.run("pane", "causal_trace", TEXT, params={**TRACE, "samples": 200}, cells=cells)
    await recorder.until("pane", protocol.Finished)
    assert [known for known, _, _ in said(new_engine, "causal_trace")] == [len(cells)]
    await asyncio.sleep(0)
