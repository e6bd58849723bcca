"""The methods that can paint the prompt, as the registry has them."""

from __future__ import annotations

from tui.commands.table import Command

# Parameters that a pane has keys of its own for.
OF_THE_PANE = ("subject", "state", "corrupted", "site", "preview")


def token_methods() -> tuple[str, ...]:
    """Their names, in the order of the registry."""
    from interpboard.analyses import ANALYSES

    return tuple(
        name
        for name, analysis in ANALYSES.items()
        if analysis.axes == ("token",) and not analysis.required
    )


def painting() -> list[Command]:
    """A command of the palette for each: its name, and the parameters that it has."""
    from interpboard.analyses import ANALYSES

    found = []
    for name in token_methods():
        names = ", ".join(parameter.name for parameter in ANALYSES[name].parameters)
        about = f"Paint Tokens: {names}" if names else "Paint Tokens"
        found.append(
            Command(f"paint_{name}", "", "m", ANALYSES[name].title, about, f"app.paint('{name}')")
        )
    return found
