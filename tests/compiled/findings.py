"""What each analysis finds in a compiled program, in names, and the largest value on anything else.

A row is an analysis with what it must find, from what was stated by hand (``Truth``). Names are those of
the diagram: ``1.2`` a head, ``0.1>1.2.k`` an edge, ``1.mlp``, ``layer 1``, ``2:b`` the token at position 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from interpboard import Result
from interpboard.circuits.discovery.graph import Graph
from tests.compiled.cases import found
from tests.compiled.programs import TRUTHS, Truth

SOMETHING = 1e-9


@dataclass(frozen=True)
class Finding:
    """Names of what has an effect, and the largest size of everything that has none."""

    names: tuple[str, ...]
    dead: float

    @classmethod
    def of(cls, values: Iterable[tuple[str, float]]) -> Finding:
        """Sort ``values`` by name into the two; a value that is not there (NaN) is neither."""
        given = [(name, abs(value)) for name, value in values if not np.isnan(value)]
        names = sorted(name for name, size in given if size > SOMETHING)
        return cls(tuple(names), max((s for _, s in given if s <= SOMETHING), default=0.0))

    @property
    def in_words(self) -> str:
        """``dead`` as far as it is the same on every machine."""
        if self.dead == 0:
            return "exactly 0"
        return "below 1e-12" if self.dead < 1e-12 else f"{self.dead:.0e}"


@dataclass(frozen=True)
class Row:
    """One analysis: how it is run, and what it must find; None: it says nothing of such a program."""

    title: str
    find: Callable[[str], Finding]
    stated: Callable[[Truth], Iterable[str] | None]


def tokens(program: str) -> tuple[str, ...]:
    """The prompt's positions by name."""
    prompt = TRUTHS[program].prompt
    return ("0:<s>", *(f"{at + 1}:{token}" for at, token in enumerate(prompt)))


def by_head(result: Result) -> Iterator[tuple[str, float]]:
    """[layer, head] by name."""
    for (layer, head), value in np.ndenumerate(result.values):
        yield f"{layer}.{head}", float(value)


def by_cell(program: str, result: Result) -> Iterator[tuple[str, float]]:
    """[layer, token] by name."""
    names = tokens(program)
    for (layer, position), value in np.ndenumerate(result.values):
        yield f"layer {layer} {names[position]}", float(value)


def by_token(program: str, result: Result) -> Iterator[tuple[str, float]]:
    """[token] by name."""
    return zip(tokens(program), map(float, result.values), strict=True)


def by_label(result: Result) -> Iterator[tuple[str, float]]:
    """A single axis by its own labels, ``L1 H2`` as ``1.2``."""
    for label, value in zip(result.axes[0].labels, result.values, strict=True):
        yield plain(label), float(value)


def plain(label: str) -> str:
    """``L1 H2`` and ``L1 MLP`` as the diagram has them."""
    if label.startswith("L"):
        return label[1:].lower().replace(" h", ".").replace(" mlp", ".mlp")
    return label


def ablation(program: str) -> Finding:
    return Finding.of(by_head(found(program, "head_ablation")))


def patched_heads(program: str) -> Finding:
    given = {"corrupted": TRUTHS[program].changed, "site": "z", "along": "head"}
    return Finding.of(by_head(found(program, "activation_patching", **given)))


def patched_inside(program: str) -> Finding:
    """Queries, keys, values and patterns of every head, one at a time."""

    def shares() -> Iterator[tuple[str, float]]:
        for site in ("q", "k", "v", "pattern"):
            given = {"corrupted": TRUTHS[program].changed, "site": site, "along": "head"}
            for head, value in by_head(found(program, "activation_patching", **given)):
                yield f"{head}.{site}", value

    return Finding.of(shares())


def patched_neurons(program: str) -> Finding:
    given = {"corrupted": TRUTHS[program].changed, "site": "neuron", "along": "neuron"}
    return Finding.of(by_head(found(program, "activation_patching", **given)))


