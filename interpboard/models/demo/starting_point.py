"""Where training starts: weights in which looking back and matching tokens are near at hand.

From GPT-2's usual starting point, copying a repeated token sits on a plateau that a few million tokens
do not leave. Here the directions that such a circuit needs are there at the start, at random places
and in every layer alike; what the heads do with them, and which survive, training decides.

- Position embeddings are sines and cosines, in which one rotation goes from a position to the one
  before. Four heads of layer 0 have it between their queries and keys, so they look back by one.
- Those heads write what they see through a fixed random rotation, apart from the token's own place.
- In later layers queries and keys start by comparing tokens: half of the heads with what was written
  by those that look back, half with the tokens themselves. Values and outputs start as a copy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import GPT2LMHeadModel

TOKEN_DEVIATION = 0.1
"""Tied to the output, embeddings of GPT-2's usual 0.02 cannot make a copied token likely."""
WAVE = 0.1
LOOK_BACK = 2.5
COMPARE = 1.2
COPY = 0.6


def seed_circuits(model: GPT2LMHeadModel, seed: int, furthest: int = 1) -> None:
    """Put `model` at the starting point; its sizes are taken from its configuration.

    `furthest`: the heads that look back do so by 1 to so many positions, in equal numbers.
    """
    config = model.config
    width, heads = config.n_embd, config.n_head
    size = width // heads
    generator = torch.Generator().manual_seed(seed)
    tokens, apart = _rotation(width, generator), _rotation(width, generator)
    rates = _rates(width)
    with torch.no_grad():
        embeddings = model.transformer.wte.weight
        embeddings.mul_(TOKEN_DEVIATION / embeddings.std())
        model.transformer.wpe.weight.copy_(WAVE * _waves(config.n_positions, rates))
        for layer, block in enumerate(model.transformer.h):
            for head in range(heads):
                part = _Head(block.attn, width, slice(size * head, size * (head + 1)))
                shared = head % (heads // 2)
                seen = tokens[:, size * shared : size * (shared + 1)]
                looks_back = head < heads // 2
                if layer == 0 and looks_back:
                    back = 1 + head * furthest // (heads // 2)
                    part.ask(*(LOOK_BACK * m for m in _looks_back(back, rates, size, generator)))
                    part.move(COPY * seen, COPY * (apart @ seen))
                elif layer > 0:
                    part.ask(COMPARE * seen, COMPARE * (apart @ seen if looks_back else seen))
                    own = tokens[:, size * head : size * (head + 1)]
                    part.move(COPY * own, COPY * own)


def extend_positions(model: GPT2LMHeadModel, practised: int) -> None:
    """Carry what positions before `practised` have learnt over to those behind.

    A ridge regression from the waves that all positions started as to what the practised ones became,
    applied to the others: rows long enough to reach them are too rare to teach them alone.
    """
    with torch.no_grad():
        learnt = model.transformer.wpe.weight
        waves = (WAVE * _waves(len(learnt), _rates(model.config.n_embd))).double()
        known = waves[4:practised]  # the first few serve as markers of the beginning
        change = learnt[4:practised].double() - known
        ridge = 0.01 * torch.eye(waves.shape[1], dtype=torch.float64)
        fit = torch.linalg.solve(known.T @ known + ridge, known.T @ change)
        learnt[practised:] = (waves + waves @ fit)[practised:].float()


class _Head:
    """One head's share of GPT-2's packed attention weights."""

    def __init__(self, attention: Any, width: int, part: slice) -> None:
        self.packed: Tensor = attention.c_attn.weight
        self.output: Tensor = attention.c_proj.weight
        self.width, self.part = width, part

    def ask(self, query: Tensor, key: Tensor) -> None:
        """Set what it looks for and what it looks at, each (width, size)."""
        self._packed(0).copy_(query)
        self._packed(1).copy_(key)

    def move(self, value: Tensor, output: Tensor) -> None:
        """Set what it reads and where it writes it, each (width, size)."""
        self._packed(2).copy_(value)
        self.output[self.part].copy_(output.T)

    def _packed(self, which: int) -> Tensor:
        start = which * self.width
        return self.packed[:, start + self.part.start : start + self.part.stop]


def _rates(width: int) -> Tensor:
    """Radians a position of each wave: from 3 down to 0.01."""
    return torch.logspace(0.477, -2, width // 2)


def _waves(positions: int, rates: Tensor) -> Tensor:
    """Sines, then cosines, of the position at every rate: (positions, width)."""
    angles = torch.arange(positions)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _looks_back(
    by: int, rates: Tensor, size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Query and key maps (width, size) whose product is largest for the position `by` before."""
    fast = torch.nonzero(rates > 0.3).flatten()  # slow waves cannot tell neighbours apart
    chosen = fast[torch.randperm(len(fast), generator=generator)[: size // 2]]
    half, sines = size // 2, torch.arange(size // 2)
    cosines, place = sines + half, len(rates)
    turn = by * rates[chosen]
    query, key = torch.zeros(2 * place, size), torch.zeros(2 * place, size)
    key[chosen, sines] = 1
    key[chosen + place, cosines] = 1
    query[chosen, sines] = turn.cos()
    query[chosen + place, sines] = -turn.sin()
    query[chosen + place, cosines] = turn.cos()
    query[chosen, cosines] = turn.sin()
    return query, key


def _rotation(width: int, generator: torch.Generator) -> Tensor:
    rotation: Tensor = torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
    return rotation
