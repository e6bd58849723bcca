"""Edits: what is done at a site. A counterfactual is a tuple of them, made in one forward pass.

Three kinds are primitive: ``zero``, ``patch`` (put a value) and ``add``. The others of the design are
made of them: ``mean`` and ``resample`` are patches with a value computed beforehand, ``noise`` is an
``add`` of seeded noise, steering is an ``add``. ``block``, of the pattern alone, is another: queries do not
see keys, and share what they gave them among those that they still see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from interpboard.models.crossing import at_indices, to_device

EditKind = Literal["zero", "patch", "add", "block"]


@dataclass(frozen=True, eq=False)
class Edit:
    """Replace (``patch``), zero, or add to, the activation at a site.

    ``head`` at ``z``, ``q``, ``pattern`` (for ``k`` and ``v`` it counts key/value heads); ``neuron`` at
    ``neuron``, and at ``router``, where it counts experts; None for all of them. ``positions`` None:
    everywhere (at ``pattern``: query positions).
    ``value`` must broadcast to the edited part, positions first: [pos, d_model], [pos, d_head] for one
    head, [pos] for one neuron; one entry a position edited, or one for all of them. ``by_position``: it has
    one for every position of the prompt, so that many edits can share it.
    ``keys``: of a ``block``, the positions that the queries at ``positions`` do not see, but for themselves.
    """

    site: str
    layer: int
    kind: EditKind = "zero"
    head: int | None = None
    positions: tuple[int, ...] | None = None
    value: torch.Tensor | None = None
    neuron: int | None = None
    keys: tuple[int, ...] | None = None
    by_position: bool = False

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


HiddenPlaces = tuple[tuple[int, ...], tuple[int, ...]]  # queries and the keys that they do not see
Indices = tuple[torch.Tensor, torch.Tensor]


class FindsIndices(Protocol):
    """What knows the groups of a step's edits, and may have their indices on the device already."""

    def of(
        self, activation: torch.Tensor, rows: Sequence[tuple[int, Edit]], first: int
    ) -> Sequence[tuple[EditGroup, torch.Tensor | None]]: ...

    def hidden(self, device: torch.device, places: Sequence[HiddenPlaces]) -> Sequence[Indices]: ...


def apply_edits(
    activation: torch.Tensor,
    rows: Sequence[tuple[int, Edit]],
    first: int = 0,
    indices: FindsIndices | None = None,
) -> torch.Tensor:
    """A copy of ``activation`` [batch, pos, …] with each edit made in its row, those of a row in their order.

    ``activation`` begins at position ``first`` of the prompt and may end before its last.
    """
    edited = activation.clone()
    if indices is not None:
        for group, numbers in indices.of(edited, rows, first):
            _make(edited, group, numbers)
    else:
        for group in grouped(rows, edited.dim(), first, edited.shape[1]):
            _make(edited, group, None)
    return edited


def grouped(
    rows: Sequence[tuple[int, Edit]], dimensions: int, first: int, length: int
) -> list[EditGroup]:
    """Edits that are made at once, in the order in which they are made, of an activation of so many
    ``dimensions`` at ``length`` positions from ``first`` on."""
    groups = []
    for turn in _turns(rows):
        alike: dict[Hashable, list[_Placed]] = {}
        for row, edit in turn:
            placed = _placed(dimensions, length, row, edit, first)
            if placed.where:
                alike.setdefault(placed.kind(), []).append(placed)
        groups += [EditGroup(some) for some in alike.values()]
    return groups


def block_keys(
    mask: torch.Tensor,
    rows: Sequence[tuple[int, Edit]],
    heads: int,
    first: int = 0,
    indices: FindsIndices | None = None,
) -> torch.Tensor:
    """A copy of an additive ``mask`` [batch, 1 or head, query, key] with the blocks of each row in it.

    Queries begin at position ``first`` of the prompt, keys at 0. A query goes on seeing itself: one that sees
    nothing would by the softmax see everything alike. ``indices`` may have sent places there already.
    """
    if any(edit.head is not None for _, edit in rows):
        mask = mask.expand(-1, heads, -1, -1)
    blocked = mask.clone()
    queries, keys = mask.shape[2:]
    if first + queries > keys:
        raise ValueError(f"{keys} keys do not reach {queries} queries from position {first}")
    lowest = torch.finfo(mask.dtype).min
    places = []
    for _, edit in rows:
        everywhere = range(first, first + queries) if edit.positions is None else edit.positions
        at = tuple(
            position - first for position in everywhere if first <= position < first + queries
        )
        places.append((at, tuple(position for position in edit.keys or () if position < keys)))
    sent = (
        sent_places(mask.device, places) if indices is None else indices.hidden(mask.device, places)
    )
    for (row, edit), (blind, hides) in zip(rows, sent, strict=True):
        hidden = torch.zeros(queries, keys, dtype=torch.bool, device=mask.device)
        hidden[blind[:, None], hides] = True
        hidden.diagonal(first).fill_(False)
        part = slice(None) if edit.head is None else slice(edit.head, edit.head + 1)
        blocked[row, part] = blocked[row, part].masked_fill(hidden, lowest)
    return blocked


