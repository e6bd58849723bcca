"""Several engines as one: a grid is theirs together, whoever dies, and its owner hears of one job."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from interpboard.analyze import analyze
from interpboard.engine import protocol
from interpboard.engine.late import Late
from interpboard.engine.lost import Lost, SharedDevices
from interpboard.engine.several import SeveralEngines
from interpboard.models.language_model import open_model
from interpboard.results import MetricRequest
from interpboard.results.partial import joined_cells
from tests.forks import program

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEXT = "The Eiffel Tower is located in the city of"
HANGS_S = 120.0
METRIC = MetricRequest(name="prob")
LONG: dict[str, Any] = {"subject": [1, 2], "samples": 150}


class Heard:
    """What the owner hears. ``then(slot, event)`` may act on it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.then: Callable[[str, Any], None] = lambda _slot, _event: None

    def __call__(self, slot: str, event: Any) -> None:
        self.events.append((slot, event))
        self.then(slot, event)

    def of(self, kind: type) -> list[Any]:
        return [event for _, event in self.events if isinstance(event, kind)]

    @property
    def result(self) -> Any:
        (finished,) = self.of(protocol.Finished)
        return finished.result

    def cells(self) -> list[Any]:
        told = [*self.of(protocol.Progress), *(e.last for e in self.of(protocol.Stopped))]
        return [each.cells for each in told if each is not None and each.cells is not None]


@asynccontextmanager
async def engines(folder: Path, device: str = "cpu,cpu") -> AsyncIterator[tuple[Any, Heard]]:
    heard = Heard()
    both = SeveralEngines(heard, command=program("interpboard.engine.worker"))
    await both.start()
    try:
        async with asyncio.timeout(HANGS_S):
            both.load(str(folder), device=device)
            await both.idle.wait()
            yield both, heard
    finally:
        await both.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tiny_folder: Path) -> AsyncIterator[tuple[Any, Heard]]:
    """Two for all tests that leave them alive."""
    async with engines(tiny_folder) as both_and_heard:
        yield both_and_heard


def alone(folder: Path, analysis: str, params: dict[str, Any]) -> Any:
    lm = open_model(str(folder), device="cpu")
    return analyze(lm, TEXT, [analysis], METRIC, {analysis: params}).results[0]


def assert_same(found: Any, expected: Any) -> None:
    assert found.partial is None
    assert found.params == expected.params
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("analysis", "params"),
    [
        ("head_ablation", {}),
        ("head_pairs", {"top_k": 4}),  # which pairs there are is known when the heads are
        ("causal_trace", {"subject": [1, 2], "samples": 3}),
        ("logit_lens", {}),
    ],
)
async def test_it_is_one_job_whose_cells_are_computed_once_by_all(
    tiny_folder: Path, pair: tuple[Any, Heard], analysis: str, params: dict[str, Any]
) -> None:
    both, heard = pair
    heard.events.clear()
    number = both.run("grid", analysis, TEXT, METRIC, params)
    assert both.busy_slots == ("grid",)
    await both.idle.wait()
    assert both.busy_slots == ()
    assert {slot for slot, _ in heard.events} == {"grid"}
    assert {event.job for _, event in heard.events} == {number}
    assert_same(heard.result, alone(tiny_folder, analysis, params))
    told = heard.cells()
    if analysis == "logit_lens":
        assert not told
        return
    assert len(heard.of(protocol.Begun)) == 1
    numbers = np.concatenate([each.numbers for each in told])
    assert len(numbers) == len(set(numbers.tolist()))
    assert set(numbers.tolist()) == set(range(len(numbers)))
    assert len({tuple(each.numbers % 2) for each in told}) > 1  # of both shares
    done = [event.done for event in heard.of(protocol.Progress)]
    assert done == sorted(done)
    assert done[-1] == heard.of(protocol.Progress)[-1].total


@pytest.mark.parametrize("victim", [0, 1])
async def test_of_one_that_dies_the_others_compute_the_cells(
    tiny_folder: Path, victim: int
) -> None:
    async with engines(tiny_folder) as (both, heard):
        victims = [both.pids[victim]]

        def kill(_slot: str, event: Any) -> None:
            if victims and isinstance(event, protocol.Progress) and event.cells:
                os.kill(victims.pop(), signal.SIGKILL)

        heard.then = kill
        both.run("trace", "causal_trace", TEXT, METRIC, LONG)
        both.run("A:heads", "head_ablation", TEXT, METRIC)  # of one side of a comparison
        await both.idle.wait()
        while len(heard.of(protocol.Finished)) < 2 or len(both._there()) < 2:  # it is back
            await both.idle.wait()
            await asyncio.sleep(0.01)
        said = [event.said for event in heard.of(SharedDevices) if event.said]
        if victim:
            assert not heard.of(Lost)
            assert said == [
                "The engine on cpu ended (killed by signal 9). The others go on. "
                "It is started again."
            ]
        else:
            (lost,) = heard.of(Lost)
            assert lost.slots == ()
            assert set(lost.going_on) >= {"trace"}
            assert set(lost.going_on) <= {"trace", "A:heads"}  # unless that was done by then
    found = {event.result.analysis: event.result for event in heard.of(protocol.Finished)}
    for analysis, params in (("causal_trace", LONG), ("head_ablation", {})):
        assert_same(found[analysis], alone(tiny_folder, analysis, params))


