"""Canned and plausible answers, one of each analysis, with the axes and the extras of the real ones."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np

from interpboard.engine import protocol
from interpboard.interventions.grammar import name_of_set, places_of, split_items
from interpboard.registry import ANALYSES
from interpboard.results import (
    Axis,
    LabelledArray,
    MadeBy,
    MetricInfo,
    PromptInfo,
    Result,
    TokenRef,
    layer_axis,
    text_array,
    token_axis,
)
from tests.tui.answers_of_parts import (
    attention_answer,
    circuit_answer,
    continuation_answer,
    head_types_answer,
    methods_answer,
    neurons_answer,
)
from tests.tui.answers_vocabulary import VOCABULARY

_USUAL: dict[str, dict[str, Any]] = {
    "causal_trace": {"samples": 10},
    "circuit": {"behavior": "", "corrupted": "", "dataset": ""},
    "continuation_attribution": {"new_tokens": 8, "method": "grad_x_input"},
    "context_cite": {"unit": "sentence", "samples": 64},
    "unit_attribution": {"unit": "sentence", "method": "occlusion"},
    "steering": {"positive": [], "negative": [], "vector": "", "layer": 2},
}


def tokens_of(text: str) -> tuple[str, ...]:
    """Words with their leading space; a space of its own where two follow each other."""
    tokens: list[str] = []
    for char in text:
        if char in " \n" or not tokens:
            tokens.append(char)
        else:
            tokens[-1] += char
    return tuple(tokens)


def ids_of(tokens: tuple[str, ...]) -> tuple[int, ...]:
    """An id for each text, the same wherever it stands."""
    return tuple(crc32(token.encode("utf-8", "surrogatepass")) % 50_000 for token in tokens)


def canned(
    request: protocol.RunAnalysis, tokens: tuple[str, ...], layers: int, heads: int
) -> tuple[PromptInfo, Result]:
    """A result that looks like one of the demo model."""
    asked = request.metric
    position = len(tokens) - 1 if asked.position < 0 else asked.position
    target = asked.target or " Paris"
    foil = None if asked.foil is None else TokenRef(VOCABULARY.index(asked.foil), asked.foil)
    metric = MetricInfo(asked.name, position, TokenRef(VOCABULARY.index(target), target), foil)
    wave = np.random.default_rng(7)
    extra: dict[str, LabelledArray] = {}
    ranks = Axis("rank", tuple(str(i + 1) for i in range(10)))
    if request.analysis == "predictions":
        axes: tuple[Axis, ...] = (ranks,)
        values = 0.62 * 0.45 ** np.arange(10)
        extra["token_ids"] = LabelledArray(axes, np.arange(10))
        extra["tokens"] = LabelledArray(axes, text_array(list(VOCABULARY[:10])))
        extra["logits"] = LabelledArray(axes, 14.2 + np.log(values))
    elif ANALYSES[request.analysis].axes == ("token",):
        axes = (token_axis(tokens),)
        values = wave.normal(size=len(tokens)) * 1.4
        values[position + 1 :] = 0.0
        _beside_tokens(extra, request.analysis, axes[0], values)
    elif request.analysis == "head_ablation":
        axes = (layer_axis(layers), Axis("head", tuple(str(i) for i in range(heads))))
        values = wave.normal(size=(layers, heads)) * 0.3
        values[layers // 2, heads // 2] = -4.21
        _estimates(extra, request, axes, values)
    elif request.analysis == "what_if":
        axes, values = _what_if(extra, request, tokens, layers)
    elif request.analysis in ("direct_logit_attribution", "edited_direct_attribution"):
        names = ["embed"]
        for layer in range(layers):
            names += [*(f"L{layer} H{head}" for head in range(heads)), f"L{layer} MLP"]
        axes = (Axis("component", tuple(names)),)
        values = wave.normal(size=len(names)) * 0.4
        values[1 + (heads + 1) * (layers // 2) + heads // 2] = 6.5
        if request.analysis == "edited_direct_attribution":  # the last MLP makes up for some of it
            axes = (*axes, Axis("run", ("clean", "edited")))
            values = np.stack([values, values], axis=1)
            values[names.index(f"L{layers // 2} H{heads // 2}"), 1] = 0.0
            values[-1, 1] += 4.0
        sums = [values[0].reshape(-1), *values[1:].reshape(layers, heads + 1, -1).sum(1)]
        by_layer = (layer_axis(layers, embed=True), *axes[1:])
        shape = [len(axis.labels) for axis in by_layer]
        if request.analysis == "edited_direct_attribution":
            extra["effect"] = LabelledArray(axes[:1], values[:, 1] - values[:, 0])
        else:
            parts = values[1:].reshape(layers, heads + 1)
            of_layer = layer_axis(layers)
            by_head = (of_layer, Axis("head", tuple(map(str, range(heads)))))
            extra["heads"] = LabelledArray(by_head, parts[:, :heads])
            extra["attention"] = LabelledArray((of_layer,), parts[:, :heads].sum(1))
            extra["mlp"] = LabelledArray((of_layer,), parts[:, heads])
        extra["unexplained"] = LabelledArray(axes[1:], np.zeros(values.shape[1:]))
        extra["accumulated"] = LabelledArray(by_layer, np.cumsum(np.stack(sums), 0).reshape(shape))
    elif request.analysis == "attention":
        axes, values = attention_answer(extra, request, tokens)
    elif request.analysis == "head_scores":
        axes, values = head_types_answer(extra, layers, heads)
    elif request.analysis == "neurons":
        axes, values = neurons_answer(extra, request, tokens, layers)
    elif request.analysis == "compare_attributions":
        axes, values = methods_answer(extra, tokens)
    elif request.analysis == "circuit":
        axes, values = circuit_answer(extra, layers, heads)
    elif request.analysis == "tune_lens":
        axes = (Axis("layer", layer_axis(layers, embed=True).labels[:-1]),)
        values = np.linspace(2.0, 0.1, layers)
    elif request.analysis == "max_activating":
        axes = (layer_axis(layers), Axis("neuron", tuple(map(str, range(16)))))
        values = wave.normal(size=(layers, 16))
        extra["positive"] = LabelledArray(axes, np.full((layers, 16), 0.5))
    elif request.analysis == "steering":
        axes, values = _steering(extra, request)
    elif request.analysis == "continuation_attribution":
        axes, values = continuation_answer(extra, request, tokens)
    elif request.analysis in ("causal_trace", "activation_patching"):
        axes = (layer_axis(layers), token_axis(tokens))
        values = wave.uniform(0, 0.2, size=(layers, len(tokens)))
        values[0, 0] = 0.875
        _traced(extra, request, axes, values)
    elif ANALYSES[request.analysis].axes == ("unit",):
        axes, values = _units(extra, request.analysis, tokens)
    else:
        axes, values = _lens(extra, tokens, layers, str(request.params.get("site", "resid_post")))
    return PromptInfo(request.text, tokens, ids_of(tokens)), Result(
        analysis=request.analysis,
        params={**_USUAL.get(request.analysis, {}), **request.params},
        metric=metric,
        baseline=14.2,
        axes=axes,
        values=values,
        extra=extra,
        elapsed_s=0.04,
        made_by=MadeBy("0.1.0", "2.0", "5.0", path="replay"),
    )


def _units(
    extra: dict[str, LabelledArray], analysis: str, tokens: tuple[str, ...]
) -> tuple[tuple[Axis, ...], np.ndarray]:
    """Two units: the first half of the tokens and the others."""
    half = len(tokens) // 2
    axes = (Axis("unit", ("".join(tokens[:half]), "".join(tokens[half:]))),)
    extra["begin"] = LabelledArray(axes, np.array([0, half]))
    extra["end"] = LabelledArray(axes, np.array([half, len(tokens)]))
    if analysis == "context_cite":
        extra["lds"] = LabelledArray((), np.array(0.83))
    return axes, np.array([0.5, -1.25])


def _beside_tokens(
    extra: dict[str, LabelledArray], analysis: str, axis: Axis, values: np.ndarray
) -> None:
    """What some of the methods say beside a score for each token."""
    if analysis in ("integrated_gradients", "lrp"):
        extra["delta"] = LabelledArray((), np.array(0.0031))
    if analysis in ("integrated_gradients", "shapley"):
        extra["baseline_metric"] = LabelledArray((), np.array(1.5))
    if analysis == "integrated_gradients":
        extra["n_steps"] = LabelledArray((), np.array(32))
    errors = {"noise_tunnel": "std_error", "shapley": "standard_error"}
    if analysis in errors:
        extra[errors[analysis]] = LabelledArray((axis,), np.abs(values) / 10)
    if analysis in ("attention_rollout", "value_weighted_rollout"):
        square = (Axis("query", axis.labels), Axis("key", axis.labels))
        extra["rollout"] = LabelledArray(square, np.eye(len(values)))


def _estimates(
    extra: dict[str, LabelledArray],
    request: protocol.RunAnalysis,
    axes: tuple[Axis, ...],
    values: np.ndarray,
) -> None:
    """What was shown until the exact values came, where it was asked for."""
    if request.params.get("preview"):
        extra["estimate"] = LabelledArray(axes, values * 1.1)
        extra["estimate_error"] = LabelledArray(axes, np.abs(values) * 0.1)


def _traced(
    extra: dict[str, LabelledArray],
    request: protocol.RunAnalysis,
    axes: tuple[Axis, ...],
    values: np.ndarray,
) -> None:
    extra["clean"] = LabelledArray((), np.array(14.2))
    extra["corrupted"] = LabelledArray((), np.array(4.2))
    if request.analysis == "activation_patching":
        extra["metric"] = LabelledArray(axes, 4.2 + 10.0 * values)
        _estimates(extra, request, axes, values)
        return
    extra["total_effect"] = LabelledArray((), np.array(10.0))
    extra["recovered"] = LabelledArray(axes, values / 2)
    samples = (Axis("sample", tuple(map(str, range(10)))), *axes)
    extra["per_sample"] = LabelledArray(samples, np.stack([values] * 10))
    extra["spread"] = LabelledArray(axes, np.zeros(values.shape))


def _lens(
    extra: dict[str, LabelledArray], tokens: tuple[str, ...], layers: int, site: str = "resid_post"
) -> tuple[tuple[Axis, ...], np.ndarray]:
    rows = layer_axis(layers, embed=True)
    if site != "resid_post":
        rows = Axis("layer", (*layer_axis(layers).labels, "final"))
    axes = (rows, token_axis(tokens))
    shape = (layers + 1, len(tokens))
    depth = np.linspace(0.02, 0.95, layers + 1)[:, None] * np.linspace(0.3, 1, len(tokens))[None]
    order = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * 5) % len(VOCABULARY)
    order[-1] = 0
    ids = (order[:, :, None] + np.arange(10)) % len(VOCABULARY)
    top_axes = (*axes, Axis("top", tuple(str(i + 1) for i in range(10))))
    probs = depth[:, :, None] * 0.5 ** np.arange(10)
    names = text_array([VOCABULARY[i] for i in ids.flat]).reshape(ids.shape)
    extra["top_ids"] = LabelledArray(top_axes, ids)
    extra["top_tokens"] = LabelledArray(top_axes, names)
    extra["top_probs"] = LabelledArray(top_axes, probs)
    extra["rank"] = LabelledArray(axes, np.argmax(ids == 0, axis=2) + 1)
    extra["entropy"] = LabelledArray(axes, 3 * (1 - depth))
    extra["kl"] = LabelledArray(axes, 2 * (1 - depth))
    first = np.argmax(order == order[-1], axis=0)  # the layer from which on it says so
    extra["convergence"] = LabelledArray(axes[1:], first)
    values = np.where(order == 0, probs[:, :, 0], probs[:, :, 0] / 50)
    return axes, values


def _steering(
    extra: dict[str, LabelledArray], request: protocol.RunAnalysis
) -> tuple[tuple[Axis, ...], np.ndarray]:
    """A step of scale costs 3; far from 0 the model talks of something else."""
    wanted = request.params.get("scales") or (-2.0, -1.0, 0.0, 1.0, 2.0)
    scales = sorted({0.0, *map(float, wanted)})
    axes = (Axis("scale", tuple(f"{scale:g}" for scale in scales)),)
    values = -3.0 * np.abs(np.array(scales))
    near, far = " Paris.\nThe capital of France is Paris.", " Rome, how are you?"
    said = [near if abs(scale) < 2 else far for scale in scales]
    extra["text"] = LabelledArray(axes, text_array(said))
    extra["metric"] = LabelledArray(axes, 14.2 + values)
    extra["norm"] = LabelledArray((), np.array(58.13))
    return axes, values


def _what_if(
    extra: dict[str, LabelledArray],
    request: protocol.RunAnalysis,
    tokens: tuple[str, ...],
    layers: int,
) -> tuple[tuple[Axis, ...], np.ndarray]:
    """Each place takes 2.5 from the metric, of a random set 0.25, and the edited run says London."""

    def effects(text: str) -> tuple[tuple[str, ...], np.ndarray]:
        items = split_items(text)
        each = [0.25 if name_of_set(item).startswith("random") else 2.5 for item in items]
        sizes = [len(places_of(item)) for item in items]
        return tuple(items), -np.array(each) * np.array(sizes)

    held, alone = effects(str(request.params["interventions"]))
    runs = Axis("run", ("clean", "edited"))
    effect = float(alone.sum())
    extra["effect"] = LabelledArray((), np.array(effect))
    if len(held) > 1:
        extra["alone"] = LabelledArray((Axis("intervention", held),), alone)
    if request.params.get("controls"):
        beside, values = effects(str(request.params["controls"]))
        extra["control"] = LabelledArray((Axis("control", beside),), values)
    axes = (runs, Axis("rank", tuple(str(i + 1) for i in range(10))))
    ids = np.stack([np.arange(10), (np.arange(10) + 1) % 10])
    extra["top_ids"] = LabelledArray(axes, ids)
    names = text_array([VOCABULARY[i] for i in ids.flat]).reshape(ids.shape)
    extra["top_tokens"] = LabelledArray(axes, names)
    extra["top_probs"] = LabelledArray(axes, np.tile(0.62 * 0.45 ** np.arange(10), (2, 1)))
    extra["top_other"] = LabelledArray(axes, np.tile(0.3 * 0.45 ** np.arange(10), (2, 1)))
    clean: dict[str, LabelledArray] = {}
    lens_site = str(request.params.get("lens_site", "resid_post"))
    lens_axes, probs = _lens(clean, tokens, layers, lens_site)
    del clean["convergence"]  # the lens of a what-if has none
    both = {"": probs, **{f"_{name}": array.values for name, array in clean.items()}}
    for name, values in both.items():
        own = (*lens_axes, Axis("top", tuple(map(str, range(10))))) if "_top" in name else lens_axes
        kept = values.dtype == object or "ids" in name or "rank" in name
        other = values if kept else values * (2.0 if "entropy" in name else 0.5)
        extra[f"lens{name}"] = LabelledArray((runs, *own), np.stack([values, other]))
    return (runs,), np.array([14.2, 14.2 + effect])
