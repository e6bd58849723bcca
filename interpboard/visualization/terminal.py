"""A document as a page for a terminal: rich renderables, no torch, every string made harmless.

``dashboard`` builds the page, ``render`` turns it into text of a given width. The plain text export
is the same page without colour, so what is seen and what is saved cannot differ.
"""

from __future__ import annotations

import os
from io import StringIO

import numpy as np
from rich.console import Console, Group
from rich.text import Text

from interpboard.comparison import is_difference, sides_said
from interpboard.results import Document, MetricInfo, PromptInfo, Result, opened_as
from interpboard.results.beside_heads import cells_of
from interpboard.results.intervals import unsure_entries
from interpboard.results.metric_words import metric_words
from interpboard.results.sites import rows_said, with_sites
from interpboard.results.tokens import appended
from interpboard.results.top import steady_order
from interpboard.visualization.blocks import (
    PageStyle,
    bars,
    grid,
    lens,
    shared_exponent,
    strip,
    wrapped,
)
from interpboard.visualization.circuit_page import circuit_page
from interpboard.visualization.color_systems import SYSTEMS, InSystem
from interpboard.visualization.colors import Scale
from interpboard.visualization.intervals import unsure_note
from interpboard.visualization.numbers import interval_words, number, seconds_words, times
from interpboard.visualization.parameters import plain_value
from interpboard.visualization.reading import distances, has_own_measure, name_of, scale_of
from interpboard.visualization.selections import RankedEntries, details, flat, selections
from interpboard.visualization.suiting import best_tokens, view_of

_STRONGEST = 3  # cells named in words beside a grid
SETTLED = "settled: the layer from which on the top token is the final one"
_RUNNING = 7  # cells of a number in front of running text


def dashboard(
    document: Document, console_width: int, dark: bool = True, ascii_only: bool = False
) -> Group:
    """The whole page: the model, the prompt, and a section for each result."""
    page = PageStyle(max(24, console_width), dark, ascii_only)
    lines = [*_head(document, page)]
    for result in document.results:
        lines += [Text(), *section(result, document.prompt, page)]
    return Group(*lines)


def render(
    document: Document,
    width: int,
    *,
    color: str = "",
    dark: bool = True,
    ascii_only: bool = False,
) -> str:
    """The page as text, ready to write. ``color``: truecolor, 256 or 16; without it the text holds
    no escape sequence at all."""
    page = dashboard(document, width, dark, ascii_only)
    return page_text(page, width, color=color)


def page_text(page: Group, width: int, *, color: str = "") -> str:
    """``page`` as text. Without ``color`` it holds no escape sequence at all."""
    console = Console(
        file=StringIO(),
        width=max(24, width),
        color_system="truecolor" if color else None,
        force_terminal=bool(color),
        no_color=not color,
        legacy_windows=False,
        highlight=False,
        emoji=False,
        markup=False,
        _environ={},
    )
    with console.capture() as captured:
        console.print(InSystem(page, SYSTEMS[color]) if color else page, no_wrap=True, crop=False)
    text = captured.get()
    return text if color else "\n".join(line.rstrip() for line in text.split("\n"))


def section(result: Result, prompt: PromptInfo, page: PageStyle) -> list[Text]:
    """One result: title, what was explained, what the values mean, the values, the warnings."""
    rows, result = rows_said(result), with_sites(result)
    title = page.words(page.ours(name_of(result)))
    lines = [Text.assemble((f"{title} ", "bold"))]
    lines[0].append(page.ours("─") * max(0, page.width - lines[0].cell_len), "dim")
    lines += wrapped(explained(result, prompt, page), page)
    if result.meaning:
        lines += wrapped(page.words(page.ours(result.meaning)), page, "dim")
    lines += wrapped(f"rows: {rows}", page, "dim") if rows else []
    lines += wrapped(made_line(result, page), page, "dim")
    lines += _body(result, prompt, page)
    for part in details(result, page):
        lines += _selected(part, Scale.of(_values(part), diverging=part.signed), page)
    for name, array in result.extra.items():
        if array.values.size == 1:
            shown = plain_value(array.values.reshape(-1)[0], page)
            lines += wrapped(f"{page.words(name)}: {shown}", page)
    for warning in result.warnings:
        lines += wrapped(f"warning: {page.words(page.ours(warning))}", page, "bold")
    return lines


