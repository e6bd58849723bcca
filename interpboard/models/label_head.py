"""What a model with labels in place of a vocabulary has behind its body: which labels, and what it reads.

The labels take the vocabulary's place everywhere: logits are theirs, targets and foils are among them. What
a probability is depends on what the model was trained for: of one label out of several (softmax), of each
label by itself (sigmoid), or none at all, where the number is a value (regression, a reward).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.packed import is_linear, out_width

Problem = Literal["one", "several", "value", "vector"]
Reads = Literal["each", "last", "first", "mean", "max"]

SEQUENCE, TOKENS, CHOICES = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForMultipleChoice",
)
CLASSIFIERS = (SEQUENCE, TOKENS, CHOICES)  # what the names of such classes end in
_PROBLEMS: dict[str, Problem] = {
    "single_label_classification": "one",
    "multi_label_classification": "several",
    "regression": "value",
}


@dataclass(frozen=True)
class LabelHead:
    """``labels``: their names, by index. ``problem``: ``one`` of them is true, ``several`` may be, each
    number is a ``value``, or they are the components of a ``vector``. ``reads``: whose stream becomes the
    logits, ``each`` token's its own (token classification), that of the ``last`` that is no ``padding``, of
    the ``first``, or of all the ``mean``, or the largest of each component (``max``). ``choices``: the model
    takes several texts at once and scores each; here it is given one."""

    labels: tuple[str, ...]
    problem: Problem
    reads: Reads
    padding: int | None = None
    choices: bool = False

    def position(self, token_ids: Sequence[int]) -> int:
        """The position that is read of a prompt's ``token_ids``; of ``each`` and of all the last."""
        if self.reads == "first":
            return 0
        last = len(token_ids) - 1
        if self.reads == "last" and self.padding is not None:
            return next((at for at in range(last, -1, -1) if token_ids[at] != self.padding), 0)
        return last

    def read(self, hidden: torch.Tensor, position: int) -> torch.Tensor:
        """What the head reads [row, d_model] of ``hidden`` [row, pos, d_model]."""
        return read_as(self.reads, hidden, position)

    @property
    def reads_all(self) -> bool:
        """Whether it reads all tokens' streams at once."""
        return self.reads in ("mean", "max")

    @property
    def has_probabilities(self) -> bool:
        """Whether its numbers are turned into some."""
        return self.problem in ("one", "several")

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Of ``logits`` [..., label]: by softmax, by sigmoid; of values, the values themselves."""
        if not self.has_probabilities:
            return logits
        return logits.sigmoid() if self.problem == "several" else logits.softmax(-1)


def read_as(reads: Reads, hidden: torch.Tensor, position: int) -> torch.Tensor:
    """[row, d_model]: what is read of ``hidden`` [row, pos, d_model], at ``position`` where that matters."""
    if reads == "max":
        return hidden.amax(1)
    return hidden.mean(1) if reads == "mean" else hidden[:, position]


def is_classifier(model: nn.Module) -> bool:
    """Whether a loaded model's head gives labels."""
    return type(model).__name__.endswith(CLASSIFIERS)


def takes_choices(model: nn.Module) -> bool:
    """Whether it is given several texts at once, [row, choice, pos], and gives each of them a score."""
    return type(model).__name__.endswith(CHOICES)


def label_map(model: nn.Module, body: nn.Module) -> nn.Module:
    """The linear map behind ``body`` whose outputs are the labels; raises ``NotALanguageModel``."""
    config: Any = model.config
    count = 1 if takes_choices(model) else int(config.num_labels)
    inside = {id(module) for module in body.modules()}
    found = [
        module
        for module in model.modules()
        if id(module) not in inside
        and is_linear(module)
        and getattr(module, "weight", torch.empty(0, 0)).dim() == 2  # no norm
        and out_width(module) == count
    ]
    if not found:
        raise NotALanguageModel(
            f"{type(model).__name__}: no linear map to its {count} labels was found."
        )
    return found[-1]


def label_names(config: Any, count: int) -> tuple[str, ...]:
    """The names of the ``count`` labels, as ``id2label`` has them; ``LABEL_0`` … where it has none.

    Raises ``NotALanguageModel`` where the head has another number of outputs.
    """
    named = getattr(config, "id2label", None) or {}
    try:
        found = {int(number): str(name) for number, name in named.items()}
    except (AttributeError, TypeError, ValueError):
        found = {}
    if not found:
        return tuple(f"LABEL_{i}" for i in range(count))
    if sorted(found) != list(range(count)):
        raise NotALanguageModel(
            f"config.json names {len(found)} labels (id2label), the head has {count} outputs.",
            "Correct id2label.",
        )
    return tuple(found[i] for i in range(count))


def problem_of(config: Any, count: int) -> Problem:
    """What the head was trained for. Raises ``NotALanguageModel`` for a problem that is not known."""
    named = getattr(config, "problem_type", None)
    if named is None:
        return "value" if count == 1 else "one"
    if named not in _PROBLEMS:
        raise NotALanguageModel(
            f"config.json has the problem_type {str(named)[:60]!r}.",
            f"There are: {', '.join(_PROBLEMS)}.",
        )
    if count == 1 and named == "single_label_classification":
        raise NotALanguageModel(
            "config.json says single_label_classification, and the head has one output: its probability "
            "would always be 1.",
            "Correct problem_type: regression, or multi_label_classification.",
        )
    return _PROBLEMS[named]
