"""Where edits go, as indices on a device: those of all layers of a step are moved there at once.

An index that is made where it is needed makes the host wait for the device, once for every layer that is
edited. What a step will edit is known before it runs, so its indices are put together, and each device is
sent one tensor. What was not expected is sent by itself, so an expectation can be wrong and no number is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import torch

from interpboard.models.crossing import to_device
from interpboard.runs.edits import Edit, EditGroup, HiddenPlaces, Indices, grouped, sent_places

_Rows = Sequence[tuple[int, Edit]]
_OF_HEADS = ("z", "q", "k", "v")
_OF_STREAM = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post", "neuron")


def dimensions_at(site: str) -> int | None:
    """How many dimensions an activation [batch, pos, …] has there; None where that is not expected."""
    if site in _OF_HEADS:
        return 4
    return 3 if site in _OF_STREAM else None


@dataclass
class EditIndices:
    """Expected groups of edits, and the tensors of their indices once they are sent."""

    _groups: dict[Hashable, list[EditGroup]] = field(default_factory=dict)
    _sent: dict[Hashable, list[torch.Tensor]] = field(default_factory=dict)
    _hidden: dict[Hashable, list[Indices]] = field(default_factory=dict)
    _waiting: dict[torch.device, list[Hashable]] = field(default_factory=dict)

    def expect(
        self, device: torch.device, rows: _Rows, dimensions: int, first: int, length: int
    ) -> None:
        """``rows`` will be edited there in an activation of so many ``dimensions``, at ``length`` positions
        from ``first`` on."""
        key = _key(rows, dimensions, first, length)
        if key not in self._groups:
            self._groups[key] = grouped(rows, dimensions, first, length)
            self._waiting.setdefault(device, []).append(key)

    def send(self) -> None:
        """Move what is expected: one tensor a device."""
        for device, keys in self._waiting.items():
            groups = [group for key in keys for group in self._groups[key]]
            sizes = [group.rows * group.columns for group in groups]
            flat = torch.tensor([number for group in groups for number in group.numbers])
            parts = iter(to_device(flat, device).split(sizes) if groups else ())
            for key in keys:
                self._sent[key] = [
                    next(parts).view(group.rows, group.columns) for group in self._groups[key]
                ]
        self._waiting.clear()

    def hidden(self, device: torch.device, places: Sequence[HiddenPlaces]) -> list[Indices]:
        """Queries and the keys that they do not see; sent once a device where layers hide the same."""
        key = device, tuple(places)
        if key not in self._hidden:
            self._hidden[key] = sent_places(device, places)
        return self._hidden[key]

    def of(
        self, activation: torch.Tensor, rows: _Rows, first: int
    ) -> list[tuple[EditGroup, torch.Tensor | None]]:
        """The groups in which ``rows`` are edited in ``activation``; with indices if they were sent."""
        dimensions, length = activation.dim(), activation.shape[1]
        key = _key(rows, dimensions, first, length) if self._sent else None
        sent = self._sent.get(key)
        if sent is not None and all(part.device == activation.device for part in sent):
            return list(zip(self._groups[key], sent, strict=True))
        return [(group, None) for group in grouped(rows, dimensions, first, length)]


def _key(rows: _Rows, dimensions: int, first: int, length: int) -> Hashable:
    return tuple((row, id(edit)) for row, edit in rows), dimensions, first, length