def explained(result: Result, prompt: PromptInfo, page: PageStyle) -> str:
    """The metric in words: which number, of which token, where, and its value in the clean run."""
    if has_own_measure(result):
        return "metric: not looked at"
    parts = [_metric(result.metric, page)]
    position = result.metric.position
    if is_difference(result):
        parts += [page.words(words) for words in sides_said(result)]
    elif "rows" in result.params:
        parts.append("mean over the rows of a dataset, each where it is explained")
    elif "choices" in result.params:
        parts.append("(each choice in a run of its own)")
    elif result.metric.target is None:
        parts.append("mean over a dataset, at the last position of each prompt")
    elif result.metric.over_text:
        parts.append("read from all tokens at once")
    else:
        there = prompt.tokens[position : position + 1]
        parts.append(f"at position {position}" + "".join(f" ({page.token(it)})" for it in there))
        if (behind := appended(prompt)) and position == len(prompt.tokens) - behind - 1:
            added = " ".join(map(page.token, prompt.tokens[-behind:]))
            parts.append(f"the end of the text, in front of {added} of the tokenizer's")
    if result.baseline is not None:
        run = "clean runs, B − A" if is_difference(result) else "clean run"
        parts.append(f"{page.ours(run)} {number(result.baseline)}")
    return f"metric: {parts[0]} {page.ours(' · ').join(parts[1:])}"


def strongest_line(result: Result, page: PageStyle) -> str:
    """The entries furthest from the neutral value in words (``distances``); empty of probabilities that
    have no interval and where none is."""
    shares = scale_of(result).of_shares
    no_numbers = result.values.size == 0 or result.values.dtype == object
    if no_numbers or (shares and "low" not in result.extra):
        return ""
    flat = distances(result).reshape(-1)
    order = [i for i in steady_order(-flat)[:_STRONGEST] if flat[i] > 0]
    named = []
    for i in order:
        where = np.unravel_index(i, result.values.shape)
        names = (
            f"{axis.name} {page.label(axis.name, axis.labels[k])}"
            for axis, k in zip(result.axes, where, strict=True)
        )
        shown = number(float(result.values[where]), signed=not shares)
        named.append(f"{' '.join(names)} {shown}{interval_words(result, where, signed=not shares)}")
    return "; ".join(named)


def entry_names(result: Result) -> tuple[str, ...] | None:
    """Names of the entries of a one-dimensional result that has them as text among its extras."""
    for array in result.extra.values():
        if array.axes == result.axes and array.values.dtype == object:
            return tuple(str(value) for value in array.values.tolist())
    return None


def settled_layers(result: Result) -> tuple[str, ...] | None:
    """The layer [token] from which on a lens's top token is the final one, where the result says so."""
    first = result.extra.get("convergence")
    if first is None or first.axes != result.axes[1:]:
        return None
    labels = result.axes[0].labels
    before = int(labels[0] == "embed")  # convergence counts layers, and the embedding is −1
    rows = [int(at) + before for at in np.nan_to_num(first.values.astype(np.float64), nan=-2.0)]
    known = all(0 <= row < len(labels) for row in rows)  # in a file it may be anything
    return tuple(labels[row] for row in rows) if known else None


def _head(document: Document, page: PageStyle) -> list[Text]:
    model = document.model
    paths = dict.fromkeys(result.made_by.path for result in document.results)
    parts = (
        page.words(model.name),
        page.words(model.family),
        page.ours(f"{model.layers} layers × {model.heads} heads"),
        page.words(model.dtype),
        *(page.words(words) for words in opened_as(model)),
        page.words(model.device),
        *((f"path {page.words(', '.join(paths))}",) if paths else ()),
    )
    lines = wrapped(page.ours(" · ").join(parts), page, "bold")
    for note in model.notes:
        lines += wrapped(f"note: {page.words(note)}", page)
    return [*lines, *wrapped(f"prompt: {page.words(document.prompt.text)}", page)]


