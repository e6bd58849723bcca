"""Taking results away: copying, the lines that make them again, files. A mixin of the app."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tui.controllers.part import Part
from tui.files import export as exporting
from tui.session.state import SCREENS
from tui.terminal import clipboard

if TYPE_CHECKING:
    from interpboard.results import Document


class Taking(Part):
    """Actions of ``InterpBoardApp``."""

    async def action_yank(self) -> None:
        """Copy the readout."""
        text = self._me.pane(self._me.active).readout().plain.strip()
        await self.copy_text(text)

    async def action_yank_pane(self) -> None:
        """Copy the pane as markdown."""
        pages = [exporting.render(page, "md") for page in self._documents_of(self._me.active)]
        await self.copy_text("\n".join(pages))

    def _documents_of(self, slot: str) -> list[Document]:
        """What the pane of ``slot`` shows, the slots beside it too; the first is its own."""
        from tui.session.code import documents

        beside = [pane.leans_on for pane in self._me.panes if pane.slot == slot]
        if self._me.state.slots[slot].result is None:
            return []
        slots = (slot, *(beside[0] if beside else ()))
        return [document for document, _ in documents(self._me.state, slots)]

    async def action_code(self) -> None:
        """Copy the lines that make the pane again."""
        pane = self._me.pane(self._me.active)
        await self.copy_code(pane.slot, *pane.leans_on)

    async def copy_code(self, *slots: str) -> None:
        """Copy the lines that make the results of these slots again."""
        from tui.session.code import code

        text = code(self._me.state, slots)
        if text:
            await self.copy_text(text)
        else:
            self._me.say("There is no result to make again yet.")

    async def copy_text(self, text: str) -> None:
        """Copy ``text`` and say where it went."""
        if not text:
            self._me.say("Nothing to copy yet.")
            return
        try:
            self._me.say(await clipboard.copy(text, self.copy_to_clipboard))
        except OSError as error:
            self._me.say(f"Not copied: {error}", "error")

    def _slots_of(self, slot: str) -> list[str]:
        """The slots whose results a pane or screen shows: its own, and those beside it."""
        from tui.session.code import shown

        beside = {pane.slot: pane.leans_on for pane in self._me.panes}.get(slot, ())
        return [slot, *(name for name in beside if shown(self._me.state, name))]

    def _everything(self) -> list[str]:
        """What the panes show, and what screens over them have found for the question of now."""
        every = [name for pane in self._me.panes for name in self._slots_of(pane.slot)]
        state = self._me.state
        return list(dict.fromkeys([*every, *(n for n in SCREENS if not state.stale(n))]))

    def action_export(self) -> None:
        """Ask how and where, then write."""
        self.export(self._me.active)

    def export(self, slot: str, size: int | None = None) -> None:
        """Ask how and where the result of ``slot``, or everything, is to be written.

        ``size``: which circuit of a series is drawn.
        """
        from tui.dialogs.export import ExportScreen

        model = self._me.state.model
        name = model.info.name if model is not None else "model"
        folder = self._me.settings.export_folder
        formats = exporting.formats(self._me.state.slots[slot].result)
        screen = ExportScreen(name, slot, folder, formats)
        self.push_screen(screen, partial(self._export, size=size))

    def export_document(self, document: Document, name: str) -> None:
        """Ask how and where one document, ``name`` in the file's name, is to be written."""
        from tui.dialogs.export import ExportScreen

        def answered(choice: Any) -> None:
            if choice is not None:
                written = None if choice.kind == "svg" else document
                self.call_after_refresh(self._write, choice, written)

        folder = self._me.settings.export_folder
        formats = exporting.formats(document.results[0])
        screen = ExportScreen(document.model.name, name, folder, formats, everything=False)
        self.push_screen(screen, answered)

    def _export(self, choice: Any, size: int | None) -> None:
        if choice is None:
            return
        if choice.kind == "svg":  # after the question is gone from the screen
            self.call_after_refresh(self._write, choice, None)
            return
        state, everything = self._me.state, choice.scope == "all"
        document = None
        if everything or state.slots[choice.scope].result is not None:
            document = state.document(
                self._everything() if everything else self._slots_of(choice.scope)
            )
        if document is None:
            self._me.say("There is no result to export yet.", "warning")
            return
        self._write(choice, document, size)

    def _write(self, choice: Any, document: Any, size: int | None = None) -> None:
        try:
            if document is not None:
                text = exporting.render(document, choice.kind, size)
            elif choice.scope == "all" or choice.scope not in {p.slot for p in self._me.panes}:
                text = exporting.picture(self, self.screen.region)
            else:
                text = exporting.picture(self, self._me.pane(choice.scope).region)
            exporting.write(choice.path, text)
        except OSError as error:
            self._me.say(f"Cannot write {choice.path}: {error.strerror or error}.", "error")
            return
        self._me.say(f"Written: {choice.path.absolute()}")
