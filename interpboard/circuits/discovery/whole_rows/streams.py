"""The stream that each receiver is going to read, carried through a pass: norms are computed anew for each.

``edges`` [sender, receiver] says what each hears of this pass; of the rest it hears the reference. A stream
is let go of once it was read.
"""

from __future__ import annotations

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.whole_rows.wiring import RowWiring
from interpboard.runs.watch import SILENT, Watch


class ReceiverStreams:
    """Hears of one pass, layer by layer, what was written, and answers what is read."""

    def __init__(
        self, wiring: RowWiring, reference: Activations, edges: np.ndarray, watch: Watch = SILENT
    ) -> None:
        self.wiring, self.graph, self.reference = wiring, wiring.graph, reference
        self.watch = watch
        self._edges = torch.from_numpy(edges.astype(np.float32))
        self._streams: torch.Tensor
        self._read = 0  # receivers that have read
        self._projected: tuple[int, list[torch.Tensor]] = (-1, [])

    def begin(self, embedded: torch.Tensor) -> None:
        """The input of layer 0 [batch, pos, d_model]."""
        self._edges = self._edges.to(embedded)
        change = (embedded - self.reference.embed)[None]
        self._streams = self.reference.embed + self._heard(0, change)

    def project(self, layer: int, number: int, _output: torch.Tensor) -> torch.Tensor:
        """What projection ``number`` of the layer gives, each head reading its own stream."""
        if self._projected[0] != layer:
            self._projected = layer, self._projections(layer)
        return self._projected[1][number]

    def heads(self, layer: int, z: torch.Tensor) -> None:
        """What the layer's heads give [batch, pos, head, d_head]."""
        own, self._projected = self.wiring.layers[layer], (layer, [])
        kept = self.reference.z[layer]
        changes = self._heard(self.graph.before_attention(layer), own.written(z - kept))
        self._streams = own.behind_attention(self._streams + own.adds(kept) + changes)

    def before_mlp(self, _layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """What the layer's MLP reads, in the shape of ``hidden``."""
        return self._take(1)[0].reshape(hidden.shape)

    def mlp(self, layer: int, added: torch.Tensor) -> None:
        """What the layer's MLP adds [batch, pos, d_model]."""
        kept = self.reference.mlp[layer]
        changes = self._heard(self.graph.before_mlp(layer), (added - kept)[None])
        self._streams = self.wiring.layers[layer].behind_mlp(self._streams + kept + changes)

    def output(self) -> torch.Tensor:
        """What the output reads [batch, pos, d_model]."""
        return self._take(1)[0]

    def _heard(self, first: int, changes: torch.Tensor) -> torch.Tensor:
        """Of ``changes`` [sender, batch, pos, d_model] what each stream that is still to be read hears."""
        self.watch.check()
        edges = self._edges[first : first + len(changes), self._read :].T.contiguous()
        heard: torch.Tensor = (edges @ changes.flatten(1)).view(-1, *changes.shape[1:])
        return heard

    def _take(self, count: int) -> torch.Tensor:
        found, self._streams = self._streams[:count], self._streams[count:]
        self._read += count
        return found

    def _projections(self, layer: int) -> list[torch.Tensor]:
        own, outputs = self.wiring.layers[layer], []
        streams = own.normed(self._take(self.graph.in_attention))
        first = 0
        for projection in own.projections:
            outputs.append(projection.project(streams[first : first + projection.n_receivers]))
            first += projection.n_receivers
        return outputs


@torch.no_grad()
def reference_output(wiring: RowWiring, reference: Activations) -> torch.Tensor:
    """What the output reads [batch, pos, d_model] where nothing but the reference was written."""
    stream = reference.embed[None]
    for own, z, mlp in zip(wiring.layers, reference.z, reference.mlp, strict=True):
        stream = own.behind_mlp(own.behind_attention(stream + own.adds(z)) + mlp)
    return stream[0]
