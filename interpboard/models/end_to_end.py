"""Rows that begin at different positions as one row of tokens, laid end to end.

A batch [row, pos, d_model] begins where the earliest of its rows does, and computes of the others what is
known. Outside attention a layer looks at one token at a time, so rows may lie behind each other as [1, token,
d_model], each from its own first position on, with what the layer is given for that position. Attention sees
them as the rows that they are: those of one first position together, with the recorded keys and values
before it. ``proof.end_to_end`` holds it against the rows by themselves at load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from interpboard.models.anatomy import Anatomy
from interpboard.models.attention_sites import AttentionFunction, attention_by
from interpboard.models.calls import ALIBI, MASK, LayerCall, hidden_of
from interpboard.models.kept_tensors import Kept


@dataclass(frozen=True)
class Segment:
    """Rows of one first position, from token ``begin`` on; ``base`` [row]: the recorded row of each."""

    begin: int
    first: int
    length: int
    base: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.base)

    @property
    def tokens(self) -> slice:
        """Where they lie."""
        return slice(self.begin, self.begin + self.rows * self.length)


@dataclass
class Laid:
    """Rows that lie end to end, each from its first position to ``stop`` − 1. More may join behind them."""

    stop: int
    segments: list[Segment] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    """[row]: the token at which it begins."""

    def join(self, base: Sequence[int], firsts: Sequence[int]) -> list[Segment]:
        """Lay rows behind those that are there, such of one first position beside each other."""
        added: list[Segment] = []
        begin = self.segments[-1].tokens.stop if self.segments else 0
        row = 0
        while row < len(base):
            first = firsts[row]
            end = next((i for i in range(row, len(base)) if firsts[i] != first), len(base))
            length = self.stop - first
            added.append(Segment(begin, first, length, tuple(base[row:end])))
            self.offsets += range(begin, begin + (end - row) * length, length)
            begin, row = added[-1].tokens.stop, end
        self.segments += added
        return added

    def recorded(self, call: LayerCall, segments: Sequence[Segment]) -> torch.Tensor:
        """The recorded input [token, d_model] of the layer for the rows of ``segments``."""
        parts = [_of_rows(call.hidden, s.base)[:, s.first : self.stop] for s in segments]
        return torch.cat([part.flatten(0, 1) for part in parts])

    def lengths(self, value: torch.Tensor) -> torch.Tensor:
        """[row]: by how much of it is not finite, those of all numbers of a row of ``value`` [token, …]."""
        sizes = torch.linalg.vector_norm(value, dim=-1)
        return torch.cat([sizes[s.tokens].view(s.rows, s.length).sum(1) for s in self.segments])

    def places(self) -> tuple[torch.Tensor, torch.Tensor]:
        """[token] each: the recorded row, and the position."""
        rows = [b for s in self.segments for b in s.base for _ in range(s.length)]
        positions = [p for s in self.segments for _ in s.base for p in range(s.first, self.stop)]
        return torch.tensor(rows), torch.tensor(positions)


def replay_laid(
    anatomy: Anatomy, layer: int, call: LayerCall, hidden: torch.Tensor, laid: Laid
) -> torch.Tensor:
    """The layer's output [token, d_model] for ``hidden`` [token, d_model] of the rows of ``laid``.

    Keys and values of the recorded rows are there (``LayerCall.keys_and_values``). Raises ``ValueError`` for
    a layer that is given something of which it is not known what belongs to a token.
    """
    rows, positions = laid.places()
    given = _Given(call.hidden.shape[0], call.hidden.shape[1], rows, positions)
    arguments = {name: given.argument(name, value) for name, value in call.arguments.items()}
    with attention_by(anatomy, layer, partial(_attend, call, laid)):
        return hidden_of(call.layer(hidden[None], **arguments))[0]


@dataclass(frozen=True)
class _Given:
    """What a layer is given, for tokens of the recorded ``rows`` at ``positions``."""

    batch: int
    length: int
    rows: torch.Tensor
    positions: torch.Tensor

    def argument(self, name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self.argument(name, item) for item in value)
        if not isinstance(value, torch.Tensor) or value.dim() == 0:
            return value
        if name == MASK:
            return None  # attention has that of its rows
        if value.dim() == 1 and len(value) == self.length:
            return value[self.positions]
        if value.dim() in (2, 3) and value.shape[1] == self.length and name != ALIBI:
            if len(value) == 1:
                return value[:, self.positions]
            if len(value) == self.batch:
                return value[self.rows, self.positions][None]
        raise ValueError(f"it is not known what of {name} belongs to a token")


def _attend(
    call: LayerCall,
    laid: Laid,
    own: AttentionFunction,
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of each segment by the model's ``own`` function: query [1, head, token, d_head] and so on."""
    found = []
    for s in laid.segments:
        q, k, v = (
            part[0, :, s.tokens].unflatten(1, (s.rows, s.length)).transpose(0, 1)
            for part in (query, key, value)
        )
        mask = call.mask_of(torch.tensor(s.base), s.first, s.length)
        if s.first:
            keys, values = (_of_rows(part, s.base) for part in call.keys_and_values())
            k = torch.cat([keys[:, :, : s.first], k], 2)
            v = torch.cat([values[:, :, : s.first], v], 2)
        found.append(own(module, q, k, v, mask, **kwargs)[0].flatten(0, 1))
    return torch.cat(found)[None], None


def _of_rows(kept: Kept, rows: Sequence[int]) -> torch.Tensor:
    """Those ``rows`` of what is kept; no copy where they follow each other."""
    if tuple(rows) == tuple(range(rows[0], rows[0] + len(rows))):
        return kept[rows[0] : rows[0] + len(rows)]
    return kept[torch.tensor(rows)]
