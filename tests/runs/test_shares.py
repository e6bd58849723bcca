"""Engines that divide the cells of an analysis, here one after the other: as one alone, each cell once."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from interpboard.analyze import BegunAnalysis, begin
from interpboard.results import MetricRequest, Result
from interpboard.results.partial import Cells, joined_cells
from interpboard.runs.edits import Edit
from interpboard.runs.kept import KeptCells, Share, ShareComputed
from interpboard.runs.watch import Watch
from tests.classifiers import choosing
from tests.lm import TEXT
from tests.runs.test_kept import KEPT, NEEDED, begun

IN_STAGES = {"critical_components", "head_pairs"}  # which cells there are depends on earlier ones
ENGINES = 3


# Of a batch of another size a product is summed in another order.
ROUNDING = {"rtol": 1e-4, "atol": 2e-5}


def same(one: Result, other: Result) -> None:
    np.testing.assert_allclose(one.values, other.values, **ROUNDING)
    assert one.extra.keys() == other.extra.keys()
    for name, array in one.extra.items():
        if array.values.dtype != object:
            np.testing.assert_allclose(array.values, other.extra[name].values, **ROUNDING)
    assert one.warnings == other.warnings
    assert one.partial is None


def share_of(
    job: BegunAnalysis, which: int, known: Cells | None
) -> tuple[Result | None, Cells | None]:
    """What an engine gives that computes its share of what is not ``known``, and its cells."""
    kept = KeptCells(job.fingerprint, known)
    kept.share = Share(which, ENGINES)
    try:
        with warnings.catch_warnings(action="error"):  # also of numbers that are not there yet
            return job.run(Watch(kept=kept)), kept.news()
    except ShareComputed:
        return None, kept.news()


@pytest.mark.parametrize("name", KEPT)
def test_divided_is_as_alone_in_one_round_and_computes_each_cell_once(name: str) -> None:
    job = begun(name)
    whole = KeptCells(job.fingerprint)
    expected = job.run(Watch(kept=whole))
    known: Cells | None = None
    computed: list[int] = []
    rounds, result = 0, None
    while result is None:
        told = []
        for which in range(ENGINES):
            result, cells = share_of(job, which, known)
            told.append(cells)
            if result is not None:
                break
        rounds += 1
        new = [cells for cells in told if cells is not None]
        assert new or result is not None
        computed += [number for cells in new for number in cells.numbers.tolist()]
        known = joined_cells(known, new)
    assert sorted(computed) == whole.cells.numbers.tolist()
    same(result, expected)
    if name not in IN_STAGES:
        assert rounds == 2  # each its share, then what is made of all


@pytest.mark.parametrize("metric", ["logit", "prob"])
def test_what_is_shown_of_choices_is_known_where_every_score_that_it_reads_is(metric: str) -> None:
    job = begin(
        choosing(), TEXT, "choice_ablation", MetricRequest(metric), NEEDED["choice_ablation"]
    )
    seen: list[np.ndarray] = []

    def see(_done: int, _total: int, shown: Any) -> None:
        if shown is not None:
            seen.append(shown.values.copy())

    result = job.run(Watch(on_progress=see, kept=KeptCells(job.fingerprint)))
    score = result.extra["score"].values
    assert seen
    for shown in seen:
        known = ~np.isnan(shown)
        np.testing.assert_array_equal(shown[known], result.values[known])
    assert not np.isnan(seen[-1]).any()
    assert np.isnan(seen[0]).any() == (metric == "prob")
    assert score.shape == (*result.values.shape, 3)


def test_what_is_made_once_within_independent_parts_is_made_whole() -> None:
    kept = KeptCells("r")
    kept.share = Share(0, 2)

    def made() -> float:
        asked = kept.ask([(Edit("z", 0, head=0),), (Edit("z", 0, head=1),)], [0, 0])
        kept.take(asked, [0], np.array([1.0]))
        kept.others_compute(asked)
        return 1.0

    behind: list[float] = []
    with suppress(ShareComputed), kept.independent():
        behind.append(kept.once("of cells", made))
    assert not behind
    assert kept.cells.numbers.tolist() == [0]
