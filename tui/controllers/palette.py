"""The palette: every command by name, with the place where it acts, and why it cannot now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.commands.command import command, commands
from tui.commands.places import OPENERS
from tui.controllers.perform import EVERYWHERE

if TYPE_CHECKING:
    from tui.controllers.panes import Panes
    from tui.controllers.perform import Perform
    from tui.controllers.ports import OpensScreens
    from tui.dialogs.palette import PaletteEntry
    from tui.session.session import Session


class Palette:
    """Lists the commands, and has the chosen one carried out in its place."""

    def __init__(
        self, session: Session, panes: Panes, perform: Perform, screens: OpensScreens
    ) -> None:
        self._session, self._panes = session, panes
        self._perform, self._screens = perform, screens

    def open(self) -> None:
        """Ask for a command."""
        from tui.dialogs.palette import PaletteScreen

        async def chosen(entry: PaletteEntry | None) -> None:
            if entry is not None:
                await self._perform.at(entry.command, entry.place)

        self._screens.push_screen(PaletteScreen(self.entries()), chosen)

    def entries(self) -> list[PaletteEntry]:
        """Every command once a place: the active pane's, those of everywhere, then the other places'."""
        from tui.dialogs.palette import PaletteEntry

        slots, active, entries = self._session.slots, self._panes.active, list[PaletteEntry]()
        of_panes = [pane.slot.name for pane in self._panes.views]
        over = [name for name, slot in slots.items() if slot.kind == "screen"]
        others = [name for name in of_panes if name != active]
        for place in (active, EVERYWHERE, *others, *over, *OPENERS):
            where = self._where(place)
            of_slot = slots[place].in_palette if place in slots else None
            listed = [each for each in commands(place) if each.palette]
            if place not in (EVERYWHERE, *of_panes):  # what acts everywhere is listed there
                listed = [each for each in listed if EVERYWHERE not in each.where]
            for each in [*listed, *(of_slot() if of_slot is not None else [])]:
                why_not = self._perform.why_not(each, place)
                entries.append(PaletteEntry(each, place, where, why_not))
        return entries

    def _where(self, place: str) -> str:
        if place == EVERYWHERE:
            return "everywhere"
        if place in OPENERS:
            return f"in {command(OPENERS[place]).label}"
        slot = self._session.slots[place]
        opener = slot.opener.label if slot.opener is not None else place
        return f"in {slot.place.title if slot.place is not None else opener}"
