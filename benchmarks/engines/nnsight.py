"""nnsight: one trace a cell, written as its documentation writes interventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from nnsight import NNsight

from benchmarks.engines import NOISED


class Engine:
    """See ``benchmarks.engines``."""

    def __init__(self, model: Any) -> None:
        self.device, self.dtype = model.device, model.dtype
        self.n_heads = model.config.num_attention_heads
        self.wrapped = NNsight(model)
        if hasattr(model, "transformer"):
            self.layers = list(self.wrapped.transformer.h)
            self.out_proj = [layer.attn.c_proj for layer in self.layers]
            self.embedding = self.wrapped.transformer.wte
        else:
            self.layers = list(self.wrapped.model.layers)
            self.out_proj = [layer.self_attn.o_proj for layer in self.layers]
            self.embedding = self.wrapped.model.embed_tokens

    @torch.no_grad()
    def head_grid(self, ids: list[int], target: int) -> np.ndarray:
        """One trace a head."""
        given = torch.tensor([ids], device=self.device)
        model, heads = self.wrapped, self.n_heads
        with model.trace(given):
            clean = model.lm_head.output[0, -1, target].save()
        values = []
        for out_proj in self.out_proj:
            for head in range(heads):
                with model.trace(given):
                    z = out_proj.input.clone()
                    z.unflatten(-1, (heads, -1))[:, :, head] = 0
                    out_proj.input = z
                    value = model.lm_head.output[0, -1, target].save()
                values.append(float(value) - float(clean))
        return np.array(values).reshape(len(self.layers), -1)

    @torch.no_grad()
    def trace(
        self, ids: list[int], target: int, noise: np.ndarray, cells: list[tuple[int, int]]
    ) -> np.ndarray:
        """One trace of a clean row and the noised ones a cell."""
        rows = torch.tensor([ids] * (len(noise) + 1), device=self.device)
        added = torch.tensor(noise, device=self.device, dtype=self.dtype)
        model, embedding, places = self.wrapped, self.embedding, list(NOISED)
        with model.trace(rows):
            drowned = embedding.output.clone()
            drowned[1:, places] += added
            embedding.output = drowned
            corrupted = model.lm_head.output[1:, -1, target].double().mean().save()
        values = []
        for index, position in cells:
            layer = self.layers[index]
            with model.trace(rows):
                drowned = embedding.output.clone()
                drowned[1:, places] += added
                embedding.output = drowned
                found = layer.output
                hidden = (found[0] if isinstance(found, tuple) else found).clone()
                hidden[1:, position] = hidden[0, position]
                layer.output = (hidden, *found[1:]) if isinstance(found, tuple) else hidden
                value = model.lm_head.output[1:, -1, target].double().mean().save()
            values.append(float(value) - float(corrupted))
        return np.array(values)
