"""A clean and a corrupted run, position for position, and the metric on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from interpboard.errors import BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.patching.subject import find_subject
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.finite import prompt_logits, require_logits, run_words
from interpboard.runs.labels import refuse_another_reading
from interpboard.runs.metrics import Metric
from interpboard.runs.noise import embedding_noise
from interpboard.runs.prompt import make_prompt, show_tokens
from interpboard.runs.record import record
from interpboard.runs.rounding import SAME_RUNS
from interpboard.runs.row_logits import row_logits
from interpboard.runs.strip_prompt import in_same_strips, refuse_another_border


@dataclass(frozen=True)
class Pair:
    """Two prompts of equal length; ``on_clean`` and ``on_corrupted`` are the metric on each.

    ``edits`` are made in the corrupted run: noise, where its prompt is the clean one. ``notes``: what was
    chosen for it, where there was a choice.
    """

    clean: PromptInfo
    corrupted: PromptInfo
    on_clean: float
    on_corrupted: float
    edits: Counterfactual = ()
    notes: tuple[str, ...] = ()

    @property
    def first_difference(self) -> int:
        """The first position at which the tokens differ."""
        pairs = zip(self.clean.token_ids, self.corrupted.token_ids, strict=True)
        return next(position for position, (a, b) in enumerate(pairs) if a != b)

    def span(self, metric: Metric) -> float:
        """clean − corrupted of the metric; NaN where they differ by no more than rounding."""
        return metric.apart(self.on_clean, self.on_corrupted)

    def recovered(self, metric: Metric, values: np.ndarray) -> np.ndarray:
        """(value − corrupted) / (clean − corrupted): 0 = corrupted, 1 = clean; NaN if they agree."""
        shares: np.ndarray = (values - self.on_corrupted) / self.span(metric)
        return shares

    def nothing_to_recover(self, metric: Metric) -> tuple[str, ...]:
        """A warning if the metric does not tell the runs apart."""
        return (SAME_RUNS,) if np.isnan(self.span(metric)) else ()


def equally_long(lm: LanguageModel, clean: PromptInfo, corrupted: str) -> PromptInfo:
    """``corrupted``, tokenised.

    Raises ``BadPrompt`` if the prompts have different lengths (showing both) or are the same.
    """
    other = make_prompt(lm, in_same_strips(clean, corrupted))
    refuse_another_border(clean, other, "corrupted prompt")
    if len(other.token_ids) != len(clean.token_ids):
        raise BadPrompt(
            f"The clean prompt has {len(clean.token_ids)} tokens, the corrupted one "
            f"{len(other.token_ids)}: {show_tokens(clean.tokens)} against {show_tokens(other.tokens)}.",
            "Choose a corrupted prompt that is equally long.",
        )
    refuse_another_reading(lm, clean, other)
    if other.token_ids == clean.token_ids:
        raise BadPrompt("The clean and the corrupted prompt are the same.", "Change a token.")
    return other


@torch.no_grad()
def make_pair(lm: LanguageModel, clean: PromptInfo, corrupted: str, metric: Metric) -> Pair:
    """Tokenise ``corrupted`` and evaluate ``metric`` on it. Errors as in ``equally_long``, and
    ``NotFinite``."""
    other = equally_long(lm, clean, corrupted)
    logits = prompt_logits(lm, other, metric.info.position)
    return Pair(clean, other, metric.baseline, float(metric.of(logits[None])[0]))


@torch.no_grad()
def make_noised_pair(
    lm: LanguageModel,
    clean: PromptInfo,
    metric: Metric,
    subject: str | Sequence[str] | Sequence[int],
    noise: float,
    seed: int,
) -> Pair:
    """``clean`` against itself with Gaussian noise on the subject's embeddings, one seeded draw.

    ``noise`` is in standard deviations of the embeddings over the vocabulary. Errors as in
    ``find_subject`` and ``embedding_noise``; ``Unsupported`` where embeddings cannot be edited.
    """
    lm.verified.require_site("embed")
    found = find_subject(clean, subject)
    (edits,) = embedding_noise(lm, found.positions, noise, 1, seed)
    logits = row_logits(record(lm, clean, edits=(edits,)), metric.info.position)
    require_logits(lm, run_words(clean, edited=True), logits)
    return Pair(clean, clean, metric.baseline, float(metric.of(logits)[0]), edits, found.notes)
