"""Chats from JSON and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from interpboard.errors import BadPrompt
from interpboard.results.info import Chat, Message

_OF_MESSAGE = ("role", "content")


def read_chat(given: Any, where: str = "The chat") -> Chat:
    """A chat from JSON: a list of messages, or an object with ``messages`` and the other words of ``Chat``.

    Raises ``BadPrompt``.
    """
    whole = {"messages": given} if isinstance(given, list) else given
    known = set(Chat.__struct_fields__)
    if not isinstance(whole, dict) or not isinstance(whole.get("messages"), list):
        raise BadPrompt(f"{where} holds no chat.", 'A chat is [{"role": "user", "content": "…"}].')
    if other := sorted(set(map(str, whole)) - known):
        raise BadPrompt(f"{where} has {other[0]!r}.", f"A chat has {', '.join(sorted(known))}.")
    messages = []
    for number, message in enumerate(whole["messages"]):
        if not isinstance(message, dict) or not all(
            isinstance(message.get(key), str) for key in ("role", "content")
        ):
            raise BadPrompt(
                f"{where}: message {number} is no {{role, content}} of two texts.",
                "Pictures and tool calls are not read.",
            )
        beside = [key for key, value in message.items() if value and key not in _OF_MESSAGE]
        if beside:
            raise BadPrompt(
                f"{where}: message {number} has {beside[0]!r}, which is not read.",
                "A message is its role and content: write it there, or leave it out.",
            )
        messages.append(Message(message["role"], message["content"]))
    tools = whole.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise BadPrompt(f"{where}: tools are a list of JSON schemas.")
    goes_on = whole.get("continue_final_message") or False
    if not isinstance(goes_on, bool):
        raise BadPrompt(f"{where}: continue_final_message is true or false.")
    return Chat(
        tuple(messages),
        goes_on,
        tuple(tools),
        str(whole.get("chat_template") or ""),
    )


def chat_in(text: str, where: str = "The chat") -> Chat:
    """The chat whose JSON ``text`` is, see ``read_chat``. Raises ``BadPrompt``."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadPrompt(f"{where} is not JSON: {error}.") from None
    return read_chat(given, where)


def read_chat_file(path: Path) -> str:
    """What stands in a file. Raises ``BadPrompt`` where it cannot be read, or is no text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadPrompt(f"{path} is not UTF-8 text.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadPrompt(f"{path} cannot be read: {reason}.") from None


def chat_json(chat: Chat) -> str:
    """``chat`` as ``read_chat`` reads it: a list of messages where there is nothing else to say."""
    whole = msgspec.to_builtins(chat)
    filled = {name: value for name, value in whole.items() if value}
    alone = set(filled) == {"messages"}
    return msgspec.json.encode(filled["messages"] if alone else filled).decode()
