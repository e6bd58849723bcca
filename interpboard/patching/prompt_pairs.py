"""Lists of prompt pairs, each with a metric of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interpboard.datasets.pair_lines import ARROW, json_line, lines_of, unescaped
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.patching.pair import Pair, make_pair
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.token_texts import shortened

_NAMES = ("clean", "corrupted", "target", "foil")
Fields = tuple[str, ...]


@dataclass(frozen=True)
class MeasuredPair:
    """A pair and the metric that is read on it."""

    pair: Pair
    metric: Metric


def pair_fields(pairs: str | Sequence[str | Sequence[str]]) -> list[Fields]:
    r"""(clean, corrupted), (…, target) or (…, target, foil) of each pair.

    As text, one a line: ``clean => corrupted => target => foil``, with one space on each side of an arrow
    taken away; a target with a leading space so has two in front. ``\=>`` is an arrow of the text. A line may
    be JSON instead, ``{"clean": …, "corrupted": …, "target": …, "foil": …}``. Raises ``BadParameter``.
    """
    lines = lines_of(pairs) if isinstance(pairs, str) else pairs
    found = [_fields(line) if isinstance(line, str) else tuple(line) for line in lines if line]
    for fields in found:
        if not 2 <= len(fields) <= 4:
            raise BadParameter(
                f"{shortened(' => '.join(fields))!r} is no pair of prompts.",
                "Write clean => corrupted.",
            )
    return found


def make_cases(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    corrupted: str,
    further: Sequence[Fields],
) -> list[MeasuredPair]:
    """The pair of ``prompt`` and ``corrupted`` with ``metric``, then each of ``further`` with its own.

    A further pair's metric is of the same kind, at the same distance from the prompt's end; its target is
    the model's own first token on the clean prompt unless it names one; a foil it must name for
    ``logit_diff`` (``BadParameter``). Errors as in ``make_pair`` and ``resolve_metric``.
    """
    cases = [MeasuredPair(make_pair(lm, prompt, corrupted, metric), metric)]
    position = metric.info.position - len(prompt.token_ids)
    for clean_text, corrupted_text, *rest in further:
        target, foil = (*rest, None, None)[:2]
        if metric.info.name == "logit_diff" and foil is None:
            raise BadParameter(
                f"The pair of {clean_text!r} names no foil, which logit_diff needs.",
                "Write clean => corrupted => target => foil.",
            )
        clean = make_prompt(lm, clean_text)
        request = MetricRequest(metric.info.name, target, foil, position)
        own = resolve_metric(lm, clean, request)
        cases.append(MeasuredPair(make_pair(lm, clean, corrupted_text, own), own))
    return cases


def _fields(line: str) -> Fields:
    found = json_line(line, _NAMES)
    if found is not None:
        given = [found.get(name) for name in _NAMES]
        while given and given[-1] is None:
            given.pop()
        if not all(isinstance(each, str) for each in given):
            raise BadParameter(
                f"This is no pair of prompts: {shortened(line)!r}.",
                "Its fields are texts, and a foil needs a target.",
            )
        return tuple(map(str, given))
    parts = ARROW.split(line)
    last = len(parts) - 1
    return tuple(
        unescaped(part.removeprefix(" " if i else "").removesuffix(" " if i < last else ""))
        for i, part in enumerate(parts)
    )
