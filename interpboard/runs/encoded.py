"""A text as ids, with what the tokenizer puts around it and says of each token's characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerFast

from interpboard.errors import BadPrompt
from interpboard.runs.token_texts import shortened

Span = tuple[int, int]


@dataclass(frozen=True)
class Encoded:
    """``ids`` of a text; the first ``before`` and the last ``after`` of them the tokenizer added.

    ``offsets``: what the tokenizer says of the others' characters; None: nothing.
    """

    ids: tuple[int, ...]
    offsets: tuple[Span, ...] | None
    before: int = 0
    after: int = 0

    @property
    def own(self) -> tuple[int, ...]:
        """The ids of the text alone."""
        return self.ids[self.before : len(self.ids) - self.after]


def encode(tokenizer: Any, text: str, special_tokens: bool = True) -> Encoded:
    """``text`` as ids, with what the tokenizer puts around a text unless the text holds it already.

    Raises ``BadPrompt`` where the tokenizer cannot read it.
    """
    check_unicode(text, "text")
    bare, offsets = _read(tokenizer, text, add_special_tokens=False)
    again = special_tokens and not _adds_nothing(tokenizer)
    whole, whole_offsets = (
        _read(tokenizer, text, add_special_tokens=True) if again else (bare, offsets)
    )
    if whole == bare:
        return Encoded(bare, offsets)
    before, after = added_tokens(tokenizer)
    if whole != (*before, *bare, *after):  # it does more than to put something around
        return Encoded(whole, whole_offsets)
    if before and bare[: len(before)] == before:
        before = ()
    if after and bare[-len(after) :] == after:
        after = ()
    return Encoded((*before, *bare, *after), offsets, len(before), len(after))


def _adds_nothing(tokenizer: Any) -> bool:
    """Whether texts with and without special tokens are one, by the tokenizer's own count: where it reads
    them as its class does, in which the word only tells whether those are put around."""
    own, of = type(tokenizer), PreTrainedTokenizerFast
    as_ever = issubclass(own, of) and all(
        getattr(own, name) is getattr(of, name) for name in ("__call__", "_encode_plus")
    )
    return as_ever and tokenizer.num_special_tokens_to_add(pair=False) == 0


def added_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the tokenizer puts in front of any text, and behind it."""
    whole, bare = (_read(tokenizer, "a", add_special_tokens=on)[0] for on in (True, False))
    for at in range(len(whole) - len(bare) + 1):
        if whole[at : at + len(bare)] == bare:
            return whole[:at], whole[at + len(bare) :]
    return (), ()


def check_unicode(text: str, what: str) -> None:
    """Raises ``BadPrompt`` for a text that holds half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadPrompt(
            f"The {what} is not valid UTF-8.", "Check the terminal's encoding."
        ) from None


def _read(
    tokenizer: Any, text: str, add_special_tokens: bool
) -> tuple[tuple[int, ...], tuple[Span, ...] | None]:
    """The ids of ``text``, and the tokenizer's offsets where it has any."""
    options: dict[str, Any] = {"add_special_tokens": add_special_tokens}
    if getattr(tokenizer, "is_fast", False):
        options["return_offsets_mapping"] = True
    try:
        encoding = tokenizer(text, **options)
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise BadPrompt(f"The tokenizer cannot read {shortened(text)!r}: {reason}.") from error
    offsets = encoding.get("offset_mapping")
    ids = tuple(int(token) for token in encoding["input_ids"])
    return ids, None if offsets is None else tuple((int(b), int(e)) for b, e in offsets)
