"""B − A: the difference of two results, entry by entry, of the entries that both have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce

import msgspec
import numpy as np

from interpboard.comparison.alignment import Alignment, align
from interpboard.comparison.refusals import WITHOUT_METRIC, unlike, why_not
from interpboard.display import visible_token
from interpboard.errors import BadParameter
from interpboard.results import Axis, Document, LabelledArray, PromptInfo, Result, text_array
from interpboard.results.arrays import names_of
from interpboard.results.beside_heads import MLP_EFFECTS, cells_of

OF = "difference of "
DIFFERENCE = "B − A, entry by entry; negative: smaller in B; positive: larger in B"
_OF_TOKENS = frozenset({"token", "query", "key", "source", "generated", "window"})


def is_difference(result: Result) -> bool:
    """Was it made by ``difference``?"""
    return result.analysis.startswith(OF)


def difference(a: Document, b: Document) -> Result:
    """``B − A`` of two documents of one result each; positive: larger in B.

    The axes are those of both: prompts are aligned by their tokens (``align``), predictions by token,
    other axes by their labels. Effects of heads have the MLPs as one more, where both sides have them beside
    theirs. What one side alone has is called ``A: …`` or ``B: …`` and is NaN, never 0.
    ``extra`` holds both sides along the same axes, ``a`` and ``b``, and for each axis with such entries
    ``only_in_AXIS``. ``params`` say what it was made from, ``warnings`` what else differs;
    ``baseline`` is the difference of baselines. ``metric`` is B's, without a token that A does not share.

    Raises ``BadParameter`` for what ``why_not`` refuses, and where the two have nothing in common.
    """
    reason = why_not(a, b)
    if reason is not None:
        raise BadParameter(*reason)
    (one,), (other,) = (_by_token(document) for document in (a, b))
    one, other = _with_mlps(one, other)
    aligned = [
        _aligned(x, y, (a.prompt, b.prompt)) for x, y in zip(one.axes, other.axes, strict=True)
    ]
    if not all(own.common for own in aligned) and one.axes:
        raise BadParameter("The two have nothing in common.", "Look at them side by side.")
    axes = tuple(map(_both, one.axes, other.axes, aligned))
    sides = [_taken(r.values, aligned, side) for side, r in enumerate((one, other))]
    extra = {"a": LabelledArray(axes, sides[0]), "b": LabelledArray(axes, sides[1])}
    for name, axis, own in zip(names_of(axes), axes, aligned, strict=True):
        if any(own.only_in()):
            only = text_array(list(own.only_in()))
            extra[f"only_in_{name}"] = LabelledArray((axis,), only)
    base = (one.baseline, other.baseline)
    return msgspec.structs.replace(
        other,
        analysis=OF + one.analysis,
        params=_made_from(a, b, aligned),
        metric=_shared_metric(one, other),
        axes=axes,
        values=sides[1] - sides[0],
        extra=extra,
        baseline=None if base[0] is None or base[1] is None else base[1] - base[0],
        elapsed_s=one.elapsed_s + other.elapsed_s,
        warnings=(*unlike(a, b), *_warnings(one, other)),
        neutral=0.0,
        partial=one.partial if one.partial is not None else other.partial,
        meaning=f"{DIFFERENCE}; of: {one.meaning}" if one.meaning else DIFFERENCE,
    )


def has_metric(result: Result) -> bool:
    """Is the difference one of what a token's metric explains? Attention and predictions explain none."""
    return result.analysis.removeprefix(OF) not in WITHOUT_METRIC


def sides_said(result: Result) -> tuple[str, ...]:
    """What a difference was made from, in words: ``A: demo, The capital of …``, then B."""
    sides = []
    for name in ("a", "b"):
        model, prompt, target = (
            result.params.get(f"{name}_{k}") for k in ("model", "prompt", "target")
        )
        clean = result.params.get(f"{name}_clean_run")
        run = f", clean run {clean:.4g}" if isinstance(clean, float) else ""
        explained = "" if target is None else f" ({visible_token(target)}{run})"
        sides.append(f"{name.upper()}: {model}, {prompt}{explained}")
    return tuple(sides)


def differences(a: Document, b: Document) -> tuple[Document, tuple[str, ...]]:
    """``difference`` of every analysis that both documents hold, and why others are left out.

    The document is B's, with the differences as its results. Raises ``BadParameter`` where there is none.
    """
    found, reasons = [], []
    seen: Counter[str] = Counter()
    for result in a.results:
        name = result.analysis
        others = [each for each in b.results if each.analysis == name]
        seen[name] += 1
        if len(others) < seen[name]:
            reasons.append(f"{name}: only in A.")
            continue
        pair = (result, others[seen[name] - 1])
        try:
            found.append(difference(*(_alone(d, r) for d, r in zip((a, b), pair, strict=True))))
        except BadParameter as error:
            reasons.append(f"{name}: {error}")
    counts = Counter(result.analysis for result in b.results)
    reasons += [f"{name}: only in B." for name in counts if counts[name] > seen[name]]
    if not found:
        raise BadParameter(f"Nothing can be compared. {' '.join(reasons)}".strip())
    return msgspec.structs.replace(b, results=tuple(found)), tuple(reasons)


