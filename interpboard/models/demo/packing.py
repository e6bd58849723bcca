"""Turns documents into rows of token ids with a loss weight per token.

Rows come in several lengths. Short rows make many documents begin at position 0 without anything
before them, which is how a user's prompt begins; long rows train every position of the context.
"""

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from .corpus import induction, training_texts
from .corpus.document import CONTEXT_WEIGHT

END_ID = 0


class Packer:
    """An endless, seeded source of batches.

    `induction`: the share of the rows that are repeated random tokens.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        seed: int,
        induction: float = 0.35,
    ) -> None:
        self._induction = induction
        self._tokenizer = tokenizer
        self._rng = random.Random(seed)
        self._vocabulary = len(tokenizer)
        self._pieces: dict[str, list[int]] = {}
        self._encoded = self._encode(training_texts(random.Random(seed + 1)))

    def _encode(self, source: Iterator) -> Iterator[tuple[list[int], list[float]]]:
        for document in source:
            ids: list[int] = []
            weights: list[float] = []
            for text, weight in document.pieces:
                piece = self._encode_piece(text)
                ids += piece
                weights += [weight] * len(piece)
            yield [*ids, END_ID], [*weights, CONTEXT_WEIGHT]

    def _encode_piece(self, text: str) -> list[int]:
        """Ids of one piece; the short ones (answers, endings) recur and are kept."""
        if len(text) > 16:
            return self._tokenizer(text).input_ids
        if text not in self._pieces:
            self._pieces[text] = self._tokenizer(text).input_ids
        return self._pieces[text]

    def _text_row(self, length: int) -> tuple[list[int], list[float]]:
        ids: list[int] = []
        weights: list[float] = []
        while len(ids) < length:
            more_ids, more_weights = next(self._encoded)
            ids += more_ids
            weights += more_weights
        return ids[:length], weights[:length]

    def batch(self, tokens: int, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Ids and loss weights, each (rows, length), of about `tokens` tokens in all.

        The rows of one batch have one of `lengths`, each equally likely.
        """
        length = self._rng.choice(lengths)
        rows = []
        for _ in range(tokens // length):
            if self._rng.random() < self._induction:
                rows.append(induction.training_row(self._rng, self._vocabulary, length))
            else:
                rows.append(self._text_row(length))
        ids = torch.tensor([row[0] for row in rows])
        weights = torch.tensor([row[1] for row in rows])
        return ids, weights
