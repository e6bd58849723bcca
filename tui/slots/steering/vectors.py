"""Where a steering vector that was made in the app is kept, and the intervention that adds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interpboard.config import state_path
from tui.session.interventions import quoted
from tui.session.state import Request, State

SIDES = ("positive", "negative")
FILES_OWN = -1
"""In place of a layer: the one that a vector's file says."""


def vector_file(state: State, params: Mapping[str, Any]) -> Path:
    """The file of the vector between the prompts of ``params``: another for each model, layer and text.

    Interventions name it, so a file never comes to have another vector.
    """
    import hashlib  # of what is asked of the engine: not for the first paint

    texts = [prompts_of_side(params.get(side, "")) for side in SIDES]
    of = repr((state.model.info if state.model else None, params.get("layer"), texts))
    return state_path() / "vectors" / f"{hashlib.sha256(of.encode()).hexdigest()[:16]}.safetensors"


def prompts_of_side(texts: Any) -> list[str]:
    """Prompts one a line, or a list of them, as a list."""
    return texts.splitlines() if isinstance(texts, str) else list(texts)


def intervention(request: Request, layer: int | str, scale: float) -> str:
    """``scale`` times the vector of ``request`` behind ``layer``, as an intervention."""
    path = request.params.get("vector") or request.params["save"]
    return f"{layer}.resid=steer {quoted(str(path))} * {scale:.12g}"
