"""What each receiver reads in a pass in which only some edges are live, as the pass goes on."""

from __future__ import annotations

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.differences import Differences
from interpboard.circuits.discovery.wiring import Wiring
from interpboard.runs.watch import SILENT, Watch


class LiveEdges:
    """Hears of one pass, layer by layer, what was written, and answers what is read.

    ``edges`` [sender, receiver]. A receiver reads the stream of the ``reference``, which goes along, and from
    each live edge what its sender writes in this pass less what it writes in the reference.
    """

    def __init__(
        self, wiring: Wiring, reference: Activations, edges: np.ndarray, watch: Watch = SILENT
    ) -> None:
        self.wiring, self.graph, self.reference = wiring, wiring.graph, reference
        self.watch = watch
        self._edges = torch.from_numpy(edges.astype(np.float32)).T.contiguous()
        self._stream = reference.embed
        self._changes: Differences
        self._projected: tuple[int, list[torch.Tensor]] = (-1, [])

    def begin(self, hidden: torch.Tensor) -> None:
        """The input of layer 0 [batch, pos, d_model]."""
        self._changes = Differences(self.wiring, hidden, hidden.dtype)
        self._changes.embed(hidden - self.reference.embed)
        self._edges = self._edges.to(hidden)

    def project(self, layer: int, number: int, _output: torch.Tensor) -> torch.Tensor:
        """What projection ``number`` of the layer gives, each head reading its own stream."""
        if self._projected[0] != layer:
            self._projected = layer, self._projections(layer)
        return self._projected[1][number]

    def heads(self, layer: int, z: torch.Tensor) -> None:
        """What the layer's heads give [batch, pos, head, d_head]."""
        self._projected = layer, []
        self._changes.heads(layer, z - self.reference.z[layer])

    def before_mlp(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """What the layer's MLP reads, in the shape of ``hidden``."""
        self._advance(self.wiring.layers[layer].adds(self.reference.z[layer]))
        return self._read(self.graph.mlp_receiver(layer), self._stream).reshape(hidden.shape)

    def mlp(self, layer: int, added: torch.Tensor) -> None:
        """What the layer's MLP adds [batch, pos, d_model]."""
        self._advance(self.reference.mlp[layer])
        self._changes.mlp(layer, added - self.reference.mlp[layer])

    def output(self) -> torch.Tensor:
        """What the output reads [batch, pos, d_model]."""
        return self._read(len(self.graph.receivers) - 1, self.reference.output)

    def _advance(self, added: torch.Tensor) -> None:
        self._stream = self._stream.to(added.device) + added

    def _projections(self, layer: int) -> list[torch.Tensor]:
        attention = self.wiring.layers[layer]
        receivers = self.graph.attention_receivers(layer)
        seen = self.graph.before_attention(layer)
        outputs: list[list[torch.Tensor]] = [[] for _ in attention.projections]
        for positions in self._changes.blocks():
            self.watch.check()
            normed = attention.normed(self._streams(receivers, seen, self._stream, positions))
            first = 0
            for own, projection in zip(outputs, attention.projections, strict=True):
                own.append(projection.project(normed[first : first + projection.n_receivers]))
                first += projection.n_receivers
        return [own[0] if len(own) == 1 else torch.cat(own, dim=1) for own in outputs]

    def _read(self, receiver: int, base: torch.Tensor) -> torch.Tensor:
        """What one receiver reads [batch, pos, d_model]."""
        seen = int(self.graph.edges[:, receiver].sum())
        one = slice(receiver, receiver + 1)
        read = [self._streams(one, seen, base, at)[0] for at in self._changes.blocks()]
        return read[0] if len(read) == 1 else torch.cat(read, dim=1)

    def _streams(
        self, receivers: slice, seen: int, base: torch.Tensor, positions: slice
    ) -> torch.Tensor:
        """What ``receivers`` read [receiver, batch, pos, d_model]."""
        changes = self._changes.block(seen, positions)
        flat = self._edges[receivers, :seen] @ changes.flatten(1)
        own = base if base.shape[1] == 1 else base[:, positions]
        return own + flat.view(-1, *changes.shape[1:])
