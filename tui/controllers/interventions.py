"""Interventions on the model: put on, switched off and on, undone, listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.controllers.notify import Tell
    from tui.session.interventions import InterventionStack
    from tui.session.session import Session
    from tui.slots.at_cursor import AtCursor


class Interventions:
    """``open_list`` opens the list of them."""

    def __init__(self, session: Session, open_list: Callable[[], None], tell: Tell) -> None:
        self._session, self._tell = session, tell
        self.list = open_list

    def toggle(self, at: AtCursor | None) -> None:
        """What a view says stands under its cursor: put, or switched off or on again."""
        if at is None:
            return
        holder = self._session.state.interventions.set_at(at.place)
        if at.refusal:
            self._tell(at.refusal)
        elif holder is not None:  # a second one at its place would change nothing
            self._tell(f"{at.place} is in the set {holder.label}, which is switched as one.")
        else:
            self._session.intervene(self._session.state.interventions.toggled(at.place, at.what))

    def undo(self) -> None:
        """The list of interventions before the last change."""
        self._step(self._session.state.interventions.undone(), "Nothing to undo.")

    def redo(self) -> None:
        """The list that was undone last."""
        self._step(self._session.state.interventions.redone(), "Nothing to redo.")

    def _step(self, stack: InterventionStack, nothing: str) -> None:
        if stack is self._session.state.interventions:
            self._tell(nothing)
        else:
            self._session.intervene(stack)
