"""To a head by its name: ``3`` ``.`` ``7`` from any pane.

Digits go to panes at once. A dot directly behind them says that they were meant as a layer: the pane
that had the focus has it again, and the digits that follow are the head. ``6`` ``3`` ``.`` where there is
no layer 63: the 6 went to a pane, the 3 is the layer, and the line says so.
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
        self._dotted = False  # they are a layer: a dot came, which has not opened the line yet
        self._early = self._late = ""  # digits that came behind it; those of them not yet acted
        self._note = ""

    def saw(self, key: str, *, text: bool) -> None:
        """``key`` is about to act. ``text``: it is typed into a field."""
        opens = key in command(_ID).keys.split(",")
        if text or not (opens or (len(key) == 1 and key in "0123456789")):
            self._digits, self._dotted, self._early, self._late = [], False, "", ""
        elif opens:
            self._dotted = True
        elif self._dotted:  # keys that come at once are all seen before the first of them acts
            self._early += key
        else:
            self._digits.append((key, self._panes.where()))

    def has_taken(self, keys: str) -> bool:
        """Is one of ``keys`` in the line already, though it was on its way to a pane when that was opened?"""
        taken = self._late[:1] in keys.split(",") if self._late else False
        self._late = self._late[1:] if taken else self._late
        return taken

    def open(self) -> None:
        """Ask for a head; the digits typed just before are its layer."""
        from tui.dialogs.jump import JumpLine

        self._uncover()
        digits, self._digits, self._dotted = self._layer(), [], False
        early, self._early = self._early, ""
        self._late = early
        if digits:
            self._panes.return_to(digits[0][1])
        self._origin = self._panes.where()
        typed = "".join(digit for digit, _ in digits)
        self._screens.push_screen(JumpLine(f"{typed}.{early}" if typed else early, self))

    def _layer(self) -> list[tuple[str, Whereabouts]]:
        """The digits that are a layer: all of them, or the last ones where all would be none."""
        model, self._note = self._session.state.model, ""
        if model is None:
            return self._digits
        for start in range(len(self._digits)):
            number = "".join(digit for digit, _ in self._digits[start:])
            if int(number) < model.info.layers:
                if start:
                    whole = "".join(digit for digit, _ in self._digits)
                    self._note = f"; there is no layer {int(whole)}"
                return self._digits[start:]
        return self._digits

    # -- what the line acts on --------------------------------------------------------------------

    def named(self, typed: str) -> tuple[str, bool]:
        """Select the head that ``typed`` names; what is to be said of it, and whether it is a refusal.

        While it names none, the head is selected that was so before.
        """
        selected = self._select(typed)
        if selected is not None:
            return selected + self._note, bool(self._note)
        self.back()
        missing, refused = self._missing(typed)
        return missing + self._note, refused or bool(self._note)

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
