"""Path patches of encoder–decoders written by hand: hooks alone, every other part held."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.strips import Plain, strips_lm

NAMES = ("E0", "E1", "D0", "X0", "D1", "X1")
CORRUPTED = "The old house Tower is in the ||| the city is"
CLEAN = "The Eiffel Tower Tower is in the ||| the city of"
MLP, EMBED = 2, 3
Hang = Any


class ByHand:
    """Clean, corrupted and path-patched runs of one pair of prompts."""

    def __init__(self, family: str, dtype: torch.dtype) -> None:
        self.lm = strips_lm(family, dtype)
        prompts = [make_prompt(self.lm, text) for text in (CLEAN, CORRUPTED)]
        self.prompt: PromptInfo = prompts[0]
        self.metric: Metric = resolve_metric(self.lm, self.prompt, MetricRequest())
        self.clean, self.corrupted = (Plain(self.lm, each) for each in prompts)
        self.kept = [self._all(plain) for plain in (self.clean, self.corrupted)]

    def _all(self, plain: Plain) -> dict[Any, torch.Tensor]:
        found: dict[Any, torch.Tensor] = {}

        def keep(key: Any) -> Any:
            def change(own: torch.Tensor) -> torch.Tensor:
                found[key] = own.clone()
                return own

            return change

        hooks = [plain.head(name, head, keep((name, head))) for name in NAMES for head in range(2)]
        hooks += [plain.mlp(name, keep((name, MLP))) for name in NAMES if name[0] != "D"]
        hooks += [
            plain.embedding(of_source, keep((of_source, EMBED))) for of_source in (True, False)
        ]
        plain.logits(*hooks)
        return found

    def logits(self, sender: tuple[str, int], receivers: str) -> torch.Tensor:
        """[pos, d_vocab]: the sender is as on the other prompt, all others are held, and what the receiver
        then does is put into the clean run. Several: one after the other is set free."""
        base, other = self.kept
        hold: list[Hang] = []
        for name in NAMES:
            for part in (0, 1, MLP):
                if (name, part) not in base:
                    continue
                value = (other if (name, part) == sender else base)[name, part]
                put = lambda _own, value=value: value  # noqa: E731
                hold.append(
                    self.clean.mlp(name, put) if part == MLP else self.clean.head(name, part, put)
                )
        if sender[1] == EMBED:
            of_source = sender[0][0] == "E"
            value = other[of_source, EMBED]
            hold.append(self.clean.embedding(of_source, lambda _own: value))
        if receivers == "output":
            return self.clean.logits(*hold)
        seen: dict[str, torch.Tensor] = {}

        def keep(key: str) -> Any:
            def change(own: torch.Tensor) -> torch.Tensor:
                seen[key] = own.clone()
                return own

            return change

        # Hung in first: it sees what the receiver does before that is held.
        self.clean.logits(*self._at(receivers, keep), *hold)
        return self.clean.logits(*self._at(receivers, lambda key: lambda _own: seen[key]))

    def _at(self, receiver: str, change: Any) -> list[Hang]:
        name, part, *site = receiver.split(".")
        if part == "mlp":
            return [self.clean.mlp(name, change("mlp"))]
        if site:
            return [self.clean.projected(name, site[0], int(part), change("in"))]
        return [self.clean.head(name, int(part), change("z"))]


@cache
def by_hand(family: str, dtype: torch.dtype = torch.float64) -> ByHand:
    return ByHand(family, dtype)
