"""Path patches of encoders written by hand: hooks alone, every other part held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from tests.masked import HEADS, LAYERS, OTHER, TEXT, masked_lm, masked_model, plain

Part = tuple[str, int]  # a site whose output a sender writes, and its layer
Done = tuple[str, int, Callable[[torch.Tensor], torch.Tensor]]
SITES: tuple[Part, ...] = (
    ("resid_pre", 0),
    *((site, layer) for layer in range(LAYERS) for site in ("z", "mlp_out")),
)


class RowByHand:
    """Clean, other and path-patched runs of the model as it was given."""

    def __init__(self, family: str) -> None:
        self.family, self.model, lm = family, masked_model(family), masked_lm(family)
        prompt = make_prompt(lm, TEXT)
        metric = resolve_metric(lm, prompt, MetricRequest("logit_diff", "paris", "rome"))
        self.at, self.answer = metric.info.position, metric.target_id
        assert metric.info.against is not None
        self.foil = metric.info.against.id
        self.ids = input_ids(lm, prompt)
        other = input_ids(lm, make_prompt(lm, OTHER))
        self.kept = [self._all(ids) for ids in (self.ids, other)]

    def _all(self, ids: torch.Tensor) -> dict[Part, torch.Tensor]:
        found: dict[Part, torch.Tensor] = {}
        self._run(ids, [_seen(found, part) for part in SITES])
        return found

    def _run(self, ids: torch.Tensor, done: list[Done]) -> float:
        length = ids.shape[1]  # of the stream: deberta calls its maps for distances, too

        def of_stream(act: Callable[[torch.Tensor], torch.Tensor]) -> Any:
            return lambda value: act(value) if value.shape[1] == length else value

        there = [(site, layer, of_stream(act)) for site, layer, act in done]
        logits = plain(self.family, self.model, ids, there)[self.at]
        return float(logits[self.answer] - logits[self.foil])

    def without(self, sender: str, receiver: str) -> float:
        """The sender is as on the other prompt, all others are held, and what the receiver then does is put
        into the clean run."""
        base, other = self.kept
        part, head = _written(sender)
        changed = base | {part: _at_head(base[part], other[part], head)}
        hold: list[Done] = [(*where, _put(changed[where])) for where in SITES]
        if receiver == "output":
            return self._run(self.ids, hold)
        layer, name, *letter = receiver.split(".")
        site = letter[0] if letter else "mlp_out"
        found: dict[Part, torch.Tensor] = {}
        # Hung in first: it sees what the receiver does before that is held.
        self._run(self.ids, [_seen(found, (site, int(layer))), *hold])
        own = found[site, int(layer)]
        if not letter:
            return self._run(self.ids, [(site, int(layer), _put(own))])
        number = int(name)
        if self.family == "modernbert":  # all three in one
            number += HEADS * "qkv".index(site)
        if self.family == "deberta":  # likewise, a head's three one after the other
            number = 3 * number + "qkv".index(site)
        return self._run(self.ids, [(site, int(layer), lambda clean: _at_head(clean, own, number))])


def _seen(found: dict[Part, torch.Tensor], part: Part) -> Done:
    def look(value: torch.Tensor) -> torch.Tensor:
        found[part] = value.clone()
        return value

    return (*part, look)


def _put(value: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda _own: value


def _at_head(clean: torch.Tensor, own: torch.Tensor, head: int | None) -> torch.Tensor:
    if head is None:
        return own
    size = 32 // HEADS
    new = clean.clone()
    new[..., head * size : (head + 1) * size] = own[..., head * size : (head + 1) * size]
    return new


def _written(sender: str) -> tuple[Part, int | None]:
    if sender == "embed":
        return ("resid_pre", 0), None
    layer, name = sender.split(".")
    return (("mlp_out", int(layer)), None) if name == "mlp" else (("z", int(layer)), int(name))
