"""Results as cards on panes: a pane an analysis, in it a card a document that has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup

from interpboard.comparison import difference, is_difference
from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Document, PromptInfo, Result
from interpboard.results.beside_heads import MLP_EFFECTS, cells_of
from interpboard.results.intervals import has_intervals, unsure_entries, unsure_words
from interpboard.results.sites import with_sites
from interpboard.visualization.colors import Scale
from interpboard.visualization.diagrams import drawing_of, svg
from interpboard.visualization.html.data import card_data
from interpboard.visualization.html.figures import LOOK, HtmlFigure, figure
from interpboard.visualization.intervals import EntryInterval, strongest_intervals
from interpboard.visualization.numbers import number, seconds_words
from interpboard.visualization.parameters import plain_value
from interpboard.visualization.reading import name_of, scale_of, scale_of_unknown, strongest_first
from interpboard.visualization.single_result import prompt_of_result
from interpboard.visualization.suiting import best_tokens, is_circuit
from interpboard.visualization.terminal import entry_names, explained

_TOP = 20
_MOST_EDGES = 60  # of a circuit that is drawn
_EXTRA_CELLS = 2000  # of an extra that is drawn on its own


@dataclass(frozen=True)
class Card:
    """One result: words, its figure, its strongest entries, and the numbers for the script."""

    heading: str
    facts: tuple[str, ...]
    warnings: tuple[str, ...]
    figure: HtmlFigure
    extras: tuple[tuple[str, HtmlFigure], ...]
    top: dict[str, Any] | None
    arrays: tuple[str, ...]
    data: dict[str, Any] | None


@dataclass(frozen=True)
class Section:
    """One analysis."""

    title: str
    meaning: str
    cards: tuple[Card, ...]


def sections(documents: Sequence[Document]) -> list[Section]:
    """Panes in the order in which the documents name their analyses."""
    names = dict.fromkeys(result.analysis for d in documents for result in d.results)
    return [_pane(name, documents) for name in names]


def section_of(result: Result, prompt: PromptInfo | None = None) -> Section:
    """The pane of a lone result; without ``prompt`` the tokens come from its axes."""
    alone = card(result, prompt or prompt_of_result(result))
    return Section(visible(name_of(result)), visible(result.meaning), (alone,))


def card(
    result: Result,
    prompt: PromptInfo,
    heading: str = "",
    scale: Scale | None = None,
    *,
    alone: bool = False,
) -> Card:
    """The card of one result; ``scale``: that of the results it stands beside. ``alone``: the card itself
    says what its values mean."""
    result = with_sites(result)
    cells = cells_of(result) if result.values.ndim == 2 else None
    axes, values = (result.axes, result.values) if cells is None else (cells.axes, cells.values)
    scale = scale or scale_of(result, values)
    drawn = figure(
        axes,
        values,
        scale,
        letters=cells.letters if cells is not None else {},
        legend=cells.legend if cells is not None else "",
        unsure=unsure_entries(result),
        unsure_words=unsure_words(result),
        names=entry_names(result),
        top=best_tokens(result),
        marked=marked_positions(result),
        placed=bool(prompt.token_ids),
    )
    if is_circuit(result):
        drawn = HtmlFigure("drawing", Markup(svg(drawing_of(result, most=_MOST_EDGES))))
    data = card_data(result, scale, "value")
    return Card(
        heading=heading,
        facts=(
            explained(result, prompt, LOOK),
            *((visible(result.meaning),) if alone and result.meaning else ()),
            _made(result),
            *_scalars(result),
        ),
        warnings=tuple(visible(warning) for warning in result.warnings),
        figure=drawn,
        extras=tuple(_extras(result)),
        top=_top(result) if result.values.ndim >= 2 or has_intervals(result) else None,
        arrays=tuple(data["arrays"]) if data else (),
        data=data,
    )


def _pane(name: str, documents: Sequence[Document]) -> Section:
    found = [(i, d, result) for i, d in enumerate(documents) for result in d.results
             if result.analysis == name]  # fmt: skip
    scale = _shared([result for _, _, result in found])
    several = len(documents) > 1
    meanings = {result.meaning for _, _, result in found}
    cards = [
        card(result, d.prompt, _label(i, d) if several else "", scale, alone=len(meanings) > 1)
        for i, d, result in found
    ]
    first = found[0]
    for i, d, result in found[1:]:
        less = _difference(first[1:], (d, result)) if i != first[0] else None
        if less is not None:
            heading = f"{letter(i)} − {letter(first[0])}"
            scale_of_difference = Scale.of(less.values, diverging=True)
            cards.append(card(less, d.prompt, heading, scale_of_difference, alone=True))
    shared = visible(first[2].meaning) if len(meanings) == 1 else ""  # else each card says its own
    return Section(visible(name_of(first[2])), shared, tuple(cards))


def letter(i: int) -> str:
    """How the ``i``-th document is called beside others: A, B, …, Z, then by number."""
    return chr(ord("A") + i) if i < 26 else f"#{i + 1}"


def _label(i: int, document: Document) -> str:
    return f"{letter(i)}: {visible(document.model.name)}, {visible(document.prompt.text)}"


def _shared(results: Sequence[Result]) -> Scale | None:
    """One scale for results that stand side by side; none where there is but one."""
    scales = [scale_of(result) for result in results]
    if len(scales) < 2 or len({(scale.diverging, scale.center) for scale in scales}) > 1:
        return None
    return replace(scales[0], limit=max(scale.limit for scale in scales))


def _difference(first: tuple[Document, Result], second: tuple[Document, Result]) -> Result | None:
    """``second`` − ``first``; None where they are not compared."""
    a, b = (msgspec.structs.replace(d, results=(result,)) for d, result in (first, second))
    if not a.results[0].axes:
        return None
    try:
        return msgspec.structs.replace(difference(a, b), extra={})  # both sides have their cards
    except BadParameter:
        return None  # they stand side by side


def _made(result: Result) -> str:
    params = [f"{visible(k)}={plain_value(v, LOOK)}" for k, v in result.params.items()]
    if is_difference(result):
        return "B − A, entry by entry"
    maker = result.made_by
    versions = f"torch {visible(maker.torch)}, transformers {visible(maker.transformers)}"
    return " · ".join(
        [*params, f"{seconds_words(result.elapsed_s)}, path {visible(maker.path)}, {versions}"]
    )


def _scalars(result: Result) -> list[str]:
    return [
        f"{visible(name)}: {plain_value(array.values.reshape(-1)[0], LOOK)}"
        for name, array in result.extra.items()
        if array.values.size == 1
    ]


def _extras(result: Result) -> list[tuple[str, HtmlFigure]]:
    """Extras that the figure does not show already: over other axes, of a size for a page."""
    return [
        (visible(name), figure(array.axes, array.values, scale_of_unknown(array.values)))
        for name, array in result.extra.items()
        if name != MLP_EFFECTS and array.axes != result.axes and 1 < array.values.size <= _EXTRA_CELLS
        and array.values.ndim <= 2
    ]  # fmt: skip


def _top(result: Result) -> dict[str, Any] | None:
    if result.values.dtype == object:
        return None
    order = strongest_first(result)
    entries = [entry for entry in result.top(_TOP, by=order) if entry.value != result.neutral]
    if not entries:
        return None
    intervals = strongest_intervals(result, _TOP)[: len(entries)]
    ends = [result.neutral] + [end for own in intervals for end in (own.low, own.high)]
    ends += [own.entry.value for own in intervals]
    least, most = float(np.nanmin(ends)), float(np.nanmax(ends))
    rows = [
        (
            [(LOOK.label(name, label), entry.index[name]) for name, label in entry.labels.items()],
            number(entry.value, signed=True),
            repr(entry.value),
        )
        for entry in entries
    ]
    return {
        "names": [visible(name) for name in entries[0].labels],
        "rows": rows,
        "bars": [_error_bar(own, result.neutral, least, most) for own in intervals],
    }


def _error_bar(own: EntryInterval, neutral: float, least: float, most: float) -> dict[str, Any]:
    """An interval in words, and where it lies from 2 to 98 of 100; ``sure``: the neutral value is outside."""

    def place(value: float) -> str:
        share = 0.5 if most == least else (value - least) / (most - least)
        return f"{2 + 96 * share:.1f}" if np.isfinite(share) else ""

    known = np.isfinite([own.low, own.high]).all()
    return {
        "words": f"[{number(own.low, signed=True)}, {number(own.high, signed=True)}]"
        if known
        else "",
        "low": place(own.low),
        "high": place(own.high),
        "mean": place(own.entry.value),
        "neutral": place(neutral),
        "sure": own.sure,
    }


def marked_positions(result: Result) -> tuple[int, ...]:
    """Positions of the subject, where the result's parameters name them."""
    subject = result.params.get("subject")
    if not isinstance(subject, (list, tuple)):
        return ()
    return tuple(part for part in subject if isinstance(part, int))