def patched_stream(program: str) -> Finding:
    given = {"corrupted": TRUTHS[program].changed, "site": "resid_pre"}
    return Finding.of(by_cell(program, found(program, "activation_patching", **given)))


def estimated_heads(program: str) -> Finding:
    given = {"corrupted": TRUTHS[program].changed, "site": "z", "along": "head"}
    return Finding.of(by_head(found(program, "attribution_patching", "soft", **given)))


def paths(program: str) -> Finding:
    """Every sender to every receiver there is, one receiver at a time."""
    truth = TRUTHS[program]
    stated = truth.program
    graph = Graph(stated.n_layers, stated.n_heads, stated.n_heads)

    def effects() -> Iterator[tuple[str, float]]:
        for receiver in graph.receivers:
            result = found(program, "path_patching", corrupted=truth.other, receiver=receiver)
            for (layer, column), value in np.ndenumerate(result.values):
                part = result.axes[1].labels[column]
                name = {"MLP": "mlp"}.get(part, part.removeprefix("H"))
                sender = part if part == "embed" else f"{layer}.{name}"
                yield f"{sender}>{receiver}", float(value)

    return Finding.of(effects())


def edges_by_score(method: str) -> Callable[[str], Finding]:
    def find(program: str) -> Finding:
        given = {"corrupted": TRUTHS[program].other, "method": method}
        return Finding.of(by_label(found(program, "circuit", "soft", **given)))

    return find


def edges_by_search(search: str, way: str) -> Callable[[str], Finding]:
    """Edges of the circuit; dead is the largest score of an edge outside it."""

    def find(program: str) -> Finding:
        result = found(program, "circuit", way, corrupted=TRUTHS[program].other, search=search)
        inside = result.extra["in_circuit"].values == 1
        names = np.array(result.axes[0].labels)[inside]
        outside = np.abs(result.values[~inside])
        return Finding(tuple(sorted(names)), float(outside.max(initial=0)))

    return find


def critical(program: str) -> Finding:
    return Finding.of(by_label(found(program, "critical_components")))


def direct(program: str) -> Finding:
    return Finding.of(by_label(found(program, "direct_logit_attribution")))


def lens(program: str) -> Finding:
    """Layers after which the answer is on top at the last token; dead: how far above chance before."""
    values = found(program, "logit_lens").values[:, -1]
    layers = found(program, "logit_lens").axes[0].labels
    chance = 1 / 17  # of 17 tokens whose logits are all 0
    names = tuple(f"layer {at}" for at, p in zip(layers, values, strict=True) if p > 0.9)
    return Finding(names, float(np.abs(values[values <= 0.9] - chance).max(initial=0)))


def types(program: str) -> Finding:
    """Heads with a type; dead: how many of the others have one."""
    length = TRUTHS[program].program.n_positions // 2 - 1
    result = found(program, "head_scores", samples=4, length=length)
    labels = np.ndenumerate(result.extra["label"].values)
    named = {f"{layer}.{head}": label for (layer, head), label in labels if label}
    dead = [name for name in named if name not in TRUTHS[program].heads]
    return Finding(tuple(sorted(f"{k} {v}" for k, v in named.items())), float(len(dead)))


def pairs(program: str) -> Finding:
    result = found(program, "head_pairs")
    names = [plain(label) for label in result.axes[0].labels]
    return Finding.of(
        (" with ".join(sorted((names[i], names[j]))), float(result.values[i, j]))
        for i, j in combinations(range(len(names)), 2)
    )


def trace(program: str) -> Finding:
    """Little noise on the token that is moved: what looks at it still does, and takes it as it is."""
    given = {"subject": str(TRUTHS[program].moved), "noise": 1.0, "samples": 3}
    return Finding.of(by_cell(program, found(program, "causal_trace", **given)))


def scored_tokens(analysis: str, **params: object) -> Callable[[str], Finding]:
    return lambda program: Finding.of(by_token(program, found(program, analysis, **params)))


def neurons(program: str) -> Finding:
    values = np.ndenumerate(found(program, "neurons").values)
    return Finding.of((f"{layer}.{neuron}", float(value)) for (layer, neuron), value in values)


