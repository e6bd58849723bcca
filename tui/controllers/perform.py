"""Carrying out a command: where it is asked for, or in a place that is gone to first."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.commands.command import command as command_of
from tui.commands.places import OPENERS

if TYPE_CHECKING:
    from tui.commands.command import Command
    from tui.controllers.notify import Tell
    from tui.controllers.panes import Panes
    from tui.controllers.ports import RunsActions
    from tui.controllers.screens import Screens
    from tui.session.session import Session

EVERYWHERE = "app"


class Perform:
    """``act`` calls a command's function, ``why_not`` its predicate: whoever gives them knows with what.

    What is an action of the screen in front goes to ``actions``.
    """

    def __init__(
        self,
        act: Callable[[Callable[..., object]], object],
        why_not: Callable[[Command, str], str],
        session: Session,
        panes: Panes,
        screens: Screens,
        actions: RunsActions,
        tell: Tell,
    ) -> None:
        self._act, self._why_not = act, why_not
        self._session, self._panes, self._screens = session, panes, screens
        self._actions, self._tell = actions, tell

    def why_not(self, command: Command, place: str) -> str:
        """Why a command cannot act in a place now; empty: it can."""
        return self._why_not(command, place)

    async def at(self, command: Command, place: str) -> None:
        """Go to the pane or the screen of a command, and carry it out there."""
        refusal = self.why_not(command, place)
        if refusal:
            self._tell(refusal)
            return
        slot = self._session.slots.get(place)
        if slot is not None and slot.place is not None:
            self._panes.go(place)
        elif place != EVERYWHERE:
            if slot is not None:
                self._screens.open(place)
            else:
                await self.do(command_of(OPENERS[place]))
            screen = self._screens.over  # it has made its widgets when it comes to this
            if screen is not None:
                screen.call_later(self._actions.run_action, str(command.action), screen)
            return
        await self.do(command)

    async def do(self, command: Command) -> None:
        """Carry out a command in the active pane."""
        refusal = self.why_not(command, self._panes.active)
        if refusal:
            self._tell(refusal)
            return
        if isinstance(command.action, str):
            await self._actions.run_action(command.action)
            return
        done = self._act(command.action)
        if inspect.isawaitable(done):
            await done
