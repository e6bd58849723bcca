"""Which entries a page shows of a result that is too large for it: the strongest, with their names.

A page is read by people. A grid of thousands of neurons, or four dimensions of attention, says nothing
there; the few entries that stand out do. All values are in the JSON and the CSV, and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from interpboard.registry.component_names import head_label, neuron_label
from interpboard.results import LabelledArray, Result
from interpboard.results.top import Entry, Order, top_entries
from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.numbers import share_words

SHOWN = 16  # entries of a selection
_OF_A_TYPE = 5  # heads of a type
_COLUMNS_MOST = 64  # of a grid that is shown whole
_ENTRIES_MOST = 48  # of bars that are all shown
_PLACES = ("token", "query", "key", "source")  # axes along a prompt, read in order however long


@dataclass(frozen=True)
class RankedEntries:
    """A list of (harmless name, value). ``title`` is empty where the values are the result's own.

    ``note`` says what was left out. ``signed``: whether a value has a sign; else it is a share of 1.
    ``running``: the names are running text, too long for bars. ``neutral``: where bars begin.
    """

    title: str
    rows: tuple[tuple[str, float], ...]
    note: str = ""
    signed: bool = True
    running: bool = False
    neutral: float = 0.0


def flat(result: Result) -> Result:
    """``result`` without axes of one entry, where that leaves a grid: one head's pattern, say."""
    kept = [i for i, axis in enumerate(result.axes) if len(axis.labels) != 1]
    if result.values.ndim <= 2 or len(kept) != 2:
        return result
    shape = [result.values.shape[i] for i in kept]
    axes = tuple(result.axes[i] for i in kept)
    return msgspec.structs.replace(result, axes=axes, values=result.values.reshape(shape))


def selections(result: Result, page: PageStyle) -> list[RankedEntries]:
    """What stands for ``result`` on a page; empty where its values can be shown whole."""
    names = tuple(axis.name for axis in result.axes)
    if result.analysis == "head_scores" and names == ("score", "layer", "head"):
        return list(_types_of_heads(result, page))
    if result.analysis == "attention" and names == ("layer", "head", "query", "key"):
        return list(_attended(result, page))
    if result.analysis == "expert_routing" and names == ("layer", "token", "expert"):
        return list(_routed(result, page))
    if not _too_large(result):
        return []
    order: Order = "highest" if result.analysis == "max_activating" else "magnitude"
    chosen = result.top(SHOWN, by=order)
    note = _left_out(result, len(chosen))
    return [RankedEntries("", _rows(chosen, page), note, neutral=result.neutral)]


def details(result: Result, page: PageStyle) -> list[RankedEntries]:
    """What a result says of all its heads at once, of the one neuron that was asked for, or by layer."""
    neuron = page.words(str(result.params.get("neuron", "")))
    extra, found = result.extra, []
    if "together" in extra:
        chosen = top_entries(extra["together"], SHOWN, "magnitude")
        found.append(RankedEntries("effect of all of them at once", _rows(chosen, page)))
    knocked_out = result.analysis in ("attention_knockout", "knockout_grid")
    if knocked_out and "kl" in extra and result.metric.name != "kl":  # else it is the values
        found.append(_moved(result, page))
    if "accumulated" in extra:
        found += _accumulated(extra["accumulated"], page)
    if "along" in extra:
        chosen = sorted(
            top_entries(extra["along"], SHOWN, "magnitude"), key=lambda entry: entry.index["token"]
        )
        found.append(RankedEntries(f"activation of neuron {neuron} by token", _rows(chosen, page)))
    for name in ("promoted", "suppressed"):
        if name in extra and f"{name}_by" in extra:
            pairs = _pairs(extra[name], extra[f"{name}_by"], page)
            found.append(RankedEntries(f"tokens most {name} by a unit of it, in logits", pairs))
    if "peak_token" in extra:
        title = page.ours(f"where neuron {neuron} is most active · the peak stands in [[ ]]")
        found.append(RankedEntries(title, tuple(_examples(extra, page)), running=True))
    return found


def _moved(result: Result, page: PageStyle) -> RankedEntries:
    """How far each prediction is from the clean one: units in their order, of many the furthest."""
    kl = result.extra["kl"]
    known = int(np.isfinite(kl.values).sum())
    chosen = top_entries(kl, SHOWN, "highest")
    if known <= SHOWN:
        chosen = sorted(chosen, key=lambda entry: tuple(entry.index.values()))
    note = "" if known <= SHOWN else f"the {SHOWN} largest of {known}; all are in the JSON and CSV"
    title = page.ours("KL from the clean prediction, in nats")
    return RankedEntries(title, _rows(chosen, page), note)


def _accumulated(sums: LabelledArray, page: PageStyle) -> Iterator[RankedEntries]:
    """What is in the answer after each layer; of a clean and an edited run one after the other."""
    labels = sums.axes[0].labels
    names = [page.words(label if label == "embed" else f"layer {label}") for label in labels]
    title = "the sum up to and with each layer, biases of the end from the start"
    runs = sums.axes[1].labels if len(sums.axes) > 1 else ("",)
    for run, values in zip(runs, sums.values.reshape(len(labels), -1).T.tolist(), strict=True):
        of_run = f"{page.words(run)} run: {title}" if run else title
        yield RankedEntries(of_run, tuple(zip(names, values, strict=True)))


def _too_large(result: Result) -> bool:
    values = result.values
    if values.ndim > 2:
        return True
    if values.ndim == 2:
        columns = result.axes[1]
        return len(columns.labels) > _COLUMNS_MOST and columns.name not in _PLACES
    if values.ndim == 1 and result.axes[0].name == "component":
        return values.size > _ENTRIES_MOST or bool(np.isnan(values).any())
    return False


