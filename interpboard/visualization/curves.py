"""Lines that people would rather look at than read: from layer to layer, along a prompt, by size.

| result | lines | over |
|---|---|---|
| a lens | the probability of the target and of the likeliest other tokens, at a position | layer |
| [layer, head] | the lowest and the highest head of each layer, and the MLP where it is known | layer |
| [layer, token] | the position asked for, then those with the strongest effects | layer |
| direct logit attribution | what attention and MLP add, and the sum so far | layer |
| [token], [method, token] | the score of each token, of each method | position |
| [layer, neuron] | the lowest and the highest neuron of each layer, and all of them together | layer |
| attention of one head | where the position looks, and how much each position looks at it | position |
| attention of several | the least and the greatest mean entropy of the heads of each layer | layer |
| steering | the effect of each scale | scale |
| a circuit | faithfulness and completeness | edges |

Every point is a number of the result. What a result does not hold is NaN, and is drawn as a gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interpboard.display import visible, visible_token
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.results.beside_heads import MLP_EFFECTS
from interpboard.results.metric_words import metric_words
from interpboard.results.sites import with_sites
from interpboard.visualization.reading import name_of
from interpboard.visualization.suiting import best_tokens, is_circuit

MOST_CURVES = 5  # lines that can be told apart


@dataclass(frozen=True)
class Curve:
    """``values`` [point]; NaN where there is none. ``name`` is harmless."""

    name: str
    values: np.ndarray


@dataclass(frozen=True)
class Curves:
    """``lines`` over ``x`` [point], whose points are called ``labels``. All strings are harmless."""

    title: str
    across: str
    x: np.ndarray
    labels: tuple[str, ...]
    up: str
    lines: tuple[Curve, ...]
    note: str = ""
    neutral: float = 0.0


def curves_of(result: Result, *, position: int | None = None, most: int = MOST_CURVES) -> Curves:
    """The lines of ``result``. ``position``: of the prompt, counted from 0; None: that of the metric.

    Raises ``BadParameter`` for a result that has none, and a position that it does not hold.
    """
    if most < 1:
        raise BadParameter(f"most is at least 1, not {most}.", "")
    names = tuple(axis.name for axis in result.axes)
    if is_circuit(result) and "faithfulness" in result.extra:
        return _by_size(result)
    if {"attention", "mlp", "accumulated"} <= set(result.extra):
        return _sums(result)
    numbers = result.values.dtype != object and result.values.size > 0
    if numbers and names == ("layer", "token"):
        at = _position(result, position)
        return (
            _lens(result, at, most) if best_tokens(result) is not None else _trace(result, at, most)
        )
    if numbers and names == ("layer", "head"):
        return _heads(result)
    if numbers and names == ("layer", "neuron"):
        return _neurons(result)
    if numbers and names == ("layer", "head", "query", "key"):
        return _attention(result, position)
    if numbers and names == ("scale",):
        return _scales(result)
    if numbers and names in (("token",), ("method", "token")):
        return _tokens(result, most)
    raise BadParameter(
        f"{visible(result.analysis)} has no lines to draw.",
        "A lens, effects by layer, scores of tokens, attention, steering and circuits have.",
    )


def _position(result: Result, position: int | None) -> int:
    count = len(result.axes[-1].labels)
    at = result.metric.position if position is None else position
    if not 0 <= at < count:
        raise BadParameter(
            f"The result does not hold position {at}.", f"Give one from 0 to {count - 1}."
        )
    return at


def _title(result: Result, more: str = "") -> str:
    return f"{visible(name_of(result))}: {metric_words(result.metric, between='−')}{more}"


def _layers(result: Result) -> tuple[str, ...]:
    return tuple(map(visible, with_sites(result).axes[0].labels))


def _meaning(result: Result) -> str:
    return visible(result.meaning) or "value"


def _lens(result: Result, at: int, most: int) -> Curves:
    """The target, then the tokens that are likeliest anywhere; known only where among the likeliest."""
    extra, labels = result.extra, _layers(result)
    target = result.metric.target
    tokens = extra["top_tokens"].values[:, at]
    shares = extra["top_probs"].values[:, at].astype(np.float64)
    known = extra.get("top_ids")
    ids = (
        known.values[:, at] if known is not None else tokens
    )  # spelt alike, yet not the same token
    found: dict[object, np.ndarray] = {}
    texts: dict[object, str] = {}
    for layer, rank in np.ndindex(ids.shape):
        key = ids[layer, rank]
        line = found.setdefault(key, np.full(len(labels), np.nan))
        line[layer] = shares[layer, rank]
        texts[key] = str(tokens[layer, rank])
    if target is not None:
        found.pop(target.id, None)
        found.pop(target.token, None)
    order = sorted(found, key=lambda key: -float(np.nanmax(found[key])))
    lines = (
        []
        if target is None
        else [Curve(_named(target.token, target.id, texts), _column(result, at))]
    )
    lines += [
        Curve(_named(texts[key], key, texts), found[key]) for key in order[: most - len(lines)]
    ]
    where = f", {result.metric.place} {at} {visible_token(result.axes[1].labels[at])}"
    note = f"a gap: not among the {ids.shape[1]} likeliest there"
    return Curves(
        f"{visible(name_of(result))}{where}", "layer", np.arange(len(labels)), labels, "probability",
        tuple(lines), note,
    )  # fmt: skip


def _named(text: str, key: object, texts: dict[object, str]) -> str:
    """A token; with its id where another one is spelt alike."""
    alike = sum(other == text for other in texts.values()) > 1
    return f"{visible_token(text)} #{key}" if alike else visible_token(text)


def _column(result: Result, at: int) -> np.ndarray:
    column: np.ndarray = result.values[:, at].astype(np.float64)
    return column


def _trace(result: Result, at: int, most: int) -> Curves:
    far = np.abs(result.values.astype(np.float64) - result.neutral)
    strength = np.where(np.isfinite(far), far, -1.0).max(axis=0)
    others = [int(i) for i in np.argsort(-strength, kind="stable") if i != at and strength[i] > 0]
    labels, tokens = _layers(result), result.axes[1].labels
    lines = [
        Curve(f"{i} {visible_token(tokens[i])}", _column(result, i)) for i in [at, *others][:most]
    ]
    note = (
        ""
        if len(lines) == len(tokens)
        else f"{len(lines)} of {len(tokens)} positions, the strongest"
    )
    return Curves(
        _title(result), "layer", np.arange(len(labels)), labels, _meaning(result), tuple(lines), note,
        result.neutral,
    )  # fmt: skip


def _ends(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest of each row of ``values``; NaN where it has no number."""
    empty: np.ndarray = np.all(np.isnan(values), axis=1)
    held = np.where(empty[:, None], 0.0, values)  # so that a row without a number is no warning
    low, high = (np.where(empty, np.nan, end(held, axis=1)) for end in (np.nanmin, np.nanmax))
    return low, high