def _counting(truth: Truth) -> list[str]:
    """The two neurons of each ramp."""
    return [f"{layer}.{neuron}" for layer in truth.program.mlps for neuron in (0, 1)]


def _layers(truth: Truth) -> set[str]:
    heads = {int(name.split(".")[0]) for name in truth.heads}
    return {f"layer {layer}" for layer in heads | set(truth.program.mlps)}


def _mlps(truth: Truth) -> set[str]:
    return {f"{layer}.mlp" for layer in truth.program.mlps}


def _read(truth: Truth) -> list[str]:
    names = tokens(truth.program.name)
    return [name for name, effect in zip(names, truth.read, strict=True) if effect]


def _components(truth: Truth) -> set[str]:
    embeddings = {f"embed {at}" for at, effect in enumerate(truth.read) if effect}
    return {*truth.heads, *_mlps(truth), *_layers(truth), *embeddings}


def _moved(truth: Truth) -> list[str]:
    """Where an MLP decides, it is saturated: no gradient and no relevance reaches a token."""
    return [] if truth.moved is None else [tokens(truth.program.name)[truth.moved]]


def _traced(truth: Truth) -> list[str] | None:
    if truth.moved is None:
        return None
    names, last = tokens(truth.program.name), truth.program.n_layers - 1
    before = [f"layer {layer} {names[truth.moved]}" for layer in range(last)]
    return [*before, f"layer {last} {names[-1]}"]


def _cells(truth: Truth) -> list[str]:
    names = tokens(truth.program.name)
    return [f"layer {layer} {names[position]}" for layer, position in truth.way]


ROWS = {
    "head_ablation": Row("head ablation", ablation, lambda t: t.heads),
    "head_pairs": Row(
        "pairs of heads", pairs, lambda t: map(" with ".join, combinations(t.heads, 2))
    ),
    "head_scores": Row("head types", types, lambda t: (" ".join(i) for i in t.types.items())),
    "critical_components": Row("critical components", critical, _components),
    "direct_logit_attribution": Row(
        "direct logit attribution", direct, lambda t: map(plain, t.direct)
    ),
    "neurons": Row("neurons", neurons, _counting),
    "logit_lens": Row(
        "logit lens", lens, lambda t: [f"layer {at}" for at in range(t.shown, t.program.n_layers)]
    ),
    "patched_heads": Row("activation patching, heads", patched_heads, lambda t: t.restored),
    "patched_inside": Row(
        "activation patching, q, k, v, pattern", patched_inside, lambda t: t.inside
    ),
    "patched_neurons": Row("activation patching, neurons", patched_neurons, _counting),
    "patched_stream": Row("activation patching, stream", patched_stream, _cells),
    "attribution_patching": Row(
        "attribution patching, heads (soft)", estimated_heads, lambda t: t.restored
    ),
    "path_patching": Row("path patching, every receiver", paths, lambda t: t.edges),
    "eap": Row("EAP (soft)", edges_by_score("eap"), lambda t: t.edges),
    "eap_ig": Row("EAP-IG (soft)", edges_by_score("eap_ig"), lambda t: t.edges),
    "top": Row("circuit (soft, rotated)", edges_by_search("top", "rotated"), lambda t: t.edges),
    "greedy": Row("circuit, greedy", edges_by_search("greedy", "hard"), lambda t: t.edges),
    "causal_trace": Row("causal trace", trace, _traced),
    "occlusion": Row("occlusion", scored_tokens("occlusion"), _read),
    "shapley": Row("Shapley values", scored_tokens("shapley", samples=256), _read),
    "grad_x_input": Row("gradient × input", scored_tokens("grad_x_input"), _moved),
    "lrp": Row("AttnLRP", scored_tokens("lrp"), _moved),
}


def stated(row: str, program: str) -> tuple[str, ...] | None:
    """What a row must find, sorted."""
    names = ROWS[row].stated(TRUTHS[program])
    return None if names is None else tuple(sorted(names))
