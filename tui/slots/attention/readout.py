"""What the lines under an attention pattern say: a pair of tokens, and the head over the whole prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from interpboard.display import fit, visible_token
from tui import words
from tui.widgets.line import OPTIONAL

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import Result
    from tui.slots.framed_box import Ink

_MEANS = ("entropy", "distance", "first", "sink")


def pair_readout(
    pattern: np.ndarray, tokens: Sequence[str], head: str, pair: tuple[int, int], ink: Ink
) -> Text:
    """How much of the query's attention the key has, and its rank; ``pair`` is (query, key)."""
    query, key = pair
    names = [f"{at} {visible_token(tokens[at])}" for at in pair]
    text = Text.assemble(
        (f" {head}", ink("text", bold=True)),
        (f"  {fit(names[0], 20).rstrip()} → {fit(names[1], 20).rstrip()}", ink("text")),
    )
    from interpboard.results.attention_pairs import possible_pairs

    there = possible_pairs(pattern)[query]
    value = float(pattern[query, key])
    if not there[key]:
        why = "this layer has no query there" if value != value else "later: it cannot look there"
        return text.append(f"  {why}", ink("muted"))
    rank = 1 + int((pattern[query, there] > value).sum())
    text.append(f"  {words.percent(value)}", ink("accent", bold=True))
    text.append(f"  rank {rank}/{int(there.sum())}", ink("text") + OPTIONAL)
    return text.append("  exact", ink("muted"))


def head_means(result: Result, ink: Ink) -> Text:
    """Means over the queries of the prompt: entropy, distance, the first token's share, no token's."""
    mean = {name: float(result.extra[name].values[0, 0]) for name in _MEANS}
    text = Text(f" means: entropy {words.mean(mean['entropy'], 2)} nats", ink("muted"))
    if mean["distance"] == mean["distance"]:  # cross attention looks at another text
        from interpboard.results.attention_pairs import looks_ahead

        way = "away" if looks_ahead(result.values) else "back"
        text.append(f"  {words.mean(mean['distance'], 1)} {way}", ink("muted"))
    text.append(f"  first {words.percent(mean['first'])}", ink("muted"))
    if mean["sink"] > 0.001:
        text.append(f"  no token {words.percent(mean['sink'])}", ink("muted"))
    return text
