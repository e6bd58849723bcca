"""What a command is, which keys it has in use, and how Textual is told of them.

A command exists once. ``tui.catalogue`` puts all of them into one table; key bindings, footer, palette,
help and the docs are views of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # ``interpboard config show`` reads the table and needs no Textual
    from textual.binding import BindingType

    from tui.controllers.controllers import Controllers


@dataclass(frozen=True)
class Command:
    """One command. ``keys`` are Textual's names, ``shown`` is what people read.

    ``action`` is done with the app; as a string it is an action of the widget or the screen that has the
    focus. ``where`` says in which focus it lives: ``app`` (everywhere outside a text input), ``move``
    (every cursor), the name of a slot, or of a list or screen. ``tui.catalogue`` fills it in.
    """

    id: str
    keys: str
    shown: str
    label: str
    help: str
    action: str | Callable[[Controllers], object]
    where: tuple[str, ...] = ()
    palette: bool = True
    why_not: Callable[[Controllers, str], str] = lambda _controllers, _place: (
        ""
    )  # why it cannot act there now


_KEY = re.compile(r"\{key:(\w+)\}")
_in_use: dict[str, Command] = {}  # with the keys of this process's configuration


def put_to_use(commands: Iterable[Command]) -> None:
    """These are shown and obeyed from now on."""
    _in_use.clear()
    _in_use.update({command.id: command for command in commands})


def command(id: str) -> Command:
    """The command called ``id``, with its keys in use."""
    return _in_use[id]


def shown_keys(id: str) -> str:
    """The keys of a command as people read them."""
    return _in_use[id].shown


def first_key(id: str) -> str:
    """The first key of a command as people read it."""
    return _in_use[id].shown.split(" ")[0]


def keyed(text: str) -> str:
    """``text`` with the key in use for each ``{key:id}``: texts name commands, and keys can be rebound.

    A command without a key is named as the palette lists it.
    """

    def named(found: re.Match[str]) -> str:
        return first_key(found[1]) or f"{first_key('palette')} “{_in_use[found[1]].label}”"

    return _KEY.sub(named, text)


def commands(*where: str) -> tuple[Command, ...]:
    """The commands that live in any of ``where``."""
    return tuple(each for each in _in_use.values() if set(each.where) & set(where))


def bindings(commands: Sequence[Command], *, before: Sequence[Command] = ()) -> list[BindingType]:
    """Textual's bindings of ``commands``; the configuration rebinds them by their ids.

    They go before those of ``before`` that have the same key: a pane's own before the cursor's.
    """
    from textual.binding import Binding

    taken = {key for other in before for key in other.keys.split(",")}
    return [
        Binding(
            each.keys,
            each.action if isinstance(each.action, str) else f"app.perform({each.id!r})",
            each.label,
            id=each.id,
            show=False,
            priority=not taken.isdisjoint(each.keys.split(",")),
        )
        for each in commands
        if each.action != "submit"  # the input's own
        and each.keys  # the palette alone has it
    ]
