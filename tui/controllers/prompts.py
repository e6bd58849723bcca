"""Prompts that were run, prompts with names, prompts of a file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.config import DEFAULT_TEXT
from interpboard.display import visible
from interpboard.errors import InterpBoardError, StoreProblem
from interpboard.files.places import expanded
from tui.commands.command import keyed, shown_keys
from tui.controllers.background import BackgroundWork
from tui.files.prompt_book import PromptBook
from tui.session.chat_draft import chat_line

if TYPE_CHECKING:
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine, OpensScreens, PromptField
    from tui.files.prompt_file import PromptFile
    from tui.session.state import PromptKind

LONGEST_PROMPT_NAME = 40


class Prompts:
    """``file`` is open, ``book`` has the rest; ``run`` runs what the field says, ``leave`` leaves it.

    ``keeps``: is there a place to keep the book?
    """

    def __init__(
        self,
        file: PromptFile | None,
        text: str | None,
        *,
        field: Callable[[], PromptField],
        run: Callable[[], None],
        leave: Callable[[], None],
        keeps: Callable[[], bool],
        screens: OpensScreens,
        input_line: InputsLine,
        tell: Tell,
        open_table: Callable[[], None] = lambda: None,
        chat: str = "",
    ) -> None:
        self.book, self.file = PromptBook(), file
        self._open_table = open_table
        self._field, self._run, self._leave, self._keeps = field, run, leave, keeps
        self._screens, self._input_line, self._tell = screens, input_line, tell
        self._draft = ""  # what was written before the field went back in time
        self._shown_before: str | None = None  # the older prompt in the field, while it is unedited
        self._writing = asyncio.Lock()
        self._background = BackgroundWork(tell)
        self._trouble = ""
        self.first = chat or (DEFAULT_TEXT if text is None else text)  # what to begin with
        self._is_example = self.first == DEFAULT_TEXT
        self.first_kind: PromptKind = "chat" if chat else "text"
        usable = file.usable if file is not None else ()
        at = next((at for at in usable if file and text in (None, file.texts[at])), None)
        if chat:  # the file waits until it is stepped through
            at = None
        if file is not None and at is not None:
            self.file, self.first = replace(file, at=at), file.texts[at]

    async def open(self) -> None:
        """Read the earlier prompts."""
        await self._on_disk(self.book.open)

    def ran(self, text: str, kind: PromptKind = "text") -> None:
        """``text`` was answered: from now on it is one of the earlier prompts."""
        if kind != "bare" and self.book.ran[-1:] != [text]:
            self.book.add(text, chat=kind == "chat")
            self._save()

    def _kind_of(self, text: str) -> PromptKind:
        """What one of the earlier prompts is."""
        return "chat" if text in self.book.chats else "text"

    async def idle(self) -> None:
        """Wait until all of the book is written."""
        await self._background.settled()

    def _save(self) -> None:
        self._background.begin(self._on_disk(self.book.save))

    async def _on_disk(self, work: Callable[[Path], None]) -> None:
        from interpboard.config import state_folder

        if not self._keeps():
            return
        async with self._writing:
            try:
                await asyncio.to_thread(lambda: work(state_folder() / "prompts.jsonl"))
            except (OSError, StoreProblem) as error:
                why = getattr(error, "strerror", None) or str(error).rstrip(".")
                trouble = f"Prompts are not saved: {why}."
                if trouble != self._trouble:
                    self._trouble = trouble
                    self._tell(trouble, "warning")

    # -- in the field -----------------------------------------------------------------------------

    def older(self) -> None:
        """Put the prompt before this one into the field; chats are no field's, the list has them."""
        field = self._field()
        now, ran = field.text, self._texts
        at = len(ran)
        if now == self._shown_before and now in ran:
            at = ran.index(now)
        else:
            self._draft = now
        older = [text for text in ran[:at] if text != now]
        if older:
            self._shown_before = older[-1]
            field.show(older[-1])

    def newer(self) -> None:
        """Put the prompt after this one into the field; behind the newest: to the panes."""
        field, ran = self._field(), self._texts
        now = field.text
        if now != self._shown_before or now not in ran:
            self._leave()
            return
        newer = ran[ran.index(now) + 1 :]
        newer = [text for text in newer if text != self._draft]
        self._shown_before = newer[0] if newer else None
        field.show(newer[0] if newer else self._draft)

    @property
    def _texts(self) -> list[str]:
        return [text for text in self.book.ran if text not in self.book.chats]

    # -- lists ------------------------------------------------------------------------------------

    def search(self) -> None:
        """Search earlier prompts and prompts with names."""
        from tui.dialogs.pick_prompt import PickPromptScreen

        def chosen(text: str | None) -> None:
            if text is not None:
                self._run_prompt(text, self._kind_of(text))

        def forget(name: str, text: str) -> None:
            if name:
                self.book.unname(name)
            else:
                self.book.forget(text)
            self._save()

        self._screens.push_screen(PickPromptScreen(self.book, forget), chosen)

    def name_prompt(self) -> None:
        """Ask for a name of the prompt in the field."""
        field = self._field()
        text, chat = field.text, field.kind == "chat"
        shown = chat_line(text) if chat else text
        known = next((name for name, named in self.book.named.items() if named == text), "")

        def named(answer: str) -> None:
            name = answer.strip()[:LONGEST_PROMPT_NAME]
            if name:
                had = self.book.named.get(name, text)
                was = chat_line(had) if had in self.book.chats else had
                self.book.name(name, text, chat=chat)
                self._save()
                before = "" if had == text else f" It was: {was}"
                self._tell(f"Named {name}: {shown_keys('prompts')} opens it.{before}")

        hint = f"{shown_keys('prompts')} finds it again. A name that is taken moves here."
        self._input_line("Name of this prompt", (shown, hint), known, named)

    # -- a file -----------------------------------------------------------------------------------

    def open_prompt_file(self) -> None:
        """Ask for a file with one prompt a line."""
        from tui.files.prompt_file import read_prompt_file

        def answered(text: str) -> None:
            if not text.strip():
                self.file = None
                self.show_place()
                return
            try:
                self.file = read_prompt_file(expanded(text.strip()))
            except InterpBoardError as error:
                self._tell(str(error), "error")
                return
            self._open_table()

        step = f"a table; {shown_keys('next_prompt')} and {shown_keys('previous_prompt')}"
        hints = (f"One prompt a line; {step} step through them.", "Empty: no file.")
        self._input_line("File of prompts", hints, "", answered)

    def step(self, by: int) -> None:
        """The next or previous prompt of the file; run it."""
        file = self.file
        if file is None:
            self._tell(keyed("No file of prompts is open: {key:prompt_file} opens one."))
            return
        at = file.step(by, self._field().text)
        if at is None:
            self._tell(file.problem(0), "warning")
            return
        self.file = replace(file, at=at)
        self._run_prompt(file.texts[at])

    def at_text(self, text: str) -> None:
        """The file's prompt ``text`` was opened: steps go on from it."""
        if self.file is not None and text in self.file.texts:
            self.file = replace(self.file, at=self.file.texts.index(text))
        self.show_place()

    def show_place(self) -> None:
        """Say beside the prompt which of the file's it is."""
        file, words = self.file, ""
        text = self._field().text
        if file is not None and file.at >= 0 and file.texts[file.at] == text:
            words = f"{visible(file.name)[-20:]} {file.at + 1}/{len(file.texts)}"
        self._field().place(words)

    def changed(self, text: str) -> None:
        """What is asked of is ``text``: a model that fills masks in has put one into the first example, once.

        What the user wrote stays.
        """
        if self._is_example and text.startswith(f"{DEFAULT_TEXT} "):
            self._is_example = False
            field = self._field()
            if field.text == DEFAULT_TEXT:
                field.show(text, "text")

    def _run_prompt(self, text: str, kind: PromptKind = "text") -> None:
        self._field().show(text, kind)
        self._run()
        self._leave()
