"""Who can see a unit of the prompt, and the edits that hide it from them.

In a causal model later positions see it; in an encoder all others do; in an encoder–decoder a unit of the
source is seen by the rest of the source (E) and by the whole prefix (X), one of the prefix by what stands
behind it (D). Cross attention from which the whole source is hidden has nothing to share its attention among:
it then fetches nothing, and adds its bias alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.strip_places import positions_at
from interpboard.runs.units import Unit


def hidden(layers: Sequence[int], queries: Sequence[int], keys: Sequence[int]) -> Counterfactual:
    """``keys`` hidden from ``queries``, positions both, in each of ``layers``."""
    return tuple(
        Edit("pattern", layer, "block", positions=tuple(queries), keys=tuple(keys))
        for layer in layers
    )


def hidden_at(
    lm: LanguageModel,
    prompt: PromptInfo,
    layers: Sequence[int],
    queries: Sequence[int],
    keys: Sequence[int],
) -> Counterfactual:
    """``hidden``, of an encoder–decoder in those of ``layers`` where any of them meet.

    Queries that would be left with nothing to see have their heads' output at zero instead.
    """
    if lm.anatomy.strips is None:
        return hidden(layers, queries, keys)
    found: list[Edit] = []
    for layer in layers:
        of_queries, of_keys = (positions_at(lm, prompt, site, layer) for site in ("q", "k"))
        asking = tuple(at for at in queries if at in of_queries)
        asked = tuple(at for at in keys if at in of_keys)
        if not asking or not asked:
            continue
        if of_keys != of_queries and set(of_keys) <= set(asked):
            found.append(Edit("z", layer, "zero", positions=asking))
        else:
            found.append(Edit("pattern", layer, "block", positions=asking, keys=asked))
    # Where none meet, the edits that do nothing: the effect is 0.
    return tuple(found) or hidden(layers, queries, keys)


def seen_from(lm: LanguageModel, prompt: PromptInfo, unit: Unit, end: int) -> tuple[int, ...]:
    """The positions before ``end``, but for its own, that can see ``unit``."""
    first, last = unit.positions[0], unit.positions[-1]
    if lm.verified.causal or 0 < prompt.border <= first:
        return tuple(range(last + 1, end))
    return tuple(at for at in range(end) if not first <= at <= last)


def sees(lm: LanguageModel, prompt: PromptInfo, by: Unit, unit: Unit) -> bool:
    """Whether positions of ``by`` can see any of ``unit``; a unit sees itself."""
    first = unit.positions[0]
    if lm.verified.causal or 0 < prompt.border <= first:
        return first <= by.positions[-1]
    return True
