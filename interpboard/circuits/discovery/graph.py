"""The graph whose edges a circuit is made of. Numbers only: no model, no torch.

Every *sender* (the embedding, each head, each MLP) writes to the residual stream, and every *receiver*
(the query, key and value input of each head, the input of each MLP, the output) reads the sum of what
was written before it. An edge is one sender as seen by one receiver. Under grouped queries a key or
value input belongs to a key/value head, which several heads share.

| name | what |
|---|---|
| ``embed`` | token and position embedding: the input of layer 0 |
| ``1.3`` | head 3 of layer 1 as a sender; its inputs are ``1.3.q``, ``1.3.k``, ``1.3.v`` |
| ``1.mlp`` | the MLP of layer 1, sender and receiver |
| ``output`` | the final norm and the unembedding |

Senders stand in the order in which they write: embed, heads of layer 0, MLP of layer 0, … Receivers in
the order in which they read: queries, keys and values of layer 0, its MLP, …, the output. So each
receiver sees the first so many senders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interpboard.registry.component_names import written_component

EMBED = "embed"
OUTPUT = "output"


@dataclass(frozen=True)
class Graph:
    """All edges of a decoder with ``n_layers`` layers in which the MLP reads what attention wrote.

    A set of edges is a boolean array [sender, receiver]; ``edges`` is the set of all.
    """

    n_layers: int
    n_heads: int
    n_kv_heads: int

    @cached_property
    def senders(self) -> tuple[str, ...]:
        """Names in the order of writing."""
        names = [EMBED]
        for layer in range(self.n_layers):
            names += [written_component(layer, head) for head in (*range(self.n_heads), None)]
        return tuple(names)

    @cached_property
    def receivers(self) -> tuple[str, ...]:
        """Names in the order of reading."""
        names = []
        for layer in range(self.n_layers):
            for letter, count in self.inputs:
                names += [f"{layer}.{head}.{letter}" for head in range(count)]
            names.append(written_component(layer))
        return (*names, OUTPUT)

    @property
    def inputs(self) -> tuple[tuple[str, int], ...]:
        """The inputs of attention and how many heads have one each."""
        return ("q", self.n_heads), ("k", self.n_kv_heads), ("v", self.n_kv_heads)

    @property
    def in_attention(self) -> int:
        """Receivers in the attention of one layer."""
        return sum(count for _, count in self.inputs)

    def attention_receivers(self, layer: int) -> slice:
        """Receivers of the layer's attention: queries, keys, values."""
        first = layer * (self.in_attention + 1)
        return slice(first, first + self.in_attention)

    def mlp_receiver(self, layer: int) -> int:
        """The receiver that is the layer's MLP."""
        return layer * (self.in_attention + 1) + self.in_attention

    def before_attention(self, layer: int) -> int:
        """How many senders the layer's attention sees; also the layer's first head as a sender."""
        return 1 + layer * (self.n_heads + 1)

    def before_mlp(self, layer: int) -> int:
        """How many senders the layer's MLP sees; also that MLP as a sender."""
        return self.before_attention(layer) + self.n_heads

    @cached_property
    def edges(self) -> np.ndarray:
        """All edges [sender, receiver]: true where the sender writes before the receiver reads."""
        seen = []
        for layer in range(self.n_layers):
            seen += [self.before_attention(layer)] * self.in_attention + [self.before_mlp(layer)]
        seen.append(len(self.senders))
        return np.arange(len(self.senders))[:, None] < np.array(seen)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Sender and receiver of every edge, in the order in which results list them."""
        receivers, senders = np.nonzero(self.edges.T)
        return senders, receivers

    def name(self, sender: int, receiver: int) -> str:
        """An edge by name: ``1.3>2.0.q``."""
        return f"{self.senders[sender]}>{self.receivers[receiver]}"

    def reads_for(self, sender: int) -> list[int]:
        """The receivers that are inputs of ``sender``: none for the embedding."""
        if sender == 0:
            return []
        layer, place = divmod(sender - 1, self.n_heads + 1)
        if place == self.n_heads:
            return [self.mlp_receiver(layer)]
        first = self.attention_receivers(layer).start
        shared = place // (self.n_heads // self.n_kv_heads)
        keys = first + self.n_heads + shared
        return [first + place, keys, keys + self.n_kv_heads]

    def alive(self, edges: np.ndarray) -> np.ndarray:
        """``edges`` without those that lie on no way from the embedding to the output.

        Nothing the model computes changes with them: a part that hears of no difference sends none,
        and what nobody hears does not matter.
        """
        kept = edges & self.edges
        while True:
            before = int(kept.sum())
            for sender in range(len(self.senders)):
                inputs = self.reads_for(sender)
                if inputs and not kept[:, inputs].any():
                    kept[sender] = False
            heard = self._heard(kept)
            kept[:, ~heard] = False
            if int(kept.sum()) == before:
                return kept

    def _heard(self, edges: np.ndarray) -> np.ndarray:
        """The receivers behind which something is sent on along ``edges``; the output always is."""
        heard = np.zeros(len(self.receivers), dtype=bool)
        heard[-1] = True
        for sender in range(len(self.senders)):
            if edges[sender].any() and self.reads_for(sender):
                heard[self.reads_for(sender)] = True
        return heard
