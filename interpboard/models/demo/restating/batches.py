"""Pairs as batches of token ids: sources and targets padded, a weight for each token of a target."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ..corpus.document import ANSWER_WEIGHT, CONTEXT_WEIGHT
from .pairs import SourceAndTarget, training_pairs


@dataclass(frozen=True)
class PairBatch:
    """``source`` and its ``mask`` [row, pos]; ``target`` and ``weights`` [row, pos], 0 at padding."""

    source: Tensor
    mask: Tensor
    target: Tensor
    weights: Tensor


class PairBatches:
    """Batches without end, of ``rows`` pairs each."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, rows: int) -> None:
        self._tokenizer, self._rows = tokenizer, rows
        self._pairs = training_pairs(random.Random(seed))
        self._known: dict[str, list[int]] = {}

    def __iter__(self) -> Iterator[PairBatch]:
        while True:
            yield self.of([next(self._pairs) for _ in range(self._rows)])

    def of(self, pairs: Sequence[SourceAndTarget]) -> PairBatch:
        """``pairs`` as one batch."""
        end = [int(self._tokenizer.eos_token_id)]
        sources = [self._ids(pair.source) + end for pair in pairs]
        targets, weights = [], []
        for pair in pairs:
            parts = [
                (self._ids(pair.before), CONTEXT_WEIGHT),
                (self._ids(pair.answer), ANSWER_WEIGHT),
            ]
            parts.append((self._ids(pair.end) + end, CONTEXT_WEIGHT))
            targets.append([token for ids, _ in parts for token in ids])
            weights.append([weight for ids, weight in parts for _ in ids])
        padding = int(self._tokenizer.pad_token_id)
        source = _padded(sources, padding)
        return PairBatch(
            source,
            _padded([[1] * len(ids) for ids in sources], 0),
            _padded(targets, padding),
            _padded(weights, 0.0),
        )

    def _ids(self, text: str) -> list[int]:
        if text not in self._known:
            found = self._tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
            self._known[text] = found
        return self._known[text]


def _padded(rows: Sequence[Sequence[float]], filling: float) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filling] * (longest - len(row))] for row in rows])
