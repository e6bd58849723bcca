"""Chats: what the tokenizer's template makes of the turns, and which tokens are whose.

The template is the tokenizer's own, rendered by transformers in its sandbox, and what it gives is tokenised
as transformers does: with nothing put around it, since the template has put it there already. Where each
turn stands is found by rendering the chat once more with marks in place of the contents, which shows the
template's own text between them; put together with the contents it must be what was rendered. Where a
template does more with contents than to place them, each turn's end is where the chat without the later
turns ends. Where neither holds the turns are not known, which is no guess.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec.structs import replace

from interpboard.errors import BadPrompt, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import Chat, Message, PromptInfo, Turn
from interpboard.results.chats import read_chat
from interpboard.results.two_texts import SourceAndPrefix
from interpboard.runs.prompt import make_prompt, require_two_strips

ASSISTANT = "assistant"
ChatMessages: TypeAlias = Sequence[Mapping[str, Any]]
"""The turns of a chat, each ``{"role": …, "content": …}``."""


def make_chat(lm: LanguageModel, chat: Chat | ChatMessages) -> PromptInfo:
    """``chat`` as the model's template has it; the answer's first token is what the last position predicts.

    ``chat``: a ``Chat``, or its messages as ``{"role": …, "content": …}``. Raises ``Unsupported`` where the
    tokenizer has no template and ``chat`` brings none, ``BadPrompt`` for a chat that the template refuses.
    """
    if not isinstance(chat, Chat):
        chat = read_chat(list(chat))
    _check(chat)
    text = rendered_chat(lm, chat)
    if not text:
        raise BadPrompt("The chat template makes no text of this chat.", "Look at the template.")
    prompt = make_prompt(lm, text, special_tokens=False)
    return replace(prompt, chat=chat, turns=_turns(lm, chat, prompt))


def prompt_of(
    lm: LanguageModel, given: str | Chat | ChatMessages, *, bare: bool = False
) -> tuple[LanguageModel, PromptInfo]:
    """A text or a chat as a prompt, and the model to ask it of: beside a chat nothing is put around texts.

    ``bare``: nothing is put around this one either.
    """
    if bare or not isinstance(given, str):
        lm = without_special_tokens(lm)
    if isinstance(given, SourceAndPrefix):
        require_two_strips(lm)
    return lm, make_prompt(lm, given) if isinstance(given, str) else make_chat(lm, given)


def without_special_tokens(lm: LanguageModel) -> LanguageModel:
    """``lm`` as if opened with ``special_tokens=False``: templates bring their own."""
    if not lm.special_tokens:
        return lm
    return dataclasses.replace(
        lm, special_tokens=False, info=replace(lm.info, special_tokens=False)
    )


def rendered_chat(lm: LanguageModel, chat: Chat, answering: bool = True) -> str:
    """The text of ``chat``. ``answering``: with what stands in front of an answer, unless one goes on."""
    goes_on = chat.continue_final_message
    tokenizer = lm.tokenizer
    if not (chat.chat_template or getattr(tokenizer, "chat_template", None)):
        raise Unsupported(
            "This model's tokenizer has no chat template.",
            "Give one with --chat-template FILE, or a plain text.",
        )
    try:
        text: str = tokenizer.apply_chat_template(
            [{"role": message.role, "content": message.content} for message in chat.messages],
            tools=list(chat.tools) or None,
            chat_template=chat.chat_template or None,
            add_generation_prompt=answering and not goes_on,
            continue_final_message=goes_on,
            tokenize=False,
        )
    except Exception as error:  # templates raise whatever they like
        reason = str(error).split("\n")[0].rstrip(". ")
        raise BadPrompt(
            f"The chat template refuses this chat: {reason or type(error).__name__}.",
            "Look at the roles and their order.",
        ) from error
    return text


def _check(chat: Chat) -> None:
    if not chat.messages:
        raise BadPrompt("The chat has no turns.", "Give at least one message.")
    for number, message in enumerate(chat.messages):
        for name, said in (("content", message.content), ("role", message.role)):
            _check_whole(said, f"The {name} of message {number}")
        if not message.role.strip():
            raise BadPrompt(f"Message {number} of the chat has no role.", "E.g. user.")
    if chat.continue_final_message and chat.messages[-1].role != ASSISTANT:
        raise BadPrompt(
            f"The last turn is the {chat.messages[-1].role}'s, and only an answer can go on.",
            "End with a message of the assistant.",
        )


def _check_whole(said: str, what: str) -> None:
    """Raise ``BadPrompt`` for half of a surrogate pair, saying which and where."""
    for at, char in enumerate(said):
        if "\ud800" <= char <= "\udfff":
            raise BadPrompt(
                f"{what} holds half a character, \\u{ord(char):04x}, behind {at} characters.",
                "Write the whole character, or leave it out.",
            )


# -- where the turns are ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """Characters of a turn in the rendered text, and of its content."""

    role: str
    begin: int
    end: int
    content: tuple[int, int]


def _turns(lm: LanguageModel, chat: Chat, prompt: PromptInfo) -> tuple[Turn, ...]:
    """The turns in tokens; empty where they cannot be told, or where tokens have no characters."""
    if len(prompt.spans) != len(prompt.token_ids):
        return ()
    places = _by_marks(lm, chat, prompt.text) or _by_ends(lm, chat, prompt.text)
    begins = [begin for begin, _ in prompt.spans]

    def token(char: int) -> int:
        return bisect_left(begins, char)

    found = []
    for number, place in enumerate(places):
        begin = 0 if number == 0 else token(place.begin)
        end = len(begins) if place.end == len(prompt.text) else token(place.end)
        first, last = place.content
        found.append(Turn(place.role, begin, end, (token(first), max(token(first), token(last)))))
    return tuple(found)


def _by_marks(lm: LanguageModel, chat: Chat, text: str) -> list[_Place]:
    """From the template's own text between the contents, if with them it is the whole."""
    marks = [f"\ue000{number}\ue001" for number in range(len(chat.messages))]
    marked = replace(
        chat,
        messages=tuple(
            Message(message.role, mark) for message, mark in zip(chat.messages, marks, strict=True)
        ),
    )
    pieces = _pieces(_try(lambda: rendered_chat(lm, marked)), marks)
    if pieces is None:
        return []
    contents = [message.content for message in chat.messages]
    for change in (str, str.strip, str.lstrip, str.rstrip):
        placed = [change(content) for content in contents]
        if chat.continue_final_message:
            placed[-1] = placed[-1].rstrip() if change is not str else placed[-1]
        whole = "".join(
            piece + between for piece, between in zip(pieces, [*placed, ""], strict=True)
        )
        if whole == text:
            return _places(lm, marked, marks, pieces, placed)
    return []


