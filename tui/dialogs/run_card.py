"""What a saved run is, in a few lines that keep their places: of two runs alike little is painted anew."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from interpboard.registry import ANALYSES
from interpboard.registry.chosen_words import chosen_words
from interpboard.reproduce import chosen_params
from interpboard.visualization.numbers import number, share_words
from interpboard.visualization.reading import scale_of
from interpboard.visualization.suiting import best_tokens
from interpboard.visualization.terminal import (
    entry_names,
    explained,
    made_line,
    settled_layers,
    strongest_line,
)

if TYPE_CHECKING:
    from interpboard.results import Document, Result
    from interpboard.visualization.blocks import PageStyle

CARD_LINES = 8
_SHOWN = 5
CARD_WIDTH = 110  # cells: lines that all differ are sent within what a move may cost


def run_card(document: Document, page: PageStyle) -> Text:
    """Analysis, model, prompt, metric, parameters, what stands out, what the values mean, a warning."""
    result = document.results[0]
    lines = [
        Text(_title(result, page), "bold"),
        Text(_model(document, page)),
        Text(f"prompt: {page.words(document.prompt.text)}"),
        Text(explained(result, document.prompt, page)),
        Text(made_line(result, page), "dim"),
        _stands_out(result, page),
        Text(page.words(page.ours(result.meaning)), "dim"),
        _warnings(result, page),
    ]
    width = min(page.width, CARD_WIDTH)
    for line in lines:
        line.plain = page.fit(line.plain, width).rstrip()
    return Text("\n", no_wrap=True).join(lines)


def _title(result: Result, page: PageStyle) -> str:
    known = ANALYSES.get(result.analysis)
    title = known.title if known else page.words(result.analysis)
    chosen = chosen_words(chosen_params(result.analysis, result.params))
    partial = ["partial"] if "partial" in result.params else []
    return page.words(" ".join([title, *partial, *chosen]))


def _model(document: Document, page: PageStyle) -> str:
    model = document.model
    sizes = page.ours(f"{model.layers} layers × {model.heads} heads")
    parts = (page.words(model.name), sizes, page.words(model.dtype), page.words(model.device))
    return page.ours(" · ").join(parts)


def _stands_out(result: Result, page: PageStyle) -> Text:
    """The entries furthest from no effect; of shares the largest; of a lens what it reads in the end."""
    best, names, values = strongest_line(result, page), entry_names(result), result.values
    if best:
        return Text(f"strongest: {best}")
    if values.ndim == 1 and values.dtype != object:
        labels = names or result.axes[0].labels
        order = np.argsort(-np.nan_to_num(values.astype(np.float64)), kind="stable")[:_SHOWN]
        scale = scale_of(result)
        shown = share_words if scale.of_shares else partial(number, signed=scale.diverging)
        name = result.axes[0].name
        parts = (
            f"{page.label(name, labels[at])} {shown(float(values[at]))}" for at in order.tolist()
        )
        return Text(f"highest: {'  '.join(parts)}")
    top, settled = best_tokens(result), settled_layers(result)
    if top is not None and settled is not None and top.size:
        token, layer = page.token(str(top[-1, -1])), page.label("layer", settled[-1])
        return Text(f"after the last token: {token}, the top token from layer {layer} on")
    return Text()


def _warnings(result: Result, page: PageStyle) -> Text:
    if not result.warnings:
        return Text()
    more = f" (and {len(result.warnings) - 1} more)" if len(result.warnings) > 1 else ""
    return Text(f"warning{more}: {page.words(page.ours(result.warnings[0]))}", "bold")
