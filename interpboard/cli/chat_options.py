"""A chat from the command line: a file, JSON, or a turn an option."""

from __future__ import annotations

import json
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
    from interpboard.results.chats import read_chat

    template_text = "" if template is None else _read(template)
    if chat is None:
        messages = tuple(Message(role, words) for role, words in spoken.items())
        return Chat(messages, assistant is not None, chat_template=template_text)
    given = read_chat(*_json(chat))
    return Chat(
        given.messages,
        given.continue_final_message,
        given.tools,
        template_text or given.chat_template,
    )


def _json(chat: str) -> tuple[object, str]:
    """What stands in the file, or in the option itself; and what it is called."""
    inline = chat.lstrip()[:1] in ("[", "{")
    where = "--chat" if inline else chat
    try:
        return json.loads(chat if inline else _read(Path(chat))), where
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadPrompt(f"{where} is not JSON: {error}.") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadPrompt(f"{path} is not UTF-8 text.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadPrompt(f"{path} cannot be read: {reason}.") from None
