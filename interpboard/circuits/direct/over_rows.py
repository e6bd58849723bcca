"""Direct logit attribution of several prompts at once: each step of ``attribution`` over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from interpboard.circuits.direct.attribution import unexplained_by
from interpboard.circuits.direct.path import DirectPath, is_affine, pull_back_rows
from interpboard.circuits.direct.terms import DirectTerms, LayerParts, components, what_is_there
from interpboard.circuits.direct.through_norms import writing_layers
from interpboard.models.proof.rounding import agrees
from interpboard.models.sum_norms import norms_of_sums
from interpboard.models.unembedding import unembed
from interpboard.registry.spec import WRITING_SITES
from interpboard.results import Axis, PromptInfo
from interpboard.runs.analysis import Computed
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.record import Run
from interpboard.runs.together import Together
from interpboard.runs.watch import Watch

_SIGNS = {"logit": (1.0,), "logit_diff": (1.0, -1.0)}


def direct_logit_attribution_over_rows(
    shared: Together,
    prompts: Sequence[PromptInfo],
    metrics: Sequence[Metric],
    params: Mapping[str, Any],
    watch: Watch,
) -> list[Computed] | None:
    """``direct_logit_attribution`` of each of ``prompts``. See ``runs.over_rows``.

    None where a prompt by itself has more to say: of capped logits, of layers that scale what they add or
    norm behind their sums, of neurons.
    """
    lm = shared.lm
    anatomy, (name, *others) = lm.anatomy, {metric.info.name for metric in metrics}
    if others or name not in _SIGNS or params["neurons"] or anatomy.label_head is not None:
        return None
    if anatomy.strips is not None or not lm.verified.sites.issuperset(WRITING_SITES):
        return None
    if any(
        norm is not None
        for layer in writing_layers(lm)
        for norm in norms_of_sums(lm.anatomy, layer)
    ):
        return None
    lm.verified.require_lens()
    whole = shared.whole(WRITING_SITES)
    if whole is None:
        return None
    rows = torch.tensor([shared.row_of(prompt) for prompt in prompts])
    at = _At(whole, rows, torch.tensor([metric.info.position for metric in metrics]))
    paths = _paths(whole, at, metrics)
    if paths is None:
        return None
    terms = _terms(whole, at, paths, watch)
    if terms is None:
        return None
    alike: dict[tuple[bool, ...], list[int]] = {}
    for i, own in enumerate(terms):
        alike.setdefault(what_is_there(own), []).append(i)
    found: dict[int, Computed] = {}
    for chosen in alike.values():
        some = [terms[i] for i in chosen]
        named = components(some)
        values = np.array(list(named.values())).T  # [row, component]
        _require_all_explained(some, values, whole)
        axes = (Axis("component", tuple(named)),)
        found |= {i: Computed(each, axes) for i, each in zip(chosen, values, strict=True)}
    return [found[i] for i in range(len(terms))]


def _require_all_explained(terms: Sequence[DirectTerms], values: np.ndarray, run: Run) -> None:
    """``unexplained_by`` of each, looked at together as long as all is well."""
    totals = np.array([own.path.total for own in terms])
    missing = (totals - values.sum(1)) / (1.0 + np.abs(values).sum(1))
    found = torch.tensor(missing, dtype=run.resid_final.dtype)[:, None]
    if not agrees(found, torch.zeros_like(found)):
        for own, of in zip(terms, values, strict=True):
            unexplained_by(own, of.tolist(), run)


class _At:
    """What stands at the place of each metric."""

    def __init__(self, run: Run, rows: torch.Tensor, positions: torch.Tensor) -> None:
        self.run, self.rows, self.positions = run, rows, positions

    def of(self, value: torch.Tensor) -> torch.Tensor:
        """[metric, …] of ``value`` [row, pos, …]."""
        return value[self.rows.to(value.device), self.positions.to(value.device)]

    def before(self, layer: int) -> torch.Tensor:
        """The stream [metric, d_model] before ``layer``, or behind the last."""
        calls = self.run.calls
        return self.of(calls[layer].hidden.tensor if layer < len(calls) else self.run.resid_final)


def _paths(run: Run, at: _At, metrics: Sequence[Metric]) -> list[DirectPath] | None:
    """``direct_path`` of each metric; None where the logits are no affine function."""
    anatomy = run.lm.anatomy
    stream = at.of(run.resid_final)
    with torch.no_grad():
        normed = anatomy.final_norm(stream)
        if not is_affine(lambda rows: unembed(anatomy, rows), normed):
            return None
    tokens = torch.tensor([metric.tokens for metric in metrics], device=normed.device)
    signs = torch.tensor(_SIGNS[metrics[0].info.name], device=normed.device)

    def explained(rows: torch.Tensor) -> torch.Tensor:
        logits = at_least_float32(unembed(anatomy, rows)).gather(1, tokens)
        return (logits * signs.to(logits)).sum(-1, keepdim=True)

    ones = torch.ones(len(metrics), 1, device=normed.device)
    head, constants = pull_back_rows(explained, normed, ones, "The unembedding")
    gradients, biases = pull_back_rows(anatomy.final_norm, stream, head, "The final norm")
    with torch.no_grad():
        totals = explained(normed)[:, 0]
    return [
        DirectPath(gradient, float(bias), float(constant), float(total), False)
        for gradient, bias, constant, total in zip(
            gradients, biases, constants, totals, strict=True
        )
    ]


def _terms(
    run: Run, at: _At, paths: Sequence[DirectPath], watch: Watch
) -> list[DirectTerms] | None:
    """``direct_terms`` of each; None where a layer does not add just what its parts give."""
    direction = torch.stack([path.gradient for path in paths])
    layers: list[list[LayerParts]] = []
    for layer in range(run.lm.anatomy.n_layers):
        watch.check()
        found = _layer(run, at, layer, direction)
        if found is None:
            return None
        layers.append(found)
    embedded = _dots(direction, at.before(0))
    return [
        DirectTerms(path, float(first), list(own))
        for path, first, own in zip(paths, embedded, zip(*layers, strict=True), strict=True)
    ]


def _layer(run: Run, at: _At, layer: int, direction: torch.Tensor) -> list[LayerParts] | None:
    anatomy = run.lm.anatomy
    z, attended, added = (at.of(run.sites[site][layer]) for site in WRITING_SITES)
    before, after = at.before(layer).to(added), at.before(layer + 1).to(added)
    if not agrees(before + attended.to(added) + added, after):
        return None
    direction = direction.to(z.device)
    projection, writer = anatomy.out_proj[layer], anatomy.attn_out[layer]
    flat, late = z.flatten(1), torch.zeros(len(z))
    along = direction
    if writer is not projection:  # the family norms what it adds
        with torch.no_grad():
            projected = projection(flat)
        along, late = pull_back_rows(writer, projected, direction, "Attention's late norm")
    through, constant = pull_back_rows(projection, flat, along, "Attention's output projection")
    heads = (through.double().unflatten(1, z.shape[1:]) * z.double()).sum(-1).cpu().numpy()
    biases = (late.to(constant).double() + constant.double()).tolist()
    mlps = _dots(direction, added).tolist()
    return [
        LayerParts(anatomy.layer_names[layer], own, bias, mlp, np.zeros(0))
        for own, bias, mlp in zip(heads, biases, mlps, strict=True)
    ]


def _dots(directions: torch.Tensor, activations: torch.Tensor) -> torch.Tensor:
    return (directions.double() * activations.to(directions.device).double()).sum(-1)
