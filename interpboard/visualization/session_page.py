"""A session as one page: its notes are the text, the results they are about stand under them.

``session_text`` has its Markdown and JSON, ``html.session`` the HTML.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from interpboard.display import visible
from interpboard.results import ModelInfo, PromptInfo, Result


@dataclass(frozen=True)
class PageNote:
    """A note's text, and what it is on in words (empty: what it stands under)."""

    text: str
    about: str = ""


@dataclass(frozen=True)
class PageResult:
    """A result with the notes on it, and the lines that make it again."""

    result: Result
    notes: tuple[PageNote, ...]
    python: str
    command: str


@dataclass(frozen=True)
class PageSection:
    """The results on one prompt of one model, under the notes on that prompt and on parts of that model."""

    model: ModelInfo
    prompt: PromptInfo
    notes: tuple[PageNote, ...]
    results: tuple[PageResult, ...]


@dataclass(frozen=True)
class SessionPage:
    """``notes`` are those on the session, and on what no result of it is about. ``missing``: results that
    are not kept any more, or cannot be read."""

    title: str
    begun_at: float
    used_at: float
    notes: tuple[PageNote, ...]
    sections: tuple[PageSection, ...]
    missing: tuple[str, ...] = ()


def when(at: float) -> str:
    """A time of day for people: ``2026-11-27 22:40``."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def facts_of(model: ModelInfo) -> str:
    """The model in a line."""
    size = f"{model.layers} layers × {model.heads} heads"
    parts = (model.name, model.family, size, model.dtype, model.device, *model.notes)
    return " · ".join(visible(part) for part in parts)
