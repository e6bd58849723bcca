"""Models of ``benchmarks.sizes``, looked into by InterpBoard, and a prompt and metric to go with them."""

from __future__ import annotations

import torch

from benchmarks.engines.interpboard import opened as opened_model
from benchmarks.sizes import built, random_ids
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricInfo, PromptInfo, TokenRef
from interpboard.runs.metrics import Metric

MODELS = ("gpt2-small", "llama-12")


def opened(name: str) -> LanguageModel:
    """A model by name, looked into."""
    return opened_model(built(name), name)


@torch.no_grad()
def random_case(lm: LanguageModel, length: int) -> tuple[PromptInfo, Metric]:
    """A prompt of random ids and the logit of its own top token at the last position."""
    ids = random_ids(lm.anatomy.d_vocab, length)
    logits = lm.model(input_ids=torch.tensor([ids]), logits_to_keep=1).logits[0, -1]
    prompt = PromptInfo("", tuple(map(str, ids)), tuple(ids))
    top = TokenRef(int(logits.argmax()), "")
    return prompt, Metric(MetricInfo("logit", length - 1, top), logits)
