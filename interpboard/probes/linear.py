"""A linear probe of every layer and position, on rows held out by group, beside shuffled labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from interpboard.errors import BadParameter
from interpboard.interventions.vectors import prepare_place, save_vector
from interpboard.models.fingerprints import Origin
from interpboard.models.language_model import LanguageModel
from interpboard.probes.activations import (
    EMBEDDING,
    ProbeRows,
    ReadSite,
    datasets_of,
    read_rows_at,
    site_of,
)
from interpboard.probes.cautions import repeated_shuffles, surface_scores, task_of
from interpboard.probes.fits import direction_of, fit_probe
from interpboard.probes.held_out import HeldOutTask, interval_of, p_values, score_of
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import SILENT, Watch
from interpboard.statistics.means import mean_of

# How the grammar of interventions writes the sites to which a direction can be added.
_STEERED = {"resid_post": "resid", "mlp_out": "mlp", "attn_out": "attn"}


@analysis("linear_probe", path="forward")
def linear_probe(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    data: str | Sequence[str] = "",
    probe: str = "mass_mean",
    site: str = "resid_post",
    layers: Sequence[int] | None = None,
    positions: str = "last",
    label: str = "label",
    group: str = "",
    folds: int = 5,
    shuffles: int = 20,
    strength: float = 1.0,
    limit: int = 0,
    save: str = "",
    save_layer: int = -1,
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Held-out score [layer, place] of a linear ``probe`` that reads the column ``label`` of the rows of
    ``data`` from the activations at ``site``. The prompt and its metric are not looked at.

    ``mass_mean``: the difference of class means; ``logistic``: regression; both score balanced accuracy, the
    mean over classes of the share of their rows read right, chance 1 over their number. ``ridge`` reads
    labels that are numbers and scores R². Logistic and ridge are scikit-learn's, on dimensions standardised
    by the rows fitted on, with ``strength`` the weight of the penalty. ``layers``: all by default, and
    ``embed``, the stream before the first, at resid_post. ``positions``: ``last`` (the row's position or the
    end of its text), ``mean`` over its tokens, or ``roles``, as a sweep aligns tokens.

    Each row is read by a probe fitted on the other ``folds``; rows with one value of the column ``group``,
    rows of one text, are always held out together; without a column so are texts that are the same tokens up
    to where they are read. ``limit``: the first so many rows (0: all).
    ``shuffles`` times the same is done with labels exchanged at random, by ``seed``.

    ``save``: the direction of a probe fitted on all rows, at ``save_layer`` (−1: where it scores best), as
    a file that ``steering`` and what-if take, from the first label in order to the second and as long as
    the way between their means along it.

    ``extra``, each [layer, place]: ``low`` and ``high``, a 95 % bootstrap interval over groups; ``null``,
    the mean score of shuffled labels, and ``null_high`` the largest; ``p_value``, that chance reads as well,
    and ``p_family``, as well as the best of all cells; ``n`` rows. ``length_alone``: the score of the text's
    length alone; ``place_alone`` [place], of where the place stands. ``rows``, ``groups``,
    ``chance``; ``direction``, what was saved, in words.

    Raises ``BadParameter``, ``Unsupported``, ``MissingPackage``. Alain and Bengio 2016; Hewitt and Liang 2019
    (controls); Marks and Tegmark 2023 (mass-mean).
    """
    names = datasets_of(data)
    if len(names) > 1:
        raise BadParameter("linear_probe takes one dataset.", "probe_transfer takes several.")
    where = site_of(lm, site, layers, positions)
    if save_layer != -1 and not save:
        raise BadParameter("save_layer is of a direction that is saved.", "Name its file: save.")
    if save:
        _check_save(where, save_layer)
        prepare_place(save)
    rows = read_rows_at(lm, names[0], where, label=label, group=group, limit=limit, watch=watch)
    task, classes, notes = task_of(rows, probe, folds, strength, seed, group)
    if save and probe != "ridge" and len(classes) != 2:
        raise BadParameter(
            f"There are {len(classes)} labels, and a direction leads from one to another.",
            "Save with two labels.",
        )
    shuffled = [task.shuffled(number, seed) for number in range(1, shuffles + 1)]
    shape = rows.values.shape[1:3]
    arrays, unfinished = watch.once("scores", partial(_scores, rows, task, seed))
    null = np.full((shuffles, *shape), np.nan)
    for number, other in enumerate(shuffled):
        watch.step(number, shuffles)
        null[number] = watch.once(f"shuffle {number}", partial(_cells, rows, other))
    watch.step(shuffles, shuffles)
    if shuffles:
        own, family = p_values(arrays["values"], null)
        arrays |= {
            "null": mean_of(null.reshape(shuffles, -1)).reshape(shape),
            "null_high": np.fmax.reduce(null),
            "p_value": own,
            "p_family": family,
        }
    length, at, surface = surface_scores(rows, task, shuffled)
    notes += [*surface, *repeated_shuffles(task, shuffled)]
    if unfinished:
        notes.append(f"{unfinished} fits did not converge: raise the strength of the penalty")
    places = Axis("place", rows.places)
    extra = {
        key: LabelledArray((where.layer_axis, places), value)
        for key, value in arrays.items()
        if key != "values"
    }
    extra["place_alone"] = LabelledArray((places,), at)
    lone = {
        "length_alone": length,
        "rows": len(rows),
        "groups": len(np.unique(task.groups)),
        "chance": 1 / task.classes if task.classes else 0.0,
    }
    extra |= {key: LabelledArray((), np.array(float(value))) for key, value in lone.items()}
    if save:
        said, more = _saved(lm, rows, task, where, arrays["values"], classes, save, save_layer)
        extra["direction"] = LabelledArray((), np.array(said, dtype=object))
        notes += more
    return Computed(
        values=arrays["values"],
        axes=(where.layer_axis, places),
        extra=extra,
        warnings=tuple(notes),
        params={"data": list(names), "folds": int(task.folds.max()) + 1},
        unused=("save", "save_layer", *(() if group else ("group",))),
        baseline=None,
    )


