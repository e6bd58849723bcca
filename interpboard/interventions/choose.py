"""``strongest=10``, ``layer=3``, ``type=induction``: which heads a person means, as a set to intervene on.

The result says what was chosen place by place; the line that makes it again names those places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.types import head_scores
from interpboard.errors import BadParameter
from interpboard.interventions.grammar import REPLACED
from interpboard.interventions.sets import (
    ABLATION_WORDS,
    InterventionSet,
    control,
    every_place,
    in_layer,
    of_type,
    strongest,
)
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo, Result
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import SILENT, Watch

HEAD_CHOICES = "strongest=10, layer=3 or type=induction"


@dataclass(frozen=True)
class Chosen:
    """A set (None: none), its random control if there is to be one, and the results it was chosen from."""

    heads: InterventionSet | None
    control: InterventionSet | None
    results: tuple[Result, ...]


def choose(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    heads: str,
    *,
    what: str = "zero",
    references: Sequence[str] = (),
    seed: int | None = 0,
    watch: Watch = SILENT,
) -> Chosen:
    """The set that ``heads`` names: ``strongest=N``, ``layer=N`` or ``type=NAME``.

    ``strongest`` measures every head, replaced by ``what`` (``zero``, ``mean``, or ``patch``: its output on
    ``references``), and takes those furthest from the neutral value. ``type`` takes what ``head_scores``
    labels so. ``seed`` is that of the control, a random set of the same size; None: without one. Raises
    ``BadParameter`` for anything else, and what the analyses raise.
    """
    way, equals, value = heads.partition("=")
    way, value = way.strip(), value.strip()
    if not equals or not value or way not in ("strongest", "layer", "type"):
        raise BadParameter(f"Cannot choose heads by {heads!r}.", f"Write {HEAD_CHOICES}.")
    if what not in REPLACED:
        raise BadParameter(f"Heads cannot be put to {what!r}.", f"Use {', '.join(REPLACED)}.")
    anatomy = lm.anatomy
    results: tuple[Result, ...] = ()
    if way == "layer":
        chosen = in_layer(_whole(value, heads), anatomy.layer_names, anatomy.n_heads, what)
    elif way == "type":
        types = head_scores(lm, prompt, metric, watch=watch)
        chosen, results = of_type(types, value, what), (types,)
    else:
        number = _whole(value, heads)
        (ablation,) = [name for name, word in ABLATION_WORDS.items() if word == what]
        grid = head_ablation(
            lm, prompt, metric, ablation=ablation, references=tuple(references), watch=watch
        )
        chosen, results = strongest(grid, number, what), (grid,)
    if seed is None:
        return Chosen(chosen, None, results)
    without = {anatomy.layer_names[i] for i in lm.verified.layers_without("z")}
    among = [
        place
        for place in every_place(anatomy.layer_names, anatomy.n_heads)
        if place.endswith("mlp") or place.partition(".")[0] not in without
    ]
    return Chosen(chosen, control(chosen.places, among, seed, what), results)


def _whole(value: str, given: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise BadParameter(f"{given!r} needs a whole number.", f"Write {HEAD_CHOICES}.")
    return int(value)
