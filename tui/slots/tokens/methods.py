"""The methods that can paint the prompt, as the registry has them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tui.commands.command import Command

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers


def token_methods() -> tuple[str, ...]:
    """Their names, in the order of the registry."""
    from interpboard.registry import ANALYSES

    return tuple(
        name
        for name, analysis in ANALYSES.items()
        if analysis.axes == ("token",) and not analysis.required
    )


def painting() -> list[Command]:
    """A command of the palette for each: its name, and the parameters that it has."""
    from interpboard.registry import ANALYSES

    found = []
    for name in token_methods():
        names = ", ".join(parameter.name for parameter in ANALYSES[name].parameters)
        about = f"Paint Tokens: {names}" if names else "Paint Tokens"
        found.append(
            Command(
                f"paint_{name}", "", "m", ANALYSES[name].title, about, partial(paint, method=name)
            )
        )
    return found


def paint(controllers: Controllers, method: str) -> None:
    """Paint Tokens by ``method``, and go there."""
    controllers.panes.go("tokens")
    controllers.session.set_analysis("tokens", method)
