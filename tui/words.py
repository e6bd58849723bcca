"""Values into words: metric names, numbers and signs, the same wherever they are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from interpboard.display import ascii_everywhere, fit, visible, visible_token

if TYPE_CHECKING:
    from interpboard.results import LabelledArray, MetricInfo, Result
    from tui.session.state import Question

MINUS = "−"
_NAMES = {"logit": "logit", "prob": "p", "logprob": "log p"}
# Titles in the empty frames: the registry is read after they are on the screen.
PAINTED_FIRST = {
    "integrated_gradients": "integrated gradients",
    "causal_trace": "causal trace",
}


def signed(value: float, digits: int = 3) -> str:
    """``+1.234`` with a real minus; NaN is ``·``."""
    if math.isnan(value):
        return "·"
    if value == 0:
        return "0"
    size = f"{abs(value):.{digits}f}"
    if float(size) == 0 or abs(value) >= 1e5:
        size = f"{abs(value):.1e}"
    return (MINUS if value < 0 else "+") + size


def unsigned(value: float, digits: int = 3) -> str:
    """Like ``signed`` without the plus."""
    return signed(value, digits).removeprefix("+")


def percent(value: float) -> str:
    """A probability in five characters: ``93.1%``, ``<.01%``; never a bare zero that is none."""
    if math.isnan(value):
        return "·"
    share = value * 100
    if 0 < share < 0.01:
        return "<.01%"
    if share < 99.95:
        return f"{share:.1f}%" if share >= 0.095 else f"{share:.2f}%"  # 0.1%, never 0.10%
    return "100%" if value >= 1 else ">99.9%"


def share_or_value(value: float, problem: str) -> str:
    """A probability, or the number itself where the model's ``problem`` is to give values."""
    return unsigned(value) if problem in ("value", "vector") else percent(value)


def factor(exponent: int) -> str:
    """What the numbers of a grid share, ``×10⁻²``; empty where they are written as they are."""
    if not exponent:  # before the first result: nothing heavy is imported
        return ""
    from interpboard.visualization.numbers import times

    return times(exponent, ascii_only=ascii_everywhere.get())


def fraction(value: float) -> str:
    """A share that may lie outside 0 … 1: ``86.0%``, ``−3.1%``, ``104.2%``."""
    return f"{unsigned(100 * value, 1)}%" if value == value else "·"


def shorten(text: str, width: int = 24) -> str:
    """``text`` (already visible), its end left out where it is so long that nothing else has room."""
    return fit(text, width) if cell_len(text) > width else text


def shorten_middle(text: str, width: int = 24) -> str:
    """``text`` (already visible) with its beginning and its end: sentences often begin alike."""
    if cell_len(text) <= width:
        return text
    end = text
    while end and cell_len(end) > (width - 1) * 2 // 5:
        end = end[1:]
    return fit(text, width - cell_len(end)) + end


def shorten_start(text: str, width: int) -> str:
    """The end of ``text`` (already visible), its beginning left out where it is too long."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) >= width:
        text = text[1:]
    return f"…{text}"


def token(text: str) -> str:
    """A token with its spaces shown, cut."""
    return shorten(visible_token(text))


def metric_name(metric: MetricInfo) -> str:
    """``logit ·Paris``, ``logit ·Paris − ·Rome``, ``p ·Paris``."""
    if metric.name == "kl":  # of the whole vocabulary
        return "kl"
    target = token(metric.target.token) if metric.target else "top token"
    if metric.against is not None:
        return f"logit {target} {MINUS} {token(metric.against.token)}"
    return f"{_NAMES.get(metric.name, metric.name)} {target}"


def analysis_title(name: str, problem: str = "") -> str:
    """What people call an analysis, in lower case: ``integrated gradients``. ``problem``: of a model with
    labels."""
    if name in PAINTED_FIRST:
        return PAINTED_FIRST[name]
    from interpboard.registry import ANALYSES

    return ANALYSES[name].title_for(problem).lower()


def exact(result: Result) -> bool:
    """Whether a grid's numbers were measured, not estimated from gradients."""
    return result.made_by.path != "autograd"


def question_name(question: Question) -> str:
    """What is asked for, before any result says which token that is."""
    target = token(question.target) if question.target is not None else "top token"
    name = question.metric
    if question.foil is not None and name == "logit_diff":
        name, target = "logit", f"{target} {MINUS} {token(question.foil)}"
    return f"{_NAMES.get(name, name)} {target}"


def short_model(name: str) -> str:
    """The last part of a path or of a name on the hub."""
    return fit(visible(name.rstrip("/").rpartition("/")[2] or name), 24).rstrip()


def devices(there: Sequence[str], asked: int) -> str:
    """Whose engines share the grids: ``cuda:0, cuda:1``, or that some are missing; empty: one engine."""
    if asked < 2 or not there:
        return ""
    missing = f"{len(there)} of {asked} devices: " if len(there) < asked else ""
    return missing + ", ".join(map(visible, there))


def short_path(name: str, width: int) -> str:
    """A path or name (already visible): parts are left out from its middle, its end stays."""
    if cell_len(name) <= width:
        return name
    parts = name.rstrip("/").split("/")
    head = "/".join(parts[:2]) if not parts[0] else parts[0]
    for first in (head, ""):
        for kept in range(len(parts) - 2, 0, -1):
            short = "/".join([*([first] if first else []), "…", *parts[-kept:]])
            if cell_len(short) <= width and len(parts) > kept + (2 if first else 1):
                return short
    last = parts[-1]
    if cell_len(last) <= width:
        return last
    start = fit(last, width // 2, ellipsis="").rstrip()
    return start + shorten_start(last[len(start) :], width - cell_len(start))


def bar(fraction: float, width: int) -> str:
    """A progress bar of eighths of a cell, padded to ``width``."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")).ljust(width)


def rule(fraction: float, width: int) -> str:
    """A thin bar, to halves of a cell; what is not nothing shows at least a trace."""
    halves = round(max(0.0, min(1.0, fraction)) * width * 2)
    if halves == 0:
        return "╴" if fraction > 0.001 else ""
    return "━" * (halves // 2) + ("╸" if halves % 2 else "")


def scalar(array: LabelledArray | None) -> float | None:
    """The one number of an array of one."""
    if array is None or array.values.size != 1:
        return None
    return float(array.values.reshape(-1)[0])


def top_list(result: Result) -> list[tuple[int, str, float]]:
    """(id, token, probability) of a ``predictions`` result, most likely first."""
    ids, tokens = result.extra["token_ids"].values, result.extra["tokens"].values
    return [
        (int(id), str(token), float(p))
        for id, token, p in zip(ids, tokens, result.values, strict=True)
    ]


def mean(value: float, digits: int) -> str:
    """A mean as short as it goes; never a bare zero that is none."""
    least = 10.0**-digits
    return f"<{least:.{digits}f}" if 0 < value < least / 2 else f"{value:.{digits}f}"
