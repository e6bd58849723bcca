"""One prompt on several engines, each with its share of the cells: as one engine alone, each cell once."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from interpboard.analyze import analyze
from interpboard.engine.divided import DividedEngines, EngineFailed, require_one_model
from interpboard.models.language_model import open_model
from interpboard.registry import Overview
from interpboard.results import MetricRequest, ModelInfo
from tests.forks import program

on_one_loop = pytest.mark.asyncio(loop_scope="module")
TEXT = "The Eiffel Tower is located in the city of"
ASKED: dict[str, dict[str, Any]] = {
    "head_ablation": {},
    "head_pairs": {"top_k": 4},  # which pairs there are is known when the heads are
    "causal_trace": {"subject": [1, 2], "samples": 3},
    "activation_patching": {"corrupted": TEXT.replace("Eiffel", "Paris"), "site": "z"},
    "logit_lens": {},
}
METRIC = MetricRequest(name="prob")


def engines(folder: Path, count: int, **options: Any) -> DividedEngines:
    command = program("interpboard.engine.worker")
    return DividedEngines(["cpu"] * count, model=str(folder), command=command, **options)


@on_one_loop
async def test_it_gives_what_one_engine_gives_and_computes_each_cell_once(
    tiny_folder: Path,
) -> None:
    told: list[tuple[str, int, int]] = []
    async with engines(tiny_folder, 3, on_progress=lambda *each: told.append(each)) as divided:
        grid = await divided.document(TEXT, ["head_ablation"], METRIC)
        each = divided.computed
        assert sum(each) == grid.results[0].values.size
        assert max(each) - min(each) <= 1
        found = await divided.document(TEXT, list(ASKED), METRIC, ASKED)
    alone = analyze(open_model(str(tiny_folder), device="cpu"), TEXT, list(ASKED), METRIC, ASKED)
    assert found.prompt == alone.prompt
    assert [result.analysis for result in found.results] == list(ASKED)
    for one, other in zip(found.results, alone.results, strict=True):
        np.testing.assert_allclose(
            one.values.astype(float), other.values.astype(float), rtol=1e-4, atol=2e-5
        )
        assert one.params == other.params
        assert one.partial is None
    assert {what for what, _, _ in told} >= {"Head ablation", "Pairs of heads"}


@on_one_loop
async def test_the_cells_of_an_engine_that_dies_are_computed_by_the_others(
    tiny_folder: Path,
) -> None:
    asked = {"causal_trace": {"subject": [1, 2], "samples": 200}}
    victim: list[int] = []

    def hear(_what: str, done: int, _total: int) -> None:
        if victim and done:
            os.kill(victim.pop(), signal.SIGKILL)

    async with engines(tiny_folder, 2, on_progress=hear) as divided:
        victim.append(divided.pids[1])
        found = await divided.document(TEXT, ["causal_trace"], METRIC, asked)
        assert not victim
        assert divided.pids[0] is not None
        assert divided.pids[1] is None  # nothing would be asked of it
    alone = analyze(
        open_model(str(tiny_folder), device="cpu"), TEXT, ["causal_trace"], METRIC, asked
    )
    np.testing.assert_allclose(
        found.results[0].values, alone.results[0].values, rtol=1e-4, atol=1e-6
    )


@on_one_loop
async def test_what_an_engine_refuses_is_said_as_it_says_it(tiny_folder: Path) -> None:
    async with engines(tiny_folder, 2) as divided:
        with pytest.raises(EngineFailed, match="no parameter 'nonsense'") as failed:
            await divided.document(
                TEXT, ["head_ablation"], METRIC, {"head_ablation": {"nonsense": 1}}
            )
        assert failed.value.kind == "bad_parameter"
    with pytest.raises(EngineFailed, match="There is no folder"):
        async with engines(tiny_folder / "nothing", 2):
            pass


@on_one_loop
async def test_an_overview_of_which_the_model_has_nothing_is_refused(tiny_folder: Path) -> None:
    async with engines(tiny_folder, 1) as divided:
        with pytest.raises(EngineFailed, match="supports none of"):
            await divided.document(TEXT, Overview(["expert_routing"]), METRIC)


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({"device": "cuda:1"}, True),
        ({"device": "cpu"}, False),
        ({"dtype": "bfloat16"}, False),
        ({"weights": "other"}, False),
    ],
)
def test_cells_are_divided_between_one_model_on_devices_of_one_kind(
    change: dict[str, str], fits: bool
) -> None:
    first = ModelInfo("m", None, "gpt2", 2, 2, "float32", "cuda:0", "w")
    if fits:
        require_one_model([first, replace(first, **change)])
        return
    with pytest.raises(EngineFailed, match="not of one grid"):
        require_one_model([first, replace(first, **change)])
