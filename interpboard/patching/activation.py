"""Where the difference between two prompts lives: activations of one run put into the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from interpboard.errors import BadParameter
from interpboard.models.crossing import back
from interpboard.models.language_model import LanguageModel
from interpboard.patching.donor import Donor, make_donor
from interpboard.patching.grid import Grid, evaluate_grid, make_grid
from interpboard.patching.pair import Pair, make_noised_pair, make_pair
from interpboard.patching.products import linear_products
from interpboard.results import LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import estimate_extras
from interpboard.runs.edits import Counterfactual
from interpboard.runs.gradients.sites import gradients_by_layer
from interpboard.runs.metrics import Metric
from interpboard.runs.record import record
from interpboard.runs.room import refuse_a_gradient_where
from interpboard.runs.watch import SILENT, Watch

DIRECTIONS = ("denoising", "noising")


@analysis("activation_patching", refuses=refuse_a_gradient_where("preview", True))
def activation_patching(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    corrupted: str | None = None,
    subject: str | Sequence[str] | Sequence[int] | None = None,
    noise: float = 3.0,
    seed: int = 0,
    site: str = "resid_pre",
    along: str = "auto",
    direction: str = "denoising",
    preview: bool = False,
    watch: Watch = SILENT,
) -> Computed:
    """Recovered fraction [layer, token], [layer, head], [layer, head, token] or [layer, neuron].

    (patched − corrupted) / (clean − corrupted) of the metric: 0 is the corrupted run, 1 the clean one.
    ``site`` and ``along`` say what is patched and in which cells (see ``grid``); ``direction``:
    ``denoising`` puts clean activations into the corrupted run (what is sufficient to restore the
    answer), ``noising`` corrupted ones into the clean run (what is necessary for it). ``prompt`` is
    the clean one; see Zhang and Nanda 2024, "Towards Best Practices of Activation Patching". Without
    positions in its axes a head or neuron is patched at all of them. For ``k`` and ``v`` heads are
    key/value heads; at ``pattern`` a token is the query. Layers that lack the site (heads, in a layer of
    state spaces) are NaN, and named in a warning.

    The corrupted run is that of the prompt ``corrupted``. Without one it is the clean prompt with Gaussian
    noise on the embeddings of the ``subject`` (text, words or positions), ``noise`` times their standard
    deviation over the vocabulary, one draw by ``seed``; ``causal_trace`` takes the mean over many.

    ``extra``: ``metric`` (the patched metric itself, same axes), ``clean`` and ``corrupted`` (the
    metric of the two runs). If the two agree there is nothing to recover: NaN, and a warning.

    ``preview``: first-order estimates of all cells (attribution patching, Nanda 2023) are reported first
    and replaced as exact values come; ``extra`` then has ``estimate`` and ``estimate_error``
    (estimate − exact), in the same axes.

    Raises ``BadPrompt`` for prompts of unequal length, ``BadParameter`` (also with neither a corrupted
    prompt nor a subject), ``Unsupported``.
    """
    if direction not in DIRECTIONS:
        raise BadParameter(
            f"There is no direction {direction!r}.", f"Use {' or '.join(DIRECTIONS)}."
        )
    pair, corruption = _corrupted_by(lm, prompt, metric, corrupted, subject, noise, seed)
    grid = make_grid(lm, prompt, site, along, partly=True)
    clean, bad = (pair.clean, ()), (pair.corrupted, pair.edits)
    (into, made), (source, given) = (bad, clean) if direction == "denoising" else (clean, bad)
    donor = make_donor(lm, site, source, into, given=given, made=made)
    estimates = None
    if preview and (metric.has_slope or (metric.differentiable and direction == "denoising")):
        guess = partial(_estimated, lm, into, made, metric, grid, donor)
        estimates = pair.recovered(metric, watch.once("estimates", guess))
    values = evaluate_grid(
        record(lm, into, edits=(made,)),
        grid,
        donor,
        metric,
        lambda new: pair.recovered(metric, new),
        unchanged=pair.on_corrupted if direction == "denoising" else pair.on_clean,
        estimates=estimates,
        watch=watch,
    )
    recovered = pair.recovered(metric, values)
    return Computed(
        values=recovered,
        axes=grid.axes,
        extra={
            "metric": LabelledArray(grid.axes, values),
            "clean": LabelledArray((), np.array(pair.on_clean)),
            "corrupted": LabelledArray((), np.array(pair.on_corrupted)),
            **estimate_extras(grid.axes, estimates, recovered),
        },
        warnings=(*grid.notes, *pair.notes, *pair.nothing_to_recover(metric)),
        params={**corruption, "along": grid.along},
        unused=tuple({"corrupted", "subject", "noise", "seed"} - set(corruption)),
        baseline=pair.on_clean,
    )


def _corrupted_by(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    corrupted: str | None,
    subject: str | Sequence[str] | Sequence[int] | None,
    noise: float,
    seed: int,
) -> tuple[Pair, dict[str, Any]]:
    """Both runs, and the parameters that say how the corrupted one was made."""
    if corrupted is not None:
        return make_pair(lm, prompt, corrupted, metric), {"corrupted": corrupted}
    if subject is None or subject == "":
        raise BadParameter(
            "Activation patching needs a corrupted run.",
            "Give a corrupted prompt, or the subject that noise is put on.",
        )
    pair = make_noised_pair(lm, prompt, metric, subject, noise, seed)
    positions = list(pair.edits[0].positions or ())
    return pair, {"subject": positions, "noise": noise, "seed": seed}


def _estimated(
    lm: LanguageModel,
    into: PromptInfo,
    made: Counterfactual,
    metric: Metric,
    grid: Grid,
    donor: Donor,
) -> np.ndarray:
    """The patched metric of every cell, to first order: one forward and one backward pass."""
    base = gradients_by_layer(lm, into, metric, donor.site, edits=made)
    changes = [linear_products(grid, donor, at)[0].double() for at in base.layers]
    read_back = back(*changes)  # at once: a layer would wait for the one before
    return base.metric + np.array([change.numpy() for change in reversed(read_back)])
