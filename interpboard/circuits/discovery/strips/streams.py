"""The streams that each receiver of an encoder–decoder is going to read, as a pass goes on.

Each is over the source or over the prefix. The keys and values of every cross attention hear
the encoder to its end, and read through its final norm.
"""

from __future__ import annotations

import numpy as np
import torch

from interpboard.circuits.discovery.normed_sums import heard_streams
from interpboard.circuits.discovery.strips.activations import StripActivations
from interpboard.circuits.discovery.strips.wiring import StripWiring
from interpboard.runs.watch import Watch


class StripStreams:
    """Hears of one pass what was written, and answers what is read (see ``runs.hooked``).

    ``edges`` [sender, receiver] says what each hears of this pass; of the rest it hears the ``reference``.
    """

    def __init__(
        self, wiring: StripWiring, reference: StripActivations, edges: np.ndarray, watch: Watch
    ) -> None:
        self.wiring, self.graph, self.reference, self.watch = wiring, wiring.graph, reference, watch
        border, of_source = self.graph.border, self.graph.of_source
        self._streams = {
            True: heard_streams(wiring.layers, edges[:border, of_source]),
            False: heard_streams(wiring.layers, edges[border:, ~of_source]),
        }
        self._projected: dict[str, torch.Tensor] = {}

    def __call__(self, what: str, layer: int, value: torch.Tensor) -> torch.Tensor | None:
        self.watch.check()
        wired, reference = self.wiring.layers[layer], self.reference
        source = wired.in_source
        streams = self._streams[source]
        first = 0 if source else -self.graph.border
        match what:
            case "embed":
                streams.begin(value, reference.embed)
            case "embed_prefix":
                streams.begin(value, reference.embed_prefix)
            case "z":
                kept, first = reference.z[layer], first + self.graph.before_attention(layer)
                written = wired.written(value - kept)
                streams.add(first, wired.adds(kept), written, wired.behind_attention)
            case "mid":
                return streams.take(1)[0]
            case "mlp":
                kept, first = reference.mlp[layer], first + self.graph.before_mlp(layer)
                streams.add(first, kept, (value - kept)[None], wired.behind_mlp)
            case "q" | "k" | "v":
                self._projected = self._projected or self._projections(layer)
                return self._projected.pop(what)
        return None

    def output(self) -> torch.Tensor:
        """What the output reads [batch, pos, d_model]."""
        return self._streams[False].take(1)[0]

    def _projections(self, layer: int) -> dict[str, torch.Tensor]:
        """What the layer's maps give, each head reading its own stream."""
        wired, found = self.wiring.layers[layer], {}
        receivers = self.graph.attention_receivers(layer)
        of_source = self.graph.of_source[receivers].reshape(3, -1)[:, 0]
        for number, source in enumerate(of_source):
            read = self._streams[bool(source)].take(self.graph.n_heads)
            found["qkv"[number]] = wired.projections[number].project(wired.read(number, read))
        return found
