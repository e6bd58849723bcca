"""What a pane says of its cursor: the intervention there, and what the model would predict."""

from __future__ import annotations

from typing import NamedTuple


class AtCursor(NamedTuple):
    """The intervention that Space switches: ``place=what`` in their grammar, or why there can be none."""

    place: str = ""
    what: str = ""
    refusal: str = ""


class Predicted(NamedTuple):
    """A place in the run, and the likeliest tokens there, clean and edited, with their probabilities."""

    where: str
    top: list[tuple[str, float]]
    edited: list[tuple[str, float]] | None = None
