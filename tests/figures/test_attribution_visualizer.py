"""AttributionVisualizer: every view shows what the results hold, and nothing else."""

from __future__ import annotations

import builtins
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpboard.attribution import AttributionVisualizer
from interpboard.errors import BadParameter, MissingPackage
from interpboard.results import (
    Axis,
    LabelledArray,
    MadeBy,
    MetricInfo,
    Result,
    TokenRef,
    token_axis,
)

TOKENS = ("The", " <b>Eiffel", " Tower\x1b[31m", " is")
SCORES = np.array([0.25, -1.5, 3.0, 0.0])


def attributed(analysis: str = "integrated_gradients", scores: np.ndarray = SCORES) -> Result:
    return Result(
        analysis=analysis,
        params={},
        metric=MetricInfo("logit", 3, TokenRef(1, " in")),
        baseline=2.0,
        axes=(token_axis(TOKENS),),
        values=scores,
        extra={},
        elapsed_s=0.1,
        made_by=MadeBy("0.1.0", "2", "5", 0, "autograd"),
    )


BOTH = [attributed(), attributed("occlusion", -SCORES)]
GRID = Result(
    "head_ablation", {}, attributed().metric, 2.0, (Axis("layer", ("0",)), Axis("head", ("0", "1"))),
    np.zeros((1, 2)), {}, 0.1, attributed().made_by,
)  # fmt: skip


def test_the_terminal_view_has_every_token_its_value_and_what_the_sign_means() -> None:
    text = AttributionVisualizer().text(BOTH, title="Both \x1b[2J")
    assert "\x1b" not in text
    assert "Both ␛[2J" in text
    for words in ("+3.000", "-1.500", "+1.500", "-3.000", "<b>Eiffel", "Occlusion"):
        assert words in text
    said = " ".join(text.split())
    assert said.count("negative: the token lowered the metric; positive: it raised it") == 2
    coloured = AttributionVisualizer().text(BOTH, color="truecolor")
    assert "\x1b[" in coloured


def test_show_prints_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    AttributionVisualizer().show(attributed())
    assert "+3.000" in capsys.readouterr().out


def test_the_page_stands_alone_and_tokens_do_nothing_in_it(tmp_path: Path) -> None:
    visualizer = AttributionVisualizer()
    page = visualizer.html(BOTH)
    assert "<b>Eiffel" not in page
    assert "&lt;b&gt;Eiffel" in page
    for outside in ("http://", "https://", "src=", "@import"):
        assert outside not in page.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    for name in ("Integrated gradients", "Occlusion", "2 results on one prompt"):
        assert name in page
    path = visualizer.save_html(attributed(), tmp_path / "page.html", title="One")
    assert "<title>One" in path.read_text(encoding="utf-8")


def test_the_interactive_figure_holds_the_values_row_by_row() -> None:
    figure = AttributionVisualizer().plot_interactive(BOTH, title="a <i>title")
    (cells,) = figure.data
    np.testing.assert_array_equal(np.array(cells.customdata), [SCORES, -SCORES])
    np.testing.assert_allclose(np.array(cells.z)[0], SCORES / 3)
    assert (cells.zmin, cells.zmax) == (-1.0, 1.0)
    assert "a &lt;i&gt;title" in figure.layout.title.text
    said = " ".join(re.sub("<[^>]*>", " ", figure.layout.title.text).split())
    assert "negative: the token lowered the metric; positive: it raised it" in said
    assert list(figure.layout.xaxis.ticktext)[1] == "·&lt;b&gt;Eiffel"
    assert list(figure.layout.yaxis.ticktext) == ["Integrated gradients", "Occlusion"]


def test_the_printed_figure_has_the_title_asked_for() -> None:
    figure = AttributionVisualizer().plot_token_heatmap(attributed(), title="Token Attribution")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert any("Token Attribution" in text for text in [*texts, figure.get_suptitle()])
    assert "+3" in " ".join(texts)


@pytest.mark.parametrize("way", ["text", "html", "plot_interactive", "plot_token_heatmap"])
def test_what_has_no_score_a_token_is_refused(way: str) -> None:
    draw = getattr(AttributionVisualizer(), way)
    for results, said in (
        (GRID, "no score a token"),
        ([], "no result to draw"),
        ([attributed(), _of_other_tokens()], "different tokens"),
    ):
        with pytest.raises(BadParameter, match=said):
            draw(results)


def _of_other_tokens() -> Result:
    import dataclasses

    other = attributed()
    change = {"axes": (token_axis(("a", "b", "c", "d")),)}
    if dataclasses.is_dataclass(other):
        return dataclasses.replace(other, **change)
    from msgspec.structs import replace

    return replace(other, **change)


def test_without_plotly_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("plotly"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingPackage, match=r"pip install 'interpboard\[plots\]'"):
        AttributionVisualizer().plot_interactive(attributed())


def test_extra_arrays_are_not_drawn_as_if_they_were_scores() -> None:
    held = {"delta": LabelledArray((), np.array(0.5))}
    result = Result(
        "integrated_gradients", {}, attributed().metric, 2.0, attributed().axes, SCORES, held, 0.1,
        attributed().made_by,
    )  # fmt: skip
    figure = AttributionVisualizer().plot_interactive(result)
    assert np.array(figure.data[0].z).shape == (1, 4)
