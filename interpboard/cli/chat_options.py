"""A chat from the command line: a file, JSON, or a turn an option."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interpboard.cli.options import read_text
from interpboard.errors import BadParameter, BadPrompt

if TYPE_CHECKING:
    from interpboard.results import Chat


@dataclass(frozen=True)
class ChatFlags:
    """A chat: all its turns, or one an option."""

    chat: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help='A chat in place of a text: a JSON file, or JSON: [{"role": "user", "content": "..."}].',
        ),
    ] = None
    system: Annotated[str | None, typer.Option(help="A chat: what the system says.")] = None
    user: Annotated[str | None, typer.Option(help="A chat: what the user says.")] = None
    assistant: Annotated[
        str | None, typer.Option(help="A chat: the beginning of the answer, which goes on.")
    ] = None
    chat_template: Annotated[
        Path | None, typer.Option(metavar="FILE", help="In place of the tokenizer's own.")
    ] = None

    text_pair: Annotated[
        str | None,
        typer.Option(help="A second text, for a model that gives labels to pairs of texts."),
    ] = None

    decoder_text: Annotated[
        str | None,
        typer.Option(
            "--decoder-text",
            metavar="TEXT",
            help="Of an encoder–decoder: what its answer begins with, the text being its source. The same as "
            "--text 'SOURCE ||| TEXT'.",
        ),
    ] = None

    def text(self, given: str) -> str:
        """``given``, standard input where that is ``-``, with the decoder text where there is one."""
        read = read_text(given)
        if self.decoder_text is None:
            return read
        from interpboard.results.two_texts import SourceAndPrefix, one_text

        return SourceAndPrefix(one_text(read, self.decoder_text))

    def prompt(self, text: str | None) -> str | Chat | None:
        """The prompt: ``text``, standard input where that is ``-``, with the second text of a pair, or the
        chat; None: there is none.

        Raises ``BadParameter`` where there are both, or ``BadPrompt``.
        """
        chat = chosen_chat(text, self)
        if self.text_pair is None:
            return chat if text is None else self.text(text)
        if text is None:
            raise BadPrompt("The second text of a pair has no first.", "Give it with --text '...'.")
        if not self.text_pair.strip():
            raise BadPrompt("The second text of the pair is empty.", "Write one, or leave it out.")
        if self.decoder_text is not None:
            raise BadPrompt("No model takes both a --text-pair and a --decoder-text.", "Use one.")
        from interpboard.results.two_texts import one_text

        return one_text(read_text(text), self.text_pair)


def chosen_chat(text: str | None, flags: ChatFlags) -> Chat | None:
    """The chat asked for; None: none is. Raises ``BadParameter`` or ``BadPrompt``."""
    if text is None and flags.decoder_text is not None:
        raise BadPrompt("--decoder-text needs a source.", "Give it with --text '...'.")
    chat, user, template = flags.chat, flags.user, flags.chat_template
    turns = {"system": flags.system, "user": user, "assistant": flags.assistant}
    spoken = {role: words for role, words in turns.items() if words is not None}
    if chat is None and not spoken:
        if template is not None:
            raise BadParameter("--chat-template is for a chat.", "Give --chat or --user.")
        return None
    if text is not None:
        raise BadParameter("A prompt is a text or a chat, not both.", "Leave out --text.")
    if chat is not None and spoken:
        raise BadParameter(
            f"--chat holds all turns, --{next(iter(spoken))} is one more.", "Use one of the two."
        )
    if chat is None and user is None:
        raise BadPrompt("The chat has no user's turn.", "Give it with --user '...'.")
    from interpboard.results import Chat, Message  # with numpy, which no other command waits for
    from interpboard.results.chats import chat_in, read_chat_file

    if chat is not None and not chat.strip():
        raise BadPrompt("--chat is empty.", "Give a file, or JSON.")
    template_text = "" if template is None else read_chat_file(template)
    if template is not None and not template_text.strip():
        raise BadPrompt(
            f"{template} holds no chat template.", "Leave out --chat-template, or write one."
        )
    if chat is None:
        messages = tuple(Message(role, words) for role, words in spoken.items())
        return Chat(messages, flags.assistant is not None, chat_template=template_text)
    inline = chat.lstrip()[:1] in ("[", "{")
    given = chat_in(chat, "--chat") if inline else chat_in(read_chat_file(Path(chat)), chat)
    return Chat(
        given.messages,
        given.continue_final_message,
        given.tools,
        template_text or given.chat_template,
    )


def chat_text(chat: Chat | None) -> str:
    """``chat`` as JSON; empty: there is none."""
    if chat is None:
        return ""
    from interpboard.results.chats import chat_json

    return chat_json(chat)
