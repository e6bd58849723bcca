"""Scores of tokens, a row a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interpboard.results import Axis, Result
from interpboard.visualization.colors import Scale
from interpboard.visualization.figures.canvas import (
    analysis_name,
    meaning_of,
    numeric_scale_of,
    title_of,
)
from interpboard.visualization.figures.token_heatmap import token_results
from interpboard.visualization.interactive import canvas


def token_heatmap(results: Result | Sequence[Result], *, title: str | None = None) -> Any:
    """One or several methods on one prompt.

    Colours are shares of the row's largest magnitude, since units differ; the hover has the values.
    Raises ``BadParameter`` as ``figures.token_heatmap`` does.
    """
    chosen = token_results(results)
    values = np.stack([result.values.astype(np.float64) for result in chosen])
    scales = [numeric_scale_of(result, result.values) for result in chosen]
    centers = np.array([scale.center for scale in scales])[:, None]
    shares = (values - centers) / np.array([scale.limit for scale in scales])[:, None]
    whole = Scale(1.0, diverging=any(scale.diverging for scale in scales))
    meaning = "; ".join(dict.fromkeys(f"{analysis_name(r)}: {meaning_of(r)}" for r in chosen))
    first = title_of(chosen[0]) if len(chosen) == 1 else f"{len(chosen)} attributions"
    names = Axis("", tuple(map(analysis_name, chosen)))
    drawn = canvas.heatmap_cells(shares, whole, names, chosen[0].axes[0], exact=values)
    figure = canvas.new_figure(title or first, meaning, drawn)
    figure.update_xaxes(title="token", **canvas.ticks(chosen[0].axes[0]))
    figure.update_yaxes(autorange="reversed", **canvas.ticks(names))
    return figure