def _pieces(rendered: str | None, marks: list[str]) -> list[str] | None:
    """The text before, between and behind the marks; None unless each is there once and in order."""
    if rendered is None or any(rendered.count(mark) != 1 for mark in marks):
        return None
    pieces, rest = [], rendered
    for mark in marks:
        before, found, rest = rest.partition(mark)
        if not found:
            return None
        pieces.append(before)
    return [*pieces, rest]


def _places(
    lm: LanguageModel, marked: Chat, marks: list[str], pieces: list[str], contents: list[str]
) -> list[_Place]:
    """A turn ends with what the template puts behind a last message of its role."""
    places, at, begin = [], len(pieces[0]), 0
    for number, content in enumerate(contents):
        behind = pieces[number + 1]
        so_far = Chat(
            marked.messages[: number + 1], tools=marked.tools, chat_template=marked.chat_template
        )
        alone = _pieces(
            _try(lambda so_far=so_far: rendered_chat(lm, so_far, False)), marks[: number + 1]
        )
        closing = alone[-1] if alone is not None and behind.startswith(alone[-1]) else ""
        if marked.continue_final_message and number == len(contents) - 1:
            closing = behind
        content_end = at + len(content)
        end = content_end + len(closing)
        places.append(_Place(marked.messages[number].role, begin, end, (at, content_end)))
        begin, at = end, content_end + len(behind)
    whole = at
    if begin < whole:  # what stands in front of the answer
        places.append(_Place(ASSISTANT, begin, whole, (whole, whole)))
    return places


def _by_ends(lm: LanguageModel, chat: Chat, text: str) -> list[_Place]:
    """From the chats without the later turns, if each is the beginning of the next."""
    ends: list[int] = []
    for count in range(1, len(chat.messages) + 1):
        last = count == len(chat.messages)
        so_far = replace(
            chat,
            messages=chat.messages[:count],
            continue_final_message=chat.continue_final_message and last,
        )
        rendered = _try(lambda so_far=so_far: rendered_chat(lm, so_far, False))
        if (
            rendered is None
            or not text.startswith(rendered)
            or (ends and len(rendered) <= ends[-1])
        ):
            return []
        ends.append(len(rendered))
    places = []
    for message, begin, end in zip(chat.messages, [0, *ends], ends, strict=False):
        content = message.content.strip()
        at = text.rfind(content, begin, end) if content else end
        first = at if at >= 0 else begin
        places.append(
            _Place(message.role, begin, end, (first, first + len(content) if at >= 0 else end))
        )
    if ends[-1] < len(text):
        places.append(_Place(ASSISTANT, ends[-1], len(text), (len(text), len(text))))
    return places


def _try(do: Callable[..., str]) -> str | None:
    """What a template gives for a chat that nobody asked for; None where it refuses it."""
    try:
        return do()
    except BadPrompt:
        return None
