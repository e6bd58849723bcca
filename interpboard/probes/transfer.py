"""Probes between datasets: fitted on one, read on another. What transfers is no feature of one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.probes.activations import ProbeRows, datasets_of, read_rows_at, site_of
from interpboard.probes.cautions import task_of
from interpboard.probes.fits import fit_probe
from interpboard.probes.held_out import HeldOutTask, interval_of, said_by, score_of
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.strip_places import source_layers
from interpboard.runs.watch import SILENT, Watch


@analysis("probe_transfer", path="forward")
def probe_transfer(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    data: str | Sequence[str] = "",
    probe: str = "mass_mean",
    site: str = "resid_post",
    layer: int = -1,
    positions: str = "last",
    label: str = "label",
    group: str = "",
    folds: int = 5,
    strength: float = 1.0,
    limit: int = 0,
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Score [train, test] of a linear ``probe`` fitted on one dataset of ``data`` and read on another.

    Scores and parameters as in ``linear_probe``: ``site`` of one ``layer`` (−1: the middle), at ``positions``
    (``last`` or ``mean``), the column ``label``, at most ``limit`` rows of each dataset. On the diagonal rows
    are held out by ``group`` in ``folds``, by ``seed``; elsewhere the probe is fitted, with ``strength`` the
    weight of the penalty, on all rows of the one, and read on the rows of the other whose text, or the
    tokens of it that are read, it has not seen.
    A balanced accuracy below chance reads the labels the other way round.

    ``extra``, each [train, test]: ``low`` and ``high``, a 95 % bootstrap interval over groups of the rows
    read, ``n`` rows. Raises ``BadParameter`` for under two datasets and for labels that are not the same.
    """
    names = datasets_of(data)
    if len(names) < 2:
        raise BadParameter("A transfer is between datasets.", "Name two or more, one a line.")
    if positions == "roles":
        raise BadParameter("A transfer is of one position.", "Use positions=last or mean.")
    middle = (source_layers(lm) + lm.anatomy.n_layers) // 2
    chosen = middle if layer == -1 else layer
    where = site_of(lm, site, (chosen,), positions)
    read, tasks, notes = [], [], []
    kinds: list[tuple[str, ...]] = []
    for number, name in enumerate(names):
        watch.step(number, len(names))
        rows = read_rows_at(
            lm, name, where, label=label, group=group, limit=limit, watch=watch.silent
        )
        task, classes, said = task_of(rows, probe, folds, strength, seed, group)
        read.append(rows)
        tasks.append(task)
        kinds.append(classes)
        notes += [f"{rows.name}: {words}" for words in said]
    if len(set(kinds)) > 1:
        words = "; ".join(f"{r.name}: {', '.join(k)}" for r, k in zip(read, kinds, strict=True))
        raise BadParameter(f"The labels are not the same: {words:.200}.", "Give both the same.")
    shape = (len(names), len(names))
    arrays = {name: np.full(shape, np.nan) for name in ("values", "low", "high", "n")}
    for train, test in np.ndindex(*shape):
        cell, shared = _transferred(read, tasks, train, test, seed)
        for key, value in cell.items():
            arrays[key][train, test] = value
        if shared:
            notes.append(
                f"{shared:,} rows of {read[test].name} have a text of {read[train].name} and are not read"
            )
    watch.step(len(names), len(names))
    notes += _shared_groups(read)
    labels = _labels(read)
    axes = (Axis("train", labels), Axis("test", labels))
    extra = {key: LabelledArray(axes, value) for key, value in arrays.items() if key != "values"}
    return Computed(
        values=arrays["values"],
        axes=axes,
        extra=extra,
        warnings=tuple(dict.fromkeys(notes)),
        params={"data": list(names), "layer": chosen},
        unused=() if group else ("group",),
        baseline=None,
    )


def _transferred(
    read: Sequence[ProbeRows], tasks: Sequence[HeldOutTask], train: int, test: int, seed: int
) -> tuple[dict[str, float], int]:
    """The cell, and how many rows are not read because the probe has seen their text."""
    task, values = tasks[test], read[test].values[:, 0, 0]
    if train == test:
        said, _ = task.read(values)
        base: np.ndarray | float = task.base()
        shared = 0
    else:
        seen, run = set(read[train].texts), set(read[train].inputs)
        new = np.array(
            [
                text not in seen and tokens not in run
                for text, tokens in zip(read[test].texts, read[test].inputs, strict=True)
            ]
        )
        shared = int((~new).sum())
        own = tasks[train]
        if not new.any() or (own.classes and len(np.unique(task.answers[new])) < own.classes):
            return {"n": float(new.sum())}, shared
        fit = fit_probe(own.kind, read[train].values[:, 0, 0], own.answers, own.strength)
        task = replace(task, answers=task.answers[new], groups=task.groups[new])
        said = said_by(fit.scores(values[new].astype(np.float64)), own.classes)
        base = float(own.answers.mean()) if not own.classes else 0.0
    classes = tasks[train].classes
    low, high = interval_of(said, task.answers, task.groups, classes, base, seed)
    score = score_of(said, task.answers, classes, base)
    return {"values": score, "low": low, "high": high, "n": float(len(said))}, shared


def _shared_groups(read: Sequence[ProbeRows]) -> list[str]:
    """A note where datasets have groups in common: off the diagonal these are on both sides."""
    groups = [set(rows.groups) - {""} for rows in read]
    shared = {name for a, b in combinations(groups, 2) for name in a & b}
    if not shared:
        return []
    return [
        f"{len(shared):,} groups are in more than one dataset: on the diagonal they are held out, elsewhere "
        "they are on both sides"
    ]


def _labels(read: Sequence[ProbeRows]) -> tuple[str, ...]:
    names = [rows.name for rows in read]
    return tuple(
        name if names.count(name) == 1 else f"{name} {number + 1}"
        for number, name in enumerate(names)
    )
