"""Chats as the fake engine reads them: a template with marks, words as tokens."""

from __future__ import annotations

from interpboard.results import Chat, PromptInfo, Turn
from tests.tui.answers import ids_of, tokens_of


def prompt(chat: Chat) -> PromptInfo:
    """``<user> words </user>`` a turn, and ``<assistant>`` where the answer begins."""
    tokens: list[str] = []
    turns: list[Turn] = []
    for number, message in enumerate(chat.messages):
        begin = len(tokens)
        tokens += [f"<{message.role}>"]
        content = (len(tokens), len(tokens) + len(tokens_of(message.content)))
        tokens += tokens_of(message.content)
        if not (chat.continue_final_message and number == len(chat.messages) - 1):
            tokens += [f"</{message.role}>"]
        turns.append(Turn(message.role, begin, len(tokens), content))
    if not chat.continue_final_message:
        turns.append(Turn("assistant", len(tokens), len(tokens) + 1, (len(tokens) + 1,) * 2))
        tokens += ["<assistant>"]
    ends = [sum(map(len, tokens[: at + 1])) for at in range(len(tokens))]
    spans = tuple(zip([0, *ends], ends, strict=False))
    own = tuple(tokens)
    return PromptInfo("".join(own), own, ids_of(own), spans, chat, tuple(turns))
