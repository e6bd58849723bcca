"""What an encoder–decoder adds to an anatomy: tokens in two strips, layers in three groups.

The source and the prefix of the target share one index space: source tokens first, from ``border`` on those
of the prefix. A layer of the anatomy is a layer of the encoder (``E0`` …), the first half of one of the
decoder, its self-attention (``D0`` …), or the second, cross attention and MLP (``X0`` …). Activations are
given by all positions of both strips; where a layer has none they are 0, and what is put there goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import nn

StripChange = Callable[[torch.Tensor], torch.Tensor | None]

ENCODER, DECODER, CROSS = "E", "D", "X"
"""Layers of the encoder, and of each layer of the decoder the half with self-attention and the other."""


class Strips(Protocol):
    """The two strips of a model; ``two_strips`` makes it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of each layer: ``E0``, ``D0``, ``X0``."""

    def at(
        self, anatomy: Any, site: str, layer: int, change: StripChange
    ) -> AbstractContextManager[None]:
        """``sites.at_site`` at a layer of ``anatomy``, which has these strips."""

    def positions(self, site: str, layer: int, border: int, length: int) -> range:
        """The positions at which ``layer`` has the site, on a prompt of that ``border`` and ``length``."""

    def sum_norms(self, layer: int) -> tuple[nn.Module | None, nn.Module | None]:
        """The norms of the sums behind attention and behind the MLP of ``layer``, where it norms there."""

    def recording(
        self, anatomy: Any, calls: list[Any], keeper: Any
    ) -> AbstractContextManager[None]:
        """``calls.recording_calls`` of ``anatomy``, which has these strips."""

    def states_of(self, stream: torch.Tensor) -> torch.Tensor:
        """The encoder's states for what its last layer gives [row, pos, d_model]."""

    def first_inputs(self, ids: torch.Tensor) -> torch.Tensor:
        """What both stacks give their first layers [row, pos, d_model], for coded ``ids`` [row, pos]."""

    def code(self, ids: torch.Tensor, border: int) -> torch.Tensor:
        """``ids`` [row, pos] as the model is given them: it is seen from them where the prefix begins."""


def group_of(name: str) -> str:
    """The group of the layer ``name``."""
    return name[:1]


def stands_in_source(name: str) -> bool:
    """Whether the stream of the layer ``name`` is over the source's tokens."""
    return group_of(name) == ENCODER


def layers_of_source(names: Sequence[str]) -> int:
    """How many of the layers ``names`` are of an encoder before a decoder; 0 where there is one stack."""
    return sum(map(stands_in_source, names))
