"""Ways to compute a grid of interventions, one a module, each with a class ``Engine(model)``.

``head_grid(ids, target)``: [layer, head], logit of ``target`` at the last position with the head's output
set to zero, minus the clean one. ``trace(ids, target, noise, cells)``: [cell], mean over the noise
samples of the logit with the clean layer output restored at (layer, position), minus the mean without.
``noise`` [sample, place, d_model] is added to the embeddings at ``NOISED``. No engine imports another, so
that each runs in an environment of its own.
"""

from __future__ import annotations

NAMES = ("interpboard", "hooks", "batched_hooks", "transformer_lens", "nnsight")
NOISED = (1, 2)
"""Positions that the trace drowns in noise."""
