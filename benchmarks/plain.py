"""Plain Hugging Face: what a notebook would write, to hold values and times against."""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def plain_lens(model: Any, ids: list[int]) -> torch.Tensor:
    """Probabilities [layer + 1, token, d_vocab]: each hidden state normed, unembedded, and softmax taken.

    The last hidden state that Hugging Face gives has its norm behind it already.
    """
    given = torch.tensor([ids], device=model.device)
    states = model(input_ids=given, output_hidden_states=True).hidden_states
    norm = model.transformer.ln_f if hasattr(model, "transformer") else model.model.norm
    normed = [*(norm(state[0]) for state in states[:-1]), states[-1][0]]
    return torch.stack([model.lm_head(each).float().softmax(-1) for each in normed])
