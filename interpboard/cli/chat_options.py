"""A chat from the command line: a file, JSON, or a turn an option."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interpboard.errors import BadParameter, BadPrompt

if TYPE_CHECKING:
    from interpboard.results import Chat

ChatFile = Annotated[
    str | None,
    typer.Option(
        "--chat",
        metavar="FILE",
        help='A chat in place of a text: a JSON file, or JSON: [{"role": "user", "content": "..."}].',
    ),
]
System = Annotated[str | None, typer.Option(help="A chat: what the system says.")]
User = Annotated[str | None, typer.Option(help="A chat: what the user says.")]
Assistant = Annotated[
    str | None, typer.Option(help="A chat: the beginning of the answer, which goes on.")
]
Template = Annotated[
    Path | None,
    typer.Option("--chat-template", metavar="FILE", help="In place of the tokenizer's own."),
]


def chosen_chat(
    text: str | None,
    chat: str | None,
    system: str | None,
    user: str | None,
    assistant: str | None,
    template: Path | None,
) -> Chat | None:
    """The chat asked for; None: none is. Raises ``BadParameter`` or ``BadPrompt``."""
    turns = {"system": system, "user": user, "assistant": assistant}
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

    template_text = "" if template is None else read_chat_file(template)
    if chat is None:
        messages = tuple(Message(role, words) for role, words in spoken.items())
        return Chat(messages, assistant is not None, chat_template=template_text)
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
