"""Keys as the configuration file rebinds them: checked, and spelled for people.

``[keys]`` holds names of commands and their keys, ``zoom = "U"`` or ``run = "enter,ctrl+e"``. What
would not work is refused in a line: an unknown command, a key that terminals do not send, a key
that two commands of one place would share.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from interpboard.errors import BadConfig
from tui.commands.places import TEXT_PLACES

if TYPE_CHECKING:
    from tui.commands.command import Command

_NAMED = {
    "enter": "Enter", "escape": "Esc", "backspace": "Bksp", "tab": "Tab", "shift+tab": "Shift+Tab",
    "space": "Space", "up": "↑", "down": "↓", "left": "←", "right": "→", "home": "Home", "end": "End",
    "pageup": "PgUp", "pagedown": "PgDn", "insert": "Ins", "delete": "Del",
}  # fmt: skip
_ALIASES = {"h": "backspace", "i": "tab", "j": "enter", "m": "enter"}
# Where Unicode's name of a character is not Textual's name of its key.
_RENAMED = {
    "solidus": "slash", "reverse_solidus": "backslash", "commercial_at": "at",
    "hyphen_minus": "minus", "plus_sign": "plus", "low_line": "underscore",
}  # fmt: skip
_EVERYWHERE = frozenset({"app", "move"})
FIXED = frozenset({"submit", "pick_take"})  # no other key would do


def with_keys(
    commands: Sequence[Command], chosen: Mapping[str, str], over: Collection[str]
) -> tuple[Command, ...]:
    """``commands`` with the keys ``chosen`` by id. Raises ``BadConfig``.

    ``over``: screens over the panes, where the app's own commands do not reach.
    """
    by_id = {command.id: command for command in commands}
    for id in chosen:
        if id not in by_id or id in FIXED:
            raise BadConfig(*_no_command(id, by_id))
    result = []
    for command in commands:
        if command.id in chosen:
            keys = [_key(command, word.strip()) for word in chosen[command.id].split(",")]
            shown = " ".join(spelled_key(key) for key in keys)
            command = replace(command, keys=",".join(keys), shown=shown)
        result.append(command)
    if chosen:
        _refuse_shared(result, chosen, _shared(commands), over)
    return tuple(result)


def spelled_key(key: str) -> str:
    """A key as people read it: ``Ctrl+e``, ``?``, ``F1``."""
    if key in _NAMED:
        return _NAMED[key]
    if key.startswith("ctrl+"):
        return f"Ctrl+{key.removeprefix('ctrl+')}"
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return _character(key) or key


def _no_command(id: str, known: Mapping[str, Command]) -> tuple[str, str]:
    from difflib import get_close_matches

    names = [name for name in known if name not in FIXED]
    near = get_close_matches(id, names, n=1)
    what = f"keys: there is no command {id!r} to bind."
    return what, f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names)}."


def _key(command: Command, word: str) -> str:
    """Textual's name of the key that ``word`` says. Raises ``BadConfig``."""
    key = _name(word) if len(word) == 1 and not word.isalnum() else word
    if len(key) > 1:
        key = key.lower()
    letter = key.removeprefix("ctrl+")
    plain = len(word) == 1 or bool(_character(key))
    if key.startswith("ctrl+") and letter in _ALIASES:
        raise BadConfig(
            f"keys.{command.id}: {key} is {_ALIASES[letter]} to a terminal.", "Choose another key."
        )
    known = (
        plain
        or key in _NAMED
        or (key.startswith("ctrl+") and len(letter) == 1 and "a" <= letter <= "z")
        or (key[0:1] == "f" and key[1:].isdigit() and 1 <= int(key[1:]) <= 12)
    )
    if not known:
        raise BadConfig(
            f"keys.{command.id}: {word!r} is no key that every terminal sends.",
            "Use a character, ctrl+letter, f1 to f12, or a name as enter, space, pageup.",
        )
    field = next((TEXT_PLACES[place] for place in command.where if place in TEXT_PLACES), "")
    if plain and field:
        raise BadConfig(f"keys.{command.id}: {word!r} is text {field}.", "Use ctrl+letter.")
    return key


def _name(char: str) -> str:
    name = unicodedata.name(char, "").lower().replace(" ", "_").replace("-", "_")
    return _RENAMED.get(name, name)


# Unicode's names have hyphens where keys have none, ``less-than sign``: so by the characters.
_ASCII = {_name(chr(code)): chr(code) for code in range(33, 127) if not chr(code).isalnum()}


def _character(key: str) -> str:
    """The character that a key called ``key`` writes, empty if it writes none."""
    if len(key) == 1 or key in _NAMED:
        return key if len(key) == 1 else ""
    if key in _ASCII:
        return _ASCII[key]
    try:
        found = unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return ""
    return found if found.isprintable() else ""


def _shared(commands: Sequence[Command]) -> set[tuple[str, str, str]]:
    """(key, move, own): the keys that panes take from the cursor by design."""
    return {
        (key, move.id, own.id)
        for move in commands
        if "move" in move.where
        for own in commands
        if own is not move and not {"app", "prompt", "pick"} & set(own.where)
        for key in set(move.keys.split(",")) & set(own.keys.split(","))
    }


def _refuse_shared(
    commands: Iterable[Command],
    chosen: Mapping[str, str],
    meant: Collection[tuple[str, str, str]],
    over: Collection[str],
) -> None:
    commands = list(commands)
    places = {place for command in commands for place in command.where}
    for place in places:
        around = frozenset({"move"}) if place in over else _EVERYWHERE
        live = {place} if place in TEXT_PLACES else {place} | around
        live |= {"pick"} if place == "prompts" else set()
        owner: dict[str, Command] = {}
        for command in commands:
            if not live & set(command.where):
                continue
            for key in filter(None, command.keys.split(",")):
                other = owner.setdefault(key, command)
                if {(key, other.id, command.id), (key, command.id, other.id)} & set(meant):
                    continue
                if other is not command and {other.id, command.id} & set(chosen):
                    raise BadConfig(
                        f"keys: {spelled_key(key)} would be both {other.id} and {command.id}.",
                        "Give one of them another key.",
                    )
