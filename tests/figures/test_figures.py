"""Figures: what is drawn is what the result holds; vector files with embedded fonts; plain refusals."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

from interpboard.errors import BadParameter, MissingPackage
from interpboard.results import LabelledArray, MetricInfo, Result, token_axis
from interpboard.visualization import figures
from interpboard.visualization.diagrams import drawing_of, svg
from interpboard.visualization.figures import canvas
from tests import sample
from tests.figures import shapes


def mesh(figure: Any, panel: int = 0) -> np.ndarray:
    """The numbers of the cells that were drawn."""
    return np.ma.filled(figure.axes[panel].collections[0].get_array(), np.nan)


def texts(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.findobj(mpl.text.Text)]


@pytest.mark.parametrize(
    ("result", "values"),
    [
        (sample.ablation(), sample.ablation().values),
        (sample.lens(), sample.lens().values),
        (shapes.trace(), shapes.trace().values),
    ],
)
def test_every_cell_is_drawn_and_none_that_is_not_known(result: Result, values: Any) -> None:
    np.testing.assert_array_equal(mesh(result.plot()), values)


def test_the_ends_of_the_scale_are_the_colours_of_every_view() -> None:
    from interpboard.visualization.colors import LIGHT, Scale
    from interpboard.visualization.figures.canvas import colors_of

    shades, norm = colors_of(Scale(2.0))
    ends = [mpl.colors.to_hex(shades(norm(value))) for value in (-2.0, 0.0, 2.0)]
    assert ends == [LIGHT[0], LIGHT[4], LIGHT[8]]


def test_a_head_that_the_result_holds_is_drawn_and_another_is_refused() -> None:
    result = shapes.attention()
    np.testing.assert_array_equal(mesh(result.plot(layer=1, head=3)), result.values[1, 1])
    with pytest.raises(BadParameter, match=r"no head 1\. It has heads 0 to 3"):
        result.plot(layer=1, head=1)


def test_the_subject_is_marked_and_nothing_else() -> None:
    figure = shapes.trace().plot()
    marks = {line.get_gid() for line in figure.axes[0].lines}
    assert marks == {"subject-1", "subject-2"}
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["The", "·Eiffel*", "·Tower*", "·is"]


def test_the_flow_is_what_each_layer_writes_and_its_sum() -> None:
    axes = figures.activation_flow(shapes.written()).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [1.0, -2.0, 0.5, 3.0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.0, 1.5, 2.5])
    lens = sample.lens()
    followed = figures.activation_flow(lens).axes[0].lines[0]
    np.testing.assert_array_equal(followed.get_ydata(), lens.values[:, lens.metric.position])


def test_a_circuit_has_the_edges_that_are_in_it() -> None:
    figure = shapes.edges().plot()
    arrows = [p for p in figure.axes[0].patches if isinstance(p, mpl.patches.FancyArrowPatch)]
    assert len(arrows) == 3
    assert {"embed", "L0 H1", "L0 MLP", "output"} <= set(texts(figure))


def test_a_comparison_shows_both_and_the_change() -> None:
    before = sample.ablation()
    after = sample.result("head_ablation", before.axes, before.values + 1)
    figure = figures.comparison(before, after, names=("zero", "mean"))
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["zero", "mean", "mean − zero"]
    change = panels[2].collections[0].get_array()
    np.testing.assert_allclose(np.ma.compressed(change), 1.0)
    with pytest.raises(BadParameter, match="equal axes"):
        figures.comparison(before, sample.lens())


def test_titles_and_legends_follow_from_the_result() -> None:
    shown = " ".join(" ".join(texts(sample.gradients().plot())).split())
    assert "Integrated gradients: logit of ·Paris" in shown
    assert "negative: the token lowered the metric; positive: it raised it" in shown
    assert "·Eiffel" in shown


def test_several_methods_stand_row_by_row_each_on_its_scale() -> None:
    one = sample.gradients()
    two = sample.result("saliency", one.axes, np.abs(np.nan_to_num(one.values)) * 10)
    shown = texts(figures.token_heatmap([one, two]))
    assert "Integrated gradients  (full colour: ±1)" in shown
    assert any(text.startswith("Saliency") and text.endswith("(full colour: 10)") for text in shown)
    with pytest.raises(BadParameter, match="different tokens"):
        figures.token_heatmap([one, sample.gradients(("x", "y"))])


@pytest.mark.parametrize(("columns", "inches"), [(1, 3.35), (2, 6.9)])
def test_files_are_vectors_of_the_width_with_fonts_embedded(
    tmp_path: Path, columns: int, inches: float
) -> None:
    before = dict(mpl.rcParams)
    figure = sample.ablation().plot(columns=columns)
    assert figure.get_size_inches()[0] == inches
    figure.savefig(tmp_path / "a.pdf")
    figure.savefig(tmp_path / "a.svg")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"/Subtype /Image" not in pdf
    svg = (tmp_path / "a.svg").read_text()
    assert "<text" not in svg
    assert "<image" not in svg
    assert dict(mpl.rcParams) == before


def test_hostile_tokens_are_drawn_as_what_they_are(tmp_path: Path) -> None:
    tokens = ("$\\frac{", "<script>", "\x1b[31m", "a$b$", "_^")
    result = sample.result("integrated_gradients", (token_axis(tokens),), np.linspace(-1, 1, 5))
    figure = result.plot(title="$\\bad{")
    figure.savefig(tmp_path / "a.svg")
    assert {"$\\frac{", canvas.drawable("␛[31m"), "$\\bad{"} <= set(texts(figure))


def test_without_matplotlib_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingPackage) as refused:
        sample.ablation().plot()
    assert "pip install 'interpboard[plots]'" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(BadParameter, match="single number"):
        sample.result("unheard", (), 0.5).plot()
    with pytest.raises(BadParameter, match=r"takes 'layer'.*Options: columns, title"):
        sample.gradients().plot(layer=0)
    other = sample.result("head_ablation", sample.ablation().axes, sample.ablation().values,
                          metric=MetricInfo("prob", 8, None, None))  # fmt: skip
    with pytest.raises(BadParameter, match="explain logit and prob"):
        figures.comparison(sample.ablation(), other)
    with pytest.raises(BadParameter, match="1 or 2 columns"):
        sample.ablation().plot(columns=3)


@pytest.mark.filterwarnings("error")
def test_what_no_font_holds_is_drawn_as_its_escape(tmp_path: Path) -> None:
    """Noto and others are used where they are installed; here a character that no font has."""
    tokens = ("\x1b[2J", "\U0001f9ff", "\ue000", "é")
    figure = sample.result("integrated_gradients", (token_axis(tokens),), np.ones(4)).plot()
    figure.savefig(tmp_path / "a.pdf")
    shown = texts(figure)
    assert "é" in shown
    assert "\\e[2J" in shown or "␛[2J" in shown  # as a font for the picture is installed or not
    assert "\\ue000" in shown


def test_of_a_document_every_result_has_its_figure_and_takes_its_options() -> None:
    document = sample.document(sample.full().results[1], shapes.attention(), sample.ablation())
    drawn = document.plot(columns=2, layer=1, head=3)
    np.testing.assert_array_equal(mesh(drawn[1]), shapes.attention().values[1, 1])
    assert [figure.get_size_inches()[0] for figure in drawn] == [6.9] * 3
    first = document.plot()[1].axes[0]
    assert "where heads look most" in first.get_title("left")
    strongest = max(bar.get_width() for bar in first.patches)
    assert strongest == pytest.approx(shapes.strongest_pair(shapes.attention()))


def test_a_named_part_has_the_scale_of_its_own_values() -> None:
    attention = shapes.attention()
    nats = LabelledArray(attention.axes[:2], np.array([[0.5, 2.0], [3.0, 0.0]]))
    result = sample.result("attention", attention.axes, attention.values, {"entropy": nats})
    drawn = result.plot(of="entropy").axes[0].collections[0]
    assert drawn.get_clim() == (0.0, 3.0)


def test_a_circuit_says_how_many_of_its_edges_are_drawn() -> None:
    whole = " ".join(" ".join(texts(shapes.edges().plot())).split())
    assert "3 edges in the circuit, all drawn" in whole
    one_edge = shapes.edges(weak=True).plot(most=3)
    assert "4 edges in the circuit; 3 of 4 lines drawn, the strongest" in " ".join(
        " ".join(texts(one_edge)).split()
    )
    assert ">4 edges in the circuit; 3 of 4 lines drawn, the strongest</text>" in svg(
        drawing_of(shapes.edges(weak=True), most=3)
    )