def sent_places(device: torch.device, places: Sequence[HiddenPlaces]) -> list[Indices]:
    """``places`` there, by one transfer: each would make the host wait for the device."""
    flat = torch.tensor([n for at, hides in places for n in (*at, *hides)], dtype=torch.long)
    parts = iter(to_device(flat, device).split([len(part) for place in places for part in place]))
    return [(next(parts), next(parts)) for _ in places]


@dataclass(frozen=True, eq=False)
class _Placed:
    """An edit, the indices of ``activation`` that it changes, and with what: [pos, …], of all dimensions."""

    row: int
    where: tuple[int, ...]
    edit: Edit
    value: torch.Tensor | None

    def kind(self) -> Hashable:
        """Edits of one kind are made at once: on a GPU each by itself would be three launches."""
        value = None if self.value is None else (self.value.shape, self.value.device)
        edit = self.edit
        return edit.kind, edit.head is None, edit.neuron is None, len(self.where), value


def _turns(rows: Sequence[tuple[int, Edit]]) -> list[list[tuple[int, Edit]]]:
    """The first edit of every row, then the second of those that have one, and so on."""
    turns: list[list[tuple[int, Edit]]] = []
    seen: Counter[int] = Counter()
    for row, edit in rows:
        if seen[row] == len(turns):
            turns.append([])
        turns[seen[row]].append((row, edit))
        seen[row] += 1
    return turns


def _placed(dimensions: int, length: int, row: int, edit: Edit, first: int) -> _Placed:
    stop = first + length
    everywhere: Sequence[int] = range(stop) if edit.positions is None else edit.positions
    which: Sequence[int] = range(first, stop)
    where = tuple(range(length))
    if edit.positions is not None:
        which = [i for i, position in enumerate(everywhere) if first <= position < stop]
        where = tuple(everywhere[i] - first for i in which)
    if edit.kind == "zero":
        return _Placed(row, where, edit, None)
    assert edit.value is not None, f"{edit.kind} needs a value"
    dims = dimensions - 1 - (edit.head is not None) - (edit.neuron is not None)
    value = edit.value
    if edit.by_position:
        value = at_indices(value, [position for position in everywhere if first <= position < stop])
    elif value.dim() == dims and value.shape[0] > 1 and len(which) < value.shape[0]:
        value = at_indices(value, which)
    return _Placed(row, where, edit, value.reshape((1,) * (dims - value.dim()) + value.shape))


@dataclass(frozen=True, eq=False)
class EditGroup:
    """Edits of one kind, each in a row of its own, which are made at once."""

    placed: list[_Placed]

    @property
    def indices(self) -> list[Sequence[int]]:
        """Rows, then heads and neurons where there are any, then the positions: each [edit]."""
        some = self.placed
        columns: list[Sequence[int]] = [[one.row for one in some]]
        for part in ([one.edit.head for one in some], [one.edit.neuron for one in some]):
            if part[0] is not None:
                columns.append([index for index in part if index is not None])
        return [*columns, *zip(*(one.where for one in some), strict=True)]

    @property
    def numbers(self) -> list[int]:
        """``indices``, one behind the other."""
        return [number for column in self.indices for number in column]

    @property
    def rows(self) -> int:
        """How many of them there are for an edit."""
        return self.before + len(self.placed[0].where)

    @property
    def columns(self) -> int:
        """How many edits."""
        return len(self.placed)

    @property
    def before(self) -> int:
        """How many of the indices of an edit are no positions."""
        edit = self.placed[0].edit
        return 1 + (edit.head is not None) + (edit.neuron is not None)


def _make(edited: torch.Tensor, group: EditGroup, numbers: torch.Tensor | None) -> None:
    """The edits of ``group`` made in ``edited``; ``numbers``: its indices, if they are there already."""
    if numbers is None:
        # One transfer: each would make the host wait for the device.
        numbers = to_device(torch.tensor(group.indices), edited.device)
    some = group.placed
    row, *parts = numbers[: group.before, :, None]
    place = (row, numbers[group.before :].T, *parts)
    if some[0].value is None:
        edited[place] = 0
        return
    value = torch.stack([one.value for one in some if one.value is not None])
    value = to_device(value.to(edited.dtype), edited.device)
    edited[place] = value if some[0].edit.kind == "patch" else edited[place] + value
