"""Intervals are seen wherever a mean is: in print, on the page and in tables; none is made up."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from interpboard.cli.main import main
from interpboard.errors import BadParameter
from interpboard.results import Axis, Document, LabelledArray, Result
from interpboard.visualization.intervals import strongest_intervals
from tests import sample


def means() -> Result:
    """Effects of four heads: one sure on either side of 0, one whose interval has 0, one without."""
    axes = (Axis("layer", ("0", "1")), Axis("head", ("0", "1")))
    values = np.array([[-3.0, 2.0], [0.5, 0.1]])
    nan = np.nan
    ends = {"low": [[-4.0, 1.0], [-0.5, nan]], "high": [[-2.0, 3.0], [1.5, nan]]}
    result = sample.result("head_ablation", axes, values)
    extra = {name: LabelledArray(axes, np.array(own)) for name, own in ends.items()}
    return replace(result, extra=extra)


def test_an_entry_is_sure_where_the_neutral_value_is_outside_its_interval() -> None:
    found = strongest_intervals(means(), 10)
    assert [own.entry.value for own in found] == [-3.0, 2.0, 0.5, 0.1]
    assert [own.sure for own in found] == [True, True, False, False]
    noising = replace(means(), neutral=1.0)
    assert [own.sure for own in strongest_intervals(noising, 2)] == [True, False]
    assert strongest_intervals(sample.ablation(), 3) == []


def test_in_print_each_entry_has_its_error_bar() -> None:
    figure = means().plot(forest=True, most=3)
    (axes,) = figure.axes
    bars, sure, unsure = axes.collections
    assert [path[:, 0].tolist() for path in bars.get_segments()] == [[-4, -2], [1, 3], [-0.5, 1.5]]
    assert sure.get_offsets()[:, 0].tolist() == [-3, 2]
    assert unsure.get_offsets()[:, 0].tolist() == [0.5]
    assert unsure.get_facecolors().tolist() == [[1, 1, 1, 1]]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["layer 0 head 0", "layer 0 head 1", "layer 1 head 0"]
    assert any("3 of 4 shown" in text.get_text() for text in figure.texts)


def test_under_the_pointer_are_the_exact_ends() -> None:
    (drawn,) = means().plot_interactive(forest=True, most=3).data
    assert drawn.x == (-3, 2, 0.5)
    assert [list(ends) for ends in drawn.customdata] == [[-4, -2], [1, 3], [-0.5, 1.5]]
    assert drawn.error_x.array == (1, 1, 1)
    assert drawn.marker.symbol == ("circle", "circle", "circle-open")


def test_what_has_no_intervals_is_refused() -> None:
    for draw in (sample.ablation().plot, sample.ablation().plot_interactive):
        with pytest.raises(BadParameter, match="has no intervals"):
            draw(forest=True)


def test_on_the_page_the_strongest_have_their_intervals_drawn_to_one_scale() -> None:
    page = means().to_html()
    assert "Strongest entries, with intervals" in page
    assert "[-4, -2]" in page
    assert page.count('class="hollow"') == 2
    lines = re.findall(r'<line x1="([\d.]+)" x2="([\d.]+)" y1="4" y2="4"/>', page)
    assert lines == [("2.0", "29.4"), ("70.6", "98.0"), ("50.0", "77.4")]
    assert "Strongest entries<" in sample.ablation().to_html()
    assert "forest" not in re.sub(
        r"<style>.*?</style>", "", sample.ablation().to_html(), flags=re.S
    )


def test_a_report_is_written_as_a_table_with_intervals_beside_the_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyarrow import parquet

    other = sample.result("occlusion", (Axis("token", ("a", "b")),), [0.5, float("nan")])
    whole = sample.document(means())
    document = Document(model=whole.model, prompt=whole.prompt, results=(means(), other))
    saved, table = document.save(tmp_path / "means.json"), tmp_path / "means.parquet"
    assert main(["report", str(saved), "--output", str(table)]) == 0
    assert capsys.readouterr().err == f"wrote {table}\n"
    rows = parquet.read_table(table).to_pylist()
    assert len(rows) == 6
    first = {name: rows[0][name] for name in ("analysis", "layer", "head_index", "value", "low")}
    assert first == {
        "analysis": "head_ablation", "layer": "0", "head_index": 0, "value": -3.0, "low": -4.0,
    }  # fmt: skip
    assert (rows[4]["token"], rows[4]["value"], rows[4]["low"]) == ("a", 0.5, None)
    assert np.isnan(rows[5]["value"])
    assert main(["report", str(saved), str(saved), "--output", str(table)]) == 2
    assert "2 files are no one table" in capsys.readouterr().err
