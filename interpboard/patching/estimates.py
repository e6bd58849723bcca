"""A whole patching grid at once, estimated from gradients: attribution patching."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.patching.donor import Donor, gradient_site, make_donor
from interpboard.patching.grad_drop import mean_size
from interpboard.patching.grid import Grid, make_grid
from interpboard.patching.pair import Pair, equally_long
from interpboard.patching.products import QK_SITES, linear_products, pattern_products
from interpboard.patching.verification import verified_cells
from interpboard.results import LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Edit
from interpboard.runs.gradients.sites import LayerGradients, gradients_by_layer
from interpboard.runs.metrics import Metric
from interpboard.runs.record import record
from interpboard.runs.room import refuse_a_gradient_without_room
from interpboard.runs.watch import SILENT, Watch

_METHODS = ("atp", "ig", "atp_qk", "atp_star")


@analysis("attribution_patching", path="autograd", refuses=refuse_a_gradient_without_room)
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
    verify: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Estimated effect [layer, token] of putting the clean activation into the corrupted run.

    A whole grid at once; other axes, ``site`` and ``along`` as in ``activation_patching``.

    (clean − corrupted activation) · gradient of the metric: a first-order estimate of
    metric(patched) − metric(corrupted). ``method``:

    - ``atp``: the gradient at the corrupted run (Nanda 2023, "Attribution Patching"); two forward
      passes and one backward.
    - ``ig``: its average over ``n_steps`` midpoints between the two activations, each layer moved alone
      (Hanna, Pezzelle and Belinkov 2024): dearer, and right about saturation.
    - ``atp_qk``, for ``q`` and ``k``: the pattern they give is computed anew and only what comes behind it
      is linear (the QK fix of Kramár et al. 2024, "AtP*").
    - ``atp_star``: that, and GradDrop: the mean size of the estimates with the gradient through one layer
      at a time dropped, against effects that cancel. It has no sign; ``extra["signed"]`` is the estimate
      before GradDrop. As many backward passes as layers.

    The ``verify`` cells of largest estimate are evaluated exactly: ``extra`` then has ``exact``, ``error``
    (estimate − exact; sizes for ``atp_star``), both NaN elsewhere, and the scalar ``mean_abs_error``.
    Always there: ``recovered`` (the estimate as a share of clean − corrupted), ``clean``, ``corrupted``. NaN
    at positions that a layer of an encoder–decoder does not have, and in layers that lack the site (heads, in
    a layer of state spaces), which a warning names. An estimate: ``activation_patching`` gives the exact
    values.
    """
    if method not in _METHODS:
        raise BadParameter(f"There is no method {method!r}.", f"Use {', '.join(_METHODS)}.")
    if method == "atp_qk" and site not in QK_SITES:
        raise BadParameter("The method atp_qk is for q and k.", "Use atp, ig or atp_star.")
    other = equally_long(lm, prompt, corrupted)
    grid = make_grid(lm, prompt, site, along, partly=True)
    work = _steps(lm, method, n_steps)
    verify = min(verify, grid.size)
    early = watch.stage(0, work + verify)
    # The layers of atp_star come out of one pass after the other, which nothing goes on with midway.
    of_case = early.insistent if method == "atp_star" else early
    case = _Case(lm, other, metric, grid, make_donor(lm, site, prompt, other), of_case)
    estimates, on_corrupted = watch.once("all", lambda: case.estimates(method, n_steps))
    values = estimates[0].double().cpu().numpy()
    extra = {}
    if method == "atp_star":
        extra["signed"] = LabelledArray(grid.axes, np.where(grid.there, values, np.nan))
        # A model of one layer has no other to drop.
        sizes = mean_size(estimates[1:], site) if len(estimates) > 2 else estimates[0].abs()
        values = sizes.double().cpu().numpy()
    values = np.where(grid.there, values, np.nan)
    early.step(work, work, LabelledArray(grid.axes, values))
    pair = Pair(prompt, other, metric.baseline, on_corrupted)
    span, no_span = pair.span(metric), pair.nothing_to_recover(metric)
    if verify:
        run, cells = record(lm, other), partial(grid.some_cells, case.donor)
        extra |= verified_cells(
            run, cells, grid.there, metric, grid.axes, values, verify, on_corrupted,
            sizes=method == "atp_star", watch=watch.stage(work, work + verify),
        )  # fmt: skip
    return Computed(
        values=values,
        axes=grid.axes,
        extra=extra
        | {
            "recovered": LabelledArray(grid.axes, values / span),
            "clean": LabelledArray((), np.array(pair.on_clean)),
            "corrupted": LabelledArray((), np.array(pair.on_corrupted)),
        },
        warnings=("These are first-order estimates, not measured effects.", *grid.notes, *no_span),
        params={"along": grid.along, "verify": verify},
        baseline=pair.on_clean,
    )


def _steps(lm: LanguageModel, method: str, n_steps: int) -> int:
    """Gradients that a method takes."""
    n_layers = lm.anatomy.n_layers
    return {"ig": 1 + n_layers * n_steps, "atp_star": 1 + n_layers}.get(method, 1)


@dataclass(frozen=True)
class _Case:
    """The run patched into (``prompt``), the donor, and the grid between them."""

    lm: LanguageModel
    prompt: PromptInfo
    metric: Metric
    grid: Grid
    donor: Donor
    watch: Watch

    def estimates(self, method: str, n_steps: int) -> tuple[torch.Tensor, float]:
        """Estimates [gradient, …grid], the plain one first, and the metric of the run patched into."""
        self.watch.step(0, 1)
        grid, lm = self.grid, self.lm
        by_pattern = grid.site in QK_SITES and method in ("atp_qk", "atp_star")
        site = gradient_site("pattern" if by_pattern else grid.site)
        dropped = [(i,) for i in range(lm.anatomy.n_layers)] if method == "atp_star" else []
        base = gradients_by_layer(
            lm, self.prompt, self.metric, site, without=[(), *dropped], watch=self.watch
        )
        run = (base.run or record(lm, self.prompt)) if by_pattern else None
        found: list[torch.Tensor] = []
        for at in base.layers:  # enumerate would hold the one before
            after = self.watch.stage(1 + len(found) * (n_steps if method == "ig" else 1), 1)
            if method == "atp_star":
                after.step(0, 1)
            if method == "ig" and at.layer not in grid.without:
                mean = self.watch.once(
                    f"layer {at.layer}", partial(self._mean_gradient, at, n_steps, after)
                )
                at = replace(at, gradients=(mean,))
            if run is not None:
                found.append(pattern_products(grid, run, self.donor, at, self.watch))
            else:
                found.append(linear_products(grid, self.donor, at))
            del at  # before the next is made
        return torch.stack(found[::-1], dim=1), base.metric

    def _mean_gradient(self, at: LayerGradients, n_steps: int, watch: Watch) -> torch.Tensor:
        """The layer's gradient averaged over midpoints of the way from its activation to the donor's."""
        site = self.donor.site
        way = self.donor.change(at.layer, at.activation)
        gradients = []
        for step in range(n_steps):
            watch.step(step, n_steps)
            value = at.activation + (step + 0.5) / n_steps * way
            edits = (Edit(site, at.layer, "patch", value=value),)
            found = gradients_by_layer(self.lm, self.prompt, self.metric, site, edits=edits)
            gradients.append(next(o.gradients[0] for o in found.layers if o.layer == at.layer))
        return torch.stack(gradients).mean(0)
