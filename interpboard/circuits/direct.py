"""What each part of the model writes into the answer: direct logit attribution."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from interpboard.circuits.direct_path import DirectPath, direct_path, pull_back
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.selfcheck import agrees
from interpboard.results import Axis, LabelledArray, PromptInfo, Result, layer_axis
from interpboard.runs.metrics import Metric
from interpboard.runs.provenance import made_by
from interpboard.runs.record import Run, record
from interpboard.runs.watch import SILENT, Watch


@dataclass(frozen=True)
class _Layer:
    """Contributions of one layer. ``heads`` [head], ``neurons`` [neuron] (empty unless asked for)."""

    heads: np.ndarray
    bias: float  # of attention: of its output projection and of a norm behind it
    mlp: float
    neurons: np.ndarray

    @property
    def attention(self) -> float:
        return float(self.heads.sum()) + self.bias


def direct_logit_attribution(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    neurons: bool = False,
    watch: Watch = SILENT,
) -> Result:
    """Contribution [component] to the logit (or logit difference), in logits; positive: it raises it.

    What the embedding (with positions), every head, every MLP and the biases add to the residual stream
    at the metric's position, read through the final norm with its scale held at that of the run, and
    the unembedding (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"). Components
    are ``embed``, ``L0 H3``, ``L0 bias`` (of attention), ``L0 mlp``, ``final norm bias`` and
    ``unembed bias``; biases that contribute nothing in any layer are left out. They sum to the metric
    within rounding; ``extra["unexplained"]`` is what is missing. Effects through later layers are not in it.

    ``extra``: ``heads`` [layer, head], ``attention`` and ``mlp`` [layer]; ``accumulated`` [layer], the
    sum up to and with that layer, constants included from the start, so that the last is the whole;
    with ``neurons`` also ``neurons`` [layer, neuron], the MLP's contribution but for its bias, and
    ``mlp_bias`` [layer].

    Where the logits are capped (gemma2) the logit before the cap is attributed; a warning says so.
    Raises ``Unsupported`` for another metric, and for a model whose parts do not sum to its logit.
    """
    started = time.perf_counter()
    sites = ("z", "attn_out", "mlp_out", *(("neuron",) if neurons else ()))
    watch.step(0, lm.anatomy.n_layers + 1)
    run = record(lm, prompt, sites=sites)
    path = direct_path(lm, metric, run.resid_final[0, metric.info.position])
    layers = []
    for layer in range(lm.anatomy.n_layers):
        watch.step(layer + 1, lm.anatomy.n_layers + 1)
        layers.append(_layer(run, path, layer, metric.info.position, neurons))
    embedded = _dot(path.gradient, run.calls[0].hidden[0, metric.info.position])
    values = _components(lm, path, embedded, layers)
    unexplained = path.total - float(sum(values.values()))
    _refuse_unless_small(unexplained, path, list(values.values()), run)
    watch.step(lm.anatomy.n_layers + 1, lm.anatomy.n_layers + 1)
    return Result(
        analysis="direct_logit_attribution",
        params={"neurons": neurons},
        metric=metric.info,
        baseline=metric.baseline,
        axes=(Axis("component", tuple(values)),),
        values=np.array(list(values.values())),
        extra=_extra(lm, path, embedded, layers, unexplained, neurons),
        elapsed_s=time.perf_counter() - started,
        made_by=made_by("forward"),
        warnings=_warnings(metric, path),
    )


def _layer(run: Run, path: DirectPath, layer: int, position: int, neurons: bool) -> _Layer:
    anatomy, scale = run.lm.anatomy, _scale_of_what_is_added(run, layer)
    z = run.sites["z"][layer][0, position]
    direction = path.gradient.to(z.device)
    through, bias = _pulled(
        anatomy.out_proj[layer], anatomy.attn_out[layer], z.flatten(), direction, "Attention"
    )
    heads = (through.unflatten(0, z.shape) * z.double()).sum(-1)
    each = np.zeros(0)
    if neurons:
        down = anatomy.down_proj[layer]
        if down is None:
            raise Unsupported(f"Layer {layer} has no neurons that can be told apart.")
        active = run.sites["neuron"][layer][0, position]
        through, _ = _pulled(down, anatomy.mlp_out[layer], active, direction, "The MLP")
        each = (through * active.double()).cpu().numpy()
    mlp = _dot(direction, run.sites["mlp_out"][layer][0, position])
    return _Layer(scale * heads.cpu().numpy(), scale * bias, scale * mlp, scale * each)


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


def _scale_of_what_is_added(run: Run, layer: int) -> float:
    """The factor on what attention and MLP add to the stream: 1 but for a few families (granite)."""
    before = run.calls[layer].hidden[0]
    after = (
        run.calls[layer + 1].hidden[0] if layer + 1 < len(run.calls) else run.resid_final[0]
    ).to(before.device)
    added = run.sites["attn_out"][layer][0].to(before) + run.sites["mlp_out"][layer][0].to(before)
    if agrees(before + added, after):
        return 1.0
    grown = (after - before).double()
    scale = float((grown * added).sum() / added.double().square().sum())
    if not agrees(before + scale * added, after):
        raise Unsupported(
            f"Layer {layer} adds more to the residual stream than its attention and MLP give."
        )
    return scale


def _components(
    lm: LanguageModel, path: DirectPath, embedded: float, layers: list[_Layer]
) -> dict[str, float]:
    values = {"embed": embedded}
    biased = any(layer.bias for layer in layers)
    for number, layer in enumerate(layers):
        values |= {f"L{number} H{head}": float(v) for head, v in enumerate(layer.heads)}
        if biased:
            values[f"L{number} bias"] = layer.bias
        values[f"L{number} mlp"] = layer.mlp
    constants = {"final norm bias": path.norm_bias, "unembed bias": path.unembed_bias}
    return values | {name: value for name, value in constants.items() if value}


def _extra(
    lm: LanguageModel,
    path: DirectPath,
    embedded: float,
    layers: list[_Layer],
    unexplained: float,
    neurons: bool,
) -> dict[str, LabelledArray]:
    by_layer = layer_axis(lm.anatomy.n_layers)
    by_head = Axis("head", tuple(str(i) for i in range(lm.anatomy.n_heads)))
    attention = np.array([layer.attention for layer in layers])
    mlp = np.array([layer.mlp for layer in layers])
    first = embedded + path.norm_bias + path.unembed_bias
    extra = {
        "heads": LabelledArray((by_layer, by_head), np.stack([layer.heads for layer in layers])),
        "attention": LabelledArray((by_layer,), attention),
        "mlp": LabelledArray((by_layer,), mlp),
        "accumulated": LabelledArray(
            (layer_axis(lm.anatomy.n_layers, embed=True),),
            np.cumsum([first, *(attention + mlp)]),
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
        extra["mlp_bias"] = LabelledArray((by_layer,), mlp - np.nansum(each, axis=1))
    return extra


def _refuse_unless_small(
    unexplained: float, path: DirectPath, values: list[float], run: Run
) -> None:
    scale = 1.0 + float(np.abs(values).sum())
    missing = torch.tensor(unexplained / scale, dtype=run.resid_final.dtype)
    if not agrees(missing, torch.zeros_like(missing)):
        raise Unsupported(
            f"The parts of this model sum to {path.total - unexplained:.4g}, "
            f"its logit is {path.total:.4g}: it adds something that is not known here."
        )


def _warnings(metric: Metric, path: DirectPath) -> tuple[str, ...]:
    if not path.capped:
        return ()
    return (
        f"This model caps its logits: attributed is the {metric.info.name} before the cap, "
        f"{path.total:.4g}, not {metric.baseline:.4g}.",
    )


def _dot(direction: torch.Tensor, activation: torch.Tensor) -> float:
    return float(direction.double() @ activation.to(direction.device).double())
