"""What can be taken out of a model, one at a time, and what that is estimated to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from interpboard.registry.component_names import head_label, mlp_label
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.gradients.sites import site_gradients
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run
from interpboard.runs.strip_places import positions_at, values_there
from interpboard.runs.watch import Watch

KINDS = ("head", "mlp", "layer", "embed")
ABLATIONS = ("zero", "mean")
SITES_OF_KIND = {
    "head": ("z",),
    "mlp": ("mlp_out",),
    "layer": ("attn_out", "mlp_out"),
    "embed": ("embed",),
}


@dataclass(frozen=True)
class Candidate:
    """One component, the counterfactual without it, and the first-order ``estimate`` of its effect.

    ``bound``: the largest size that a first-order effect of a change that large could have; NaN both
    where nothing was estimated.
    """

    label: str
    kind: str
    counterfactual: Counterfactual
    estimate: float
    bound: float


def candidates(
    run: Run,
    metric: Metric,
    kinds: Sequence[str],
    ablation: str,
    *,
    estimated: bool,
    watch: Watch,
) -> list[Candidate]:
    """Every component of ``kinds``. The run must have recorded the sites of its kinds."""
    gradients: dict[str, tuple[torch.Tensor, ...]] = {}
    for site in dict.fromkeys(site for kind in kinds for site in SITES_OF_KIND[kind]):
        watch.check()
        if estimated and run.lm.verified.somewhere(site):
            gradients[site] = site_gradients(run.lm, run.prompt, metric, site).gradients
    found = []
    for kind in kinds:
        for label, edits in _parts(run, kind, ablation):
            sums = [_first_order(run, edit, gradients) for edit in edits]
            estimate, bound = (float(sum(column)) for column in zip(*sums, strict=True))
            found.append(Candidate(label, kind, edits, estimate, bound))
    return found


def _parts(run: Run, kind: str, ablation: str) -> list[tuple[str, tuple[Edit, ...]]]:
    anatomy = run.lm.anatomy

    def edit(site: str, layer: int, head: int | None = None, where: int | None = None) -> Edit:
        positions = None if where is None else (where,)
        if ablation == "zero":
            return Edit(site, layer, "zero", head, positions)
        own = values_there(run.lm, run.prompt, site, layer, run.sites[site][layer][0])
        mean = own.mean(0, keepdim=True)
        value = mean if head is None else mean[:, head]
        return Edit(site, layer, "patch", head, positions, value)

    names = list(enumerate(anatomy.layer_names))
    if kind == "head":
        heads = range(anatomy.n_heads)
        having = [(i, n) for i, n in names if run.lm.verified.has("z", i)]
        return [(head_label(n, head), (edit("z", i, head),)) for i, n in having for head in heads]
    # An encoder–decoder's halves with self-attention alone have no MLP.
    adding = {
        i: [
            site
            for site in SITES_OF_KIND["layer"]
            if run.lm.verified.has(site, i) and positions_at(run.lm, run.prompt, site, i)
        ]
        for i, _ in names
    }
    if kind == "mlp":
        return [(mlp_label(n), (edit("mlp_out", i),)) for i, n in names if "mlp_out" in adding[i]]
    if kind == "layer":
        having = [(i, n) for i, n in names if adding[i]]
        return [(f"layer {n}", tuple(edit(site, i) for site in adding[i])) for i, n in having]
    positions = range(len(run.prompt.token_ids))
    return [(f"embed {where}", (edit("embed", 0, where=where),)) for where in positions]


def _first_order(
    run: Run, edit: Edit, gradients: dict[str, tuple[torch.Tensor, ...]]
) -> tuple[float, float]:
    """change · gradient, and the sum over positions of |change| · |gradient|."""
    if not gradients:
        return float("nan"), float("nan")
    old = run.sites[edit.site][edit.layer][0]
    gradient = gradients[edit.site][edit.layer].to(old)
    if edit.head is not None:
        old, gradient = old[:, edit.head], gradient[:, edit.head]
    if edit.positions is not None:
        where = list(edit.positions)
        old, gradient = old[where], gradient[where]
    change = (0 if edit.value is None else edit.value.to(old)) - old
    change, gradient = change.double(), gradient.double()
    bound = change.norm(dim=-1) * gradient.norm(dim=-1)
    return float((change * gradient).sum()), float(bound.sum())
