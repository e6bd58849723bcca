"""Edits: what is done at a site. A counterfactual is a tuple of them, made in one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Kind = Literal["zero", "patch", "add"]


@dataclass(frozen=True, eq=False)
class Edit:
    """Replace (``patch``), zero, or add to, the activation at a site.

    ``head`` at head sites, None for all of them. ``positions`` None: everywhere. ``value`` must
    broadcast to the edited part: [pos, d_model], or [pos, d_head] for one head.
    """

    site: str
    layer: int
    kind: Kind = "zero"
    head: int | None = None
    positions: tuple[int, ...] | None = None
    value: torch.Tensor | None = None

    @property
    def start(self) -> int:
        """The first layer that must run again; −1 for the embedding."""
        return -1 if self.site == "embed" else self.layer


Counterfactual = tuple[Edit, ...]


def start_of(counterfactual: Counterfactual) -> int:
    """The first layer that any of its edits touches."""
    return min(edit.start for edit in counterfactual)


def apply_edits(activation: torch.Tensor, rows: Sequence[tuple[int, Edit]]) -> torch.Tensor:
    """A copy of ``activation`` [batch, pos, …] with each edit made in its row."""
    edited = activation.clone()
    for row, edit in rows:
        part = edited[row] if edit.head is None else edited[row, :, edit.head]
        where = slice(None) if edit.positions is None else list(edit.positions)
        if edit.kind == "zero":
            part[where] = 0
            continue
        assert edit.value is not None, f"{edit.kind} needs a value"
        value = edit.value.to(edited)
        part[where] = value if edit.kind == "patch" else part[where] + value
    return edited