def _neurons(result: Result) -> Curves:
    values, labels = result.values.astype(np.float64), _layers(result)
    low, high = _ends(values)
    sums = np.where(np.isnan(low), np.nan, np.nansum(values, axis=1))
    lines = (
        Curve("lowest neuron", low), Curve("highest neuron", high), Curve("all together", sums),
    )  # fmt: skip
    return Curves(
        _title(result), "layer", np.arange(len(labels)), labels, _meaning(result), lines,
        "of each layer", result.neutral,
    )  # fmt: skip


def _attention(result: Result, position: int | None) -> Curves:
    layers, heads, queries, keys = result.axes
    name = visible(name_of(result))
    if len(layers.labels) == len(heads.labels) == 1 and queries.labels == keys.labels:
        at = _position(result, position)
        token_name = f"{at} {visible_token(keys.labels[at])}"
        pattern = result.values[0, 0].astype(np.float64)
        lines = (
            Curve(f"{token_name} looks at", pattern[at]),
            Curve("looked at from", pattern[:, at]),
        )
        head = visible(f"L{layers.labels[0]} H{heads.labels[0]}")
        return Curves(
            f"{name} of {head}: {token_name}", "position", np.arange(len(keys.labels)),
            tuple(map(visible_token, keys.labels)), "probability", lines,
        )  # fmt: skip
    entropy = result.extra.get("entropy")
    if entropy is None or entropy.axes != result.axes[:2]:
        raise BadParameter(f"{name} of this kind has no lines to draw.", "That of one head has.")
    low, high = _ends(entropy.values.astype(np.float64))
    lines = (Curve("most focused head", low), Curve("widest head", high))
    labels = _layers(result)
    return Curves(
        f"{name}: mean entropy",
        "layer",
        np.arange(len(labels)),
        labels,
        "nats",
        lines,
        "of each layer",
    )


