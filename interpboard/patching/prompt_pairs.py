"""Lists of prompt pairs, each with a metric of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interpboard.datasets.dataset import dataset_named, prompts_of
from interpboard.datasets.dataset_lines import DatasetLine, dataset_lines, read_line
from interpboard.datasets.rows import DatasetRow
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.patching.pair import Pair, make_pair
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.token_texts import shortened

_REMEDY = "Write clean => corrupted."
Fields = tuple[str, ...]


@dataclass(frozen=True)
class MeasuredPair:
    """A pair and the metric that is read on it."""

    pair: Pair
    metric: Metric


def pair_fields(pairs: str | Sequence[str | Sequence[str]]) -> list[Fields]:
    r"""(clean, corrupted), (…, target) or (…, target, foil) of each pair.

    As text, lines of a dataset (see ``datasets.dataset_lines``) that name a corrupted prompt, and one
    target and one foil at most: ``clean => corrupted => target => foil``. Prompts are taken as written,
    with one space on each side of an arrow taken away; an answer behind an arrow too, so that a target with
    a leading space has two in front. Or the name of a file of rows, with a column
    ``corrupted``. Raises ``BadParameter``, by the number of the line.
    """
    dataset = dataset_named(pairs) if isinstance(pairs, str) else None
    if dataset is not None:
        return [_of_row(row) for row in prompts_of(dataset)]
    if isinstance(pairs, str):
        return [_of_line(line) for line in dataset_lines(pairs)]
    found = []
    for number, item in enumerate(pairs, 1):
        if isinstance(item, str):
            line = read_line(item, number)
            if line is not None:
                found.append(_of_line(line))
        elif item:
            if not 2 <= len(item) <= 4:
                words = " => ".join(map(str, item))
                raise BadParameter(f"Item {number} is no pair: {shortened(words)!r}.", _REMEDY)
            found.append(tuple(item))
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
        pair_metric = resolve_metric(lm, clean, request)
        cases.append(MeasuredPair(make_pair(lm, clean, corrupted_text, pair_metric), pair_metric))
    return cases


def _of_row(row: DatasetRow) -> Fields:
    for problem, wrong in (
        ("has no corrupted prompt", row.corrupted is None),
        ("names a subject, which a pair of prompts has not", row.subject is not None),
        ("names a foil without a target", row.foil is not None and row.target is None),
    ):
        if wrong:
            raise BadParameter(f"{row.place} {problem}.", "Mend the row, or leave it out.")
    assert row.corrupted is not None
    return (row.text, row.corrupted, *(own for own in (row.target, row.foil) if own is not None))


def _of_line(line: DatasetLine) -> Fields:
    fields = line.usable()
    if fields.corrupted is None:
        raise line.refusal("is no pair of prompts", _REMEDY)
    if fields.subject is not None:
        raise line.refusal("names a subject, which a pair of prompts has not", "Leave it out.")
    if fields.foil is not None and fields.target is None:
        raise line.refusal("names a foil without a target", "Name both.")
    answers = [words for words in (fields.target, fields.foil) if words is not None]
    if any(len(words) > 1 for words in answers):
        raise line.refusal("names several answers for one", "A pair has one target and one foil.")
    return (*fields.written, *(words[0] for words in answers))
