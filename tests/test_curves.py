"""Lines hold the result's own numbers, with gaps where it has none, and are told apart without colour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from interpboard.errors import BadParameter
from interpboard.results import Axis, LabelledArray, Result, layer_axis, text_array, token_axis
from interpboard.results.beside_heads import with_parts
from interpboard.visualization.curves import Curve, Curves, curves_of
from interpboard.visualization.plot_page import document_plots
from interpboard.visualization.plot_text import (
    LETTERS,
    columns_of_points,
    plot_lines,
    plotted_row,
    y_range,
)
from tests import sample

LAYERS = layer_axis(4)
TOKENS = token_axis(sample.TOKENS)
NAN = float("nan")


def lens() -> Result:
    """Two tokens are told of each layer; the target is known everywhere."""
    axes = (LAYERS, TOKENS)
    values = np.linspace(0.1, 0.9, 36).reshape(4, 9)
    rank = Axis("rank", ("1", "2"))
    tops = np.empty((4, 9, 2), dtype=object)
    tops[:, :, 0], tops[:, :, 1] = " Paris", " Rome"
    tops[2, :, 1] = " London"
    ids = np.where(tops == " Paris", 11, np.where(tops == " Rome", 12, 13))
    shares = np.stack([values, (1 - values) / 2], axis=-1)
    extra = {
        "top_tokens": LabelledArray((*axes, rank), tops),
        "top_ids": LabelledArray((*axes, rank), ids),
        "top_probs": LabelledArray((*axes, rank), shares),
    }
    return sample.result("logit_lens", axes, values, extra, params={"site": "resid_post"})


def heads() -> Result:
    values = np.array([[1.0, -2.0, 3.0], [0.5, NAN, -0.5], [NAN] * 3, [4.0, 4.0, 4.0]])
    return sample.result("head_ablation", (LAYERS, Axis("head", ("0", "1", "2"))), values)


def circuit() -> Result:
    edges = Axis("edge", ("embed->0.mlp.in", "0.mlp->out"))
    size = Axis("circuit", ("0", "1", "5"))
    extra = {
        "in_circuit": LabelledArray((edges,), np.array([True, False])),
        "size": LabelledArray((size,), np.array([0, 1, 5])),
        "faithfulness": LabelledArray((size,), np.array([0.0, NAN, 1.0])),
        "completeness": LabelledArray((size,), np.array([0.1, 0.4, 0.9])),
    }
    return sample.result("circuit", (edges,), np.array([1.0, 0.5]), extra)


def trace() -> Result:
    values = np.arange(36.0).reshape(4, 9) - 3
    values[1, 8] = NAN
    return sample.result(
        "causal_trace", (LAYERS, TOKENS), values, params={"state": "resid", "subject": [1]}
    )


def by(curves: Curves, name: str) -> list[float]:
    (line,) = (line for line in curves.lines if line.name == name)
    return line.values.tolist()


def test_trajectories_of_a_lens_are_its_numbers_and_gaps_where_it_has_none() -> None:
    result = lens()
    curves = curves_of(result, position=3)
    np.testing.assert_array_equal(by(curves, "·Paris"), result.values[:, 3])
    rest = (1 - result.values[:, 3]) / 2
    np.testing.assert_array_equal(by(curves, "·Rome"), [rest[0], rest[1], NAN, rest[3]])
    np.testing.assert_array_equal(by(curves, "·London"), [NAN, NAN, rest[2], NAN])
    assert "gap: not among the 2 likeliest" in curves.note
    assert [line.name for line in curves_of(result, most=1).lines] == ["·Paris"]
    np.testing.assert_array_equal(by(curves_of(result), "·Paris"), result.values[:, 8])


def test_effects_by_layer_are_the_lowest_and_the_highest_head_and_the_mlp() -> None:
    curves = curves_of(with_parts(heads(), np.array([7.0, 8.0, NAN, 9.0])))
    np.testing.assert_array_equal(by(curves, "lowest head"), [-2.0, -0.5, NAN, 4.0])
    np.testing.assert_array_equal(by(curves, "highest head"), [3.0, 0.5, NAN, 4.0])
    np.testing.assert_array_equal(by(curves, "MLP"), [7.0, 8.0, NAN, 9.0])


def test_faithfulness_is_over_the_sizes_themselves() -> None:
    curves = curves_of(circuit())
    assert curves.across == "edges"
    np.testing.assert_array_equal(curves.x, [0, 1, 5])
    np.testing.assert_array_equal(by(curves, "faithfulness"), [0.0, NAN, 1.0])
    np.testing.assert_array_equal(by(curves, "completeness"), [0.1, 0.4, 0.9])


def test_a_trace_is_drawn_at_its_position_first_and_says_which_side_of_the_layer() -> None:
    result = trace()
    curves = curves_of(result, position=2, most=3)
    assert curves.lines[0].name == "2 ·Tower"
    np.testing.assert_array_equal(curves.lines[0].values, result.values[:, 2])
    assert curves.labels == ("out 0", "out 1", "out 2", "out 3")
    assert curves.note == "3 of 9 positions, the strongest"
    np.testing.assert_array_equal(curves_of(result).lines[0].values, result.values[:, 8])


def test_scores_are_over_positions_and_of_each_method() -> None:
    scores = sample.gradients()
    np.testing.assert_array_equal(curves_of(scores).lines[0].values, scores.values)
    methods = Axis("method", ("occlusion", "saliency"))
    both = sample.result("compare_attributions", (methods, TOKENS), np.arange(18.0).reshape(2, 9))
    np.testing.assert_array_equal([line.values for line in curves_of(both).lines], both.values)


def test_neurons_are_the_ends_and_the_sum_of_each_layer() -> None:
    values = np.array([[1.0, -2.0, 3.0], [NAN, NAN, NAN], [0.5, NAN, -0.5], [4.0, 4.0, 4.0]])
    curves = curves_of(sample.result("neurons", (LAYERS, Axis("neuron", ("0", "1", "2"))), values))
    np.testing.assert_array_equal(by(curves, "lowest neuron"), [-2.0, NAN, -0.5, 4.0])
    np.testing.assert_array_equal(by(curves, "highest neuron"), [3.0, NAN, 0.5, 4.0])
    np.testing.assert_array_equal(by(curves, "all together"), [2.0, NAN, 0.0, 12.0])
    assert curves.across == "layer"


def attention(layers: int, heads: int) -> Result:
    axes = (
        layer_axis(layers), Axis("head", tuple(map(str, range(heads)))),
        Axis("query", sample.TOKENS), Axis("key", sample.TOKENS),
    )  # fmt: skip
    values = np.tril(np.arange(1.0, 82.0).reshape(9, 9))
    values = np.broadcast_to(values / values.sum(-1, keepdims=True), (layers, heads, 9, 9))
    entropy = LabelledArray(axes[:2], np.arange(float(layers * heads)).reshape(layers, heads))
    return sample.result("attention", axes, values, {"entropy": entropy})


def test_the_attention_of_a_head_is_where_a_position_looks_and_who_looks_at_it() -> None:
    result = attention(1, 1)
    curves = curves_of(result, position=3)
    np.testing.assert_array_equal(by(curves, "3 ·is looks at"), result.values[0, 0, 3])
    np.testing.assert_array_equal(by(curves, "looked at from"), result.values[0, 0, :, 3])
    assert curves.across == "position"
    with pytest.raises(BadParameter, match="position 9"):
        curves_of(result, position=9)


def test_the_attention_of_many_heads_is_their_mean_entropy_by_layer() -> None:
    result = attention(4, 3)
    curves = curves_of(result)
    np.testing.assert_array_equal(by(curves, "most focused head"), [0.0, 3.0, 6.0, 9.0])
    np.testing.assert_array_equal(by(curves, "widest head"), [2.0, 5.0, 8.0, 11.0])
    with pytest.raises(BadParameter, match="no lines"):
        curves_of(sample.result("attention", result.axes, result.values))


def test_steering_is_over_the_scales_themselves_in_their_order() -> None:
    axis = Axis("scale", ("2", "-1", "0"))
    curves = curves_of(sample.result("steering", (axis,), np.array([0.8, -0.4, 0.0])))
    np.testing.assert_array_equal(curves.x, [-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(curves.lines[0].values, [-0.4, 0.0, 0.8])
    assert curves.labels == ("-1", "0", "2")
    both = Axis("scale", ("0", "A: 2", "B: 4"))
    with pytest.raises(BadParameter, match="no lines"):
        curves_of(sample.result("steering", (both,), np.array([0.8, NAN, NAN])))


def test_what_has_no_lines_is_refused_and_so_is_a_position_that_is_not_there() -> None:
    with pytest.raises(BadParameter, match="no lines"):
        curves_of(sample.predictions())
    words = sample.result("causal_trace", (LAYERS, TOKENS), text_array(["x"] * 36).reshape(4, 9))
    with pytest.raises(BadParameter, match="no lines"):
        curves_of(words)
    with pytest.raises(BadParameter, match="position 9"):
        curves_of(trace(), position=9)


# -- drawn -----------------------------------------------------------------------------------------


def text(curves: Curves, width: int = 60, height: int = 16, *, ascii_only: bool = False) -> str:
    return "\n".join(
        line.plain for line in plot_lines(curves, width, height, ascii_only=ascii_only)
    )


@pytest.mark.parametrize("make", [lens, heads, circuit, trace, sample.gradients])
@pytest.mark.parametrize("size", [(24, 8), (60, 16), (131, 40)], ids=str)
def test_letters_stand_where_the_numbers_are(make: object, size: tuple[int, int]) -> None:
    curves = curves_of(make())  # type: ignore[operator]
    lines = text(curves, *size, ascii_only=True).split("\n")
    rows = [line.partition("|") for line in lines if "|" in line]
    assert rows
    low, high = y_range(curves)
    across = size[0] - len(rows[0][0]) - 1 - 2
    at = columns_of_points(curves, across)
    wanted: dict[tuple[int, int], set[str]] = {}
    for index, line in enumerate(curves.lines):
        for x, value in zip(at, line.values.tolist(), strict=True):
            if np.isfinite(value):
                cell = (plotted_row(value, low, high, len(rows)), x)
                wanted.setdefault(cell, set()).add(LETTERS[index])
    found = {
        (y, x): char
        for y, (_, _, drawn) in enumerate(rows)
        for x, char in enumerate(drawn[:across])
        if char in f"{LETTERS}*"
    }
    count = {cell: sum(1 for _ in names) for cell, names in wanted.items()}
    assert set(found) == set(wanted)
    for cell, char in found.items():
        assert char in wanted[cell] or char == "*" or count[cell] > 1


def test_the_ends_of_the_axis_are_the_ends_of_the_numbers() -> None:
    drawn = text(curves_of(heads()))
    assert next(line.partition("│")[0].strip() for line in drawn.split("\n") if "│" in line) == "4"
    small = heads()
    tiny = sample.result(small.analysis, small.axes, small.values * 1e-9)
    assert "×10⁻⁹" in text(curves_of(tiny))
    assert "x1e-9" in text(curves_of(tiny), ascii_only=True)


def test_a_gap_is_a_gap_and_no_line_leads_across_it() -> None:
    values = np.array([0.0, 0.0, NAN, 1.0, 1.0])
    curves = Curves("t", "x", np.arange(5), tuple("01234"), "y", (Curve("a", values),))
    rows = [line.partition("│")[2] for line in text(curves, 44, 12).split("\n") if "│" in line]
    middle = {char for row in rows[1:-1] for char in row[:38]}
    assert middle == {" "}  # a line from 0 to 1 would cross these rows
    assert any("\u2801" <= char <= "\u28ff" for char in rows[0])


def test_lines_differ_without_colour() -> None:
    levels = tuple(Curve(f"line {i}", np.full(9, float(i))) for i in range(5))
    curves = Curves("t", "x", np.arange(9), tuple("012345678"), "y", levels)
    drawn = text(curves, 80, 40).split("\n")
    rows = [line.partition("│")[2] for line in drawn if "│" in line]
    low, high = y_range(curves)
    at = [plotted_row(float(i), low, high, len(rows)) for i in range(5)]
    assert len({rows[row][:60] for row in at}) == 5  # each has a pattern of its own
    assert [rows[row].split()[-1] for row in at] == ["a", "b", "c", "d", "e"]
    for letter, line in zip("abcde", levels, strict=True):
        assert any(f"{letter} " in row and line.name in row for row in drawn[len(rows) :])


@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6) | st.just(NAN), min_size=5, max_size=5), min_size=1, max_size=5
    ),
    st.integers(1, 100), st.integers(1, 40), st.booleans(), st.text(max_size=12),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_plot_is_never_wider_nor_higher_than_its_room(
    rows: list[list[float]], width: int, height: int, ascii_only: bool, name: str
) -> None:
    from interpboard.display import visible, visible_token

    lines = tuple(Curve(visible(name), np.array(row)) for row in rows)
    labels = tuple(visible_token(f"{name}{i}") for i in range(5))
    curves = Curves(visible(name), "position", np.arange(5), labels, "value", lines)
    drawn = plot_lines(curves, width, height, ascii_only=ascii_only)
    assert all(cell_len(line.plain) <= width for line in drawn)
    assert not ascii_only or all(line.plain.isascii() for line in drawn)
    if width >= 40 and height >= 16:
        assert 0 < len(drawn) <= height


def test_a_page_of_plots_names_what_has_none() -> None:
    document = sample.document(lens(), sample.predictions())
    page = document_plots(document, 80)
    assert "Logit lens, after 8 ·of" in page
    assert "without lines: Next tokens" in page
    assert document_plots(document, 80, ascii_only=True).isascii()
    with pytest.raises(BadParameter, match="no lines"):
        document_plots(sample.document(sample.predictions()), 80)


# -- as figures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lens, heads, circuit, trace, sample.gradients])
def test_figures_for_print_and_for_the_mouse_draw_the_same_numbers(make: object) -> None:
    pytest.importorskip("matplotlib")
    result = make()  # type: ignore[operator]
    curves = curves_of(result)
    axes = result.plot(lines=True).axes[0]
    drawn = axes.get_lines()[: len(curves.lines)]
    moving = result.plot_interactive(lines=True).data
    for line, printed, moved in zip(curves.lines, drawn, moving, strict=True):
        np.testing.assert_array_equal(printed.get_ydata(), line.values)
        np.testing.assert_array_equal(printed.get_xdata(), curves.x)
        np.testing.assert_array_equal(np.array(moved.y, dtype=float), line.values)
        assert moved.connectgaps is False
    styles = {(each.get_linestyle(), each.get_marker()) for each in drawn}
    assert len(styles) == len(drawn)  # without colour too
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        line.name for line in curves.lines
    ]
