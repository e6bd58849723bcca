"""Results taken away: copied, as the lines that make them again, as files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tui.files import export
from tui.files.export import SESSION
from tui.terminal import clipboard

if TYPE_CHECKING:
    from interpboard.results import Document
    from tui.controllers.notify import Tell
    from tui.controllers.ports import OpensScreens
    from tui.dialogs.export import Choice
    from tui.session.session import Session
    from tui.session.state import State
    from tui.slots.spec import Slot


class Export:
    """``slot`` is that of the active pane, ``readout`` what it says of its cursor, ``shown`` what the panes
    show of a snapshot.

    ``draw(name)`` is the pane called ``name``, or the whole screen, as SVG, once it is painted.
    """

    def __init__(
        self,
        session: Session,
        screens: OpensScreens,
        *,
        slot: Callable[[], Slot],
        shown: Callable[[State], State],
        readout: Callable[[], str],
        draw: Callable[[str, Callable[[str], None]], None],
        osc52: Callable[[str], None],
        folder: str,
        tell: Tell,
        report: Callable[[Path, str], None] = lambda _path, _form: None,
    ) -> None:
        self._session, self._screens, self._slot, self._readout = session, screens, slot, readout
        self._shown = shown
        self._draw, self._osc52, self.folder, self._tell = draw, osc52, folder, tell
        self._report = report

    @property
    def _state(self) -> State:
        """What is on the screen."""
        return self._shown(self._session.state)

    # -- copying ----------------------------------------------------------------------------------

    async def yank(self) -> None:
        """Copy the readout."""
        await self.copy(self._readout())

    async def yank_pane(self) -> None:
        """Copy the pane as markdown, with the slots beside it; the first is its own."""
        from tui.session.code import result_documents

        state, slot = self._as_shown(), self._slot()
        if state.means is not None:  # of no prompt, and nothing stands beside it
            await self.yank_slot(slot)
            return
        if state.slots[slot.name].result is None:
            await self.copy("")
            return
        kept = [self._session.slots[name] for name in self._shown_with(slot)]
        pages = [page for page, _ in result_documents(state, kept)]
        await self.copy("\n".join(export.render_document(page, "md") for page in pages))

    async def yank_slot(self, slot: Slot) -> None:
        """Copy the result of ``slot`` alone as markdown."""
        document = self._state.document([slot.name])
        await self.copy(export.render_document(document, "md") if document is not None else "")

    async def code(self) -> None:
        """Copy the lines that make the pane again."""
        await self.copy_code(*self._with_beside(self._slot()))

    async def copy_code(self, *slots: Slot) -> None:
        """Copy the lines that make the results of these slots again."""
        from tui.session.code import code

        text = code(self._state, slots)
        if text:
            await self.copy(text)
        else:
            self._tell("There is no result to make again yet.")

    async def copy(self, text: str) -> None:
        """Copy ``text`` and say where it went."""
        if not text:
            self._tell("Nothing to copy yet.")
            return
        try:
            self._tell(await clipboard.copy(text, self._osc52))
        except OSError as error:
            self._tell(f"Not copied: {error}", "error")

    # -- which slots ------------------------------------------------------------------------------

    def _with_beside(self, slot: Slot) -> list[Slot]:
        return [slot, *(self._session.slots[name] for name in slot.beside)]

    def _shown_with(self, slot: Slot) -> list[str]:
        """The slots whose results a pane or screen shows: its own, and those beside it."""
        state = self._state
        if slot.as_shown is not None:
            return [slot.name]
        return [each.name for each in self._with_beside(slot) if each is slot or each.shown(state)]

    def _as_shown(self) -> State:
        """The state with results as panes show them, with what stands beside them."""
        state = self._state
        for slot in self._session.slots.values():
            result = state.slots[slot.name].result
            if slot.as_shown is not None and result is not None:
                state = state.with_slot(slot.name, result=slot.as_shown(state, result))
        return state

    def _everything(self) -> list[str]:
        """What the panes show, and what screens over them have found for the current question."""
        state, slots = self._state, self._session.slots.values()
        in_panes = sorted(
            (slot for slot in slots if slot.place is not None),
            key=lambda slot: slot.place.number if slot.place is not None else 0,
        )
        every = [name for slot in in_panes for name in self._shown_with(slot)]
        over = [slot.name for slot in slots if slot.kind == "screen" and not slot.stale(state)]
        return list(dict.fromkeys([*every, *over]))

    # -- files ------------------------------------------------------------------------------------

    def choose_format(self, slot: Slot | None = None, size: int | None = None) -> None:
        """Ask how and where the result of ``slot``, or everything, is to be written.

        Without ``slot``: that of the active pane. ``size``: which circuit of a series is drawn.
        """
        from tui.dialogs.export import ExportScreen

        slot = slot or self._slot()
        state = self._state
        name = state.model.info.name if state.model is not None else "model"
        formats = export.formats(state.slots[slot.name].result)
        screen = ExportScreen(name, slot.name, self.folder, formats)
        self._screens.push_screen(screen, partial(self._answered, size=size))

    def export_document(self, document: Document, name: str) -> None:
        """Ask how and where one document, ``name`` in the file's name, is to be written."""
        from tui.dialogs.export import ExportScreen

        def answered(choice: Choice | None) -> None:
            if choice is not None and choice.kind == "svg":
                self._draw("all", partial(self._write, choice.path))
            elif choice is not None:
                self._write(choice.path, export.render_document(document, choice.kind))

        formats = export.formats(document.results[0])
        screen = ExportScreen(document.model.name, name, self.folder, formats, everything=False)
        self._screens.push_screen(screen, answered)

    def _answered(self, choice: Choice | None, size: int | None) -> None:
        if choice is None:
            return
        if choice.scope == SESSION:
            self._report(choice.path, choice.kind)
            return
        if choice.kind == "svg":
            self._draw(choice.scope, partial(self._write, choice.path))
            return
        state, slots = self._as_shown(), self._session.slots
        names: list[str] = []
        if choice.scope == "all":
            names = self._everything()
        elif state.slots[choice.scope].result is not None:
            names = self._shown_with(slots[choice.scope])
        document = state.document(names)
        if document is None:
            self._tell("There is no result to export yet.", "warning")
            return
        self._write(choice.path, export.render_document(document, choice.kind, size))

    def _write(self, path: Path, text: str) -> None:
        try:
            export.write_export(path, text)
        except OSError as error:
            self._tell(f"Cannot write {path}: {error.strerror or error}.", "error")
            return
        self._tell(f"Written: {path.absolute()}")
