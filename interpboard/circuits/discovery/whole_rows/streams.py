"""The stream that each receiver of an encoder is going to read, carried through a pass."""

from __future__ import annotations

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.normed_sums import heard_streams
from interpboard.circuits.discovery.whole_rows.wiring import RowWiring
from interpboard.runs.watch import SILENT, Watch


class ReceiverStreams:
    """Hears of one pass, layer by layer, what was written, and answers what is read.

    ``edges`` [sender, receiver] says what each hears of this pass.
    """

    def __init__(
        self, wiring: RowWiring, reference: Activations, edges: np.ndarray, watch: Watch = SILENT
    ) -> None:
        self.wiring, self.graph, self.reference = wiring, wiring.graph, reference
        self.watch = watch
        self._streams = heard_streams(wiring.layers, edges)
        self._projected: tuple[int, list[torch.Tensor]] = (-1, [])

    def begin(self, embedded: torch.Tensor) -> None:
        """The input of layer 0 [batch, pos, d_model]."""
        self._streams.begin(embedded, self.reference.embed)

    def project(self, layer: int, number: int, _output: torch.Tensor) -> torch.Tensor:
        """What projection ``number`` of the layer gives, each head reading its own stream."""
        if self._projected[0] != layer:
            self._projected = layer, self._projections(layer)
        return self._projected[1][number]

    def heads(self, layer: int, z: torch.Tensor) -> None:
        """What the layer's heads give [batch, pos, head, d_head]."""
        self.watch.check()
        own, self._projected = self.wiring.layers[layer], (layer, [])
        kept = self.reference.z[layer]
        first = self.graph.before_attention(layer)
        self._streams.add(first, own.adds(kept), own.written(z - kept), own.behind_attention)

    def before_mlp(self, _layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """What the layer's MLP reads, in the shape of ``hidden``."""
        return self._streams.take(1)[0].reshape(hidden.shape)

    def mlp(self, layer: int, added: torch.Tensor) -> None:
        """What the layer's MLP adds [batch, pos, d_model]."""
        self.watch.check()
        own, kept = self.wiring.layers[layer], self.reference.mlp[layer]
        first = self.graph.before_mlp(layer)
        self._streams.add(first, kept, (added - kept)[None], own.behind_mlp)

    def output(self) -> torch.Tensor:
        """What the output reads [batch, pos, d_model]."""
        return self._streams.take(1)[0]

    def _projections(self, layer: int) -> list[torch.Tensor]:
        own, outputs = self.wiring.layers[layer], []
        streams = own.normed(self._streams.take(self.graph.in_attention))
        first = 0
        for projection in own.projections:
            outputs.append(projection.project(streams[first : first + projection.n_receivers]))
            first += projection.n_receivers
        return outputs
