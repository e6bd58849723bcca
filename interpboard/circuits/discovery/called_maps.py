"""A pass with some edges through maps that round what they are given to 8 bits (LLM.int8).

What heads write does not add up to what such an output projection gives, so no part of the sum is a head's
own. An edge is therefore defined by the map itself, as it is by a norm of the sums (``normed_sums``): a
receiver reads what the projection gives for its heads' outputs, those of this pass where the edge is live and
those of the reference elsewhere; and a head's query, key or value is its slice of what the projection gives
for that receiver's stream. Each call is of one prompt alone, as in the model's own pass: a map that takes
large inputs apart does so for all it is given together.

Every stream is a sum of the same tensors in the model's own order, so that with all edges and with none the
rounding is that of a plain run, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.wiring import Wiring
from interpboard.models.packed import rounds_inputs
from interpboard.runs.watch import SILENT, Watch

_MEASURED = (
    "LLM.int8 rounds what its maps are given: scores are of its unpacked weights, and what circuits keep is "
    "measured through the maps themselves, prompt by prompt."
)


def maps_round(wiring: Wiring) -> bool:
    """Whether a map of attention rounds its inputs, so that parts of a sum do not add up."""
    return any(
        rounds_inputs(module)
        for own in wiring.layers
        for module in (own.out_proj, *(projection.module for projection in own.projections))
    )


def rounding_said(wiring: Wiring) -> tuple[str, ...]:
    """What a circuit through such maps says of itself; nothing of others."""
    return (_MEASURED,) if maps_round(wiring) else ()


class CalledMaps:
    """Hears of one pass of one prompt, layer by layer, what was written, and answers what is read.

    ``edges`` [sender, receiver]. The stream of each receiver that is still to read is carried along.
    """

    def __init__(
        self, wiring: Wiring, reference: Activations, edges: np.ndarray, watch: Watch = SILENT
    ) -> None:
        self.wiring, self.graph, self.reference = wiring, wiring.graph, reference
        self.watch = watch
        self._edges = edges
        self._streams: torch.Tensor  # [receiver, 1, pos, d_model]
        self._read = 0  # receivers that have read
        self._projected: tuple[int, list[torch.Tensor]] = (-1, [])

    def begin(self, hidden: torch.Tensor) -> None:
        """The input of layer 0 [1, pos, d_model]."""
        self._streams = hidden.new_empty(len(self.graph.receivers), *hidden.shape)
        self._put(0, hidden, self.reference.embed, first=True)

    def project(self, layer: int, number: int, _output: torch.Tensor) -> torch.Tensor:
        """What projection ``number`` of the layer gives, each head reading its own stream."""
        if self._projected[0] != layer:
            self._projected = layer, self._projections(layer)
        return self._projected[1][number]

    def heads(self, layer: int, z: torch.Tensor) -> None:
        """What the layer's heads give [1, pos, head, d_head]."""
        own, self._projected = self.wiring.layers[layer], (layer, [])
        kept, first = self.reference.z[layer].expand_as(z), self.graph.before_attention(layer)
        for live, receivers in self._alike(slice(first, first + self.graph.n_heads)):
            self.watch.check()
            heard = torch.from_numpy(live).to(z.device)[:, None]
            self._streams[receivers] += own.adds(torch.where(heard, z, kept))
        self._streams = own.behind_attention(self._streams)

    def before_mlp(self, _layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """What the layer's MLP reads, in the shape of ``hidden``."""
        return self._take(1)[0].reshape(hidden.shape)

    def mlp(self, layer: int, added: torch.Tensor) -> None:
        """What the layer's MLP adds [1, pos, d_model]."""
        self._put(self.graph.before_mlp(layer), added, self.reference.mlp[layer])
        self._streams = self.wiring.layers[layer].behind_mlp(self._streams)

    def output(self) -> torch.Tensor:
        """What the output reads [1, pos, d_model]."""
        return self._take(1)[0]

    def _put(
        self, sender: int, written: torch.Tensor, kept: torch.Tensor, first: bool = False
    ) -> None:
        """What ``sender`` has ``written``, or what is ``kept`` of the reference, onto each stream."""
        for live, receivers in self._alike(slice(sender, sender + 1)):
            heard = written if live[0] else kept
            if first:
                self._streams[receivers] = heard
            else:
                self._streams[receivers] += heard

    def _alike(self, senders: slice) -> Iterator[tuple[np.ndarray, list[int]]]:
        """Which of ``senders`` are heard, and the streams still to be read that hear just these."""
        columns = self._edges[senders, self._read :].T
        patterns, which = np.unique(columns, axis=0, return_inverse=True)
        for number, live in enumerate(patterns):
            yield live, np.nonzero(which.ravel() == number)[0].tolist()

    def _take(self, count: int) -> torch.Tensor:
        found, self._streams = self._streams[:count], self._streams[count:]
        self._read += count
        return found

    def _projections(self, layer: int) -> list[torch.Tensor]:
        own, count = self.wiring.layers[layer], self.graph.in_attention
        senders = slice(0, self.graph.before_attention(layer))
        alike = [
            [number for number in receivers if number < count]
            for _, receivers in self._alike(senders)
        ]
        streams, outputs, first = self._take(count), [], 0
        for projection in own.projections:
            mine = range(first, first + projection.n_receivers)
            given: list[torch.Tensor | None] = [None] * len(mine)
            for receivers in alike:
                here = [number - first for number in receivers if number in mine]
                if here:
                    self.watch.check()
                    normed = own.normed(streams[[first + here[0]]])[0]
                    whole = projection.gives(normed)
                    for number in here:
                        given[number] = whole
            outputs.append(projection.of_each([each for each in given if each is not None]))
            first = mine.stop
        return outputs
