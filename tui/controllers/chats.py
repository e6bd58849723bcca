"""Chats as prompts: written in an editor, tried by the model's template, run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from interpboard.errors import InterpBoardError
from interpboard.files.places import expanded
from tui.session.chat_draft import Draft, DraftTurn, last_words

if TYPE_CHECKING:
    from tui.controllers.ports import InputsLine, OpensScreens, PromptField
    from tui.session.session import Session


class Chats:
    """``field`` shows the prompt, ``run`` runs what it says; ``write_text`` goes on with a plain text."""

    def __init__(
        self,
        session: Session,
        screens: OpensScreens,
        *,
        field: Callable[[], PromptField],
        run: Callable[[], None],
        write_text: Callable[[str], None],
        input_line: InputsLine,
    ) -> None:
        self._session, self._screens = session, screens
        self._field, self._run, self._write_text = field, run, write_text
        self._input_line = input_line
        self._left: tuple[str, Draft] | None = None  # beside which prompt, and what was written

    def edit(self) -> None:
        """Open the editor on the prompt's chat; of a text the user's turn says it."""
        from tui.dialogs.chat import ChatScreen

        field = self._field()
        draft = (
            Draft.of(field.text)
            if field.kind == "chat"
            else Draft((DraftTurn("user", field.text),))
        )
        if self._left is not None and self._left[0] == field.text:
            draft = self._left[1]
        self._screens.push_screen(ChatScreen(self, draft))

    def keep(self, draft: Draft) -> None:
        """The editor was left: ``draft`` is there when it opens again beside the same prompt."""
        self._left = (self._field().text, draft)

    def run(self, draft: Draft) -> None:
        """Run the chat in the panes."""
        self._left = None
        self._field().show(draft.json, "chat")
        self._run()

    def write(self, draft: Draft) -> None:
        """A plain text in place of the chat."""
        self.keep(draft)
        self._write_text(last_words([(turn.role, turn.content) for turn in draft.turns]))

    async def why_not(self, draft: Draft) -> tuple[str, str]:
        """What is to be said of ``draft``, and what is wrong with it; both empty: that is not known now."""
        from interpboard.engine.protocol import Failed  # with numpy: after the first paint

        if not self._session.ready:
            return "", ""
        found = await self._session.tokens.of_chat(draft.json)
        if found is None:
            return "", ""
        if isinstance(found, Failed):
            return "", f"{found.message} {found.remedy}".strip()
        count = len(found.prompt.token_ids)
        words = " ".join(found.said) or f"explained is the first of the answer, behind {count - 1}"
        return f"{count} tokens; {words}", ""

    def ask_file(self, then: Callable[[Draft], None], refused: Callable[[str], None]) -> None:
        """Ask for a file; ``then`` is called with its chat, ``refused`` with why it holds none."""
        from interpboard.results.chats import chat_in, chat_json, read_chat_file

        def answered(name: str) -> None:
            if not name.strip():
                return
            path = expanded(name.strip())
            try:
                then(Draft.of(chat_json(chat_in(read_chat_file(path), path.name))))
            except InterpBoardError as error:
                refused(str(error))

        hint = '[{"role": "user", "content": "…"}], as --chat takes it.'
        self._input_line("File with a chat", (hint,), "", answered)
