"""What senders write in one run less what they write in the reference, read a block of positions at a time.

All of it at once is senders × positions × d_model: 2 GiB for 4,096 tokens of a model of GPT-2's small size.
A head is told by its output in front of the output projection, which is d_head numbers a token and not
d_model. So where the whole would be large these are kept, and what heads write is computed for a block of
positions when that block is read. Nothing that edges do mixes positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from interpboard.circuits.discovery.wiring import Wiring
from interpboard.models.memory import at_most_of_free
from interpboard.models.sites import at_site

WHOLE_BYTES = {"cpu": 1 << 27, "cuda": 1 << 30, "mps": 1 << 28}
"""What all senders of a batch and two streams of each input of a layer's attention may take at once."""


def whole_bytes(device: torch.device) -> int:
    """``WHOLE_BYTES`` of ``device``, or an eighth of what is free there."""
    return at_most_of_free(WHOLE_BYTES.get(device.type, WHOLE_BYTES["cpu"]), device, 8)


def streams_at_once(wiring: Wiring) -> int:
    """How many streams of d_model numbers are there for each token where nothing is cut into blocks."""
    return len(wiring.graph.senders) + 2 * wiring.graph.in_attention


class Differences:
    """[sender, batch, pos, d_model] in ``dtype``, filled as it is written: embedding, heads, MLP, heads …

    ``like`` [batch, pos, d_model]: a residual stream of the run.
    """

    def __init__(self, wiring: Wiring, like: torch.Tensor, dtype: torch.dtype) -> None:
        self.wiring, self.dtype = wiring, dtype
        self.length = like.shape[1]
        a_token = streams_at_once(wiring) * like[:, 0].numel() * like.element_size()
        most = whole_bytes(like.device)
        self._whole: torch.Tensor | None = None
        self._block = self.length
        if a_token * self.length <= most:
            shape = len(wiring.graph.senders), *like.shape
            self._whole = like.new_zeros(shape, dtype=dtype)
        else:
            self._block = max(1, most // 2 // a_token)
        self._embed = like[:, :0]
        self._z: list[torch.Tensor] = []
        self._mlp: list[torch.Tensor] = []

    def embed(self, change: torch.Tensor) -> None:
        """Of the embedding [batch, pos, d_model]."""
        if self._whole is not None:
            self._whole[0] = change
        else:
            self._embed = change

    def heads(self, layer: int, change: torch.Tensor) -> None:
        """Of a layer's heads [batch, pos, head, d_head]."""
        if self._whole is not None:
            first = self.wiring.graph.before_attention(layer)
            written = self.wiring.layers[layer].written(change)
            self._whole[first : first + self.wiring.graph.n_heads] = written
        else:
            self._z.append(change)

    def mlp(self, layer: int, change: torch.Tensor) -> None:
        """Of a layer's MLP [batch, pos, d_model]."""
        if self._whole is not None:
            self._whole[self.wiring.graph.before_mlp(layer)] = change
        else:
            self._mlp.append(change)

    @property
    def in_blocks(self) -> bool:
        """Whether it is too large to be there at once."""
        return self._whole is None

    def blocks(self) -> Iterator[slice]:
        """Positions, as many at a time as are read together: all of them where the whole is there."""
        for first in range(0, self.length, self._block):
            yield slice(first, min(self.length, first + self._block))

    def block(self, seen: int, positions: slice) -> torch.Tensor:
        """[sender, batch, pos, d_model] of the first ``seen`` senders, which have all written."""
        if self._whole is not None:
            return self._whole[:seen, :, positions]
        graph, embed = self.wiring.graph, self._embed[:, positions]
        block = embed.new_empty((seen, *embed.shape), dtype=self.dtype)
        block[0] = embed
        for layer in range(graph.n_layers):
            first, mlp = graph.before_attention(layer), graph.before_mlp(layer)
            if first >= seen:
                break
            block[first:mlp] = self.wiring.layers[layer].written(self._z[layer][:, positions])
            if mlp < seen:
                block[mlp] = self._mlp[layer][:, positions]
        return block


@contextmanager
def filling(
    differences: Differences,
    embed: torch.Tensor,
    z: tuple[torch.Tensor, ...],
    mlp: tuple[torch.Tensor, ...],
) -> Iterator[None]:
    """While open, a plain run fills ``differences``: what it writes less ``embed``, ``z`` and ``mlp``."""
    anatomy = differences.wiring.lm.anatomy

    def of_embedding(hidden: torch.Tensor) -> None:
        differences.embed(hidden.detach() - embed)

    with ExitStack() as stack:
        stack.enter_context(at_site(anatomy, "resid_pre", 0, of_embedding))
        for layer in range(anatomy.n_layers):

            def of_heads(value: torch.Tensor, layer: int = layer) -> None:
                differences.heads(layer, value.detach() - z[layer])

            def of_mlp(value: torch.Tensor, layer: int = layer) -> None:
                own = differences.wiring.layers[layer]
                differences.mlp(layer, own.scaled(value.detach()) - mlp[layer])

            stack.enter_context(at_site(anatomy, "z", layer, of_heads))
            stack.enter_context(at_site(anatomy, "mlp_out", layer, of_mlp))
        yield