def _left_out(result: Result, shown: int) -> str:
    known = int(np.isfinite(result.values).sum())
    unknown = result.values.size - known
    most = "of largest magnitude" if result.neutral == 0 else f"furthest from {result.neutral:g}"
    most = "of highest value" if result.analysis == "max_activating" else most
    parts = [f"the {shown} of {known} {most}"] if shown < known else []
    parts += [f"{unknown} without a value are left out"] if unknown else []
    return "; ".join([*parts, "all are in the JSON and CSV"] if parts else parts)


def _types_of_heads(result: Result, page: PageStyle) -> Iterator[RankedEntries]:
    null = result.extra["null"].values
    for i, score in enumerate(result.axes[0].labels):
        of_type = LabelledArray(result.axes[1:], result.values[i])
        rows = []
        for entry in top_entries(of_type, _OF_A_TYPE, "highest"):
            chance = float(null[(i, *entry.index.values())])
            rows.append((f"{_name(entry, page)}  (null {share_words(chance)})", entry.value))
        if rows:
            yield RankedEntries(page.words(score), tuple(rows), signed=False)


def _attended(result: Result, page: PageStyle) -> Iterator[RankedEntries]:
    """Where heads look from the metric's position, and their strongest pairs; never the first token."""
    n_queries, n_keys = result.values.shape[2:]
    position = result.metric.position
    patterns = np.where(np.arange(n_keys) == 0, np.nan, result.values.astype(np.float64))
    if 0 < position < n_queries:
        token = _placed(result.axes[2].labels[position], position, page)
        here = np.where((np.arange(n_queries) == position)[:, None], patterns, np.nan)
        yield _pairs_of_heads(result, here, f"from {token}, the metric's position", page)
    elsewhere = np.where(np.eye(n_queries, n_keys, dtype=bool), np.nan, patterns)
    yield _pairs_of_heads(result, elsewhere, "to another token, at any position", page)


def _pairs_of_heads(
    result: Result, patterns: np.ndarray, where: str, page: PageStyle
) -> RankedEntries:
    """The strongest pair of each head, the strongest first."""
    flat = np.nan_to_num(patterns.reshape(*patterns.shape[:2], -1), nan=-1.0)
    best = np.where(np.arange(flat.shape[-1]) == flat.argmax(-1)[..., None], flat, np.nan)
    best = np.where(best < 0, np.nan, best).reshape(patterns.shape)
    chosen = top_entries(LabelledArray(result.axes, best), SHOWN, "highest")
    heads = result.values.shape[0] * result.values.shape[1]
    note = f"the strongest pair of each head, {len(chosen)} of {heads} heads"
    note += "; all are in the JSON and CSV" if len(chosen) < heads else ""
    title = f"where heads look most {where} (the first token left out)"
    return RankedEntries(title, _rows(chosen, page), note, signed=False)


def _routed(result: Result, page: PageStyle) -> Iterator[RankedEntries]:
    """For each layer, as many as there is room for, the experts of each token by their weight."""
    layers, tokens, experts = (axis.labels for axis in result.axes)
    shown = max(1, _ENTRIES_MOST // len(tokens))
    arrow = page.ours("→")
    for row, layer in enumerate(layers[:shown]):
        rows = []
        for at, token in enumerate(tokens):
            weights = np.nan_to_num(result.values[row, at])
            order = np.argsort(-np.abs(weights), kind="stable")
            goes = [page.words(experts[i]) for i in order if weights[i] != 0]
            name = f"{_placed(token, at, page)} {arrow} {' '.join(goes)}"
            rows.append((name, float(weights[order[0]])))
        last = row + 1 == min(shown, len(layers))
        note = f"{shown} of {len(layers)} layers; layers= chooses, one of them is a table"
        said = f"token {arrow} its experts, the largest weight first, and that weight"
        title = f"layer {page.words(layer)}: {said}"
        yield RankedEntries(
            title, tuple(rows), note if last and shown < len(layers) else "", signed=False
        )


def _rows(entries: Iterable[Entry], page: PageStyle) -> tuple[tuple[str, float], ...]:
    return tuple((_name(entry, page), entry.value) for entry in entries)


def _name(entry: Entry, page: PageStyle) -> str:
    """``L3 H7`` for a head, ``L3 N975`` a neuron, ``·is@4`` a place in the prompt, ``a → b`` a pair."""
    names = list(entry.labels)
    parts: list[str] = []
    for i, name in enumerate(names):
        label = entry.labels[name]
        if name in ("head", "neuron") and names[:i][-1:] == ["layer"]:
            called = head_label if name == "head" else neuron_label
            parts[-1] = called(page.words(entry.labels["layer"]), page.words(label))
        elif name == "layer":
            parts.append(f"layer {page.words(label)}")
        elif name in _PLACES:
            arrow = page.ours("→ ") if name == "key" else ""
            parts.append(arrow + _placed(label, entry.index[name], page))
        else:
            parts.append(page.label(name, label))
    return " ".join(parts)


def _placed(token: str, position: int, page: PageStyle) -> str:
    return f"{page.token(token)}@{position}"


def _pairs(
    tokens: LabelledArray, values: LabelledArray, page: PageStyle
) -> tuple[tuple[str, float], ...]:
    both = zip(tokens.values.tolist(), values.values.tolist(), strict=True)
    return tuple((page.token(str(token)), float(value)) for token, value in both)


def _examples(extra: dict[str, LabelledArray], page: PageStyle) -> Iterator[tuple[str, float]]:
    columns = ("text_before", "peak_token", "text_after", "activation")
    for before, peak, after, value in zip(
        *(extra[c].values.tolist() for c in columns), strict=True
    ):
        text = f"{page.words(before)}[[{page.words(peak)}]]{page.words(after)}"
        yield text, float(value)
