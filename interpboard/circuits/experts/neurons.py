"""Neurons within experts: what each writes into the answer, and what each expert does altogether."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from interpboard.circuits.direct.attribution import (
    direct_terms,
    direct_warnings,
    record_writing,
    scale_of_what_is_added,
)
from interpboard.circuits.direct.path import pull_back
from interpboard.circuits.direct.through_norms import layer_paths
from interpboard.circuits.experts.routing import mixture_layers
from interpboard.errors import Unsupported
from interpboard.models.expert_parts import expert_parts
from interpboard.models.language_model import LanguageModel
from interpboard.models.mixtures import Mixture
from interpboard.models.module_hooks import on_input, on_output
from interpboard.models.proof.rounding import agrees
from interpboard.models.sites import ROUTER, at_site
from interpboard.models.unembedding import run_body
from interpboard.registry.component_names import expert_neuron_label
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.watch import SILENT, Watch


@dataclass
class _Seen:
    """Of one mixture and position: the weights [expert], what the experts were given and said, and what the
    whole block said [d_model]."""

    weights: torch.Tensor | None = None
    given: torch.Tensor | None = None
    said: torch.Tensor | None = None
    block: torch.Tensor | None = None


@analysis("expert_neurons", path="forward")
@torch.no_grad()
def expert_neurons(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    top_k: int = 100,
    watch: Watch = SILENT,
) -> Computed:
    """Contribution [component] of the ``top_k`` strongest neurons within experts, ``L3 E5 N12``.

    Largest first. What a neuron writes directly into the logit (or logit difference): its activation × the
    weight of its expert × what a unit of it writes, the final norm's scale held, as in ``neurons`` and
    ``direct_logit_attribution``. Of the experts that the token at the metric's position goes to; another
    writes nothing. That they add up to what the experts said in the run is seen before they are read.

    ``extra``: ``activation`` and ``weight`` [component]; ``experts`` [layer, expert], what each expert writes
    altogether, its bias too, 0 where the token does not go; ``beside`` [layer], what the rest of the block
    writes (what all tokens share).

    Raises ``Unsupported`` for a model without mixtures of experts, and where experts do not add up; else as
    ``direct_logit_attribution``.
    """
    layers = mixture_layers(lm, None)
    run = record_writing(lm, prompt, metric)
    position = metric.info.position
    terms = direct_terms(run, 0, metric, False, watch)
    paths = layer_paths(run, 0, position, terms.path.gradient)
    seen = _looked_at(lm, prompt, layers, position)
    count = max(len(s.weights) for s in seen.values() if s.weights is not None)
    by_expert = np.full((len(layers), count), np.nan)
    beside = np.zeros(len(layers))
    found: list[tuple[float, str, float, float]] = []
    for row, layer in enumerate(layers):
        watch.check()
        mixture, here = lm.anatomy.mixtures[layer], seen[layer]
        assert mixture is not None
        assert here.weights is not None
        scale = scale_of_what_is_added(run, layer, position)
        direction = scale * _before_norms(lm, layer, mixture, here, paths[layer].mlp).double()
        by_expert[row, : len(here.weights)] = 0
        total = torch.zeros(lm.anatomy.d_model, dtype=torch.float64)
        for expert in here.weights.nonzero().flatten().tolist():
            weight, token = _weighed(mixture, here, expert)
            parts = expert_parts(mixture, expert, token)
            along = direction.to(parts.writes.device)
            total += weight * parts.said.double().cpu()
            by_expert[row, expert] = weight * float(parts.said.double() @ along)
            each = weight * parts.neurons.double() * (parts.writes.double() @ along)
            for n in each.abs().topk(min(top_k, len(each))).indices.tolist():
                name = expert_neuron_label(lm.anatomy.layer_names[layer], expert, n)
                own = float(here.weights[expert])
                found.append((float(each[n]), name, float(parts.neurons[n]), own))
        assert here.said is not None
        if not agrees(total.to(here.said)[None], here.said[None]):
            raise Unsupported(
                f"The experts of layer {layer} do not add up to what they said: they are computed in a way "
                "that is not known."
            )
        mlp = terms.layers[layer].mlp
        beside[row] = (0.0 if mlp is None else mlp) - np.nansum(by_expert[row])
    found.sort(key=lambda one: -abs(one[0]))
    chosen = found[:top_k]
    component = Axis("component", tuple(name for _, name, _, _ in chosen))
    layer_axis = Axis("layer", tuple(lm.anatomy.layer_names[i] for i in layers))
    expert_axis = Axis("expert", tuple(map(str, range(count))))
    return Computed(
        values=np.array([value for value, *_ in chosen]),
        axes=(component,),
        extra={
            "activation": LabelledArray((component,), np.array([a for _, _, a, _ in chosen])),
            "weight": LabelledArray((component,), np.array([w for *_, w in chosen])),
            "experts": LabelledArray((layer_axis, expert_axis), by_expert),
            "beside": LabelledArray((layer_axis,), beside),
        },
        warnings=direct_warnings(lm, metric, terms.path),
    )


def _looked_at(
    lm: LanguageModel, prompt: PromptInfo, layers: tuple[int, ...], position: int
) -> dict[int, _Seen]:
    """What passed the mixtures of ``layers`` at ``position``, in one more forward pass."""
    seen = {layer: _Seen() for layer in layers}
    length = len(prompt.token_ids)

    def weighed(here: _Seen, weights: torch.Tensor) -> None:
        here.weights = weights[0, position].clone()

    def told(here: _Seen, name: str, every: torch.Tensor) -> None:
        # A dense mixture has all tokens of the first expert, then all of the second, and so on.
        rows = every.reshape(-1, length, every.shape[-1])[:, position].clone()
        setattr(here, name, rows[0] if name == "block" else rows)

    with ExitStack() as stack:
        for layer, here in seen.items():
            mixture = lm.anatomy.mixtures[layer]
            assert mixture is not None
            stack.enter_context(at_site(lm.anatomy, ROUTER, layer, partial(weighed, here)))
            stack.enter_context(on_input(mixture.experts, partial(told, here, "given")))
            stack.enter_context(on_output(mixture.experts, partial(told, here, "said")))
            stack.enter_context(on_output(mixture.block, partial(told, here, "block")))
        run_body(lm.anatomy, input_ids(lm, prompt))
    for here in seen.values():
        assert here.said is not None
        here.said = here.said.sum(0)
    return seen


def _weighed(mixture: Mixture, here: _Seen, expert: int) -> tuple[float, torch.Tensor]:
    """The factor on what ``expert`` says, and the token [d_model] as it is given to it."""
    assert here.given is not None
    assert here.weights is not None
    if mixture.dense:  # the token was weighed
        return 1.0, here.given[expert]
    return float(here.weights[expert]), here.given[0]


def _before_norms(
    lm: LanguageModel, layer: int, mixture: Mixture, here: _Seen, direction: torch.Tensor
) -> torch.Tensor:
    """``direction`` of what is added, back through a norm of what the block says."""
    if lm.anatomy.mlp[layer] is not mixture.block:
        raise Unsupported(
            f"The mixture of layer {layer} is not all of its MLP: it cannot be read apart."
        )
    added = lm.anatomy.mlp_out[layer]
    if added is mixture.block:
        return direction
    assert here.block is not None
    return pull_back(added, here.block, direction, "The MLP's late norm").gradient
