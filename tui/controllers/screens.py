"""What opens over the panes: help, palette, log, small questions, and the screens of slots."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tui.commands.command import command, commands
from tui.commands.places import OPENERS

if TYPE_CHECKING:
    from textual.screen import Screen

    from interpboard.store import SavedRun
    from tui.app import InterpBoardApp
    from tui.controllers.controllers import Controllers
    from tui.dialogs.palette import Entry
    from tui.dialogs.plot import Plotted

EVERYWHERE = "app"


class Screens:
    """Opens them on the app."""

    def __init__(self, app: InterpBoardApp, controllers: Controllers) -> None:
        self._app, self._with = app, controllers

    def push(self, screen: Screen[Any], answered: Callable[[Any], None] | None = None) -> None:
        """Open ``screen``; ``answered`` is called with what it is left with."""
        self._app.push_screen(screen, answered)

    def input_line(
        self, title: str, hints: tuple[str, ...], value: str, then: Callable[[str], None]
    ) -> None:
        """Ask for a line of text; ``then`` is called with it, unless the question is left."""
        from tui.dialogs.line_input import LineInput, LineInputScreen

        def answered(text: str | None) -> None:
            if text is not None:
                then(text)

        self._app.push_screen(LineInputScreen(LineInput(title, hints, value)), answered)

    def uncover(self) -> None:
        """Back to the panes, out of whatever is over them."""
        while len(self._app.screen_stack) > 1:
            self._app.screen.dismiss(None)

    def open(self, name: str) -> None:
        """The screen of a slot."""
        slot = self._with.session.slots[name]
        self._app.push_screen(slot.load_view()(slot, self._with))

    def help(self) -> None:
        """The keys of the active pane."""
        from tui.dialogs.help import HelpScreen

        view = self._with.panes.view
        slot = view.slot
        assert slot.place is not None
        heading = f"{slot.place.number} {slot.place.title}"
        self._app.push_screen(HelpScreen(slot.name, heading, slot.about, view.lines_in_full()))

    def palette(self) -> None:
        """Every command by name."""
        from tui.dialogs.palette import PaletteScreen

        async def chosen(entry: Entry | None) -> None:
            if entry is not None:
                await self._app.do_at(entry.command, entry.place)

        self._app.push_screen(PaletteScreen(self._entries()), chosen)

    def _entries(self) -> list[Entry]:
        """Every command once a place: the active pane's, those of everywhere, then the other places'."""
        from tui.dialogs.palette import Entry

        own, slots = self._with, self._with.session.slots
        active, found = own.panes.active, list[Entry]()
        of_panes = [pane.slot.name for pane in own.panes.views]
        over = [name for name, slot in slots.items() if slot.kind == "screen"]
        others = [name for name in of_panes if name != active]
        for place in (active, EVERYWHERE, *others, *over, *OPENERS):
            where = self._where(place)
            made = slots[place].in_palette if place in slots else None
            listed = [each for each in commands(place) if each.palette]
            if place not in (EVERYWHERE, *of_panes):  # what acts everywhere is listed there
                listed = [each for each in listed if EVERYWHERE not in each.where]
            for each in [*listed, *(made() if made is not None else [])]:
                found.append(Entry(each, place, where, self._app.why_not(each, place)))
        return found

    def _where(self, place: str) -> str:
        if place == EVERYWHERE:
            return "everywhere"
        if place in OPENERS:
            return f"in {command(OPENERS[place]).label}"
        slot = self._with.session.slots[place]
        opener = slot.opener.label if slot.opener is not None else place
        return f"in {slot.place.title if slot.place is not None else opener}"

    def why_no_plot(self) -> str:
        """Why the active pane holds nothing to draw as lines; empty: it does."""
        from interpboard.errors import InterpBoardError
        from tui.slots.plotted import plotted

        try:
            plotted(self._with.panes.view).curves  # noqa: B018 - or why there are none
        except InterpBoardError as error:
            return str(error)
        return ""

    def plot(self, source: Callable[[], Plotted] | None = None) -> None:
        """The lines of ``source`` on the whole screen; without one, of the active pane."""
        from interpboard.errors import InterpBoardError
        from tui.dialogs.plot import PlotScreen
        from tui.slots.plotted import plotted

        own = self._with
        source = source or partial(plotted, own.panes.view)
        try:
            source().curves  # noqa: B018 - or why there are none
        except InterpBoardError as error:
            own.tell(str(error))
            return
        folder = own.export.folder
        screen = PlotScreen(source, own.models.name, folder, self.input_line, own.tell)
        self._app.push_screen(screen)

    def log(self) -> None:
        """The engine's last words, and every message."""
        from tui.dialogs.log import LogScreen
        from tui.widgets.lines import under_way

        def left(again: bool | None) -> None:
            if again:
                self._with.run_prompt()

        state, said = self._with.state, tuple(self._with.messages.said)
        self._app.push_screen(LogScreen(state.engine, said, under_way(state)), left)

    def interventions(self) -> None:
        """The list of interventions."""
        from tui.slots.what_if.view import InterventionsScreen

        self._app.push_screen(InterventionsScreen(self._with))

    def prompt_table(self) -> None:
        """The open file of prompts."""
        from tui.dialogs.prompt_table import PromptTableScreen

        own = self._with
        self._app.push_screen(PromptTableScreen(own.prompt_table, own.export.copy))

    def saved_runs(self) -> None:
        """The saved runs."""
        from tui.dialogs.runs import RunsScreen

        own = self._with

        async def chosen(run: SavedRun | None) -> None:
            if run is not None:
                await own.saved_runs.reopen(run)

        screen = RunsScreen(
            own.saver.store, own.export, self.input_line, own.tell, own.saved_runs.compare
        )
        self._app.push_screen(screen, chosen)
