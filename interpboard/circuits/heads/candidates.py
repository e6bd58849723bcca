"""What can be taken out of a model, one at a time, and what that is estimated to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from interpboard.registry.component_names import head_label, mlp_label
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.gradients.sites import gradients_by_layer
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run, record
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

_Place = tuple[str, int]  # site and layer


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
    """Every component of ``kinds``. What a layer has at a site is held while it is looked at, no longer."""
    sums: dict[_Place, torch.Tensor] = {}
    means: dict[_Place, torch.Tensor] = {}
    for site in dict.fromkeys(site for kind in kinds for site in SITES_OF_KIND[kind]):
        watch.check()
        if not run.lm.verified.somewhere(site) or not (estimated or ablation == "mean"):
            continue
        for layer, activation, gradient in _by_layer(run, metric, site, estimated):
            if not activation.numel():  # the layer lacks the site
                continue
            instead = None
            if ablation == "mean":
                own = values_there(run.lm, run.prompt, site, layer, activation)
                instead = means[site, layer] = own.mean(0, keepdim=True)
            if gradient is not None:
                sums[site, layer] = _first_order(activation, gradient, instead)
            del activation, gradient  # before the next is made
    found = []
    for kind in kinds:
        for label, edits in _parts(run, kind, means):
            estimate, bound = _estimate(edits, sums)
            found.append(Candidate(label, kind, edits, estimate, bound))
    return found


def _by_layer(
    run: Run, metric: Metric, site: str, estimated: bool
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor | None]]:
    """Each layer's activation [pos, …] at ``site``, and the metric's gradient there; of the embedding one."""
    if estimated:
        for at in gradients_by_layer(run.lm, run.prompt, metric, site).layers:
            yield at.layer, at.activation, at.gradients[0]
            del at
        return
    values = record(run.lm, run.prompt, (site,), behind_attention=False, partly=True).sites[site]
    for layer, value in enumerate(values[:1] if site == "embed" else values):
        yield layer, value[0], None


def _parts(
    run: Run, kind: str, means: Mapping[_Place, torch.Tensor]
) -> list[tuple[str, tuple[Edit, ...]]]:
    anatomy = run.lm.anatomy

    def edit(site: str, layer: int, head: int | None = None, where: int | None = None) -> Edit:
        positions = None if where is None else (where,)
        mean = means.get((site, layer))
        if mean is None:
            return Edit(site, layer, "zero", head, positions)
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
    old: torch.Tensor, gradient: torch.Tensor, instead: torch.Tensor | None
) -> torch.Tensor:
    """change · gradient and |change| · |gradient|, both of the last axis: [2, pos, …]."""
    gradient = gradient.to(old).double()
    change = (0 if instead is None else instead.to(old)) - old
    change = change.double()
    bound = change.norm(dim=-1) * gradient.norm(dim=-1)
    return torch.stack([(change * gradient).sum(-1), bound])


def _estimate(edits: Sequence[Edit], sums: Mapping[_Place, torch.Tensor]) -> tuple[float, float]:
    """The first-order effect of the edits together, and its bound; NaN where nothing was estimated."""
    if not sums:
        return float("nan"), float("nan")
    both = np.zeros(2)
    for edit in edits:
        of = sums[edit.site, edit.layer]
        of = of if edit.positions is None else of[:, list(edit.positions)]
        of = of if edit.head is None else of[:, :, edit.head]
        both += of.sum(1).cpu().numpy()
    return float(both[0]), float(both[1])
