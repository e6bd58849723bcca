"""What each part of the model writes into the answer: direct logit attribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from interpboard.circuits.direct.path import DirectPath, direct_path, pull_back
from interpboard.circuits.direct.rounded_inputs import ROUNDED, require_rounding, rounds_heads
from interpboard.circuits.direct.terms import DirectTerms, LayerParts, accumulated, components
from interpboard.circuits.direct.through_norms import (
    LayerPath,
    layer_paths,
    writing_layers,
)
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.models.sum_norms import norms_of_sums
from interpboard.registry.layer_names import has_mlp
from interpboard.registry.spec import WRITING_SITES
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric
from interpboard.runs.record import CLEAN, Run, record
from interpboard.runs.watch import SILENT, Watch

_PROVED_AT = 64
"""Positions, the metric's the last of them, at which a layer is seen to add what its parts give."""
NO_DIRECT_PATH = (
    "The encoder writes nothing here itself: what it gives is in what cross attention (X) fetches."
)
_BESIDE_PARTS = ("attn_out", "resid_mid", "resid_post")  # edits of these are no head's and no MLP's


@analysis("direct_logit_attribution", path="forward")
def direct_logit_attribution(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    neurons: bool = False,
    watch: Watch = SILENT,
) -> Computed:
    """Contribution [component] to the logit (or logit difference), in logits.

    What the embedding (with positions), every head, every MLP and the biases add to the residual stream
    at the metric's position, read through the final norm with its scale held at that of the run, and
    the unembedding (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"). Components
    are ``embed``, ``L0 H3``, ``L0 bias`` (of attention), ``L0 MLP``, ``final norm bias`` and
    ``unembed bias``; biases that contribute nothing in any layer are left out. They sum to the metric
    within rounding; ``extra["unexplained"]`` is what is missing. Effects through later layers are not in it.

    Where blocks norm behind their sums (BERT), what a layer adds is read through every norm that follows, and
    ``L0 norm bias`` is what those of layer 0 put in. A masked model's head is held at the factors of its norm
    and activation too (``held_head``); its biases are in ``unembed bias``.

    Where attention's output projection rounds its inputs to 8 bits (LLM.int8), heads are what its unpacked
    weight makes of them, and ``L0 rounding`` is what rounding put in beside the heads of layer 0: measured,
    so that all still sum to the metric. The MLPs' share of it is in ``L0 MLP``, of neurons in ``mlp_bias``.

    Of an encoder–decoder the components are the decoder's: ``embed`` of the prefix, heads of self-attention
    (``D0 H1``) and of cross attention (``X0 H1``), and ``X0 MLP``. The encoder writes nothing into this
    stream itself: what it gives is in what cross attention fetches, and a warning says so.

    ``extra``: ``heads`` [layer, head], ``attention`` and ``mlp`` [layer]; ``accumulated`` [layer], the
    sum up to and with that layer, constants included from the start, so that the last is the whole;
    with ``neurons`` also ``neurons`` [layer, neuron], the MLP's contribution but for its bias, and
    ``mlp_bias`` [layer].

    Where the logits are capped (gemma2) the logit before the cap is attributed; a warning says so.
    Raises ``Unsupported`` for another metric, and for a model whose parts do not sum to its logit.
    """
    sites = (*WRITING_SITES, *(("neuron",) if neurons else ()))
    run = record_writing(lm, prompt, metric, sites)
    parts = direct_terms(run, 0, metric, neurons, watch)
    values = {name: each[0] for name, each in components([parts]).items()}
    unexplained = unexplained_by(parts, list(values.values()), run)
    return Computed(
        values=np.array(list(values.values())),
        axes=(Axis("component", tuple(values)),),
        extra=_extra(lm, parts, unexplained, neurons),
        warnings=direct_warnings(lm, metric, parts.path),
    )


def record_writing(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    sites: Sequence[str] = WRITING_SITES,
    edits: Sequence[Counterfactual] = CLEAN,
) -> Run:
    """The run that ``direct_terms`` reads: of ``sites`` what stands at the metric's position, which is the
    last that is kept, and some positions before it. Raises as ``record``."""
    behind = metric.info.position + 1
    read = slice(max(0, behind - _PROVED_AT), behind)
    return record(lm, prompt, sites, edits, site_positions=read, behind_attention=False)


