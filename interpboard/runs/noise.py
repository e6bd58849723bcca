"""Seeded noise on the embeddings of some tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.errors import BadParameter
from interpboard.models.calls import embeddings_of
from interpboard.models.language_model import LanguageModel
from interpboard.runs.edits import Counterfactual, Edit

# On a CPU as many as its cache holds in float64, on others as many as fill them.
_TOKENS_A_STEP, _MOST_TOKENS = {"cpu": 256}, 8192


def embedding_noise(
    lm: LanguageModel, positions: Sequence[int], scale: float, samples: int, seed: int
) -> tuple[Counterfactual, ...]:
    """``samples`` counterfactuals, each adding its own Gaussian noise to the embeddings at ``positions``.

    Its standard deviation is ``scale`` times that of the embeddings over the vocabulary. The same seed
    gives the same noise on every device. Raises ``BadParameter``.
    """
    if samples < 1 or scale < 0:
        raise BadParameter("Noise needs at least one sample and a scale of 0 or more.")
    generator = torch.Generator().manual_seed(seed)
    deviation = scale * embedding_deviation(lm)
    # An embedding may be narrower than the stream that it is mapped to (albert, electra).
    width = embeddings_of(lm.anatomy, torch.zeros(1, dtype=torch.long, device=lm.device)).shape[-1]
    shape = (len(positions), width)
    return tuple(
        (
            Edit(
                "embed",
                0,
                "add",
                positions=tuple(positions),
                value=deviation * torch.randn(shape, generator=generator),
            ),
        )
        for _ in range(samples)
    )


@torch.no_grad()
def embedding_deviation(lm: LanguageModel) -> float:
    """Standard deviation of all numbers of all embeddings, as the embedding module gives them."""
    total, squares, count = 0.0, 0.0, 0
    tokens = torch.arange(lm.anatomy.d_vocab, device=lm.device)
    for ids in tokens.split(_TOKENS_A_STEP.get(lm.device.type, _MOST_TOKENS)):
        embedded = embeddings_of(lm.anatomy, ids).double().flatten()
        total += float(embedded.sum())
        squares += float(embedded.dot(embedded))
        count += embedded.numel()
    return float((squares / count - (total / count) ** 2) ** 0.5)
