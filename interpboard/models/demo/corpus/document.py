"""What every part of the corpus produces: text in pieces, each with its weight in the loss.

Most tokens of a templated sentence are a free choice (which name, which year), and a small model
should not spend its updates on them. Each piece therefore carries a weight: answers that the
behaviour determines count most, free choices count little.
"""

import zlib
from dataclasses import dataclass

CONTEXT_WEIGHT = 0.25
"""Weight of text that is only partly predictable."""
ANSWER_WEIGHT = 2.0
"""Weight of the tokens a behaviour determines."""


@dataclass(frozen=True)
class TrainingText:
    """Pieces of text with loss weights. Pieces meet at word boundaries, so that encoding them
    one by one gives the same tokens as encoding the whole."""

    pieces: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        """The document as plain text."""
        return "".join(text for text, _ in self.pieces)

    def followed_by(self, other: "TrainingText", separator: str = " ") -> "TrainingText":
        """Both texts in one; a space is glued to the next word, as the tokenizer has it."""
        if separator == " ":
            (text, weight), *rest = other.pieces
            return TrainingText((*self.pieces, (" " + text, weight), *rest))
        return TrainingText((*self.pieces, (separator, CONTEXT_WEIGHT), *other.pieces))


def text_without_answer(text: str) -> TrainingText:
    """A document without an answer."""
    return TrainingText(((text, CONTEXT_WEIGHT),))


def in_hold_out(key: str, one_in: int) -> bool:
    """Whether this combination is kept out of training.

    A checksum of the combination decides, not a random draw, so that training and evaluation
    agree without sharing any state.
    """
    return zlib.crc32(key.encode()) % one_in == 0


def capitalised(text: str) -> str:
    """The text with an upper-case first letter and the rest unchanged."""
    return text[:1].upper() + text[1:]
