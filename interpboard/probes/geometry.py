"""How the activations of rows lie: principal components, and cosines between and within labels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.probes.activations import ProbeRows, datasets_of, read_rows_at, site_of
from interpboard.probes.cautions import rows_left_out
from interpboard.results import Axis, LabelledArray, PromptInfo, text_array
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import SILENT, Watch


@analysis("stream_pca", path="forward")
def stream_pca(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    data: str | Sequence[str] = "",
    site: str = "resid_post",
    layers: Sequence[int] | None = None,
    positions: str = "last",
    label: str = "label",
    components: int = 4,
    limit: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Share [layer, component] of the variance of activations that each principal component has.

    Of the rows of ``data`` (at most ``limit``, 0: all), at ``site`` of each of ``layers`` and at
    ``positions`` (``last`` or ``mean``), after their mean is taken away: the first ``components``. ``extra``:
    ``between_labels`` [layer, component], the share of the component's variance that lies between the
    values of the column ``label`` (η²: 1, it tells them apart whole); ``scores`` [layer, row, component],
    whose signs are such that the entry furthest from 0 is positive; ``label`` [row]. Raises ``BadParameter``.
    Pearson 1901.
    """
    rows, axis = _read(lm, data, site, layers, positions, label, limit, watch)
    most = min(components, len(rows) - 1, rows.values.shape[-1])
    if most < 1:
        raise BadParameter("One row has no variance.", "Give more rows.")
    shares = np.zeros((len(axis.labels), most))
    between = np.full_like(shares, np.nan)
    scores = np.zeros((len(axis.labels), len(rows), most))
    for layer in range(len(axis.labels)):
        watch.check()
        centred = _centred(rows, layer)
        left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
        total = float((sizes**2).sum())
        own = (left * sizes)[:, :most]
        own = own * np.where(own[np.abs(own).argmax(0), np.arange(most)] < 0, -1.0, 1.0)
        scores[layer] = own
        shares[layer] = sizes[:most] ** 2 / total if total > 0 else np.nan
        between[layer] = _between(own, rows.labels)
    places = Axis("component", tuple(str(number + 1) for number in range(most)))
    numbers = Axis("row", tuple(str(number) for number in range(len(rows))))
    return Computed(
        values=shares,
        axes=(axis, places),
        extra={
            "between_labels": LabelledArray((axis, places), between),
            "scores": LabelledArray((axis, numbers, places), scores),
            "label": LabelledArray((numbers,), text_array(list(rows.labels))),
            "rows": LabelledArray((), np.array(float(len(rows)))),
        },
        warnings=tuple(rows_left_out(rows)),
        params={"data": list(datasets_of(data))},
        baseline=None,
    )


@analysis("stream_cosine", path="forward")
def stream_cosine(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    data: str | Sequence[str] = "",
    site: str = "resid_post",
    layers: Sequence[int] | None = None,
    positions: str = "last",
    label: str = "label",
    centred: bool = True,
    limit: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Mean cosine [layer, pair] between the activations of two rows, of each pair of labels.

    Of the rows of ``data`` (at most ``limit``, 0: all), at ``site`` of each of ``layers`` and at
    ``positions`` (``last`` or ``mean``); no row with itself. ``centred``: after the mean of all rows is
    taken away, without which the direction that all activations share is most of every cosine. The pairs are
    of the values of the column ``label``; NaN for a label with one row only. ``extra``: ``pairs`` [pair],
    of how many rows.
    Raises ``BadParameter``. Ethayarajh 2019.
    """
    rows, axis = _read(lm, data, site, layers, positions, label, limit, watch)
    names = sorted(set(rows.labels))
    at = [np.array([own == name for own in rows.labels]) for name in names]
    pairs = list(combinations_with_replacement(range(len(names)), 2))
    values = np.full((len(axis.labels), len(pairs)), np.nan)
    sizes = [own.sum() for own in at]
    counted = [
        sizes[a] * (sizes[a] - 1) / 2 if a == b else float(sizes[a] * sizes[b]) for a, b in pairs
    ]
    for layer in range(len(axis.labels)):
        watch.check()
        own = _centred(rows, layer) if centred else rows.values[:, layer, 0].astype(np.float64)
        lengths = np.linalg.norm(own, axis=1, keepdims=True)
        unit = np.divide(own, lengths, out=np.zeros_like(own), where=lengths > 0)
        sums = [unit[mine].sum(0) for mine in at]  # a mean over pairs needs no more than these
        alone = [(unit[mine] ** 2).sum() for mine in at]
        for number, (a, b) in enumerate(pairs):
            if counted[number]:
                inner = sums[a] @ sums[b]
                inner = (inner - alone[a]) / 2 if a == b else inner
                values[layer, number] = inner / counted[number]
    axes = (axis, Axis("pair", tuple(f"{names[a]} · {names[b]}" for a, b in pairs)))
    return Computed(
        values=values,
        axes=axes,
        extra={
            "pairs": LabelledArray(axes[1:], np.array(counted, dtype=float)),
            "rows": LabelledArray((), np.array(float(len(rows)))),
        },
        warnings=tuple(rows_left_out(rows)),
        params={"data": list(datasets_of(data))},
        baseline=None,
    )


def _read(
    lm: LanguageModel,
    data: str | Sequence[str],
    site: str,
    layers: Sequence[int] | None,
    positions: str,
    label: str,
    limit: int,
    watch: Watch,
) -> tuple[ProbeRows, Axis]:
    names = datasets_of(data)
    if len(names) > 1:
        raise BadParameter("This is of one dataset.", "Name one.")
    if positions == "roles":
        raise BadParameter("This is of one position.", "Use positions=last or mean.")
    where = site_of(lm, site, layers, positions)
    rows = read_rows_at(lm, names[0], where, label=label, limit=limit, watch=watch)
    return rows, where.layer_axis


def _centred(rows: ProbeRows, layer: int) -> np.ndarray:
    own: np.ndarray = rows.values[:, layer, 0].astype(np.float64)
    return own - own.mean(0)


def _between(scores: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """The share [component] of the variance of ``scores`` [row, component] that lies between labels."""
    total = (scores**2).sum(0)
    parts = np.zeros(scores.shape[1])
    for name in set(labels):
        own = scores[[label == name for label in labels]]
        parts += len(own) * own.mean(0) ** 2
    return np.divide(parts, total, out=np.full(len(parts), np.nan), where=total > 0)