def direct_terms(run: Run, row: int, metric: Metric, neurons: bool, watch: Watch) -> DirectTerms:
    """What everything writes in one row of ``run``, which is of ``record_writing``."""
    writing, position = writing_layers(run.lm), metric.info.position
    n_layers = len(writing)
    watch.step(0, n_layers + 1)
    path = direct_path(run.lm, metric, run.resid_final[row, position])
    layers, along = [], layer_paths(run, row, position, path.gradient)
    for number, layer in enumerate(writing):
        watch.step(number + 1, n_layers + 1)
        layers.append(_layer(run, row, along[number], layer, position, neurons))
    watch.step(n_layers + 1, n_layers + 1)
    begin = run.calls[writing.start].hidden[row, position]
    return DirectTerms(path, _dot(along[0].before, begin), layers)


def _layer(
    run: Run, row: int, path: LayerPath, layer: int, position: int, neurons: bool
) -> LayerParts:
    anatomy = run.lm.anatomy
    normed = any(norm is not None for norm in norms_of_sums(run.lm.anatomy, layer))
    name = anatomy.layer_names[layer]
    scale = 1.0 if normed else scale_of_what_is_added(run, layer, position)
    z = run.sites["z"][layer][row, -1]
    direction = path.attention.to(z.device)
    to_heads, bias = _pulled(
        anatomy.out_proj[layer], anatomy.attn_out[layer], z.flatten(), direction, "Attention"
    )
    heads = (to_heads.unflatten(0, z.shape) * z.double()).sum(-1)
    each = np.zeros(0)
    if neurons and has_mlp(name):
        down = anatomy.down_proj[layer]
        if down is None:
            raise Unsupported(f"Layer {layer} has no neurons that can be told apart.")
        active = run.sites["neuron"][layer][row, -1]
        through, _ = _pulled(
            down, anatomy.mlp_out[layer], active, path.mlp.to(active.device), "The MLP"
        )
        each = (through * active.double()).cpu().numpy()
    mlp = _dot(path.mlp, run.sites["mlp_out"][layer][row, -1]) if has_mlp(name) else None
    found = LayerParts(
        name,
        scale * heads.cpu().numpy(),
        scale * bias,
        None if mlp is None else scale * mlp,
        scale * each,
        path.norms,
    )
    if rounds_heads(run.lm, layer) and not _edits_attention(run, row, layer):
        written = scale * _dot(direction, run.sites["attn_out"][layer][row, -1])
        found = replace(found, rounding=written - found.attention)
        require_rounding(found.rounding, scale * to_heads, z.flatten(), layer)
    if (
        normed
    ):  # a sum of its parts in any case (``through_norms``); what an edit put in is what lacks
        written = _dot(direction, run.sites["attn_out"][layer][row, -1])
        edited = _edits_attention(run, row, layer)
        return replace(found, edit=written - found.attention) if edited else found
    if any(e.layer == layer and e.site in _BESIDE_PARTS for e in run.edits[row]):
        before, after = (_dot(direction, stream[position]) for stream in _around(run, layer, row))
        return replace(found, edit=after - before - found.total)
    return found


def _edits_attention(run: Run, row: int, layer: int) -> bool:
    return any(e.layer == layer and e.site == "attn_out" for e in run.edits[row])


def _pulled(
    projection: torch.nn.Module,
    writer: torch.nn.Module,
    at: torch.Tensor,
    direction: torch.Tensor,
    name: str,
) -> tuple[torch.Tensor, float]:
    """Gradient [width] and constant of what ``projection``, and a norm behind it, makes of ``at``."""
    constant = 0.0
    if writer is not projection:  # the family norms what it adds
        with torch.no_grad():
            projected = projection(at[None])[0]
        late = pull_back(writer, projected, direction, f"{name}'s late norm")
        direction, constant = late.gradient, late.constant
    pulled = pull_back(projection, at, direction, f"{name}'s output projection")
    return pulled.gradient.double(), constant + pulled.constant


