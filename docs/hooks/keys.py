"""The keys of the app, from its one table of commands."""

from __future__ import annotations

from docs.hooks.tables import code, table
from tui.catalogue import command_table as table_of_commands
from tui.catalogue import pane_slots, screens
from tui.commands.command import Command

# What a place that is no slot's is called where people read it. One that is not here fails the build.
BEFORE = {
    "app": "Everywhere outside a text input",
    "move": "The cursor of a pane",
    "prompt": "The prompt",
}
AFTER = {
    "runs": "Saved results",
    "plot": "Plot",
    "prompt_table": "The table of a file of prompts",
    "dataset": "The table of a dataset or a sweep",
    "chat": "The editor of a chat",
    "interventions": "The list of interventions",
    "log": "The engine's log",
    "help": "Help",
    "prompts": "The list of prompts",
    "pick": "Lists to choose from: tokens, models, prompts",
}


def places() -> dict[str, str]:
    """Every place in the order of the page: panes by number, then the screens over them."""
    in_panes = {
        slot.name: f"Pane {slot.place.number}, {slot.place.title}"
        for slot in pane_slots()
        if slot.place is not None
    }
    over = {slot.name: slot.opener.label for slot in screens() if slot.opener is not None}
    return {**BEFORE, **in_panes, **over, **AFTER}


def tables() -> str:
    """A table of keys for each place, in the order of ``places``."""
    known, commands = places(), table_of_commands()
    unknown = {place for command in commands for place in command.where} - set(known)
    if unknown:
        raise KeyError(f"docs/hooks/keys.py: no words for the places {sorted(unknown)}")
    parts = []
    for place, words in known.items():
        rows = [_row(command) for command in commands if place in command.where]
        parts.append(f"### {words}\n\n{table(('key', 'does', 'name in `[keys]`'), rows)}")
    return "\n\n".join(parts)


def _row(command: Command) -> tuple[str, str, str]:
    shown = " ".join(code(key) for key in command.shown.split())
    return shown, command.help, code(command.id)
