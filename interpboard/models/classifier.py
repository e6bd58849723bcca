"""Models whose head gives labels: sequence and token classification, choices, regression, reward models.

Their body is a decoder's or an encoder's and is found as such. The head is a map to labels; which token it
reads is proved (``proof/labels``), never taken from the family's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoModelForMultipleChoice,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy, body_of
from interpboard.models.division import device_of
from interpboard.models.label_head import (
    CHOICES,
    SEQUENCE,
    TOKENS,
    LabelHead,
    label_names,
    problem_of,
)
from interpboard.models.packed import out_width
from interpboard.models.proof.labels import with_proved_head
from interpboard.models.proof.rounding import differs
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.sentence_encoder import SentenceEncoder
from interpboard.models.training_mode import evaluating

_KINDS: dict[str, Any] = {
    SEQUENCE: AutoModelForSequenceClassification,
    TOKENS: AutoModelForTokenClassification,
    CHOICES: AutoModelForMultipleChoice,
}


def label_class(config: Any) -> Any:
    """The family of classes that opens a model with labels; None where ``config`` names another."""
    for name in getattr(config, "architectures", None) or ():
        for ending, kind in _KINDS.items():
            if name.endswith(ending):
                return kind
    return None


def has_encoder_body(model: nn.Module) -> bool:
    """Whether the body of a classifier looks both ways: as its configuration says, or else as it does."""
    config: Any = model.config
    if getattr(config, "is_decoder", False):
        return False
    if type(config) in MODEL_FOR_MASKED_LM_MAPPING:
        return True
    return type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and _looks_ahead(model)


@torch.no_grad()
def _looks_ahead(model: nn.Module) -> bool:
    """Whether what comes later changes what the body makes of the first token; true where it cannot be run,
    so that an encoder's proof says why."""
    given: Any = model
    with evaluating(model):
        try:
            body: Any = body_of(model)
            home = device_of(given.get_input_embeddings())
            ids = torch.tensor([[1, 2, 3], [1, 3, 2]], device=home)
            one, other = (body(input_ids=row[None]).last_hidden_state[:, :1] for row in ids)
        except (*MISFIT, NotImplementedError, NotALanguageModel):
            return True
    return differs(one, other)


def label_notes(head: LabelHead | None) -> tuple[str, ...]:
    """What a reader of results must know of the head; nothing of a language model."""
    if head is None:
        return ()
    reads = {
        "each": "each token's own stream",
        "first": "the first token",
        "mean": "the mean over all tokens",
        "max": "the largest of each component over all tokens",
        "last": "the last token"
        + ("" if head.padding is None else f" that is not padding (#{head.padding})"),
    }[head.reads]
    if head.choices:
        return (
            "scores a choice, as a value, and compares several that are given (--choice); its head reads "
            f"{reads}",
        )
    gives = {
        "one": f"one of {len(head.labels)} labels (softmax)",
        "several": f"each of {len(head.labels)} labels by itself (sigmoid)",
        "vector": f"a vector of {len(head.labels)} components",
        "value": "a value" if len(head.labels) == 1 else f"{len(head.labels)} values",
    }[head.problem]
    lens = ", so that there is no lens" if head.reads_all else ""
    return (f"gives {gives} and predicts no tokens; its head reads {reads}{lens}",)


def classifier_anatomy(model: nn.Module, find: Callable[[nn.Module], Anatomy]) -> Anatomy:
    """What ``find`` finds of the body, with the head of labels, proved. Raises ``NotALanguageModel``."""
    name, config = type(model).__name__, model.config
    anatomy = find(model)
    count = out_width(anatomy.unembedding)
    if isinstance(model, SentenceEncoder):
        vector = LabelHead(tuple(map(str, range(count))), "vector", model.reads)
        anatomy = replace(anatomy, label_head=vector, d_vocab=_vocabulary(anatomy))
        with evaluating(model):
            return with_proved_head(anatomy, _prompts(anatomy), (model.reads,))
    choices = name.endswith(CHOICES)
    head = LabelHead(
        ("score",) if choices else label_names(config, count),
        "value" if choices else problem_of(config, count),
        "each",
        choices=choices,
    )
    anatomy = replace(anatomy, label_head=head, d_vocab=_vocabulary(anatomy))
    if name.endswith(TOKENS):
        return anatomy
    reads: Any = ("first", "mean", "last") if has_encoder_body(model) else ("last",)
    with evaluating(model):
        return with_proved_head(anatomy, _prompts(anatomy), reads)


def _vocabulary(anatomy: Anatomy) -> int:
    tokens: Any = anatomy.embedding
    return int(tokens.weight.shape[0])


def _prompts(anatomy: Anatomy) -> list[torch.Tensor]:
    """Two prompts of different lengths, without padding."""
    config: Any = anatomy.model.config
    pad = config.get_text_config().pad_token_id
    generator = torch.Generator().manual_seed(5)
    some = min(anatomy.d_vocab, 1000)
    prompts = [torch.randint(some, (1, length), generator=generator) for length in (8, 5)]
    at_home = device_of(anatomy.embedding)
    return [
        torch.where(ids == pad, (ids + 1) % some, ids).to(at_home)
        if pad is not None
        else ids.to(at_home)
        for ids in prompts
    ]
