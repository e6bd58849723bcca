"""Two results side by side: the difference of their values, entry by entry."""

from __future__ import annotations

import msgspec
import numpy as np

from interpboard.errors import BadParameter
from interpboard.files.fingerprint import Match, compare
from interpboard.results import Axis, Document, Result

DIFFERENCE = (
    "the difference of two results, entry by entry; negative: smaller in the one named first; "
    "positive: larger in the one named first"
)


def same_name_other_weights(first: Document, second: Document) -> bool:
    """Are the two of a model by one name whose weights were not the same?"""
    match = compare(first.model.weights, second.model.weights)
    return first.model.name == second.model.name and match is Match.other


def difference(first: Document, second: Document) -> Result:
    """``first − second`` of two documents of one result each; positive: larger in the first.

    Entries are matched by place, those of ``predictions`` by token (NaN where only one side has it).
    Where labels differ a label names both, ``a / b``. ``baseline`` is the difference of baselines.

    Raises ``BadParameter`` where the two are not the same analysis of the same shape.
    """
    (a,), (b,) = first.results, second.results
    if a.analysis != b.analysis:
        raise BadParameter(
            f"{a.analysis} and {b.analysis} are different analyses.", "Compare them side by side."
        )
    tokens = [result.extra.get("tokens") for result in (a, b)]
    if all(t is not None and t.axes == r.axes for t, r in zip(tokens, (a, b), strict=True)):
        axes, values = _by_token(a, b)
    else:
        if a.values.shape != b.values.shape:
            sizes = " and ".join(" × ".join(map(str, r.values.shape)) for r in (a, b))
            raise BadParameter(
                f"The two have different sizes ({sizes}).", "Compare them side by side."
            )
        axes = tuple(_both(*pair) for pair in zip(a.axes, b.axes, strict=True))
        values = a.values - b.values
    base = (a.baseline, b.baseline)
    if a.neutral != b.neutral:
        raise BadParameter(
            f"No effect is {a.neutral:g} in the first and {b.neutral:g} in the second.",
            "Compare them side by side.",
        )
    return msgspec.structs.replace(
        a,
        analysis=f"difference of {a.analysis}",
        axes=axes,
        values=values,
        extra={},
        baseline=None if base[0] is None or base[1] is None else base[0] - base[1],
        warnings=_unlike(first, second),
        neutral=0.0,
        meaning=DIFFERENCE,
    )


def _by_token(a: Result, b: Result) -> tuple[tuple[Axis, ...], np.ndarray]:
    sides = [
        dict(zip(map(str, r.extra["tokens"].values.tolist()), r.values.tolist(), strict=True))
        for r in (a, b)
    ]
    labels = tuple(dict.fromkeys([*sides[0], *sides[1]]))
    pairs = [[side.get(label, np.nan) for side in sides] for label in labels]
    values = np.array([one - other for one, other in pairs], dtype=np.float64)
    return (Axis("next token", labels),), values


def _both(a: Axis, b: Axis) -> Axis:
    labels = zip(a.labels, b.labels, strict=True)
    return Axis(a.name, tuple(one if one == other else f"{one} / {other}" for one, other in labels))


def _unlike(first: Document, second: Document) -> tuple[str, ...]:
    """What besides the values differs between the two: the reader must know."""
    (a,), (b,) = first.results, second.results
    facts = (
        ("models", first.model.name, second.model.name),
        ("number formats", first.model.dtype, second.model.dtype),
        ("metrics", a.metric.name, b.metric.name),
        ("targets", _token(a, "target"), _token(b, "target")),
        ("foils", _token(a, "against"), _token(b, "against")),
        ("positions", str(a.metric.position), str(b.metric.position)),
        ("parameters", _params(a, b), _params(b, a)),
    )
    unlike = tuple(f"different {what}: {x} − {y}" for what, x, y in facts if x != y)
    if same_name_other_weights(first, second):
        return (f"different weights: {first.model.name} had others in the second", *unlike)
    return unlike


def _token(result: Result, name: str) -> str:
    token = getattr(result.metric, name)
    return token.token if token is not None else "none"


def _params(a: Result, b: Result) -> str:
    own = (f"{k}={v}" for k, v in a.params.items() if b.params.get(k) != v)
    return ", ".join(own) or "none"
