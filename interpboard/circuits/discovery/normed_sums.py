"""Layers that may norm the sums in their stream, and the streams that their receivers read.

    norms first   attention reads N(x); mid = x + a          the MLP reads N(mid); mid + m goes on
    norms last    attention reads x;    mid = N1(x + a)      the MLP reads mid;    N2(mid + m) goes on

Behind a norm of the sum no part arrives as it was written: what a receiver reads is a function of all that
was written before it. So an edge is defined by that function, computed anew for each receiver: its
senders' outputs of this pass or of the reference, summed and normed as the model does. Without such norms it
is the sum of the parts, as in a decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from interpboard.circuits.discovery.wiring import LayerWiring


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


class CarriedStreams:
    """What some receivers of one stream are going to read, in the order in which they do.

    ``edges`` [sender, receiver] of that stream: what each hears of this pass; of the rest it hears the
    reference. A stream is let go of once it was read.
    """

    def __init__(self, edges: np.ndarray) -> None:
        self._edges = torch.from_numpy(edges.astype(np.float32))
        self._streams: torch.Tensor
        self._read = 0  # receivers that have read

    def begin(self, embedded: torch.Tensor, reference: torch.Tensor) -> None:
        """The stream's beginning [batch, pos, d_model], and what it is in the reference."""
        self._edges = self._edges.to(embedded)
        self._streams = reference + self._heard(0, (embedded - reference)[None])

    def add(
        self,
        first: int,
        kept: torch.Tensor,
        changes: torch.Tensor,
        behind: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """What is added [batch, pos, d_model] in the reference, and ``changes`` [sender, batch, pos, d_model]
        of the senders from ``first`` on; ``behind``: what the sum goes through."""
        self._streams = behind(self._streams + kept + self._heard(first, changes))

    def take(self, count: int) -> torch.Tensor:
        """What the next ``count`` receivers read [receiver, batch, pos, d_model]."""
        found, self._streams = self._streams[:count], self._streams[count:]
        self._read += count
        return found

    def _heard(self, first: int, changes: torch.Tensor) -> torch.Tensor:
        """Of ``changes`` what each stream that is still to be read hears."""
        edges = self._edges[first : first + len(changes), self._read :].T.contiguous()
        heard: torch.Tensor = (edges @ changes.flatten(1)).view(-1, *changes.shape[1:])
        return heard


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
