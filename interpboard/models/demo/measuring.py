"""What measuring the two demo models shares: a model with its tokenizer, a score, and their table."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import torch
from transformers import AutoTokenizer, GPT2LMHeadModel, PreTrainedTokenizerFast


@dataclass(frozen=True)
class BehaviourScore:
    """One measured behaviour: a share between 0 and 1, and what it has to reach."""

    name: str
    value: float
    required: float
    examples: int
    details: dict[str, float] = field(default_factory=dict)


class MeasuredModel:
    """A model with its tokenizer; who derives from it adds one method per behaviour."""

    FOLDER: ClassVar[Path]

    def __init__(
        self, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, seed: int = 20_000
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._seed = seed

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """The model as saved in a folder (that of the package), in float32."""
        saved = cls.FOLDER if folder is None else folder
        model = GPT2LMHeadModel.from_pretrained(saved, dtype=torch.float32).eval()
        return cls(model, AutoTokenizer.from_pretrained(saved))

    def _rng(self) -> random.Random:
        return random.Random(self._seed)


def score_table(figures: Sequence[BehaviourScore]) -> str:
    """The figures as plain text, details indented below the behaviour they belong to."""
    lines = [f"{'behaviour':44}{'measured':>9}{'required':>9}{'examples':>9}"]
    for figure in figures:
        lines.append(
            f"{figure.name:44}{figure.value:9.3f}{figure.required:9.2f}{figure.examples:9d}"
        )
        lines += [f"    {name:40}{value:9.3f}" for name, value in figure.details.items()]
    return "\n".join(lines)


def figures_line(figures: Iterable[BehaviourScore]) -> str:
    """Each figure's name up to its first comma, and its value."""
    return "  ".join(f"{figure.name.split(',')[0]} {figure.value:.2f}" for figure in figures)
