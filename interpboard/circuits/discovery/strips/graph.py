"""The graph of an encoder–decoder: two streams, and what crosses from one to the other.

| name | what |
|---|---|
| ``E.embed``, ``D.embed`` | the input of the first layer of either stack |
| ``E0.3``, ``D0.3``, ``X0.3`` | a head of the encoder, of the decoder's self- or cross attention |
| ``E0.mlp``, ``X0.mlp`` | an MLP; the decoder's stand behind cross attention |
| ``output`` | the decoder's final norm and the unembedding |

What the encoder's parts write is read in the encoder and, behind its final norm, by the keys and values of
every cross attention; what the decoder's write, in the decoder. So edges across the border end in
``X….k`` and ``X….v``, and each receiver sees a run of the senders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interpboard.circuits.discovery.graph import OUTPUT, Graph
from interpboard.models.strips import CROSS, ENCODER, group_of
from interpboard.registry.component_names import written_component
from interpboard.registry.layer_names import has_mlp

EMBEDDINGS = ("E.embed", "D.embed")


@dataclass(frozen=True)
class StripGraph(Graph):
    """All edges of an encoder–decoder. ``names`` [layer], those of the encoder first."""

    names: tuple[str, ...] = ()

    @cached_property
    def n_encoder(self) -> int:
        """Layers of the encoder."""
        return sum(group_of(name) == ENCODER for name in self.names)

    @cached_property
    def senders(self) -> tuple[str, ...]:
        """Names in the order of writing: the encoder's, then the decoder's."""
        found: list[str] = []
        for layer, name in enumerate(self.names):
            if layer in (0, self.n_encoder):
                found.append(EMBEDDINGS[layer > 0])
            parts = [*range(self.n_heads), *([None] if has_mlp(name) else [])]
            found += [written_component(name, part) for part in parts]
        return tuple(found)

    @cached_property
    def receivers(self) -> tuple[str, ...]:
        """Names in the order of reading."""
        found: list[str] = []
        for name in self.names:
            for letter, count in self.inputs:
                found += [f"{name}.{head}.{letter}" for head in range(count)]
            if has_mlp(name):
                found.append(written_component(name))
        return (*found, OUTPUT)

    @cached_property
    def border(self) -> int:
        """How many senders write to the encoder's stream."""
        return self.senders.index(EMBEDDINGS[1])

    def attention_receivers(self, layer: int) -> slice:
        """Receivers of the layer's attention: queries, keys, values."""
        first = self.receivers.index(f"{self.names[layer]}.0.q")
        return slice(first, first + self.in_attention)

    def mlp_receiver(self, layer: int) -> int:
        """The receiver that is the layer's MLP."""
        return self.receivers.index(written_component(self.names[layer]))

    def before_attention(self, layer: int) -> int:
        """The layer's first head as a sender; those in front of it have written."""
        return self.senders.index(written_component(self.names[layer], 0))

    def before_mlp(self, layer: int) -> int:
        """The layer's MLP as a sender."""
        return self.senders.index(written_component(self.names[layer]))

    def seen(self, receiver: str) -> slice:
        """The senders that ``receiver`` sees."""
        if receiver == OUTPUT:
            return slice(self.border, len(self.senders))
        name, _, part = receiver.partition(".")
        layer = self.names.index(name)
        if group_of(name) == CROSS and part[-1] in "kv":
            return slice(0, self.border)
        begin = 0 if group_of(name) == ENCODER else self.border
        stop = self.before_mlp(layer) if part == "mlp" else self.before_attention(layer)
        return slice(begin, stop)

    @cached_property
    def of_source(self) -> np.ndarray:
        """[receiver] whether it reads the encoder's stream."""
        return np.array([self.seen(receiver).start == 0 for receiver in self.receivers])

    @cached_property
    def edges(self) -> np.ndarray:
        """All edges [sender, receiver]."""
        found = np.zeros((len(self.senders), len(self.receivers)), dtype=bool)
        for column, receiver in enumerate(self.receivers):
            found[self.seen(receiver), column] = True
        return found

    def reads_for(self, sender: int) -> list[int]:
        """The receivers that are inputs of ``sender``: none for an embedding."""
        written = self.senders[sender]
        if written in EMBEDDINGS:
            return []
        _, _, part = written.partition(".")
        if part == "mlp":
            return [self.receivers.index(written)]
        return [self.receivers.index(f"{written}.{letter}") for letter, _ in self.inputs]
