"""The keys of the app, from its one table of commands."""

from __future__ import annotations

from docs.hooks.tables import code, table
from tui.catalogue import COMMANDS
from tui.commands.command import Command

# What a place is called where people read it. A place that is not here fails the build.
PLACES = {
    "app": "Everywhere outside a text input",
    "move": "The cursor of a pane",
    "prompt": "The prompt",
    "tokens": "Pane 1, Tokens",
    "heads": "Pane 2, Heads",
    "lens": "Pane 3, Lens",
    "trace": "Pane 4, Trace",
    "attention": "Pane 5, Attention",
    "logits": "Pane 6, Logits",
    "neurons": "Pane 7, Neurons",
    "runs": "Saved results",
    "circuit": "Circuits",
    "steering": "Steering",
    "continuation": "Continuation",
    "prompts": "The list of prompts",
    "pick": "Lists to choose from: tokens, models, prompts",
    "methods": "Methods side by side",
}


def tables() -> str:
    """A table of keys for each place, in the order of ``PLACES``."""
    unknown = {place for command in COMMANDS for place in command.where} - set(PLACES)
    if unknown:
        raise KeyError(f"docs/hooks/keys.py: no words for the places {sorted(unknown)}")
    parts = []
    for place, words in PLACES.items():
        rows = [_row(command) for command in COMMANDS if place in command.where]
        parts.append(f"### {words}\n\n{table(('key', 'does', 'name in `[keys]`'), rows)}")
    return "\n\n".join(parts)


def _row(command: Command) -> tuple[str, str, str]:
    shown = " ".join(code(key) for key in command.shown.split())
    return shown, command.help, code(command.id)
