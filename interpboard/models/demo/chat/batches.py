"""Turns chats into batches: one chat a row, from position 0 as a user's is, beside others of its length."""

import random
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ..corpus.document import TrainingText
from .corpus import training_chats

_POOL = 512
PADDING_ID = 0


class ChatBatches:
    """An endless, seeded source of batches of at most ``tokens`` tokens, padding counted."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        seed: int,
        tokens: int,
        longest: int,
        chats: Callable[[random.Random], Iterator[TrainingText]] = training_chats,
    ) -> None:
        self._tokenizer = tokenizer
        self._tokens, self._longest = tokens, longest
        self._rng = random.Random(seed)
        self._chats = chats(random.Random(seed + 1))
        self._pieces: dict[str, list[int]] = {}

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Ids and loss weights, each (rows, length); padding stands behind a chat and weighs nothing."""
        while True:
            rows = [self._encode(next(self._chats)) for _ in range(_POOL)]
            rows = sorted((row for row in rows if len(row[0]) <= self._longest), key=_length)
            batches: list[list[tuple[list[int], list[float]]]] = [[]]
            for row in rows:
                if len(row[0]) * (len(batches[-1]) + 1) > self._tokens:
                    batches.append([])
                batches[-1].append(row)
            self._rng.shuffle(batches)
            yield from map(_padded, filter(None, batches))

    def _encode(self, document: TrainingText) -> tuple[list[int], list[float]]:
        ids: list[int] = []
        weights: list[float] = []
        for text, weight in document.pieces:
            piece = self._ids(text)
            ids += piece
            weights += [weight] * len(piece)
        return ids, weights

    def _ids(self, text: str) -> list[int]:
        """Ids of one piece; the short ones (answers, turns) recur and are kept."""
        if len(text) > 24:
            return self._tokenizer(text).input_ids
        if text not in self._pieces:
            self._pieces[text] = self._tokenizer(text).input_ids
        return self._pieces[text]


def _length(row: tuple[list[int], list[float]]) -> int:
    return len(row[0])


def _padded(rows: list[tuple[list[int], list[float]]]) -> tuple[Tensor, Tensor]:
    longest = max(map(_length, rows))
    ids = [row + [PADDING_ID] * (longest - len(row)) for row, _ in rows]
    weights = [row + [0.0] * (longest - len(row)) for _, row in rows]
    return torch.tensor(ids), torch.tensor(weights)
