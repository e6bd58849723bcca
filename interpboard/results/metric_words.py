"""The metric that was explained, in words: which number, of which token, against which.

``kl`` is of the whole vocabulary and names no token; a foil is named only where the metric uses it.
"""

from __future__ import annotations

from collections.abc import Callable

from interpboard.display import visible, visible_token
from interpboard.results.info import MetricInfo


def metric_words(
    metric: MetricInfo,
    *,
    token: Callable[[str], str] = visible_token,
    ascii_only: bool = False,
    between: str = "against",
) -> str:
    """``logit of ·Paris``, ``logit_diff of ·Paris against ·Rome``, ``cosine with A·second·text``, ``kl``.

    ``token`` makes one harmless.
    """
    text = visible(metric.name, ascii_only=ascii_only)
    if metric.target is not None and metric.name != "kl":
        of = "with" if metric.name == "cosine" else "of"
        text += f" {of} {token(metric.target.token)}"
    if metric.against is not None:
        text += f" {between} {token(metric.against.token)}"
    return text
