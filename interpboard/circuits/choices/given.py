"""The choices of a text: each a prompt of its own, the pair of text and choice, with the score it is given.

A model of multiple choice reads a row for each choice and gives it a score; what it predicts, and what its
loss takes, is the softmax over the scores of one text's choices. Here each row is run by itself, without
padding, so that choices may differ in length; only then are the scores compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter, BadPrompt, BadTarget, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, MetricInfo, MetricRequest, PromptInfo, TokenRef
from interpboard.results.two_texts import BARS, one_text
from interpboard.runs.clean_rounding import clean_rounding
from interpboard.runs.labels import label_head
from interpboard.runs.metrics import Metric, resolve_metric, unused_foil
from interpboard.runs.prompt import make_prompt
from interpboard.runs.references import named_id, plain_text
from interpboard.runs.room import refuse_a_pass_without_room

OF_CHOICES = ("logit", "logit_diff", "prob", "logprob")
_LONGEST = 60  # characters of a choice in a message


@dataclass(frozen=True)
class ScoredChoices:
    """The choices of one text, and what of them is explained. ``scores`` [choice]: of the clean runs, each
    that of its ``metrics`` on its ``prompts``. ``target`` and ``foil`` are places among them."""

    lm: LanguageModel
    texts: tuple[str, ...]
    prompts: tuple[PromptInfo, ...]
    metrics: tuple[Metric, ...]
    name: str
    target: int
    foil: int | None
    warnings: tuple[str, ...]

    @property
    def axis(self) -> Axis:
        """The choices, in the order given."""
        return Axis("choice", self.texts)

    @cached_property
    def scores(self) -> np.ndarray:
        return _clean(self.metrics)

    @cached_property
    def baseline(self) -> float:
        """The metric of the clean runs."""
        return float(self.measured(self.scores))

    def measured(self, scores: np.ndarray) -> np.ndarray:
        """The metric [...] of ``scores`` [..., choice]."""
        if self.name == "logit_diff":
            assert self.foil is not None
            return np.asarray(scores[..., self.target] - scores[..., self.foil])
        if self.name == "logit":
            return np.asarray(scores[..., self.target])
        likely = log_softmax(scores)[..., self.target]
        return np.asarray(np.exp(likely) if self.name == "prob" else likely)

    @property
    def info(self) -> MetricInfo:
        """The metric as results name it; each choice's run has a position of its own."""
        foil = None if self.foil is None else TokenRef(self.foil, self.texts[self.foil])
        return MetricInfo(
            self.name, -1, TokenRef(self.target, self.texts[self.target]), foil, "one"
        )

    def rounding(self) -> float | None:
        """How far rounding alone may put the metric, to first order in what it does to each score; None where
        that is nothing (32 and 64 bits)."""
        apart = [
            clean_rounding(self.lm, prompt, metric)
            for prompt, metric in zip(self.prompts, self.metrics, strict=True)
        ]
        sizes = [each for each in apart if each is not None]
        return float(np.abs(self._slopes()) @ sizes) if len(sizes) == len(apart) else None

    def _slopes(self) -> np.ndarray:
        """The derivative [choice] of the metric by each score."""
        places = np.arange(len(self.texts))
        own = (places == self.target).astype(float)
        if self.name == "logit_diff":
            return own - (places == self.foil)
        if self.name == "logit":
            return own
        likely = np.exp(log_softmax(self.scores))
        return (own - likely) * (likely[self.target] if self.name == "prob" else 1.0)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities [..., choice] of ``scores`` [..., choice]."""
    shifted = scores - scores.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def choice_texts(given: str | Sequence[str]) -> tuple[str, ...]:
    """The choices ``given`` as a list, or as text with one a line (empty lines left out). Raises
    ``BadParameter`` for fewer than two, and for an empty one in a list."""
    if isinstance(given, str):
        found = tuple(line for line in given.splitlines() if line.strip())
    else:
        found = tuple(given)
        if not all(isinstance(text, str) for text in found):
            raise BadParameter("Choices are texts.", "Give a list of them, or one a line.")
        if not all(text.strip() for text in found):
            raise BadParameter("A choice is empty.", "Write one, or leave it out.")
    if len(found) < 2:
        raise BadParameter(
            f"Choices are compared, and there {'is one' if found else 'are none'}.",
            "Give at least two.",
        )
    return found


def refuse_no_choices(lm: LanguageModel, prompt: PromptInfo, params: Mapping[str, Any]) -> None:
    """Raise what is wrong before anything is run: a model or a prompt without choices, choices that are none
    or the same twice (``Unsupported``, ``BadPrompt``, ``BadParameter``)."""
    _prompts(lm, prompt, choice_texts(params["choices"]))


def explained_choice(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, params: Mapping[str, Any]
) -> tuple[MetricInfo, float]:
    """The metric of the choices, and that of their clean runs. Raises as ``scored_choices``."""
    scored = scored_choices(lm, prompt, metric, params["choices"])
    return scored.info, scored.baseline


def scored_choices(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, given: str | Sequence[str]
) -> ScoredChoices:
    """The choices ``given`` of the text of ``prompt``, run and scored; target and foil are those that the
    metric was asked for, the target by default the likeliest. Raises ``BadTarget`` for one that is no choice,
    ``BadParameter`` for a metric that does not compare, and as ``refuse_no_choices``."""
    texts = choice_texts(given)
    asked = metric.asked or MetricRequest()
    if asked.name not in OF_CHOICES:
        raise BadParameter(
            f"The metric {asked.name} does not compare choices.", f"Use {', '.join(OF_CHOICES)}."
        )
    foil = None if asked.foil is None else _place(texts, asked.foil, "foil")
    if asked.name == "logit_diff" and foil is None:
        raise BadTarget("The metric logit_diff needs a foil.", "Name another choice, e.g. #1.")
    target = None if asked.target is None else _place(texts, asked.target, "target")
    prompts = _prompts(lm, prompt, texts)
    longest = max(len(own.token_ids) for own in prompts)
    refuse_a_pass_without_room(lm, longest, "the text and its choices")
    metrics = tuple(resolve_metric(lm, own, MetricRequest()) for own in prompts)
    if target is None:
        target = int(np.argmax(_clean(metrics)))
    used = foil if asked.name == "logit_diff" else None
    if used == target:
        raise BadTarget(
            f"Target and foil are the same choice, {_shown(texts[target])}.", "Name another foil."
        )
    return ScoredChoices(lm, texts, prompts, metrics, asked.name, target, used, unused_foil(asked))


def _clean(metrics: Sequence[Metric]) -> np.ndarray:
    return np.array([metric.baseline for metric in metrics])


def _prompts(lm: LanguageModel, prompt: PromptInfo, texts: Sequence[str]) -> tuple[PromptInfo, ...]:
    """The pair of the text and each of ``texts``."""
    head = label_head(lm)
    if head is None or not head.choices:
        raise Unsupported(
            "Choices are scored by a model of multiple choice, and this is none.",
            "Open one (its class ends in ForMultipleChoice).",
        )
    if prompt.chat is not None:
        raise BadPrompt("Choices are of a text, and this is a chat.", "Give one with --text '...'.")
    if BARS in prompt.text or any(BARS in text for text in texts):
        raise BadPrompt(
            f"With choices neither the text nor a choice holds {BARS}: each choice is the second text.",
            "Leave it out.",
        )
    made = tuple(make_prompt(lm, one_text(prompt.text, text)) for text in texts)
    for (one, first), (other, second) in combinations(enumerate(made), 2):
        if first.token_ids == second.token_ids:
            raise BadParameter(
                f"Choices #{one} and #{other} are the same, {_shown(texts[one])}.", "Leave one out."
            )
    return made


def _place(texts: Sequence[str], named: str, role: str) -> int:
    """The place of the choice that ``named`` is: its text, or ``#1``."""
    number = named_id(named)
    found = plain_text(named)
    if number is None and found in texts:
        return list(texts).index(found)
    if number is not None and 0 <= number < len(texts):
        return number
    raise BadTarget(
        f"The {role} {_shown(named)} is none of the choices.",
        f"Name one by its text, or #0 to #{len(texts) - 1}.",
    )


def _shown(text: str) -> str:
    return repr(visible(text[:_LONGEST]))
