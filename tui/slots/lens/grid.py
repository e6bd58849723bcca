"""The table of the lens: the top token of each cell as its word, what is asked for as its colour. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from interpboard.display import visible_token
from interpboard.registry.component_names import layer_name
from tui import words
from tui.widgets.grid_data import GridData

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import Result
    from interpboard.visualization.colors import Scale

    Arrays = Mapping[str, np.ndarray]

# What colours a cell: the name of the view, and what people read.
VIEWS = (
    ("top", "probability of the token shown"),
    ("target", "probability of the target"),
    ("entropy", "entropy in nats"),
    ("kl", "KL to the final layer in nats"),
    ("rank", "rank of the target"),
    ("settled", "the final token from here on"),
)
_ROWS = {"embed": "emb", "final": "out"}


def arrays_of(result: Result, run: int | None) -> Arrays:
    """The lens's arrays [layer, token, …] of a lens's own result, or of one run of a what-if."""
    names = ("top_ids", "top_tokens", "top_probs", "entropy", "kl", "rank")
    if run is None:
        return {"prob": result.values, **{name: result.extra[name].values for name in names}}
    of_run = {name: result.extra[f"lens_{name}"].values[run] for name in names}
    return {"prob": result.extra["lens"].values[run], **of_run}


def lens_scale(by: str, *runs: Arrays) -> Scale:
    """One scale for all runs, so that their colours can be compared."""
    import numpy as np

    from interpboard.visualization.colors import Scale

    if by in ("top", "target", "settled"):
        return Scale(1.0, diverging=False)
    largest = max(float(np.nanmax(_sizes(by, arrays))) for arrays in runs)
    return Scale(largest or 1.0, diverging=False)


def lens_grid(result: Result, arrays: Arrays, by: str, scale: Scale) -> GridData:
    """``arrays`` with the rows and columns of ``result``, coloured by the view ``by``."""
    import numpy as np

    layers, tokens = result.axes
    best, values = arrays["top_tokens"][:, :, 0], _values(by, arrays)
    texts, notes = np.empty(best.shape, dtype=object), np.empty(best.shape, dtype=object)
    shown = {text: visible_token(str(text)) for text in {*best.flat}}  # most of them many times
    for at in np.ndindex(best.shape):
        texts[at] = shown[best[at]]
        notes[at] = _said(by, float(values[at]))
    target = result.metric.target.id if result.metric.target else -1
    return GridData(
        rows=tuple(_ROWS.get(label, layer_name(label)) for label in layers.labels),
        columns=tuple(visible_token(label) for label in tokens.labels),
        values=_sizes(by, arrays),
        scale=scale,
        words=texts,
        notes=notes,
        marked=arrays["top_ids"][:, :, 0] == target,
        ranked=arrays["top_tokens"],
    )


def settled_cells(arrays: Arrays) -> np.ndarray:
    """[layer, token]: is the top token the final one here, and in every row after it?"""
    import numpy as np

    from interpboard.results.lens_rows import converged

    stays: np.ndarray = np.arange(len(arrays["top_ids"]))[:, None] >= converged(arrays["top_ids"])
    return stays


def _values(by: str, arrays: Arrays) -> np.ndarray:
    if by == "top":
        return arrays["top_probs"][:, :, 0]
    if by == "settled":
        return settled_cells(arrays).astype(float)
    return arrays["prob" if by == "target" else by]


def _sizes(by: str, arrays: Arrays) -> np.ndarray:
    """What the colour follows: ranks by their logarithm."""
    import numpy as np

    values = _values(by, arrays)
    sizes: np.ndarray = np.log(values) if by == "rank" else values
    return sizes


def _said(by: str, value: float) -> str:
    if by == "rank":
        return f"{value:.0f}"
    if by == "settled":
        return "settled" if value else ""
    return words.unsigned(value, 2) if by in ("entropy", "kl") else words.percent(value)
