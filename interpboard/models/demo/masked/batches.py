"""Rows for the masked model: documents one by one, some of whose tokens are hidden and have to be told."""

import random
from collections.abc import Iterator

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ..corpus import agreement, filler, recall
from ..corpus.document import ANSWER_WEIGHT, TrainingText

HIDDEN_SHARE = 0.12
"""Of the tokens that no behaviour determines, so many are hidden."""
ANSWER_SHARE = 0.7
"""Of the answers."""


def masked_texts(rng: random.Random) -> Iterator[TrainingText]:
    """An endless stream of documents: facts mostly, and sentences whose verb agrees."""
    makers = (recall.training_example, agreement.training_example, filler.training_example)
    while True:
        document = rng.choices(makers, (0.9, 0.08, 0.02))[0](rng)
        if rng.random() < 0.03:
            document = filler.story(rng, 1).followed_by(document)
        yield document


class MaskedBatches:
    """An endless, seeded source of batches."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, longest: int = 32) -> None:
        self._tokenizer = tokenizer
        self._rng = random.Random(seed)
        self._texts = masked_texts(random.Random(seed + 1))
        self._longest = longest
        self._mask = tokenizer.mask_token_id

    def batch(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, attention mask and what was hidden (−100 where nothing was), each (rows, length)."""
        made = [self._row(next(self._texts)) for _ in range(rows)]
        length = max(len(ids) for ids, _ in made)
        ids = torch.zeros(rows, length, dtype=torch.long)
        hidden = torch.full((rows, length), -100)
        for row, (own, labels) in enumerate(made):
            ids[row, : len(own)] = torch.tensor(own)
            hidden[row, : len(own)] = torch.tensor(labels)
        return ids, (ids != 0).long(), hidden

    def _row(self, document: TrainingText) -> tuple[list[int], list[int]]:
        tokens: list[int] = []
        labels: list[int] = []
        hide_answer = self._rng.random() < ANSWER_SHARE
        for text, weight in document.pieces:
            for token in self._tokenizer(text, add_special_tokens=False).input_ids:
                is_answer = weight == ANSWER_WEIGHT
                hide = hide_answer if is_answer else self._rng.random() < HIDDEN_SHARE
                tokens.append(self._mask if hide else token)
                labels.append(token if hide else -100)
        tokens, labels = tokens[: self._longest], labels[: self._longest]
        around = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        return [around[0], *tokens, around[1]], [-100, *labels, -100]
