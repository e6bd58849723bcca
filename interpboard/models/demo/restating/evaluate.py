"""What the encoder–decoder must be able to do, measured on what training held out.

python -m interpboard.models.demo.restating.evaluate
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast, T5ForConditionalGeneration

from ..measuring import BehaviourScore, score_table
from . import T5_FOLDER
from .batches import PairBatches
from .pairs import SourceAndTarget, held_out_recall, held_out_restating


class RestatingEvaluator:
    """A model with its tokenizer, one method a behaviour."""

    def __init__(
        self, model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        self.model, self.batches = model, PairBatches(tokenizer, 0, 1)

    @classmethod
    def load(cls, folder: Path = T5_FOLDER) -> Self:
        """The model as saved in a folder (that of the package), in float32."""
        model = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        return cls(model, AutoTokenizer.from_pretrained(folder))

    def recall(self, count: int | None = None) -> BehaviourScore:
        """Share of the facts whose answer's first token comes first, in a phrasing never shown for them."""
        pairs = list(held_out_recall())
        if count is not None:
            pairs = random.Random(1).sample(pairs, min(count, len(pairs)))
        return self._right("recall, held-out phrasing", pairs, 0.8)

    def restating(self, count: int = 400) -> BehaviourScore:
        """Share of the sentences whose false answer is said again, behind a prefix forced up to it."""
        pairs = list(held_out_restating(random.Random(2), count))
        return self._right("restating, false answers", pairs, 0.95)

    @torch.no_grad()
    def _right(
        self, name: str, pairs: Sequence[SourceAndTarget], required: float
    ) -> BehaviourScore:
        right = 0
        for begin in range(0, len(pairs), 100):
            part = pairs[begin : begin + 100]
            batch = self.batches.of(part)
            out = self.model(
                input_ids=batch.source, attention_mask=batch.mask, labels=batch.target
            ).logits.argmax(-1)
            answers = (batch.weights == batch.weights.max()).int().argmax(-1)
            rows = torch.arange(len(part))
            right += int((out[rows, answers] == batch.target[rows, answers]).sum())
        return BehaviourScore(name, right / len(pairs), required, len(pairs))


def main() -> None:
    """Print the table."""
    evaluator = RestatingEvaluator.load()
    print(score_table((evaluator.recall(), evaluator.restating())))


if __name__ == "__main__":
    main()
