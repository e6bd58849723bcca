"""What may be no effect is marked in every view by one rule: its interval contains the neutral value."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from io import BytesIO, StringIO

import numpy as np
import pytest
from pyarrow import parquet

from interpboard.results import Axis, LabelledArray, Result
from interpboard.results.intervals import unsure_entries, unsure_words
from interpboard.visualization.figures.bars import bars
from interpboard.visualization.figures.head_grid import head_grid
from interpboard.visualization.html import report
from interpboard.visualization.interactive import bars as live_bars
from interpboard.visualization.interactive import head_grid as live_grid
from interpboard.visualization.parquet_table import parquet_bytes
from tests import sample

WORDS = "the interval contains 0"
HEADS = (Axis("layer", ("0", "1")), Axis("head", ("0", "1", "2")))
GRID = np.array([[1.0, 0.1, -1.0], [0.0, np.nan, -0.1]])
LOW = np.array([[0.5, -0.1, -1.5], [0.0, np.nan, np.nan]])
HIGH = np.array([[1.5, 0.3, -0.5], [0.0, np.nan, 0.2]])
UNSURE = np.array([[False, True, False], [True, False, True]])
PARTS = (Axis("component", ("L0 H0", "L0 H1", "L0 MLP")),)


def mean(name: str, axes: tuple[Axis, ...], values: object, low: object, high: object) -> Result:
    ends = {
        key: LabelledArray(axes, np.asarray(end)) for key, end in (("low", low), ("high", high))
    }
    return sample.result(name, axes, np.asarray(values), ends)


def heads() -> Result:
    return mean("head_ablation", HEADS, GRID, LOW, HIGH)


def parts() -> Result:
    return mean("direct_logit_attribution", PARTS, [2.0, -0.1, -1], [1.0, -0.2, -2], [3.0, 0.1, 0])


def tokens() -> Result:
    axes = (Axis("token", sample.TOKENS),)
    n = len(sample.TOKENS)
    return mean("occlusion", axes, [0.5] * n, [-0.5] + [0.1] * (n - 1), [1.0] * n)


def test_an_interval_with_zero_at_its_end_contains_it_and_what_has_none_is_not_sure() -> None:
    np.testing.assert_array_equal(unsure_entries(heads()), UNSURE)
    np.testing.assert_array_equal(unsure_entries(parts()), [False, True, True])
    assert not unsure_entries(sample.ablation()).any()


def test_a_mean_of_one_row_is_marked_and_the_mark_says_why() -> None:
    none = np.full(GRID.shape, np.nan)
    of_one = mean("head_ablation", HEADS, GRID, none, none)
    np.testing.assert_array_equal(unsure_entries(of_one), ~np.isnan(GRID))
    for text in (sample.document(of_one).to_text(), sample.document(of_one).to_markdown()):
        assert "? rows are too few" in text or "?: rows are too few" in text
        assert "contains" not in text
        assert "nan" not in text.lower()
    assert f"{WORDS}, or rows are too few" in unsure_words(heads())


def test_probabilities_and_sizes_are_not_held_against_zero() -> None:
    axes = sample.lens().axes
    shape = tuple(len(axis.labels) for axis in axes)
    lens = mean("logit_lens", axes, np.zeros(shape), np.zeros(shape), np.ones(shape))
    assert not unsure_entries(lens).any()


@pytest.mark.parametrize("make", [heads, parts, tokens])
def test_text_markdown_and_html_mark_each_and_say_what_the_mark_is(
    make: Callable[[], Result],
) -> None:
    result = make()
    number = int(unsure_entries(result).sum())
    document = sample.document(result)
    lines = document.to_text().splitlines()
    legend = next(i for i, line in enumerate(lines) if WORDS in line)
    assert sum(line.count("?") for line in lines[:legend]) == number
    page = document.to_markdown()
    assert WORDS in page
    assert page.count("?") == number + 1
    html = report(document)
    body = html[html.index("<article") :]
    assert WORDS in body
    cells = body.replace("<span data-unsure>&nbsp;", "")  # of the legend
    assert cells.count(" data-unsure") == number


def test_nothing_is_marked_or_said_where_every_interval_is_clear() -> None:
    clear = mean("head_ablation", HEADS, GRID, GRID - 0.001, GRID - 0.0005)
    document = sample.document(clear)
    for text in (document.to_text(), document.to_markdown()):
        assert "contains" not in text
    assert " data-unsure" not in report(document).split("<article")[1]


def test_the_tables_have_a_column_of_it_where_there_are_intervals() -> None:
    document = sample.document(heads(), sample.gradients())
    rows = list(csv.DictReader(StringIO(document.to_csv())))
    own = [r["unsure"] for r in rows if r["analysis"] == "head_ablation" and r["array"] == "values"]
    assert own == ["false", "true", "false", "true", "false", "true"]
    assert {r["unsure"] for r in rows if r["array"] != "values"} == {""}
    assert {r["unsure"] for r in rows if r["analysis"] != "head_ablation"} == {""}
    assert "unsure" not in sample.full().to_csv().splitlines()[0]
    table = parquet.read_table(BytesIO(parquet_bytes(sample.document(heads()))))
    assert table["unsure"].to_pylist() == UNSURE.reshape(-1).tolist()


def test_figures_hatch_it_and_say_so() -> None:
    grid, rows = head_grid(heads()), bars(parts())
    for figure, number in ((grid, 3), (rows, 2)):
        hatched = [patch for axes in figure.axes for patch in axes.patches if patch.get_hatch()]
        assert len(hatched) == number
        assert f"hatched: {WORDS}" in figure.get_supxlabel().replace("\n", " ")
    assert [p.get_xy() for p in grid.axes[0].patches] == [(1, 0), (0, 1), (2, 1)]
    assert not [p for axes in head_grid(sample.ablation()).axes for p in axes.patches]
    cells = live_grid(heads())
    assert (np.array(cells.data[0].text) == "?").sum() == 3
    assert WORDS in re.sub("(<[^>]*>)+", " ", str(cells.layout.title.text))
    assert list(live_bars(parts()).data[0].marker.pattern.shape) == ["", "/", "/"]