def _scales(result: Result) -> Curves:
    """Over the scales themselves, in their order."""
    try:
        scales = np.array([float(label) for label in result.axes[0].labels])
    except ValueError:  # a difference of two ranges: what one side alone has is at no place
        raise BadParameter(f"{visible(result.analysis)} has no lines to draw.", "") from None
    order = np.argsort(scales, kind="stable")
    labels = tuple(visible(result.axes[0].labels[i]) for i in order)
    line = Curve(visible(name_of(result)), result.values.astype(np.float64)[order])
    return Curves(
        _title(result),
        "scale",
        scales[order],
        labels,
        _meaning(result),
        (line,),
        "",
        result.neutral,
    )


def _heads(result: Result) -> Curves:
    values, labels = result.values.astype(np.float64), _layers(result)
    low, high = _ends(values)
    lines = [Curve("lowest head", low), Curve("highest head", high)]
    mlps = result.extra.get(MLP_EFFECTS)
    if mlps is not None and mlps.axes == result.axes[:1]:
        lines.append(Curve("MLP", mlps.values.astype(np.float64)))
    return Curves(
        _title(result), "layer", np.arange(len(labels)), labels, _meaning(result), tuple(lines),
        "of each layer", result.neutral,
    )  # fmt: skip


def _sums(result: Result) -> Curves:
    sums = result.extra["accumulated"]
    labels = tuple(map(visible, sums.axes[0].labels))
    runs = sums.values.astype(np.float64).reshape(len(labels), -1)
    names = ["sum so far"] if runs.shape[1] == 1 else list(map(visible, sums.axes[1].labels))
    lines = [Curve(name, runs[:, i]) for i, name in enumerate(names)]
    for name, called in (("attention", "attention"), ("mlp", "MLP")):
        part = result.extra[name].values.astype(np.float64)
        if part.ndim == 1 and runs.shape[1] == 1:
            before = np.full(len(labels) - len(part), np.nan)  # the embedding is no layer
            lines.append(Curve(f"{called} adds", np.concatenate([before, part])))
    return Curves(_title(result), "layer", np.arange(len(labels)), labels, "logits", tuple(lines))


def _tokens(result: Result, most: int) -> Curves:
    tokens = result.axes[-1].labels
    if result.values.ndim == 1:
        lines = [Curve(visible(name_of(result)), result.values.astype(np.float64))]
    else:
        pairs = zip(result.axes[0].labels, result.values.astype(np.float64), strict=True)
        lines = [Curve(visible(name).replace("_", " "), values) for name, values in pairs]
    note = f"the first {most} of {len(lines)}" if len(lines) > most else ""
    return Curves(
        _title(result), "position", np.arange(len(tokens)), tuple(map(visible_token, tokens)),
        _meaning(result), tuple(lines[:most]), note, result.neutral,
    )  # fmt: skip


def _by_size(result: Result) -> Curves:
    sizes = result.extra["size"].values.astype(np.float64)
    order = np.argsort(sizes, kind="stable")
    names = [name for name in ("faithfulness", "completeness") if name in result.extra]
    lines = [Curve(name, result.extra[name].values.astype(np.float64)[order]) for name in names]
    labels = tuple(f"{size:.0f}" for size in sizes[order])
    return Curves(_title(result), "edges", sizes[order], labels, "share", tuple(lines))
