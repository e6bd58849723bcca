"""What a model's line says of what it could not prove, and of how its runs are made."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.models.anatomy import Anatomy
from interpboard.models.proof.verified import in_words
from interpboard.models.sites import ROUTER, SITES

ALONE = (
    "what is computed beside a row or behind a token changes its numbers (8-bit outliers, limited "
    "experts): every run is made alone, over the whole prompt, and its numbers are those of that run"
)


def layer_notes(
    anatomy: Anatomy,
    by_layer: Sequence[frozenset[str]],
    lens: bool,
    replays: bool,
    alone: bool,
    besides: set[str],
    no_pattern: str = "",
) -> tuple[str, ...]:
    """A line for each: sites that are lacking, with their layers (``no_pattern``: why patterns are); what
    layers add ``besides`` attention and MLP; no ``lens``; how runs are made."""
    lacking: dict[tuple[int, ...], list[str]] = {}
    every = range(len(by_layer))
    for site in (*SITES, ROUTER):
        having = [i for i, m in enumerate(anatomy.mixtures) if m] if site == ROUTER else every
        layers = tuple(i for i in having if site not in by_layer[i])
        if layers:
            lacking.setdefault(layers, []).append(site)
    notes = []
    for layers in sorted(lacking, key=len, reverse=True):
        where = "on this model" if len(layers) == len(by_layer) else f"in {in_words(layers)}"
        no_why = "pattern" not in lacking[layers] or not no_pattern
        why = "" if no_why else f": {no_pattern.removesuffix('.')}"
        notes.append(f"edits at {', '.join(lacking[layers])} are not available {where}{why}")
    notes += switched(anatomy)
    if "norms" in besides:
        notes.append("layers norm the stream itself: what attention and MLP add does not add up")
    if "adds" in besides:
        notes.append("a layer adds more to the stream than attn_out and mlp_out")
    if not lens:
        notes.append("no logit lens: final norm and unembedding do not give this model's logits")
    if alone:
        notes.append(ALONE)
    elif not replays:
        notes.append("layers cannot be replayed exactly: plain hooked forwards are used")
    return tuple(notes)


def switched(anatomy: Anatomy) -> list[str]:
    """A line where the proof's short prompts have switched the attention (big_bird), which stays so."""
    types = (getattr(module, "attention_type", None) for module in anatomy.base.modules())
    runs = next((each for each in types if isinstance(each, str)), None)
    said = getattr(anatomy.model.config, "attention_type", None)
    if not isinstance(runs, str) or not isinstance(said, str) or runs == said:
        return []
    return [
        f"its attention is {runs} for prompts of every length, not {said} as its config says: transformers "
        "switches it at the first short prompt"
    ]
