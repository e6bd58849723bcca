"""A whole patching grid at once, estimated from gradients: attribution patching."""

from __future__ import annotations

import time

import numpy as np
import torch

from interpboard.attribution.site_gradients import SiteGradients, site_gradients
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import nothing_to_recover
from interpboard.patching.grid import Grid, make_grid
from interpboard.patching.pair import make_pair
from interpboard.results import LabelledArray, PromptInfo, Result
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import Metric
from interpboard.runs.provenance import made_by
from interpboard.runs.record import Run, record
from interpboard.runs.watch import SILENT, Watch

METHODS = ("atp", "ig")


def attribution_patching(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    corrupted: str,
    site: str = "resid_pre",
    along: str = "auto",
    method: str = "atp",
    n_steps: int = 8,
    watch: Watch = SILENT,
) -> Result:
    """Estimated effect of putting the clean activation into the corrupted run, as a whole grid.

    (clean − corrupted activation) · gradient of the metric: a first-order estimate of
    metric(patched) − metric(corrupted). Positive: the clean activation raises the metric. ``atp`` takes
    the gradient at the corrupted run (Nanda 2023, "Attribution Patching"; two forward passes and one
    backward). ``ig`` averages it over ``n_steps`` midpoints between the two activations, each layer
    moved alone (Hanna, Pezzelle and Belinkov 2024): dearer, and right about saturation.

    ``extra``: ``recovered`` (the same as a share of clean − corrupted), ``clean``, ``corrupted``. An
    estimate: ``activation_patching`` gives the exact values.
    """
    started = time.perf_counter()
    if method not in METHODS:
        raise BadParameter(f"There is no method {method!r}.", f"Use {' or '.join(METHODS)}.")
    pair = make_pair(lm, prompt, corrupted, metric)
    grid = make_grid(lm, prompt, site, along)
    donor = record(lm, pair.clean, sites=(site,))
    watch.step(0, 2)
    base = site_gradients(lm, pair.corrupted, metric, site)
    watch.step(1, 2)
    gradients = base.gradients
    if method == "ig":
        gradients = _mean_gradients(lm, pair.corrupted, metric, grid, base, donor, n_steps, watch)
    scores = torch.stack(
        [
            _along(grid, (clean[0].to(a) - a) * g)
            for clean, a, g in zip(donor.sites[site], base.activations, gradients, strict=False)
        ]
    )
    values = scores.double().cpu().numpy()
    span = pair.on_clean - pair.on_corrupted
    watch.step(2, 2)
    return Result(
        analysis="attribution_patching",
        params={
            "corrupted": corrupted,
            "site": site,
            "along": grid.along,
            "method": method,
            "n_steps": n_steps,
        },
        metric=metric.info,
        baseline=pair.on_clean,
        axes=grid.axes,
        values=values,
        extra={
            "recovered": LabelledArray(
                grid.axes, values / (span if not nothing_to_recover(pair) else np.nan)
            ),
            "clean": LabelledArray((), np.array(pair.on_clean)),
            "corrupted": LabelledArray((), np.array(pair.on_corrupted)),
        },
        elapsed_s=time.perf_counter() - started,
        made_by=made_by("autograd"),
        warnings=(
            "These are first-order estimates, not measured effects.",
            *nothing_to_recover(pair),
        ),
    )


def _mean_gradients(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    grid: Grid,
    base: SiteGradients,
    donor: Run,
    n_steps: int,
    watch: Watch,
) -> tuple[torch.Tensor, ...]:
    """Gradients [layer] averaged over midpoints of the way from the base to the donor activation."""
    means = []
    total = len(base.activations) * n_steps
    for layer, activation in enumerate(base.activations):
        way = donor.sites[grid.site][layer][0].to(activation) - activation
        gradients = []
        for step in range(n_steps):
            watch.step(layer * n_steps + step, total)
            moved = Edit(grid.site, layer, "patch", value=activation + (step + 0.5) / n_steps * way)
            gradients.append(
                site_gradients(lm, prompt, metric, grid.site, edits=(moved,)).gradients[layer]
            )
        means.append(torch.stack(gradients).mean(0))
    return tuple(means)


def _along(grid: Grid, product: torch.Tensor) -> torch.Tensor:
    """``product`` [pos, …] of one layer summed to the grid's remaining axes."""
    if grid.along == "position":
        return product.flatten(1).sum(-1)
    if grid.along == "neuron":
        return product.sum(0)
    if grid.along == "head":
        return product.sum((0, 2))
    return product.sum(-1).T
