"""Sets of heads and MLPs that are intervened on as one, and a random set of the same size beside each.

A set is a name and places of the grammar (``grammar.set_text`` writes it), so the text of the intervention
itself says what it is of, and not how that was chosen. No torch: the app chooses from the results it has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from interpboard.errors import BadParameter
from interpboard.interventions.grammar import REPLACED, set_text
from interpboard.registry.component_names import written_component
from interpboard.registry.layer_names import has_mlp
from interpboard.results import Result
from interpboard.results.arrays import Labelled
from interpboard.results.metric_words import metric_words
from interpboard.results.signs import sides_of

# How an ablation of the grid is written as an intervention; the others have no word in the grammar.
ABLATION_WORDS = {"zero": "zero", "mean": "mean", "resample": "patch"}
_PLACE = re.compile(r"(?P<layer>[EDX]?\d+)\.(?P<part>e?\d+|mlp|attn|resid|router)(?P<at>@[\d-]+)?")


@dataclass(frozen=True)
class InterventionSet:
    """Places that one intervention is of. ``about`` says in a line how they were chosen."""

    name: str
    places: tuple[str, ...]
    what: str = "zero"
    about: str = ""

    @property
    def text(self) -> str:
        """As the grammar writes it."""
        return set_text(self.name, self.places, self.what)

    def __len__(self) -> int:
        return len(self.places)


def strongest(result: Result, n: int, what: str | None = None) -> InterventionSet:
    """The ``n`` heads [layer, head] of ``result`` that are furthest from its neutral value.

    ``what`` is put there; None: what the grid was made with. Estimates and a grid of which a part is
    measured say so in the set's name. Raises ``BadParameter`` for a result of other axes, for more heads
    than have a value, and for an ablation that the grammar has no word for.
    """
    ablation = str(result.params.get("ablation", "zero"))
    return strongest_of(
        result,
        n,
        what=what or ablation_word(ablation),
        neutral=result.neutral,
        meaning=result.meaning,
        by=f"{metric_words(result.metric)}, {ablation} ablation",
        estimated=result.made_by.path == "autograd",
        unfinished=result.partial is not None,
    )


def ablation_word(ablation: str) -> str:
    """The word of the grammar for an ablation. Raises ``BadParameter`` where it has none."""
    if ablation not in ABLATION_WORDS:
        raise BadParameter(
            f"What {ablation} ablation puts in place of a head is no intervention.",
            f"Name what to put there: {', '.join(REPLACED)}.",
        )
    return ABLATION_WORDS[ablation]


def strongest_of(
    grid: Labelled,
    n: int,
    *,
    what: str,
    neutral: float = 0.0,
    meaning: str = "",
    by: str = "",
    estimated: bool = False,
    unfinished: bool = False,
) -> InterventionSet:
    """The same of bare values [layer, head]. ``by``: what they are of, in words. ``estimated``: none of them
    is measured; where the grid itself marks estimates those count too. ``unfinished``: it is still computed,
    so that a head without a value is one that was not looked at yet.
    """
    if [axis.name for axis in grid.axes] != ["layer", "head"]:
        axes = " × ".join(axis.name for axis in grid.axes)
        raise BadParameter(
            f"The strongest heads are chosen from effects by layer and head, not by {axes}.",
            "Choose from a result of head_ablation.",
        )
    values = grid.values.reshape(-1).astype(np.float64)
    known = int(np.isfinite(values).sum())
    if not 1 <= n <= known:
        raise BadParameter(
            f"{n} heads cannot be chosen: {known} have a value.", f"Choose 1 to {known}."
        )
    distance = np.where(np.isfinite(values), np.abs(values - neutral), -1.0)
    order = np.argsort(-distance, kind="stable")[:n]
    marks = getattr(grid, "estimated", None)
    guessed = n if estimated else int(marks.reshape(-1)[order].sum()) if marks is not None else 0
    layers, heads = (axis.labels for axis in grid.axes)
    places = tuple(written_component(layers[i // len(heads)], heads[i % len(heads)]) for i in order)
    name = f"strongest {n}"
    if guessed:
        name += " by estimates" if guessed == n else f", {guessed} by estimates"
    if unfinished and known < values.size:
        name += f", of {known} of {values.size}"
    return InterventionSet(name, places, what, _said(values[order], neutral, meaning, by))


def _said(values: np.ndarray, neutral: float, meaning: str, by: str) -> str:
    """How far is far, and how many are on either side, in the words of the result."""
    below, above = sides_of(meaning, short=True)
    counts = (
        (int((values < neutral).sum()), below or f"below {neutral:g}"),
        (int((values > neutral).sum()), above or f"above {neutral:g}"),
        (int((values == neutral).sum()), "without effect"),
    )
    sides = ", ".join(f"{count} {side}" for count, side in counts if count)
    return f"furthest from {neutral:g}{' in ' + by if by else ''}; {sides}"


def in_layer(
    layer: int, layers: int | Sequence[str], heads: int, what: str = "zero"
) -> InterventionSet:
    """Every head of ``layer`` and its MLP, of a model of that size: so many ``layers``, or their names.

    Raises ``BadParameter``."""
    names = _names(layers)
    if not 0 <= layer < len(names):
        raise BadParameter(
            f"There is no layer {layer}.", f"The model has layers 0 to {len(names) - 1}."
        )
    name = names[layer]
    beside = " and its MLP" if has_mlp(name) else ""
    return InterventionSet(
        f"layer {name}",
        _of_layer(name, heads),
        what,
        f"all {heads} heads of layer {name}{beside}",
    )


def of_type(types: Result, kind: str, what: str = "zero") -> InterventionSet:
    """Every head that ``types``, a result of ``head_scores``, labels ``kind``.

    Raises ``BadParameter`` for another result, and where there is none, naming the types that there are.
    """
    if types.analysis != "head_scores" or "label" not in types.extra:
        raise BadParameter("Types of heads are told by head_scores.", "Run it first.")
    labels = types.extra["label"]
    wanted = kind.strip().lower().replace(" ", "_").replace("-", "_")
    layers, heads = (axis.labels for axis in labels.axes)
    names = {
        (i, j): str(labels.values[i, j]) for i in range(len(layers)) for j in range(len(heads))
    }
    places = tuple(
        written_component(layers[i], heads[j]) for (i, j), name in names.items() if name == wanted
    )
    if not places:
        there = {
            name: list(names.values()).count(name) for name in sorted(set(names.values())) if name
        }
        counts = ", ".join(f"{name} {count}" for name, count in there.items())
        remedy = f"There are: {counts}." if there else "No head of this model is of a known type."
        raise BadParameter(f"No head is typed {kind!r}.", remedy)
    return InterventionSet(
        f"typed {wanted}", places, what, f"every head that head_scores labels {wanted}"
    )


def every_place(layers: int | Sequence[str], heads: int) -> tuple[str, ...]:
    """The heads and MLPs of a model of that size, of which a control is drawn; ``layers`` as ``in_layer``."""
    return tuple(place for name in _names(layers) for place in _of_layer(name, heads))


def _names(layers: int | Sequence[str]) -> tuple[str, ...]:
    return tuple(map(str, range(layers))) if isinstance(layers, int) else tuple(layers)


def _of_layer(name: str, heads: int) -> tuple[str, ...]:
    parts = (*range(heads), None) if has_mlp(name) else range(heads)
    return tuple(written_component(name, part) for part in parts)


def control(
    chosen: Sequence[str], among: Iterable[str], seed: int = 0, what: str = "zero"
) -> InterventionSet:
    """A random set of the size of ``chosen``: as many heads and as many MLPs, none of them in it.

    They are drawn from ``among`` by a hash of the seed and the place: the same everywhere and for ever, and
    every set equally likely. Positions (``2.5@3``) are those of the chosen place whose stead it takes.
    Raises ``BadParameter`` where too few are left.
    """
    taken = {_bare(place) for place in chosen}
    left: dict[str, list[str]] = {}
    for place in dict.fromkeys(among):
        if place not in taken:
            left.setdefault(_part(place), []).append(place)
    for places in left.values():
        places.sort(key=lambda place: blake2b(f"{seed} {place}".encode()).digest())
    needed: dict[str, int] = {}
    drawn = []
    for place in chosen:
        part = _part(place)
        at, stock = needed.get(part, 0), left.get(part, [])
        needed[part] = at + 1
        if at < len(stock):
            drawn.append(stock[at] + (_matched(place)["at"] or ""))
    short = {part: n for part, n in needed.items() if n > len(left.get(part, []))}
    for part, n in short.items():
        raise BadParameter(
            f"A control of the same size needs {n} {part}s outside the set, and {len(left.get(part, []))} "
            "are left.",
            "Choose fewer, or leave out the control.",
        )
    name = f"random {len(chosen)}, seed {seed}"
    return InterventionSet(
        name, tuple(drawn), what, f"drawn from what is not in the set, seed {seed}"
    )


def _matched(place: str) -> re.Match[str]:
    found = _PLACE.fullmatch(place.strip())
    if found is None:
        raise BadParameter(
            f"There is no random place for {place!r}.", "A control is of heads and MLPs."
        )
    return found


def _bare(place: str) -> str:
    """The place without positions."""
    found = _matched(place)
    return f"{found['layer']}.{found['part']}"


def _part(place: str) -> str:
    part = _matched(place)["part"]
    return "head" if part.isdigit() else "expert" if part[1:].isdigit() else part


def unique_name(name: str, taken: Collection[str]) -> str:
    """``name``, with a number behind it where it is taken."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free
