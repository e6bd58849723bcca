"""What each part of the model writes into the answer: direct logit attribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from interpboard.circuits.direct.path import DirectPath, direct_path, pull_back
from interpboard.circuits.direct.through_norms import LayerPath, layer_paths
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.registry.component_names import head_label, mlp_label
from interpboard.results import Axis, LabelledArray, PromptInfo, layer_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric
from interpboard.runs.record import CLEAN, Run, record
from interpboard.runs.watch import SILENT, Watch

WRITING_SITES = ("z", "attn_out", "mlp_out")
_PROVED_AT = 64
"""Positions, the metric's the last of them, at which a layer is seen to add what its parts give."""
_BESIDE_PARTS = ("attn_out", "resid_mid", "resid_post")  # edits of these are no head's and no MLP's


@dataclass(frozen=True)
class LayerParts:
    """Contributions of one layer. ``heads`` [head], ``neurons`` [neuron] (empty unless asked for)."""

    heads: np.ndarray
    bias: float  # of attention: of its output projection and of a norm behind it
    mlp: float
    neurons: np.ndarray
    norms: float = 0.0  # what norms behind the sums put in (BERT)
    edit: float = 0.0  # what an edit of attention's output, or of the stream, put in beside them

    @property
    def attention(self) -> float:
        """All that attention adds."""
        return float(self.heads.sum()) + self.bias


@dataclass(frozen=True)
class DirectTerms:
    """Contributions of everything in one row of a run."""

    path: DirectPath
    embedded: float
    layers: list[LayerParts]


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
        warnings=capped_warnings(metric, parts.path),
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
    n_layers, position = run.lm.anatomy.n_layers, metric.info.position
    watch.step(0, n_layers + 1)
    path = direct_path(run.lm, metric, run.resid_final[row, position])
    layers, along = [], layer_paths(run, row, position, path.gradient)
    for layer in range(n_layers):
        watch.step(layer + 1, n_layers + 1)
        layers.append(_layer(run, row, along[layer], layer, position, neurons))
    watch.step(n_layers + 1, n_layers + 1)
    return DirectTerms(path, _dot(along[0].before, run.calls[0].hidden[row, position]), layers)


def _layer(
    run: Run, row: int, path: LayerPath, layer: int, position: int, neurons: bool
) -> LayerParts:
    anatomy = run.lm.anatomy
    normed = bool(anatomy.mid_norm) and anatomy.mid_norm[layer] is not None
    scale = 1.0 if normed else _scale_of_what_is_added(run, layer, position)
    z = run.sites["z"][layer][row, -1]
    direction = path.attention.to(z.device)
    through, bias = _pulled(
        anatomy.out_proj[layer], anatomy.attn_out[layer], z.flatten(), direction, "Attention"
    )
    heads = (through.unflatten(0, z.shape) * z.double()).sum(-1)
    each = np.zeros(0)
    if neurons:
        down = anatomy.down_proj[layer]
        if down is None:
            raise Unsupported(f"Layer {layer} has no neurons that can be told apart.")
        active = run.sites["neuron"][layer][row, -1]
        through, _ = _pulled(
            down, anatomy.mlp_out[layer], active, path.mlp.to(active.device), "The MLP"
        )
        each = (through * active.double()).cpu().numpy()
    mlp = _dot(path.mlp, run.sites["mlp_out"][layer][row, -1])
    found = LayerParts(
        scale * heads.cpu().numpy(), scale * bias, scale * mlp, scale * each, path.norms
    )
    if (
        normed
    ):  # a sum of its parts in any case (``through_norms``); what an edit put in is what lacks
        written = _dot(direction, run.sites["attn_out"][layer][row, -1])
        edited = any(e.layer == layer and e.site == "attn_out" for e in run.edits[row])
        return replace(found, edit=written - found.attention) if edited else found
    if any(e.layer == layer and e.site in _BESIDE_PARTS for e in run.edits[row]):
        before, after = (_dot(direction, stream[position]) for stream in _around(run, layer, row))
        return replace(found, edit=after - before - found.attention - found.mlp)
    return found


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


def _scale_of_what_is_added(run: Run, layer: int, position: int) -> float:
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


def components(
    rows: Sequence[DirectTerms],
) -> dict[str, list[float]]:
    """The contribution [row] of every component; biases and edits that are nowhere are left out."""
    values = {"embed": [row.embedded for row in rows]}
    layers = list(zip(*(row.layers for row in rows), strict=True))
    biased = any(each.bias for layer in layers for each in layer)
    for number, layer in enumerate(layers):
        heads = np.stack([each.heads for each in layer], axis=1)
        values |= {head_label(number, head): written.tolist() for head, written in enumerate(heads)}
        if biased:
            values[f"L{number} bias"] = [each.bias for each in layer]
        values[mlp_label(number)] = [each.mlp for each in layer]
        if any(each.norms for each in layer):
            values[f"L{number} norm bias"] = [each.norms for each in layer]
        if any(each.edit for each in layer):
            values[f"L{number} edit"] = [each.edit for each in layer]
    constants = {
        "final norm bias": [row.path.norm_bias for row in rows],
        "unembed bias": [row.path.unembed_bias for row in rows],
    }
    return values | {name: written for name, written in constants.items() if any(written)}


def _extra(
    lm: LanguageModel, parts: DirectTerms, unexplained: float, neurons: bool
) -> dict[str, LabelledArray]:
    layers = parts.layers
    by_layer = layer_axis(lm.anatomy.n_layers)
    by_head = Axis("head", tuple(str(i) for i in range(lm.anatomy.n_heads)))
    attention = np.array([layer.attention for layer in layers])
    mlp = np.array([layer.mlp for layer in layers])
    extra = {
        "heads": LabelledArray((by_layer, by_head), np.stack([layer.heads for layer in layers])),
        "attention": LabelledArray((by_layer,), attention),
        "mlp": LabelledArray((by_layer,), mlp),
        "accumulated": LabelledArray(
            (layer_axis(lm.anatomy.n_layers, embed=True),), accumulated(parts)
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


def accumulated(parts: DirectTerms) -> np.ndarray:
    """The sum up to and with each layer, the embedding's first; constants are in it from the start."""
    first = parts.embedded + parts.path.norm_bias + parts.path.unembed_bias
    first += sum(layer.norms for layer in parts.layers)
    steps = [layer.attention + layer.mlp + layer.edit for layer in parts.layers]
    sums: np.ndarray = np.cumsum([first, *steps])
    return sums


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


def capped_warnings(metric: Metric, path: DirectPath) -> tuple[str, ...]:
    """A warning where what is attributed is not the metric itself."""
    if not path.capped:
        return ()
    return (
        f"This model caps its logits: attributed is the {metric.info.name} before the cap, "
        f"{path.total:.4g}, not {metric.baseline:.4g}.",
    )


def _dot(direction: torch.Tensor, activation: torch.Tensor) -> float:
    return float(direction.double() @ activation.to(direction.device).double())
