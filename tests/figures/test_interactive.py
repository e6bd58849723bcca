"""Figures of plotly: the values of the result on the scale of every view, exact on hover, no mark-up."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.visualization import figures, interactive
from interpboard.visualization.colors import LIGHT
from tests import sample
from tests.figures import shapes


@pytest.mark.parametrize("result", [sample.ablation(), sample.lens(), shapes.trace()])
def test_every_cell_has_its_value_and_its_colour(result: Result) -> None:
    (cells,) = result.plot_interactive().data
    np.testing.assert_array_equal(np.array(cells.z), result.values)
    printed = result.plot().axes[0].collections[0]
    assert (cells.zmin, cells.zmax) == printed.get_clim()
    assert [color for _, color in cells.colorscale] in ([*LIGHT], [*LIGHT[4:]])


def test_the_axes_of_a_grid_are_named_and_layer_0_is_at_the_bottom() -> None:
    layout = sample.ablation().plot_interactive().layout
    assert (layout.xaxis.title.text, layout.yaxis.title.text) == ("head", "layer")
    assert layout.yaxis.autorange is None
    assert list(layout.xaxis.ticktext) == ["0", "1", "2", "3"]
    assert "negative: the head helped" in layout.title.text


def test_the_subject_stands_out_and_nothing_else() -> None:
    layout = shapes.trace().plot_interactive().layout
    assert list(layout.xaxis.ticktext) == ["The", "<b>·Eiffel*</b>", "<b>·Tower*</b>", "·is"]


def test_a_lens_has_its_tokens_in_the_cells_and_on_hover() -> None:
    (cells,) = sample.lens().plot_interactive().data
    assert cells.text[2][1] == "·2.1"
    assert cells.customdata[2][1] == "·2.1"
    assert "%{text}" in cells.texttemplate


def test_one_head_of_attention_and_the_strongest_pairs_of_all() -> None:
    attention = shapes.attention()
    (cells,) = attention.plot_interactive(layer=1, head=3).data
    np.testing.assert_array_equal(np.array(cells.z), attention.values[1, 1])
    overview = attention.plot_interactive().data
    assert max(overview[0].x) == pytest.approx(shapes.strongest_pair(attention))
    assert len(overview[0].x) == 4


def test_the_flow_has_what_is_written_and_its_sum() -> None:
    bars = interactive.activation_flow(shapes.written()).data
    assert [trace.name for trace in bars] == ["attention", "MLP", "sum so far"]
    assert [list(trace.y) for trace in bars] == [[1.0, -2.0], [0.5, 3.0], [0.0, 1.5, 2.5]]
    assert [list(trace.x) for trace in bars] == [[1, 2], [1, 2], [0, 1, 2]]


def test_a_circuit_has_its_edges_by_sign_and_says_how_many() -> None:
    figure = shapes.edges().plot_interactive()
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert len(lines) == 3
    assert sum(trace.line.color == LIGHT[0] for trace in lines) == 1
    assert "embed → L0 H1 q: +0.5" in figure.data[-1].customdata
    assert "3 edges in the circuit, all drawn" in figure.layout.title.text
    assert {note.text for note in figure.layout.annotations} >= {"embed", "L0 MLP", "output"}


def test_a_comparison_shows_both_on_one_scale_and_the_change() -> None:
    before = sample.ablation()
    after = sample.result("head_ablation", before.axes, before.values * 2)
    first, second, change = interactive.comparison(before, after, names=("zero", "<i>")).data
    assert (first.zmax, second.zmax) == (3.0, 3.0)
    np.testing.assert_allclose(np.array(change.z), before.values)
    assert "&lt;i&gt;" in {a.text for a in interactive.comparison(before, after, names=("a", "<i>"))
                           .layout.annotations}  # fmt: skip
    with pytest.raises(BadParameter, match="equal axes"):
        interactive.comparison(before, sample.lens())


def test_bars_are_in_the_order_of_the_axis_with_the_names_of_the_entries() -> None:
    figure = sample.predictions().plot_interactive()
    assert list(figure.data[0].x) == [0.81, 0.81 / 8, 0.81 / 64]
    assert list(figure.layout.yaxis.ticktext) == ["·Paris", "·Rome", "·London"]


HOSTILE = ("<b>bold", "<a href='x'>y</a>", "\x1b[31m", "%{y}")


@pytest.mark.parametrize(
    "draw",
    [
        lambda tokens: sample.gradients(tokens).plot_interactive(),
        lambda tokens: sample.lens(tokens).plot_interactive(),
        lambda tokens: sample.predictions(tokens).plot_interactive(title=tokens[0]),
    ],
)
def test_no_string_of_a_result_is_mark_up(draw: Callable[..., Any]) -> None:
    text = draw(HOSTILE).to_json()
    assert "&lt;b&gt;bold" in text.replace("\\u003c", "<").replace("\\u0026", "&")
    assert not re.search(r"<b>bold|<a href|\x1b", text.replace("\\u003c", "<"))


def test_a_file_of_it_asks_nothing_of_a_network(tmp_path: Path) -> None:
    path = tmp_path / "figure.html"
    sample.ablation().plot_interactive().write_html(path, include_plotlyjs=True)
    assert not re.search(r"<(script|link)[^>]+(src|href)=.?http", path.read_text(encoding="utf-8"))


def test_both_kits_draw_the_same_figures() -> None:
    assert set(interactive.__all__) == set(figures.__all__)