def _body(result: Result, prompt: PromptInfo, page: PageStyle) -> list[Text]:
    if result.values.size == 0:
        return [Text("(no values)")]
    if result.values.dtype == object:
        return wrapped(f"text of shape {result.values.shape}: see the JSON", page)
    result = flat(result)
    values = result.values.astype(np.float64)
    scale = scale_of(result)
    names = tuple(axis.name for axis in result.axes)
    view = view_of(result)
    if view == "circuit":
        return list(circuit_page(result, page))
    if view == "strip":
        legend = [] if scale.of_shares else _legend(scale, values, page)
        lines = strip(values, result.axes[0].labels, scale, page, unsure_entries(result))
        return [*lines, *legend, *unsure_note(result, page)]
    chosen = selections(result, page)
    if chosen:
        return [line for part in chosen for line in _selected(part, scale, page)]
    if view == "bars":
        lines = bars(values, _bar_labels(result, page), scale, page, unsure=unsure_entries(result))
        return [*lines, *unsure_note(result, page)]
    if view == "number":
        return [Text(number(float(values), signed=scale.diverging))]
    cells = cells_of(result)
    rows, columns = ([page.label(axis.name, label) for label in axis.labels] for axis in cells.axes)
    top = best_tokens(result)
    if top is not None:
        note = "each cell: the most likely token, and the target's probability in % where it shows"
        tokens = result.axes[1].labels
        stays = settled_layers(result)
        notes = [note] if stays is None else [note, SETTLED]
        below = [line for each in notes for line in wrapped(each, page, "dim")]
        return [*lens(values, top, rows, tokens, page, stays), *below]
    corner = page.words("\\".join(names))
    values = cells.values.astype(np.float64)
    scale = scale_of(result, values)
    # What stands for the tokens of many prompts has no positions.
    numbered = names[1] in ("token", "key") and bool(prompt.token_ids)
    lines = grid(
        values, rows, columns, corner, scale, page, numbered=numbered, letters=cells.letters
    )
    lines += wrapped(page.ours(cells.legend), page, "dim") if cells.letters else []
    best = strongest_line(result, page)
    if best:
        lines += wrapped(f"strongest: {best}", page)
    return lines + ([] if scale.of_shares else _legend(scale, values, page))


def _selected(part: RankedEntries, scale: Scale, page: PageStyle) -> list[Text]:
    lines = wrapped(part.title, page, "bold") if part.title else []
    if part.running:
        for name, value in part.rows:
            lines += wrapped(f"{page.number(value, _RUNNING)}  {name}", page)
    else:
        names = [name for name, _ in part.rows]
        lines += bars(_values(part), names, scale, page, page.width // 2)
    return [*lines, *wrapped(part.note, page, "dim")] if part.note else lines


def _values(part: RankedEntries) -> np.ndarray:
    return np.array([value for _, value in part.rows], dtype=np.float64)


def _bar_labels(result: Result, page: PageStyle) -> list[str]:
    names = entry_names(result)
    labels = result.axes[0].labels
    if names is None:
        return [page.label(result.axes[0].name, label) for label in labels]
    width = max(len(label) for label in labels)
    ranked = zip(labels, names, strict=True)
    return [f"{page.words(label).rjust(width)}  {page.token(name)}" for label, name in ranked]


def _metric(metric: MetricInfo, page: PageStyle) -> str:
    return metric_words(metric, token=page.token, ascii_only=page.ascii_only)


def made_line(result: Result, page: PageStyle) -> str:
    """With which parameters, how long it took, and by which path."""
    params = (f"{page.words(name)}={plain_value(v, page)}" for name, v in result.params.items())
    time = f"{seconds_words(result.elapsed_s)}, path {page.words(result.made_by.path)}"
    return page.ours(" · ").join([*params, time])


def _legend(scale: Scale, values: np.ndarray, page: PageStyle) -> list[Text]:
    """What the colours stand for, with the factor of the numbers above."""
    exponent = shared_exponent(values, scale)
    unit = 10.0**exponent
    low, high = (end / unit for end in scale.ends)
    signed = scale.diverging
    line = Text()
    line.append("scale ", "dim")
    if scale.diverging:
        line.append(f" {number(low, signed=True)} ", page.paint(scale, scale.ends[0]))
    line.append(f" {number(scale.center / unit)} ", page.paint(scale, scale.center))
    line.append(f" {number(high, signed=signed)} ", page.paint(scale, scale.ends[1]))
    shown = times(exponent, ascii_only=page.ascii_only)
    line.append(f" {shown}" if shown else "", "dim")
    return [line]


def color_wanted(choice: str, is_terminal: bool) -> str:
    """The colours for ``render``. ``choice``: auto (follows NO_COLOR and the terminal) or a system."""
    if choice != "auto":
        return "" if choice == "none" else choice
    quiet = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    # All our colours are entries of the table of 256.
    return "256" if is_terminal and not quiet else ""
