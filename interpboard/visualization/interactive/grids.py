"""Grids of two axes: any result, heads, one head's attention, a causal trace, a lens."""

from __future__ import annotations

from typing import Any

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import LabelledArray, Result
from interpboard.results.intervals import UNSURE, unsure_entries, unsure_words
from interpboard.results.sites import with_sites
from interpboard.visualization.colors import Scale
from interpboard.visualization.figures.attention_pattern import head_title, pattern_of
from interpboard.visualization.figures.canvas import meaning_of, numeric_scale_of, title_of
from interpboard.visualization.figures.causal_trace import subject_of
from interpboard.visualization.figures.head_grid import heads_of
from interpboard.visualization.figures.lens import top_of
from interpboard.visualization.interactive import canvas

_WRITTEN_MOST = 24  # columns of a lens whose cells hold their tokens


def grid(result: Result, *, title: str | None = None) -> Any:
    """[row, column] in the order of the axes, layer 0 at the bottom. Raises ``BadParameter`` for values
    that have not two axes or are text."""
    result = with_sites(result)
    if result.values.ndim != 2:
        names = ", ".join(visible(axis.name) for axis in result.axes) or "none"
        raise BadParameter(f"A grid has two axes; this result has {names}.", "Choose a slice.")
    more, said = _marked(result, result.values, meaning_of(result))
    scale = numeric_scale_of(result, result.values)
    drawn = canvas.heatmap_cells(result.values, scale, *result.axes, **more)
    figure = canvas.new_figure(title or title_of(result), said, drawn)
    canvas.label_axes(figure, *result.axes)
    return figure


def head_grid(result: Result, *, of: str | None = None, title: str | None = None) -> Any:
    """A cell a head; ``of`` and errors as in ``figures.head_grid``."""
    part = heads_of(result, of)
    more, said = _marked(result, part.values, part.label)
    drawn = canvas.heatmap_cells(part.values, part.scale, *part.axes, **more)
    figure = canvas.new_figure(title or title_of(result), said, drawn)
    canvas.label_axes(figure, *part.axes)
    return figure


def _marked(result: Result, values: np.ndarray, meaning: str) -> tuple[dict[str, Any], str]:
    """A question mark on each cell of the result's own values that may be no effect, and what it says."""
    unsure = unsure_entries(result)
    if values is not result.values or not unsure.any():
        return {}, meaning
    marks = np.where(unsure, UNSURE, "").astype(object)
    return {"text": marks, "texttemplate": "%{text}"}, f"{meaning}; {UNSURE} {unsure_words(result)}"


def attention_pattern(result: Result, layer: int, head: int, *, title: str | None = None) -> Any:
    """Probability from each query (row) to each key; errors as in ``figures.attention_pattern``."""
    values = pattern_of(result, layer, head)
    drawn = canvas.heatmap_cells(values, Scale(1.0, diverging=False), *result.axes[2:])
    text = title or head_title(result, layer, head)
    figure = canvas.new_figure(text, "attention probability", drawn)
    canvas.label_axes(figure, *result.axes[2:])
    return figure


def causal_trace(result: Result, *, title: str | None = None) -> Any:
    """The grid of the trace, subject tokens bold and starred; errors as in ``figures.causal_trace``."""
    subject = subject_of(result)
    figure = grid(result, title=title)
    canvas.label_axes(figure, *with_sites(result).axes, marked=subject)
    figure.update_xaxes(title="token (* subject)")
    return figure


def lens(result: Result, *, title: str | None = None) -> Any:
    """Each cell the likeliest token, painted by the target's probability; the hover lists the cell's
    tokens. Errors as in ``figures.lens``."""
    result = with_sites(result)
    top = top_of(result)
    words = np.vectorize(lambda word: canvas.plotly_token(str(word)), otypes=[object])(
        top.values[..., 0]
    )
    written = len(result.axes[1].labels) <= _WRITTEN_MOST
    drawn = canvas.heatmap_cells(
        result.values,
        numeric_scale_of(result, result.values),
        *result.axes,
        exact=_lists(top, result.extra.get("top_probs")),
        text=words,
        texttemplate="%{text}" if written else None,
        hovertemplate=f"{canvas.hover_place(*result.axes)}: target %{{z:.6~g}}"
        "<br>%{customdata}<extra></extra>",
    )
    figure = canvas.new_figure(title or title_of(result), meaning_of(result), drawn)
    canvas.label_axes(figure, *result.axes)
    return figure


def _lists(top: LabelledArray, probs: LabelledArray | None) -> np.ndarray:
    """For each cell its tokens, one a line, with their probabilities where those are known."""
    shape = top.values.shape[:-1]
    lists = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        lines = [canvas.plotly_token(str(word)) for word in top.values[at]]
        if probs is not None and probs.axes == top.axes:
            shares = probs.values[at].tolist()
            lines = [f"{line} {share:.4g}" for line, share in zip(lines, shares, strict=True)]
        lists[at] = "<br>".join(lines)
    return lists
