"""Chats from JSON and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from interpboard.errors import BadPrompt
from interpboard.files.json_names import json_marked, name_twice
from interpboard.results.info import Chat, Message

_OF_MESSAGE = ("role", "content")
_FORM = 'A chat is [{"role": "user", "content": "…"}].'


def read_chat(given: Any, where: str = "The chat") -> Chat:
    """A chat from JSON: a list of messages, or an object with ``messages`` and the other words of ``Chat``.

    Raises ``BadPrompt``.
    """
    whole = {"messages": given} if isinstance(given, list) else given
    known = set(Chat.__struct_fields__)
    if not isinstance(whole, dict) or not isinstance(whole.get("messages"), list):
        raise BadPrompt(f"{where} holds no chat.", _FORM)
    if other := sorted(set(map(str, whole)) - known):
        raise BadPrompt(f"{where} has {other[0]!r}.", f"A chat has {', '.join(sorted(known))}.")
    messages = [_message(one, f"{where}: message {at}") for at, one in enumerate(whole["messages"])]
    tools = whole.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise BadPrompt(f"{where}: tools are a list of JSON schemas.")
    goes_on = whole.get("continue_final_message") or False
    if not isinstance(goes_on, bool):
        raise BadPrompt(f"{where}: continue_final_message is true or false.")
    template = whole.get("chat_template") or ""
    if not isinstance(template, str):
        raise BadPrompt(f"{where}: chat_template is a text, the template itself.")
    return Chat(tuple(messages), goes_on, tuple(tools), template)


def _message(given: Any, where: str) -> Message:
    if not isinstance(given, dict):
        raise BadPrompt(f"{where} is no {{role, content}}.", _FORM)
    for key in _OF_MESSAGE:
        if given.get(key) is None:
            raise BadPrompt(f"{where} has no {key}.", _FORM)
    role, content = given["role"], given["content"]
    if isinstance(content, list):
        raise BadPrompt(
            f"{where} has its content in parts.",
            "Write its text as one string; pictures and tool calls are not read.",
        )
    for key in _OF_MESSAGE:
        if not isinstance(given[key], str):
            raise BadPrompt(f"{where}: its {key} is no text.", _FORM)
    beside = [key for key, value in given.items() if value and key not in _OF_MESSAGE]
    if beside:
        raise BadPrompt(
            f"{where} has {beside[0]!r}, which is not read.",
            "A message is its role and content: write it there, or leave it out.",
        )
    return Message(role, content)


def chat_in(text: str, where: str = "The chat") -> Chat:
    """The chat whose JSON ``text`` is, see ``read_chat``. Raises ``BadPrompt``."""
    try:
        given = json_marked(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadPrompt(f"{where} is not JSON: {error}.", _FORM) from None
    if (twice := name_twice(given)) is not None:
        raise BadPrompt(f"{where} has {twice!r} twice in one object.", "Leave one.")
    return read_chat(given, where)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


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