def scale_of_what_is_added(run: Run, layer: int, position: int) -> float:
    """The factor on what attention and MLP add to the stream: 1 but for a few families (granite).

    The first row tells, which is clean.
    """
    written = run.sites["attn_out"][layer][0], run.sites["mlp_out"][layer][0]
    seen = slice(position + 1 - len(written[0]), position + 1)
    before, after = (stream[seen] for stream in _around(run, layer, 0))
    added = written[0].to(before) + written[1].to(before)
    if agrees(before + added, after):
        return 1.0
    grown = (after - before).double()
    scale = float((grown * added).sum() / added.double().square().sum())
    if not agrees(before + scale * added, after):
        raise Unsupported(
            f"Layer {layer} adds more to the residual stream than its attention and MLP give."
        )
    return scale


def _around(run: Run, layer: int, row: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The stream [pos, d_model] before a layer and after it."""
    before, last = run.calls[layer].hidden[row], layer + 1 == len(run.calls)
    after = run.resid_final[row] if last else run.calls[layer + 1].hidden[row]
    return before, after.to(before.device)


def _extra(
    lm: LanguageModel, parts: DirectTerms, unexplained: float, neurons: bool
) -> dict[str, LabelledArray]:
    layers = parts.layers
    by_layer = Axis("layer", tuple(layer.name for layer in layers))
    by_head = Axis("head", tuple(str(i) for i in range(lm.anatomy.n_heads)))
    attention = np.array([layer.attention for layer in layers])
    mlp = np.array([np.nan if layer.mlp is None else layer.mlp for layer in layers])
    extra = {
        "heads": LabelledArray((by_layer, by_head), np.stack([layer.heads for layer in layers])),
        "attention": LabelledArray((by_layer,), attention),
        "mlp": LabelledArray((by_layer,), mlp),
        "accumulated": LabelledArray(
            (Axis("layer", ("embed", *by_layer.labels)),), accumulated(parts)
        ),
        "unexplained": LabelledArray((), np.array(unexplained)),
    }
    if neurons:
        width = max(len(layer.neurons) for layer in layers)
        each = np.full((len(layers), width), np.nan)
        for row, layer in zip(each, layers, strict=True):
            row[: len(layer.neurons)] = layer.neurons
        by_neuron = Axis("neuron", tuple(str(i) for i in range(width)))
        extra["neurons"] = LabelledArray((by_layer, by_neuron), each)
        written = np.array([float(np.sum(layer.neurons)) for layer in layers])
        extra["mlp_bias"] = LabelledArray((by_layer,), mlp - written)
    return extra


def unexplained_by(parts: DirectTerms, values: list[float], run: Run) -> float:
    """What ``values`` leave of the number that is attributed. Raises ``Unsupported`` if it is not little."""
    total = parts.path.total
    unexplained = total - float(sum(values))
    scale = 1.0 + float(np.abs(values).sum())
    missing = torch.tensor(unexplained / scale, dtype=run.resid_final.dtype)
    if not agrees(missing, torch.zeros_like(missing)):
        raise Unsupported(
            f"The parts of this model sum to {total - unexplained:.4g}, "
            f"its logit is {total:.4g}: it adds something that is not known here."
        )
    return unexplained


def direct_warnings(lm: LanguageModel, metric: Metric, path: DirectPath) -> tuple[str, ...]:
    """Warnings where what is attributed is not the metric itself, and where a stack has no direct path."""
    indirect = (NO_DIRECT_PATH,) if lm.anatomy.strips is not None else ()
    if any(rounds_heads(lm, layer) for layer in writing_layers(lm)):
        indirect = (*indirect, ROUNDED)
    if not path.capped:
        return indirect
    return (
        *indirect,
        f"This model caps its logits: attributed is the {metric.info.name} before the cap, "
        f"{path.total:.4g}, not {metric.baseline:.4g}.",
    )


def _dot(direction: torch.Tensor, activation: torch.Tensor) -> float:
    return float(direction.double() @ activation.to(direction.device).double())
