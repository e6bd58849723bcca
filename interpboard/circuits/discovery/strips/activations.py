"""What one run of an encoder–decoder wrote."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from interpboard.circuits.discovery.activations import Activations


@dataclass(frozen=True)
class StripActivations(Activations):
    """``embed`` is the input of the encoder's first layer, ``embed_prefix`` of the decoder's; ``mlp`` of a
    layer without one has no numbers. Each is in the positions of its own strip."""

    embed_prefix: torch.Tensor
