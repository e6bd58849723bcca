"""Prompts of before, prompts with names, prompts of a file. A mixin of the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.display import visible
from interpboard.errors import InterpBoardError, StoreProblem
from interpboard.files.places import expanded
from tui.commands import table as keys
from tui.controllers.part import Part
from tui.files.prompt_book import PromptBook
from tui.session.state import DEFAULT_TEXT

if TYPE_CHECKING:
    from tui.files.prompt_file import PromptFile


LONGEST_NAME = 40


class Prompting(Part):
    """Actions of ``InterpBoardApp``. ``prompt_file`` is open, ``book`` has the rest."""

    book: PromptBook
    prompt_file: PromptFile | None

    def prepare_prompts(self, file: PromptFile | None, text: str | None) -> str:
        """Before anything is shown; the text to begin with: ``text`` if there is one."""
        self.book, self.prompt_file = PromptBook(), file
        self._draft = ""  # what was written before the field went back in time
        self._shown_before: str | None = None  # the older prompt in the field, while it is unedited
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._book_trouble = ""
        if file is not None and text in (None, *file.texts):
            at = 0 if text is None else file.texts.index(text)
            self.prompt_file = replace(file, at=at)
            return file.texts[at]
        return DEFAULT_TEXT if text is None else text

    async def open_book(self) -> None:
        """Read the prompts of before."""
        await self._on_disk(self.book.open)

    def ran(self, text: str) -> None:
        """``text`` was answered: it is one of those of before from now on."""
        if self.book.ran[-1:] != [text]:
            self.book.add(text)
            self._save()

    async def book_settled(self) -> None:
        """Wait until all of it is written."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _save(self) -> None:
        task = asyncio.create_task(self._on_disk(self.book.save))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _on_disk(self, work: Callable[[Path], None]) -> None:
        from interpboard.config import state_folder

        if self._me.saver.off:
            return
        async with self._writing:
            try:
                await asyncio.to_thread(lambda: work(state_folder() / "prompts.jsonl"))
            except (OSError, StoreProblem) as error:
                why = getattr(error, "strerror", None) or str(error).rstrip(".")
                trouble = f"Prompts are not saved: {why}."
                if trouble != self._book_trouble:
                    self._book_trouble = trouble
                    self._me.tell(trouble, "warning")

    # -- in the field -----------------------------------------------------------------------------

    def action_older_prompt(self) -> None:
        """Put the prompt before this one into the field."""
        app, now = self._me, self._me.prompt.text
        ran, at = self.book.ran, len(self.book.ran)
        if now == self._shown_before and now in ran:
            at = ran.index(now)
        else:
            self._draft = now
        older = [text for text in ran[:at] if text != now]
        if older:
            self._shown_before = older[-1]
            app.prompt.show(older[-1])

    def action_newer_prompt(self) -> None:
        """Put the prompt after this one into the field; behind the newest: to the panes."""
        app, now, ran = self._me, self._me.prompt.text, self.book.ran
        if now != self._shown_before or now not in ran:
            app.action_leave_prompt()
            return
        newer = ran[ran.index(now) + 1 :]
        newer = [text for text in newer if text != self._draft]
        self._shown_before = newer[0] if newer else None
        app.prompt.show(newer[0] if newer else self._draft)

    # -- lists ------------------------------------------------------------------------------------

    def action_prompts(self) -> None:
        """Search the prompts with names and those of before."""
        from tui.dialogs.pick_prompt import PickPromptScreen

        def chosen(text: str | None) -> None:
            if text is not None:
                self._run_prompt(text)

        def forget(name: str, text: str) -> None:
            if name:
                self.book.unname(name)
            else:
                self.book.forget(text)
            self._save()

        self.push_screen(PickPromptScreen(self.book, forget), chosen)

    def action_name_prompt(self) -> None:
        """Ask for a name of the prompt in the field."""
        text = self._me.prompt.text
        known = next((name for name, named in self.book.named.items() if named == text), "")

        def named(answer: str) -> None:
            name = answer.strip()[:LONGEST_NAME]
            if name:
                had = self.book.named.get(name, text)
                self.book.name(name, text)
                self._save()
                before = "" if had == text else f" It was: {had}"
                self._me.say(f"Named {name}: {keys.command('prompts').shown} opens it.{before}")

        hint = f"{keys.command('prompts').shown} finds it again. A name that is taken moves here."
        self._me.ask_line("Name of this prompt", (text, hint), known, named)

    # -- a file -----------------------------------------------------------------------------------

    def action_ask_prompts(self) -> None:
        """Ask for a file with one prompt a line."""
        from tui.files.prompt_file import read

        def answered(text: str) -> None:
            if not text.strip():
                self.prompt_file = None
                self.show_place()
                return
            try:
                self.prompt_file = read(expanded(text.strip()))
            except InterpBoardError as error:
                self._me.say(str(error), "error")
                return
            self.action_step_prompt(1)

        step = f"{keys.command('next_prompt').shown} and {keys.command('previous_prompt').shown}"
        hints = (f"One prompt a line; {step} step through them.", "Empty: no file.")
        self._me.ask_line("File of prompts", hints, "", answered)

    def action_step_prompt(self, by: int) -> None:
        """The next or previous prompt of the file; run it."""
        file = self.prompt_file
        if file is None:
            name = keys.command("prompt_file").label
            self._me.say(f"No file of prompts is open. : and “{name}” opens one.")
            return
        at = file.step(by, self._me.prompt.text)
        self.prompt_file = replace(file, at=at)
        self._run_prompt(file.texts[at])

    def show_place(self) -> None:
        """Say beside the prompt which of the file's it is."""
        file, words = self.prompt_file, ""
        text = self._me.prompt.text
        if file is not None and file.at >= 0 and file.texts[file.at] == text:
            words = f"{visible(file.name)[-20:]} {file.at + 1}/{len(file.texts)}"
        self._me.prompt.place(words)

    def _run_prompt(self, text: str) -> None:
        self._me.prompt.show(text)
        self._me.action_run()
        self._me.action_leave_prompt()
