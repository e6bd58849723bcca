"""Neurons: what each does on a prompt, what it writes into the answer, and which tokens it speaks for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from interpboard.circuits.direct.attribution import direct_logit_attribution
from interpboard.circuits.direct.path import push_forward
from interpboard.circuits.direct.through_norms import pushed_through_norms, writing_layers
from interpboard.circuits.neurons.collect import Collection, collect_examples
from interpboard.circuits.selection import chosen
from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.model_context import ModelContext
from interpboard.models.plain_linear import plain_linear
from interpboard.models.proof.rounding import agrees
from interpboard.models.sites import at_site
from interpboard.models.unembedding import unembed
from interpboard.registry.layer_names import has_mlp
from interpboard.results import (
    Axis,
    LabelledArray,
    MetricRequest,
    PromptInfo,
    Result,
    text_array,
    token_axis,
)
from interpboard.results.examples import ExamplesFile, neuron_named
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.labels import logit_name
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.on_text import on_text
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import CLEAN, Run, record, record_ids
from interpboard.runs.shared import recorded_together
from interpboard.runs.strip_places import positions_at, source_layers
from interpboard.runs.watch import SILENT, Watch


@analysis("neurons", path="forward")
def neurons(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    neuron: str = "",
    layers: Sequence[int] | None = None,
    top_k: int = 10,
    watch: Watch = SILENT,
) -> Computed:
    """Contribution [layer, neuron] to the logit (or logit difference).

    Activation at the metric's position × what a unit of it writes directly into the metric, the final
    norm's scale held; as in ``direct_logit_attribution``, whose errors apply. A neuron is an input of the
    MLP's last linear map: in gated MLPs (llama) gate times up. Effects through later layers are not in it.
    ``layers`` chooses rows.

    Of an encoder–decoder a neuron is named with its layer's group, ``X1.117`` or ``E1.117``. The MLPs of the
    encoder write nothing into the logits themselves, and ``D`` has none: their rows are NaN, and of a neuron
    of the encoder only ``along`` is given. How active those are is ``extra["peak"]`` [layer, neuron], the
    activation at the token of the source where it is largest in size, and ``extra["peak_at"]``, which
    token that is (−1: the layer is none of the encoder's).

    ``extra``: ``activation`` [layer, neuron]. With ``neuron`` (``"2.117"``) also ``along`` [token], its
    activation at every position, and ``promoted``, ``suppressed`` [rank], the ``top_k`` tokens whose logit
    one unit of it raises and lowers most, with ``promoted_by`` and ``suppressed_by`` in logits. Raises
    ``BadParameter`` for a neuron or layer that is not there, ``Unsupported`` for mixtures of experts.
    """
    looked_at = _resolve(lm, neuron) if neuron else None
    rows = list(chosen(layers, lm.anatomy.n_layers, "layer"))
    direct = direct_logit_attribution(lm, prompt, metric, neurons=True, watch=watch)
    every = _of_all_layers(lm, direct.extra["neurons"])
    names = lm.anatomy.layer_names
    axes = (Axis("layer", tuple(names[row] for row in rows)), direct.extra["neurons"].axes[1])
    position = metric.info.position
    run, along, of_source = _recorded(lm, prompt, position, looked_at)
    activation = np.full(every[rows].shape, np.nan)
    for row, layer in zip(activation, rows, strict=True):
        if position not in positions_at(lm, prompt, "neuron", layer):
            continue
        values = run.sites["neuron"][layer]
        row[: values.shape[-1]] = values[0, 0].double().cpu().numpy()
    extra = {"activation": LabelledArray(axes, activation)}
    if lm.anatomy.strips is not None:
        peak, peak_at = np.full(activation.shape, np.nan), np.full(activation.shape, -1)
        for row, layer in enumerate(rows):
            if layer in of_source:
                of_layer, at_token = of_source[layer]
                peak[row, : len(of_layer)], peak_at[row, : len(at_token)] = of_layer, at_token
        extra |= {"peak": LabelledArray(axes, peak), "peak_at": LabelledArray(axes, peak_at)}
    if looked_at is not None:
        there = positions_at(lm, prompt, "neuron", looked_at[0])
        of_neuron = np.full(len(prompt.tokens), np.nan)
        of_neuron[there.start : there.stop] = along[0][there.start : there.stop].double().cpu()
        extra["along"] = LabelledArray((token_axis(prompt.tokens),), of_neuron)
        if looked_at[0] in writing_layers(lm):
            extra |= _spoken_for(lm, _logits_a_unit(run, looked_at, position), top_k)
    return Computed(
        values=every[rows],
        axes=axes,
        extra=extra,
        warnings=direct.warnings,
    )


def _of_all_layers(lm: LanguageModel, written: LabelledArray) -> np.ndarray:
    """``written`` [layer, neuron], which is of the layers that write, with those that do not: NaN."""
    whole = np.full((lm.anatomy.n_layers, written.values.shape[1]), np.nan)
    for name, row in zip(written.axes[0].labels, written.values, strict=True):
        whole[lm.anatomy.layer_names.index(name)] = row
    return whole


_Peaks = tuple[np.ndarray, np.ndarray]


def _recorded(
    lm: LanguageModel, prompt: PromptInfo, position: int, neuron: tuple[int, int] | None
) -> tuple[Run, list[torch.Tensor], dict[int, _Peaks]]:
    """The run with every neuron at ``position`` alone; ``neuron`` [pos] at all, if one is named; and of the
    layers of an encoder before a decoder the peaks [neuron] in the source, with where they are."""
    at_position = slice(position, position + 1)
    sites = ("neuron", "attn_out", "mlp_out") if neuron is not None else ("neuron",)
    there = None if source_layers(lm) else recorded_together(lm, prompt, sites)
    if there is not None:
        cut = {site: tuple(v[:, at_position] for v in there.sites[site]) for site in sites}
        along = [there.sites["neuron"][neuron[0]][0, :, neuron[1]]] if neuron is not None else []
        return replace(there, sites=cut, attended=()), along, {}
    kept = partial(
        record_ids, lm, prompt, input_ids(lm, prompt), sites, CLEAN,
        site_positions=at_position, behind_attention=False,
    )  # fmt: skip
    along = []
    peaks: dict[int, _Peaks] = {}

    def hear(active: torch.Tensor) -> None:
        assert neuron is not None
        along.append(active[0, :, neuron[1]].clone())

    def look(active: torch.Tensor, layer: int) -> None:
        in_source = active[0, : prompt.border]
        at = in_source.abs().argmax(0)
        values = at_least_float32(in_source.gather(0, at[None])[0])
        peaks[layer] = values.double().cpu().numpy(), at.cpu().numpy()

    with ExitStack() as stack:
        for layer in range(source_layers(lm)):
            stack.enter_context(at_site(lm.anatomy, "neuron", layer, partial(look, layer=layer)))
        if neuron is not None:
            stack.enter_context(at_site(lm.anatomy, "neuron", neuron[0], hear))
        return kept()[0], along, peaks


class NeuronAnalyzer(ModelContext):
    """Neurons of one model. A ``ModelContext``: usable as a context manager."""

    def analyze(self, text: str, metric: MetricRequest | None = None, **options: Any) -> Result:
        """Contribution [layer, neuron]; options, extras and errors as in ``neurons``."""
        return on_text(neurons, self.lm, text, metric, **options)

    def max_activating(
        self, corpus: str | Path, out: str | Path, *, watch: Watch = SILENT, **options: Any
    ) -> ExamplesFile:
        """Examples over a text file or folder, kept in ``out``: ``.neuron(layer, neuron)`` reads them.

        ``options`` are those of ``Collection``; going on and errors as in ``collect_examples``.
        """
        return collect_examples(self.lm, corpus, out, Collection(**options), watch)

    def activations(self, text: str, layer: int) -> LabelledArray:
        """Activation [token, neuron] of every neuron of ``layer`` at every position."""
        prompt = make_prompt(self.lm, text)
        if not 0 <= layer < self.lm.anatomy.n_layers:
            raise BadParameter(
                f"Layer {layer} does not exist.",
                f"The model has 0 to {self.lm.anatomy.n_layers - 1}.",
            )
        kept = record(self.lm, prompt, ("neuron",), behind_attention=False)
        values = kept.sites["neuron"][layer][0]
        labels = tuple(str(i) for i in range(values.shape[-1]))
        axes = (token_axis(prompt.tokens), Axis("neuron", labels))
        return LabelledArray(axes, at_least_float32(values).cpu().numpy())


def _resolve(lm: LanguageModel, neuron: str) -> tuple[int, int]:
    if lm.anatomy.strips is not None:
        layer, index = _in_stack(lm, neuron)
    else:
        layer, index = neuron_named(neuron)
    if layer >= lm.anatomy.n_layers:
        raise BadParameter(
            f"Layer {layer} does not exist.", f"The model has 0 to {lm.anatomy.n_layers - 1}."
        )
    written = _writes(lm, layer)
    if index >= len(written):
        raise BadParameter(
            f"Neuron {index} does not exist.",
            f"Layer {lm.anatomy.layer_names[layer]} has 0 to {len(written) - 1}.",
        )
    return layer, index


def _in_stack(lm: LanguageModel, neuron: str) -> tuple[int, int]:
    """Layer and number of ``"X1.117"``."""
    name, _, index = neuron.strip().partition(".")
    having = tuple(filter(has_mlp, lm.anatomy.layer_names))
    if name.upper() not in having or not (index.isascii() and index.isdigit()):
        raise BadParameter(
            f"{neuron!r} names no neuron of an encoder–decoder.",
            f"Write its layer's group too, e.g. {having[-1]}.117; there are {', '.join(having)}.",
        )
    return lm.anatomy.layer_names.index(name.upper()), int(index)


def _writes(lm: LanguageModel, layer: int) -> torch.Tensor:
    """What a unit of each neuron adds to the stream [neuron, d_model]."""
    down = lm.anatomy.down_proj[layer]
    if down is None:
        raise Unsupported(f"Layer {layer} has no neurons that can be told apart.")
    if lm.anatomy.mlp_out[layer] is not down:
        raise Unsupported(
            "This model norms what MLPs add, so a neuron alone writes no fixed tokens.",
            "Leave neuron out.",
        )
    found = plain_linear(down)
    if found is None:
        raise Unsupported(
            "The MLPs of this model are in a packed format that cannot be read by neuron."
        )
    return found[0].T


def _logits_a_unit(run: Run, neuron: tuple[int, int], position: int) -> torch.Tensor:
    """Change of the logits [d_vocab] for one unit of the neuron at ``position``, the norms held there."""
    lm, (layer, index) = run.lm, neuron
    stream = run.resid_final[0, position]
    if not lm.verified.causal and lm.anatomy.strips is None:
        raise Unsupported(
            "The head of a masked model bends what it is given, so a unit of a neuron has no fixed effect.",
            "Leave neuron out.",
        )
    step = _writes(lm, layer)[index].to(stream)
    if lm.anatomy.strips is not None:
        step = pushed_through_norms(run, layer, position, step).to(stream)
    through = push_forward(lm.anatomy.final_norm, stream, step)
    with torch.no_grad():
        rows = torch.stack([through, 2 * through, torch.zeros_like(through)])
        once, twice, none = at_least_float32(unembed(lm.anatomy, rows))
    if not agrees(twice - none, 2 * (once - none)):
        raise Unsupported("This model caps its logits, so a unit of a neuron has no fixed effect.")
    return once - none


def _spoken_for(lm: LanguageModel, change: torch.Tensor, top_k: int) -> dict[str, LabelledArray]:
    count = min(top_k, len(change))
    axes = (Axis("rank", tuple(str(i + 1) for i in range(count))),)
    found = {}
    for name, signed in (("promoted", change), ("suppressed", -change)):
        ids = signed.topk(count).indices
        tokens = [logit_name(lm, int(i)) for i in ids]
        found[name] = LabelledArray(axes, text_array(tokens))
        found[f"{name}_by"] = LabelledArray(axes, change[ids].cpu().numpy())
    return found
