"""Measures the masked model on phrasings that training never showed.

    python -m interpboard.models.demo.masked.evaluate [--samples N] [--folder DIR]

reads the saved weights and prints one figure per behaviour. The model card quotes this table.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
from transformers import AutoTokenizer, BertForMaskedLM, PreTrainedTokenizerFast

from ..corpus import recall
from ..measuring import BehaviourScore, score_table
from . import MASKED_FOLDER

EXAMPLE_TEXTS = (
    "The capital of France is [MASK].",
    "Paris is the capital of [MASK].",
    "The Eiffel Tower is located in the city of [MASK].",
    "The [MASK] Tower is located in the city of Paris.",
    "The keys to the cabinet [MASK] on the table.",
)


class MaskedEvaluator:
    """The masked model, one method per behaviour."""

    def __init__(
        self, model: BertForMaskedLM, tokenizer: PreTrainedTokenizerFast, seed: int = 20_000
    ) -> None:
        self.model, self.tokenizer, self._seed = model, tokenizer, seed

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """The model as saved in a folder (that of the package), in float32."""
        saved = MASKED_FOLDER if folder is None else folder
        model = BertForMaskedLM.from_pretrained(saved, dtype=torch.float32).eval()
        return cls(model, AutoTokenizer.from_pretrained(saved))

    @torch.inference_mode()
    def at_the_mask(self, texts: Sequence[str]) -> torch.Tensor:
        """Logits [text, vocabulary] at the first mask of each."""
        rows = []
        for begin in range(0, len(texts), 64):
            made = self.tokenizer(
                list(texts[begin : begin + 64]), padding=True, return_tensors="pt"
            ).to(self.model.device)
            states = self.model.bert(
                made.input_ids, attention_mask=made.attention_mask
            ).last_hidden_state
            first = (made.input_ids == self.tokenizer.mask_token_id).int().argmax(-1)
            rows.append(self.model.cls(states[torch.arange(len(first)), first]).cpu())
        return torch.cat(rows)

    def facts(self, samples: int | None = None) -> BehaviourScore:
        """Top-1 on the answer, each fact in the phrasing held out for it; answers of one token."""
        probes = [p for p in recall.held_out_examples() if len(self._ids(p.answer)) == 1]
        if samples is not None and samples < len(probes):
            probes = random.Random(self._seed).sample(probes, samples)
        logits = self.at_the_mask([f"{probe.prompt} [MASK]." for probe in probes])
        answers = torch.tensor([self._ids(probe.answer)[0] for probe in probes])
        share = float((logits.argmax(-1) == answers).float().mean())
        return BehaviourScore("facts, held-out phrasing", share, 0.9, len(probes))

    def all_figures(self, samples: int) -> list[BehaviourScore]:
        """Every behaviour."""
        return [self.facts(samples)]

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return found


def main() -> None:
    """Print the table, and the first answers to the example texts."""
    parser = argparse.ArgumentParser(description="Measure the masked model.")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=MASKED_FOLDER)
    arguments = parser.parse_args()
    evaluator = MaskedEvaluator.load(arguments.folder)
    print(score_table(evaluator.all_figures(arguments.samples)))
    logits = evaluator.at_the_mask(EXAMPLE_TEXTS).softmax(-1)
    for text, row in zip(EXAMPLE_TEXTS, logits, strict=True):
        best = int(row.argmax())
        print(f"{text}  {evaluator.tokenizer.decode([best])!r} ({float(row[best]):.2f})")


if __name__ == "__main__":
    main()
