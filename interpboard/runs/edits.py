"""Edits: what is done at a site. A counterfactual is a tuple of them, made in one forward pass.

Three kinds are primitive: ``zero``, ``patch`` (put a value) and ``add``. The others of the design are
made of them: ``mean`` and ``resample`` are patches with a value computed beforehand, ``noise`` is an
``add`` of seeded noise, steering is an ``add``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Kind = Literal["zero", "patch", "add"]


@dataclass(frozen=True, eq=False)
class Edit:
    """Replace (``patch``), zero, or add to, the activation at a site.

    ``head`` at ``z``, ``q``, ``pattern`` (for ``k`` and ``v`` it counts key/value heads); ``neuron`` at
    ``neuron``; None for all of them. ``positions`` None: everywhere (at ``pattern``: query positions).
    ``value`` must broadcast to the edited part, positions first: [pos, d_model], [pos, d_head] for one
    head, [pos] for one neuron; one entry a position edited, or one for all of them.
    """

    site: str
    layer: int
    kind: Kind = "zero"
    head: int | None = None
    positions: tuple[int, ...] | None = None
    value: torch.Tensor | None = None
    neuron: int | None = None

    @property
    def start(self) -> int:
        """The first layer that must run again; −1 for the embedding."""
        return -1 if self.site == "embed" else self.layer

    @property
    def first(self) -> int:
        """The first position edited."""
        return 0 if self.positions is None else min(self.positions)


Counterfactual = tuple[Edit, ...]


def start_of(counterfactual: Counterfactual) -> int:
    """The first layer that any of its edits touches."""
    return min(edit.start for edit in counterfactual)


def first_of(counterfactual: Counterfactual) -> int:
    """The first position that any of its edits touches."""
    return min(edit.first for edit in counterfactual)


def apply_edits(
    activation: torch.Tensor, rows: Sequence[tuple[int, Edit]], first: int = 0
) -> torch.Tensor:
    """A copy of ``activation`` [batch, pos, …] with each edit made in its row.

    ``activation`` begins at position ``first`` of the prompt and may end before its last.
    """
    edited = activation.clone()
    stop = first + activation.shape[1]
    for row, edit in rows:
        part = edited[row]
        if edit.head is not None:
            part = part[:, edit.head]
        if edit.neuron is not None:
            part = part[:, edit.neuron]
        everywhere = range(stop) if edit.positions is None else edit.positions
        which = [i for i, position in enumerate(everywhere) if first <= position < stop]
        where = [everywhere[i] - first for i in which]
        if edit.kind == "zero":
            part[where] = 0
            continue
        assert edit.value is not None, f"{edit.kind} needs a value"
        value = edit.value.to(edited)
        if value.dim() == part.dim() and value.shape[0] > 1:
            value = value[which]
        part[where] = value if edit.kind == "patch" else part[where] + value
    return edited
