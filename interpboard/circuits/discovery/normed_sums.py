"""Layers that may norm the sums in their stream, and the streams that their receivers read.

    norms first   attention reads N(x); mid = x + a          the MLP reads N(mid); mid + m goes on
    norms last    attention reads x;    mid = N1(x + a)      the MLP reads mid;    N2(mid + m) goes on

Behind a norm of the sum no part arrives as it was written: what a receiver reads is a function of all that
was written before it. So an edge is defined by that function, computed anew for each receiver: its
senders' outputs of this pass or of the reference, summed and normed as the model does. Without such norms it
is the sum of the parts, as in a decoder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from interpboard.circuits.discovery.wiring import LayerWiring

_AT_ONCE = 16  # streams that are normed together


@dataclass(frozen=True)
class NormedSums(LayerWiring):
    """One layer. ``norm`` is what attention reads the stream through, nothing at all where norms come last.

    ``mid_norm`` and ``end_norm``: what the sums with attention's and with the MLP's output go through; None
    where they are handed on as they are.
    """

    mid_norm: nn.Module | None
    end_norm: nn.Module | None

    def behind_attention(self, streams: torch.Tensor) -> torch.Tensor:
        """See ``LayerWiring``."""
        return _through(self.mid_norm, streams)

    def behind_mlp(self, streams: torch.Tensor) -> torch.Tensor:
        """See ``LayerWiring``."""
        return _through(self.end_norm, streams)


def heard_streams(layers: Iterable[NormedSums], edges: np.ndarray) -> HeardStreams:
    """Of a stream that ``layers`` write to: where none of them norms a sum, no stream need be carried."""
    return CarriedStreams(edges) if norms_sums(layers) else SummedStreams(edges)


def norms_sums(layers: Iterable[NormedSums]) -> bool:
    """Whether any of ``layers`` norms what it has added up."""
    return any(own.mid_norm is not None or own.end_norm is not None for own in layers)


class HeardStreams(ABC):
    """What some receivers of one stream are going to read, in the order in which they do.

    ``edges`` [sender, receiver] of that stream: what each hears of this pass; of the rest it hears the
    reference.
    """

    def __init__(self, edges: np.ndarray) -> None:
        self._edges = torch.from_numpy(edges.astype(np.float32)).T.contiguous()
        self._read = 0  # receivers that have read

    @abstractmethod
    def begin(self, embedded: torch.Tensor, reference: torch.Tensor) -> None:
        """The stream's beginning [batch, pos, d_model], and what it is in the reference."""

    @abstractmethod
    def add(
        self,
        first: int,
        kept: torch.Tensor,
        changes: torch.Tensor,
        behind: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """What is added [batch, pos, d_model] in the reference, and ``changes`` [sender, batch, pos, d_model]
        of the senders from ``first`` on; ``behind``: what the sum goes through."""

    @abstractmethod
    def take(self, count: int) -> torch.Tensor:
        """What the next ``count`` receivers read [receiver, batch, pos, d_model]."""


class SummedStreams(HeardStreams):
    """Of sums that nothing norms: senders' changes are kept, and a stream is there while it is read."""

    def begin(self, embedded: torch.Tensor, reference: torch.Tensor) -> None:
        """See ``HeardStreams``."""
        self._edges = self._edges.to(embedded)
        self._reference = reference
        self._changes = embedded.new_empty(self._edges.shape[1], *embedded.shape)
        self._changes[0] = embedded - reference
        self._written = 1

    def add(
        self,
        first: int,
        kept: torch.Tensor,
        changes: torch.Tensor,
        behind: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """See ``HeardStreams``."""
        self._reference = self._reference + kept
        self._written = first + len(changes)
        self._changes[first : self._written] = changes

    def take(self, count: int) -> torch.Tensor:
        """See ``HeardStreams``."""
        edges = self._edges[self._read : self._read + count, : self._written]
        self._read += count
        changes = self._changes[: self._written]
        heard: torch.Tensor = (edges @ changes.flatten(1)).view(-1, *changes.shape[1:])
        return heard.add_(self._reference)


class CarriedStreams(HeardStreams):
    """Of sums that may be normed: the stream of each receiver, let go of once it was read."""

    _streams: torch.Tensor

    def begin(self, embedded: torch.Tensor, reference: torch.Tensor) -> None:
        """See ``HeardStreams``."""
        self._edges = self._edges.to(embedded)
        self._streams = reference.expand_as(embedded).repeat(len(self._edges), 1, 1, 1)
        self._hear(0, (embedded - reference)[None])

    def add(
        self,
        first: int,
        kept: torch.Tensor,
        changes: torch.Tensor,
        behind: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """See ``HeardStreams``."""
        self._streams += kept
        self._hear(first, changes)
        for some in self._streams.split(_AT_ONCE):
            some.copy_(behind(some))

    def take(self, count: int) -> torch.Tensor:
        """See ``HeardStreams``."""
        found, self._streams = self._streams[:count], self._streams[count:]
        self._read += count
        return found

    def _hear(self, first: int, changes: torch.Tensor) -> None:
        """Each stream that is still to be read hears of ``changes``."""
        edges = self._edges[self._read :, first : first + len(changes)]
        self._streams.flatten(1).addmm_(edges, changes.flatten(1))


@torch.no_grad()
def reference_output(
    embed: torch.Tensor, layers: Iterable[tuple[LayerWiring, torch.Tensor, torch.Tensor]]
) -> torch.Tensor:
    """What the output reads [batch, pos, d_model] where nothing but a reference was written: ``embed``, and
    of each layer its heads' and its MLP's outputs, the latter without numbers where it has none."""
    stream = embed[None]
    for own, z, mlp in layers:
        stream = own.behind_attention(stream + own.adds(z))
        if mlp.numel():
            stream = own.behind_mlp(stream + mlp)
    return stream[0]


def _through(norm: nn.Module | None, streams: torch.Tensor) -> torch.Tensor:
    if norm is None:
        return streams
    # The module's forward itself: hooks on it hear of the model's own pass alone.
    rows: torch.Tensor = norm.forward(streams.flatten(0, -3))
    return rows.view(streams.shape)