class _Read(NamedTuple):
    """What is read of a cell: ``said`` [row] of the rows of ``task``, those that have the position."""

    task: HeldOutTask
    said: np.ndarray
    converged: bool

    @property
    def score(self) -> float:
        return score_of(self.said, self.task.answers, self.task.classes, self.task.base())

    def interval(self, seed: int) -> tuple[float, float]:
        task = self.task
        return interval_of(self.said, task.answers, task.groups, task.classes, task.base(), seed)


def _read_cell(rows: ProbeRows, task: HeldOutTask, layer: int, place: int) -> _Read | None:
    """None for too few rows."""
    there = _there(rows, layer, place)
    part = task if there.all() else task.among(there)
    if not there.any() or part.classes != task.classes or not part.trainable():
        return None
    return _Read(part, *part.read(rows.values[there, layer, place]))


def _there(rows: ProbeRows, layer: int, place: int) -> np.ndarray:
    """Which rows [row] have the place in that layer: of two strips a layer has those of its own."""
    found: np.ndarray = (rows.at[:, place] >= 0) & ~np.isnan(rows.values[:, layer, place]).any(-1)
    return found


def _cells(rows: ProbeRows, task: HeldOutTask) -> np.ndarray:
    """The score [layer, place] of each cell."""
    found = np.full(rows.values.shape[1:3], np.nan)
    for layer, place in np.ndindex(*found.shape):
        read = _read_cell(rows, task, layer, place)
        if read is not None:
            found[layer, place] = read.score
    return found


def _scores(rows: ProbeRows, task: HeldOutTask, seed: int) -> tuple[dict[str, np.ndarray], int]:
    shape = rows.values.shape[1:3]
    arrays = {name: np.full(shape, np.nan) for name in ("values", "low", "high", "n")}
    unfinished = 0
    for layer, place in np.ndindex(*shape):
        arrays["n"][layer, place] = _there(rows, layer, place).sum()
        read = _read_cell(rows, task, layer, place)
        if read is None:
            continue
        unfinished += not read.converged
        arrays["values"][layer, place] = read.score
        arrays["low"][layer, place], arrays["high"][layer, place] = read.interval(seed)
    return arrays, unfinished


def _check_save(where: ReadSite, save_layer: int) -> None:
    if where.site not in _STEERED:
        raise BadParameter(
            f"A direction at {where.site} cannot be added by steering or what-if.",
            f"Read {', '.join(_STEERED)}.",
        )
    if save_layer != -1 and save_layer not in where.layers:
        raise BadParameter(f"Layer {save_layer} is not among the layers that are read.")


def _saved(
    lm: LanguageModel,
    rows: ProbeRows,
    task: HeldOutTask,
    where: ReadSite,
    values: np.ndarray,
    classes: Sequence[str],
    path: str,
    save_layer: int,
) -> tuple[str, list[str]]:
    """Write the direction; what it is, and what must be said of it."""
    known = np.where(np.isnan(values), -np.inf, values)
    known[[at for at, layer in enumerate(where.layers) if layer == EMBEDDING]] = -np.inf
    if save_layer != -1:
        known[[at for at, layer in enumerate(where.layers) if layer != save_layer]] = -np.inf
    at, place = (int(i) for i in np.unravel_index(int(known.argmax()), known.shape))
    if known[at, place] == -np.inf:
        raise BadParameter("No layer that can be steered was scored.", "Read more rows or layers.")
    there = _there(rows, at, place)
    read, answers = rows.values[there, at, place], task.answers[there]
    fit = fit_probe(task.kind, read, answers, task.strength)
    direction = direction_of(fit, task.kind, read, answers)
    layer = where.layers[at]
    vector = torch.tensor(direction, dtype=torch.float64 if read.dtype == float else torch.float32)
    written = save_vector(Path(path), vector, layer, Origin.of(lm.info), site=where.site)
    way = f"from {classes[0]!r} to {classes[1]!r}" if classes else "to larger numbers"
    name = where.name(layer)
    said = (
        f"{way}, layer {name} at {rows.places[place]!r}, of all rows, in {written}; what-if: "
        f'{name}.{_STEERED[where.site]}=steer "{written}"'
    )
    cells = int(np.isfinite(values).sum())
    if save_layer != -1 or cells < 2:
        return said, []
    return said, [
        f"layer {name} was taken because it scores best of {cells} cells: its own score is optimistic"
    ]
