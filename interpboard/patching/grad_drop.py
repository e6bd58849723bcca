"""GradDrop: estimates that do not cancel, from gradients that leave out one layer at a time."""

from __future__ import annotations

import torch

_IN_THE_STREAM = ("embed", "resid_pre", "resid_mid", "resid_post")


def mean_size(estimates: torch.Tensor, site: str) -> torch.Tensor:
    """Mean size [layer, …] of ``estimates`` [dropped layer, layer, …] over the dropped layers.

    What is inside a layer reaches the metric only through what that layer adds, so there its own is
    left out of the mean. A stream site passes it by.
    """
    sizes = estimates.abs()
    n_dropped, n_layers = sizes.shape[:2]
    if site in _IN_THE_STREAM:
        return sizes.mean(0)
    itself = torch.eye(n_dropped, n_layers, dtype=torch.bool, device=sizes.device)
    itself = itself.reshape(n_dropped, n_layers, *[1] * (sizes.dim() - 2))
    return sizes.masked_fill(itself, 0).sum(0) / (n_dropped - 1)