def _alone(document: Document, result: Result) -> Document:
    return msgspec.structs.replace(document, results=(result,))


def _by_token(document: Document) -> tuple[Result]:
    """The result, its ranks named by their tokens where those are what it ranks."""
    (result,) = document.results
    tokens = result.extra.get("tokens")
    if tokens is None or tokens.axes != result.axes or len(result.axes) != 1:
        return (result,)
    axis = Axis("next token", tuple(map(str, tokens.values.tolist())))
    return (msgspec.structs.replace(result, axes=(axis,)),)


def _with_mlps(one: Result, other: Result) -> tuple[Result, Result]:
    """Effects [layer, head] with those of the MLPs, which both have beside them, as a last head."""
    pair = (one, other)
    if not all(
        MLP_EFFECTS in r.extra and [x.name for x in r.axes] == ["layer", "head"] for r in pair
    ):
        return pair
    widened = [
        msgspec.structs.replace(r, axes=cells.axes, values=cells.values)
        for r, cells in zip(pair, map(cells_of, pair), strict=True)
    ]
    return widened[0], widened[1]


def _aligned(a: Axis, b: Axis, prompts: tuple[PromptInfo, PromptInfo]) -> Alignment:
    if a.name in _OF_TOKENS:
        return align(*map(_tokens, (a, b), prompts))
    at_b = {label: place for place, label in enumerate(b.labels)}
    if len(set(a.labels)) < len(a.labels) or len(at_b) < len(b.labels):
        return align(a.labels, b.labels)  # labels that repeat: in order
    shared = [(place, at_b.get(label)) for place, label in enumerate(a.labels)]
    rest = [(None, place) for label, place in at_b.items() if label not in set(a.labels)]
    return Alignment((*shared, *rest), by_place=a.labels == b.labels)


def _tokens(axis: Axis, prompt: PromptInfo) -> Sequence[object]:
    """The ids of the prompt's tokens where the axis is of them, else its labels."""
    whole = axis.labels == prompt.tokens and len(prompt.token_ids) == len(prompt.tokens)
    return prompt.token_ids if whole else axis.labels


def _both(a: Axis, b: Axis, own: Alignment) -> Axis:
    """The labels of both: ``a / b`` where they differ at one place, the side where only one has it."""
    labels = []
    for i, j in own.pairs:
        if i is None or j is None:
            labels.append(f"A: {a.labels[i]}" if i is not None else f"B: {b.labels[j or 0]}")
        else:
            x, y = a.labels[i], b.labels[j]
            labels.append(x if x == y else f"{x} / {y}")
    return Axis(a.name, tuple(labels))


def _taken(values: np.ndarray, aligned: Sequence[Alignment], side: int) -> np.ndarray:
    """``values`` of one side along the axes of both; NaN where it has none."""

    def along(found: np.ndarray, dim: int) -> np.ndarray:
        places = aligned[dim].places(side)
        found = np.take(found, places, axis=dim)
        missing = [1] * found.ndim
        missing[dim] = len(places)
        return np.where((places < 0).reshape(missing), np.nan, found)

    return reduce(along, range(values.ndim), values.astype(np.float64))


def _made_from(a: Document, b: Document, aligned: Sequence[Alignment]) -> dict[str, object]:
    """What it was made from: the parameters of both, and for each side model, weights, prompt, target."""
    (one,), (other,) = a.results, b.results
    params: dict[str, object] = {k: v for k, v in other.params.items() if one.params.get(k) == v}
    for name, document, result in (("a", a, one), ("b", b, other)):
        target = result.metric.target
        params |= {
            f"{name}_model": document.model.name,
            f"{name}_weights": document.model.weights,
            f"{name}_dtype": document.model.dtype,
            f"{name}_prompt": document.prompt.text,
            f"{name}_target": None if target is None else target.token,
            f"{name}_clean_run": result.baseline,
        }
        params |= {
            f"{name}_{k}": v for k, v in result.params.items() if k not in params or params[k] != v
        }
    params["aligned_by"] = "place" if all(axis.by_place for axis in aligned) else "token"
    return params


def _shared_metric(one: Result, other: Result) -> object:
    metric = other.metric
    if one.metric.target != metric.target or one.analysis in WITHOUT_METRIC:
        metric = msgspec.structs.replace(metric, target=None, foil=None)
    elif one.metric.against != metric.against:
        metric = msgspec.structs.replace(metric, foil=None)
    return metric


def _warnings(one: Result, other: Result) -> list[str]:
    return [
        f"{name}: {warning}" for name, r in (("A", one), ("B", other)) for warning in r.warnings
    ]
