"""Plain hooks, but all heads of a layer as rows of one batch: the most that hooks alone give."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.sizes import Parts

ROWS_OF_TOKENS = 1024


class Engine:
    """See ``benchmarks.engines``. Only the head grid: a trace is batched over its samples anyway."""

    def __init__(self, model: Any) -> None:
        self.model, self.parts = model, Parts.of(model)

    @torch.no_grad()
    def head_grid(self, ids: list[int], target: int) -> np.ndarray:
        """Every row runs the whole model; ``logits_to_keep`` spares the other positions' logits."""
        heads = self.parts.n_heads
        every = [(i, head) for i in range(len(self.parts.layers)) for head in range(heads)]
        given = torch.tensor([ids], device=self.model.device)
        clean = self.model(input_ids=given, logits_to_keep=1).logits[0, -1, target]
        rows, values = max(1, ROWS_OF_TOKENS // len(ids)), []
        for start in range(0, len(every), rows):
            some = every[start : start + rows]
            handles = [
                self.parts.out_proj[layer].register_forward_pre_hook(self._cut(layer, some))
                for layer in {layer for layer, _ in some}
            ]
            logits = self.model(input_ids=given.expand(len(some), -1), logits_to_keep=1).logits
            values.append((logits[:, -1, target] - clean).double().cpu())
            for handle in handles:
                handle.remove()
        return torch.cat(values).numpy().reshape(len(self.parts.layers), heads)

    def _cut(self, layer: int, some: list[tuple[int, int]]) -> Any:
        mine = [(row, head) for row, (own, head) in enumerate(some) if own == layer]

        def cut(_module: Any, args: Any) -> Any:
            z = args[0].clone()
            for row, head in mine:
                z[row].unflatten(-1, (self.parts.n_heads, -1))[:, head] = 0
            return (z, *args[1:])

        return cut
