"""Special tokens that somebody typed into a message: the tokenizer reads them as the template's own marks."""

from __future__ import annotations

from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo


def typed_marks(lm: LanguageModel, prompt: PromptInfo) -> tuple[str, ...]:
    """A warning for each message of a chat whose words hold a special token, spelt out.

    Templates put words in as they are, and the tokenizer, transformers' own way with chats, makes such a
    spelling the mark itself: the model sees a turn end, say, where the user only wrote of one. These tokens
    count as words of their turn everywhere here, since no template put them there.
    """
    if prompt.chat is None:
        return ()
    special = _special(lm)
    said = []
    for message in prompt.chat.messages:
        typed = sorted({spelt for spelt in special if spelt in message.content})
        if typed and _read_as_marks(lm, message.content, {special[spelt] for spelt in typed}):
            said.append(
                f"The {message.role}'s words hold {', '.join(typed)}, which the tokenizer reads as the mark "
                "itself: the model sees it as the template's. Here it counts as words of that turn."
            )
    return tuple(dict.fromkeys(said))


def _special(lm: LanguageModel) -> dict[str, int]:
    """Each special token as it is spelt, with its id."""
    tokenizer = lm.tokenizer
    known = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return known | {token.content: number for number, token in added.items() if token.special}


def _read_as_marks(lm: LanguageModel, words: str, ids: set[int]) -> bool:
    """Whether the tokenizer makes marks of them: it can be told to split them (``split_special_tokens``)."""
    return bool(ids & set(lm.tokenizer(words, add_special_tokens=False)["input_ids"]))
