"""What a chat brings that its template makes nothing of: templates drop it without a word."""

from __future__ import annotations

from msgspec.structs import replace

from interpboard.errors import BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.results import Chat, PromptInfo
from interpboard.runs.chat import rendered_chat


def not_in_template(lm: LanguageModel, prompt: PromptInfo) -> tuple[str, ...]:
    """A warning for words that do not stand in the prompt as they were given, and for tools without effect.

    Many templates have no place for tools or for a system's turn, and some cut what was thought out of
    earlier answers: the model answers as if it had not been there.
    """
    chat = prompt.chat
    if chat is None:
        return ()
    said = [
        f"The chat template does not put the {message.role}'s words in as they were given "
        f"(message {number}): the model sees what the prompt's text shows."
        for number, message in enumerate(chat.messages)
        if message.content.strip() not in prompt.text
    ]
    if chat.tools and _without_tools(lm, chat) == prompt.text:
        said.append(
            "The chat template makes nothing of the tools: the prompt is the same without them."
        )
    return tuple(said)


def _without_tools(lm: LanguageModel, chat: Chat) -> str | None:
    try:
        return rendered_chat(lm, replace(chat, tools=()))
    except BadPrompt:  # the template cannot do without
        return None
