"""A causal trace: layer × token, with the subject's tokens marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.visualization.figures.grid import grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def causal_trace(result: Result, *, columns: int = 1, title: str | None = None) -> Figure:
    """The grid of the trace; subject tokens are bold, underlined by a bar and starred.

    Raises ``BadParameter`` for a result that is not over layer and token or names no subject.
    """
    subject = subject_of(result)
    figure = grid(result, columns=columns, title=title)
    axes = figure.axes[0]
    at = [int(tick) for tick in axes.get_xticks()]
    names = [label.get_text() for label in axes.get_xticklabels()]
    stars = [name + "*" * (i in subject) for i, name in zip(at, names, strict=True)]
    turned: dict[str, Any] = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(axes.get_xticks(), stars, parse_math=False, **turned)
    for i, label in zip(at, axes.get_xticklabels(), strict=True):
        label.set_fontweight("bold" if i in subject else "normal")
    for position in subject:
        axes.plot(
            [position + 0.1, position + 0.9], [0, 0], color="black", linewidth=2.2,
            clip_on=False, solid_capstyle="butt", gid=f"subject-{position}",
        )  # fmt: skip
    axes.set_xlabel("token (* subject)")
    return figure


def subject_of(result: Result) -> list[int]:
    """Positions of the subject. Raises ``BadParameter`` as ``causal_trace`` does."""
    subject = result.params.get("subject")
    over = tuple(axis.name for axis in result.axes)
    if over != ("layer", "token") or not isinstance(subject, list):
        raise BadParameter(
            f"{visible(result.analysis)} is no trace of a subject over layer and token.",
            "Draw a result of causal_trace.",
        )
    return subject