async def test_what_is_stopped_ends_once_and_is_gone_on_from(
    tiny_folder: Path, pair: tuple[Any, Heard]
) -> None:
    both, heard = pair
    heard.events.clear()

    def stop(_slot: str, event: Any) -> None:
        if isinstance(event, protocol.Progress) and event.cells:
            heard.then = lambda _slot, _event: None
            both.cancel()

    heard.then = stop
    both.run("trace", "causal_trace", TEXT, METRIC, LONG)
    await both.idle.wait()
    assert len(heard.of(protocol.Stopped)) == 1
    assert not heard.of(protocol.Finished)
    known = joined_cells(None, heard.cells())
    assert known is not None
    heard.events.clear()
    both.run("trace", "causal_trace", TEXT, METRIC, LONG, known)
    await both.idle.wait()
    new = np.concatenate([each.numbers for each in heard.cells()])
    assert not set(new.tolist()) & set(known.numbers.tolist())
    assert_same(heard.result, alone(tiny_folder, "causal_trace", LONG))


async def test_of_a_job_that_is_replaced_nothing_is_told_as_the_new_one_s(
    tiny_folder: Path,
    pair: tuple[Any, Heard],
) -> None:
    both, heard = pair
    heard.events.clear()
    numbers: list[int] = []

    def replace(_slot: str, event: Any) -> None:
        if isinstance(event, protocol.Progress) and event.cells:
            heard.then = lambda _slot, _event: None
            numbers.append(both.run("grid", "head_ablation", TEXT, METRIC))

    heard.then = replace
    numbers.append(both.run("grid", "causal_trace", TEXT, METRIC, LONG))
    await both.idle.wait()
    old, new = numbers
    at = [slot for slot, _ in heard.events]
    assert set(at) == {"grid"}
    after = [e for s, e in heard.events if s == "grid" and not isinstance(e, Late)]
    assert {event.job for event in after} == {old, new}
    late = [event.event for event in heard.of(Late)]
    assert {event.job for event in late} == {old}
    assert sum(isinstance(event, protocol.Stopped) for event in late) == 1
    assert_same(heard.result, alone(tiny_folder, "head_ablation", {}))


async def test_one_that_does_not_open_the_model_takes_no_part_and_says_why(
    tiny_folder: Path,
) -> None:
    async with engines(tiny_folder, "cpu, nowhere") as (both, heard):
        told = heard.of(SharedDevices)
        assert told[-1].devices == ("cpu",)
        assert "nowhere takes no part: " in " ".join(event.said for event in told)
        both.run("grid", "head_ablation", TEXT, METRIC)
        await both.idle.wait()
    assert_same(heard.result, alone(tiny_folder, "head_ablation", {}))


async def test_a_model_that_the_first_does_not_open_leaves_all_with_the_one_before(
    tiny_folder: Path,
) -> None:
    async with engines(tiny_folder) as (both, heard):
        assert heard.of(SharedDevices) == [SharedDevices(("cpu", "cpu"), 2)]
        assert len(heard.of(protocol.Ready)) == 1
        both.load(str(tiny_folder / "nothing"), device="cpu,cpu")
        await both.idle.wait()
        assert len(heard.of(protocol.Failed)) == 1
        heard.events.clear()
        both.run("grid", "head_ablation", TEXT, METRIC)
        await both.idle.wait()
        told = heard.cells()
        assert len({tuple(each.numbers % 2) for each in told}) > 1
    assert_same(heard.result, alone(tiny_folder, "head_ablation", {}))


async def test_what_the_first_refuses_is_said_once(
    tiny_folder: Path, pair: tuple[Any, Heard]
) -> None:
    both, heard = pair
    heard.events.clear()
    both.run("grid", "head_ablation", TEXT, METRIC, {"nonsense": 1})
    await both.idle.wait()
    (failed,) = heard.of(protocol.Failed)
    assert failed.kind == "bad_parameter"
