"""A loop of plain PyTorch hooks: one forward pass a cell, as in a notebook."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.engines import NOISED
from benchmarks.sizes import Parts


class Engine:
    """See ``benchmarks.engines``."""

    def __init__(self, model: Any) -> None:
        self.model, self.parts = model, Parts.of(model)

    def _logit(self, ids: torch.Tensor, target: int, measure: str = "logit") -> torch.Tensor:
        logits = self.model(input_ids=ids).logits[:, -1]
        of_all = logits.float().softmax(-1) if measure == "prob" else logits
        return of_all[:, target].double().cpu()

    @torch.no_grad()
    def head_grid(
        self, ids: list[int], target: int, cells: list[tuple[int, int]] | None = None
    ) -> np.ndarray:
        """One forward pass a head: of all, or [cell] of some."""
        given = torch.tensor([ids], device=self.model.device)
        clean, values = self._logit(given, target)[0], []
        heads, layers = range(self.parts.n_heads), range(len(self.parts.layers))
        for layer, head in cells or [(layer, head) for layer in layers for head in heads]:

            def cut(_module: Any, args: Any, head: int = head) -> Any:
                z = args[0].clone()
                z.unflatten(-1, (self.parts.n_heads, -1))[:, :, head] = 0
                return (z, *args[1:])

            handle = self.parts.out_proj[layer].register_forward_pre_hook(cut)
            values.append(self._logit(given, target)[0] - clean)
            handle.remove()
        found = torch.stack(values).numpy()
        return found if cells else found.reshape(len(layers), -1)

    @torch.no_grad()
    def trace(
        self,
        ids: list[int],
        target: int,
        noise: np.ndarray,
        cells: list[tuple[int, int]],
        measure: str = "logit",
    ) -> np.ndarray:
        """One forward pass of a clean row and the noised ones a cell."""
        rows = torch.tensor([ids] * (len(noise) + 1), device=self.model.device)
        added = torch.tensor(noise, device=rows.device, dtype=self.model.dtype)

        def drown(_module: Any, _args: Any, out: torch.Tensor) -> torch.Tensor:
            out = out.clone()
            out[1:, list(NOISED)] += added
            return out

        handle = self.parts.embedding.register_forward_hook(drown)
        corrupted, values = self._logit(rows, target, measure)[1:].mean(), []
        for layer, position in cells:

            def restore(_module: Any, _args: Any, out: Any, position: int = position) -> Any:
                hidden = (out[0] if isinstance(out, tuple) else out).clone()
                hidden[1:, position] = hidden[0, position]
                return (hidden, *out[1:]) if isinstance(out, tuple) else hidden

            inner = self.parts.layers[layer].register_forward_hook(restore)
            values.append(self._logit(rows, target, measure)[1:].mean() - corrupted)
            inner.remove()
        handle.remove()
        return torch.stack(values).numpy()

    def estimates(self, ids: list[int], target: int) -> np.ndarray:
        """[layer, head], −z · gradient of the logit: one forward and one backward pass of the whole model."""
        seen: list[torch.Tensor] = []

        def look(_module: Any, args: Any) -> Any:
            z = args[0] if args[0].requires_grad else args[0].detach().requires_grad_()
            seen.append(z)
            return (z, *args[1:])

        handles = [part.register_forward_pre_hook(look) for part in self.parts.out_proj]
        given = torch.tensor([ids], device=self.model.device)
        logit = self.model(input_ids=given).logits[0, -1, target]
        gradients = torch.autograd.grad(logit, seen)
        for handle in handles:
            handle.remove()
        products = [(z * slope)[0].detach() for z, slope in zip(seen, gradients, strict=True)]
        heads = [each.unflatten(-1, (self.parts.n_heads, -1)).sum((0, 2)) for each in products]
        return -torch.stack(heads).cpu().numpy()

    @torch.no_grad()
    def lens(self, ids: list[int], target: int, top: int) -> np.ndarray:
        """[entropy, KL(last ‖ layer), probability of the target and of the likeliest, row, token]."""
        given = torch.tensor([ids], device=self.model.device)
        out = self.model(input_ids=given, output_hidden_states=True)
        body = getattr(self.model, "transformer", None) or self.model.model
        norm = body.ln_f if hasattr(body, "ln_f") else body.norm
        last = out.logits[0].log_softmax(-1)
        found = []
        for row, state in enumerate(out.hidden_states):
            # The last state has its norm behind it already.
            normed = state[0] if row == len(out.hidden_states) - 1 else norm(state[0])
            log_probs = self.model.lm_head(normed).log_softmax(-1)
            probs = log_probs.exp()
            entropy = -(probs * log_probs).sum(-1)
            kl = (last.exp() * (last - log_probs)).sum(-1)
            likeliest = probs.topk(top).values[:, 0]
            found.append(torch.stack([entropy, kl, probs[:, target], likeliest]))
        return torch.stack(found, 1).cpu().numpy()
