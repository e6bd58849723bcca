"""To a head by its name: ``3`` ``.`` ``7`` from any pane.

Digits go to panes at once. A dot directly behind one says that it was meant as a layer: the pane that had
the focus has it again, and the digits that follow are the head. It is always one digit: ``3`` ``3`` ``.``
``7`` is pane 3 and head 3.7, however quickly it is typed. Where there is a layer 33, the line says so and
an arrow takes it; a layer of several digits is written behind a dot, ``.33.7``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from interpboard.registry.component_names import head_label
from tui.commands.command import command

if TYPE_CHECKING:
    from tui.controllers.panes import Panes, Whereabouts
    from tui.controllers.ports import OpensScreens
    from tui.session.session import Session

_ID = "jump"  # of the command
_NAME = re.compile(r"(\d+)(?:(\.)(\d*))?")


class Jump:
    """``uncover`` leaves the screens over the panes."""

    def __init__(
        self, session: Session, panes: Panes, screens: OpensScreens, uncover: Callable[[], None]
    ) -> None:
        self._session, self._panes, self._screens = session, panes, screens
        self._uncover = uncover
        self._digits: list[tuple[str, Whereabouts]] = []  # and where everything was before each
        self._layers: list[
            tuple[str, Whereabouts]
        ] = []  # that may be meant, and where one was before
        self._chosen = 0

    def saw(self, key: str, *, text: bool) -> None:
        """``key`` acts next. ``text``: it is typed into a field."""
        opens = key in command(_ID).keys.split(",")
        if not text and len(key) == 1 and key in "0123456789":
            self._digits.append((key, self._panes.where()))
        elif text or not opens:
            self._digits = []

    def open(self) -> None:
        """Ask for a head; the digits typed just before are its layer."""
        from tui.dialogs.jump import JumpLine

        self._uncover()
        self._layers, self._chosen = self._meant(), 0
        self._digits, typed = [], ""
        if self._layers:
            layer, before = self._layers[0]
            self._panes.return_to(before)
            typed = f"{layer}."
        self._origin = self._panes.where()
        self._screens.push_screen(JumpLine(typed, self))

    def _meant(self) -> list[tuple[str, Whereabouts]]:
        """The layers that the digits before the dot may be: the last of them; with those before it, where
        there is such a layer."""
        digits = [digit for digit, _ in self._digits]
        found = [("".join(digits[at:]), self._digits[at][1]) for at in range(len(digits))][::-1]
        model = self._session.state.model
        layers = model.info.layers if model is not None else 0
        return found[:1] + [
            (number, before)
            for number, before in found[1:]
            if number[0] != "0" and int(number) < layers
        ]

    # -- what the line acts on --------------------------------------------------------------------

    def named(self, typed: str) -> tuple[str, bool]:
        """Select the head that ``typed`` names; what is to be said of it, and whether it is a refusal.

        While it names none, the head is selected that was so before.
        """
        selected = self._select(typed)
        if selected is not None:
            return selected, False
        self.back()
        return self._missing(typed)

    def other(self, typed: str) -> str:
        """``typed`` with the other layer that the digits may have meant; the same where there is none."""
        if not self.other_layer(typed):
            return typed
        _, dot, head = typed.partition(".")
        self._chosen = (self._chosen + 1) % len(self._layers)
        layer, before = self._layers[self._chosen]
        self._panes.return_to(before)
        self._origin = self._panes.where()
        return f"{layer}{dot}{head}"

    def other_layer(self, typed: str) -> str:
        """The layer that may be meant instead; empty: there is none."""
        if len(self._layers) < 2 or typed.partition(".")[0] != self._layers[self._chosen][0]:
            return ""
        return self._layers[(self._chosen + 1) % len(self._layers)][0]

    def _select(self, typed: str) -> str | None:
        model, name = self._session.state.model, _NAME.fullmatch(typed)
        if model is None or name is None or not name[3]:
            return None
        layer, head = int(name[1]), int(name[3])
        if layer >= model.info.layers or head >= model.info.heads:
            return None
        self._panes.point_at(layer, head)
        return head_label(layer, head)

    def _missing(self, typed: str) -> tuple[str, bool]:
        model, name = self._session.state.model, _NAME.fullmatch(typed)
        if model is None:
            return "no model is loaded yet", True
        layers, heads = model.info.layers - 1, model.info.heads - 1
        if name is None:
            wrong = bool(typed)
            return f"a layer, a dot and a head: 0.0 to {layers}.{heads}", wrong
        if int(name[1]) > layers:
            return f"there is no layer {int(name[1])}: layers are 0 to {layers}", True
        if name[3]:
            return f"there is no head {int(name[3])}: a layer has heads 0 to {heads}", True
        after = "a head" if name[2] else "a dot and a head"
        return f"{after} of layer {int(name[1])}: 0 to {heads}", False

    def back(self) -> None:
        """What was selected before."""
        self._panes.return_to(self._origin)
