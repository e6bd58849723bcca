"""Copies of the prompt's embeddings with seeded Gaussian noise."""

from __future__ import annotations

import torch

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.gradients.embeddings import prompt_embeddings
from interpboard.runs.noise import embedding_deviation


def noisy_inputs(
    lm: LanguageModel, prompt: PromptInfo, samples: int, noise: float, seed: int
) -> torch.Tensor:
    """Embeddings [sample, pos, d_model], each with its own noise in every number.

    Its standard deviation is ``noise`` times that of the embeddings over the vocabulary. The same seed
    gives the same noise on every device. Raises ``BadParameter``.
    """
    if samples < 1 or not noise >= 0:
        raise BadParameter("Noise needs at least one sample and a scale of 0 or more.")
    inputs = prompt_embeddings(lm, prompt)
    generator = torch.Generator().manual_seed(seed)
    deviation = noise * embedding_deviation(lm)
    drawn = torch.randn((samples, *inputs.shape), generator=generator)
    return drawn.mul_(deviation).to(inputs).add_(inputs)  # all copies are there once
