"""What a logit is of: a token of the vocabulary, or a label of a classifier, under one way to name either.

A label is named by its name (``id2label``) or as ``#1`` by its index; one that looks like an index itself
is written ``\\\\#1``, as tokens are.
"""

from __future__ import annotations

from difflib import get_close_matches

import numpy as np
import torch

from interpboard.display import visible
from interpboard.errors import BadParameter, BadPosition, BadPrompt, BadTarget, Unsupported
from interpboard.models.label_head import LabelHead
from interpboard.models.language_model import LanguageModel
from interpboard.registry.metric_names import COSINE
from interpboard.results import MetricRequest, PromptInfo, TokenRef, text_array
from interpboard.runs.prompt import resolve_position, token_text
from interpboard.runs.references import named_id, plain_text, resolve_token
from interpboard.runs.token_texts import token_texts

_MOST_LISTED = 12
NO_TOKEN = -1  # the id of a target that is a text


def label_head(lm: LanguageModel) -> LabelHead | None:
    """What gives labels, None where the logits are of tokens."""
    return lm.anatomy.label_head


def logit_name(lm: LanguageModel, number: int) -> str:
    """The text of the token, or the name of the label, whose logit is ``number``."""
    head = label_head(lm)
    return token_text(lm.tokenizer, number) if head is None else head.labels[number]


def logit_names(lm: LanguageModel, numbers: np.ndarray) -> np.ndarray:
    """``logit_name`` of each of ``numbers``, in their shape; of one that comes often it is asked once."""
    distinct, places = np.unique(numbers, return_inverse=True)
    head, asked = label_head(lm), distinct.tolist()
    texts = token_texts(lm.tokenizer, asked) if head is None else [head.labels[i] for i in asked]
    return text_array(texts)[places.reshape(numbers.shape)]


def resolve_target(lm: LanguageModel, text: str, role: str = "target") -> TokenRef:
    """``text`` as the token or the label it names. Raises ``BadTarget``, naming the labels there are."""
    head = label_head(lm)
    if head is None:
        return resolve_token(lm, text, role)
    number = named_id(text)
    if number is not None:
        if not 0 <= number < len(head.labels):
            raise BadTarget(
                f"The {role} {visible(text)} is no label: the model has #0 to #{len(head.labels) - 1}.",
                _listed(head),
            )
        return TokenRef(number, head.labels[number])
    name = plain_text(text)
    found = [i for i, label in enumerate(head.labels) if label == name]
    if len(found) > 1:
        named = " or ".join(f"#{i}" for i in found)
        raise BadTarget(
            f"{len(found)} labels are called {visible(name[:60])!r}.",
            f"Name one by its index: {named}.",
        )
    if found:
        return TokenRef(found[0], name)
    near = get_close_matches(name.casefold(), [label.casefold() for label in head.labels], n=1)
    meant = next((label for label in head.labels if near and label.casefold() == near[0]), None)
    remedy = f"Did you mean {visible(meant)}? " if meant is not None else ""
    raise BadTarget(
        f"The {role} {visible(name[:60])!r} is no label of this model.", remedy + _listed(head)
    )


def label_position(lm: LanguageModel, head: LabelHead, prompt: PromptInfo, position: int) -> int:
    """The position whose logits are looked at: the one that the head reads, or of a token classifier the one
    asked for. Raises ``BadPosition``."""
    if head.reads == "each":
        return resolve_position(prompt, position)
    reads = head.position(prompt.token_ids)
    if position != -1 and resolve_position(prompt, position) != reads:
        where = (
            {"mean": "the mean over all tokens", "max": "the largest over all tokens"}[head.reads]
            if head.reads_all
            else f"position {reads}, {visible(prompt.tokens[reads])!r}"
        )
        raise BadPosition(
            f"This model gives labels to the whole text: its head reads {where}.",
            "Leave the position away.",
        )
    return reads


def is_of_text(head: LabelHead, request: MetricRequest) -> bool:
    """Whether a sentence encoder's target is a second text, and not a component. Raises ``BadTarget``,
    ``BadParameter``."""
    if head.problem != "vector":
        if request.name == COSINE:
            raise BadParameter(
                "The metric cosine compares two texts' vectors, and this model gives labels.",
                "Use logit.",
            )
        return False
    of_text = request.target is not None and named_id(request.target) is None
    if of_text and not request.target:
        raise BadTarget("The second text is empty.", "Write one, or a component, e.g. #5.")
    if request.name == COSINE and not of_text:
        raise BadTarget("The metric cosine needs a second text.", "Name it as the target.")
    if of_text and request.name not in (COSINE, "logit"):
        raise BadParameter(
            f"The metric {request.name} is not of two texts.",
            "Use cosine, or a component, e.g. #5.",
        )
    return of_text


def check_metric(head: LabelHead, name: str) -> str:
    """The metric ``name`` for the labels of ``head``; of values ``logit``, which is asked for where nothing
    is, is the value. Raises ``BadParameter`` for one that such a model does not have."""
    if head.has_probabilities:
        if name == "value":
            raise BadParameter(
                "The metric value is for models that give a value (regression, rewards); this one gives "
                "labels.",
                "Use logit, logit_diff, prob or logprob.",
            )
        return name
    if name in ("value", "logit"):
        return "value"
    if name == "logit_diff" and len(head.labels) > 1 and head.problem == "value":
        return name
    gives = "a vector" if head.problem == "vector" else "a value (regression, a reward)"
    raise BadParameter(
        f"The metric {name} compares labels, and this model gives {gives}.", "Use value."
    )


def refuse_another_reading(lm: LanguageModel, clean: PromptInfo, other: PromptInfo) -> None:
    """Raise ``BadPrompt`` where the head reads another position of ``other``, which ends in padding: what is
    compared would not be what the model says."""
    head = label_head(lm)
    if head is None:
        return
    here, there = head.position(clean.token_ids), head.position(other.token_ids)
    if here != there:
        raise BadPrompt(
            f"The head reads position {here} of the prompt and {there} of the other, since one ends in the "
            "padding token.",
            "Choose texts that end alike.",
        )


def probabilities(lm: LanguageModel, logits: torch.Tensor) -> torch.Tensor:
    """Of ``logits`` [..., token or label]: softmax, or what the head of labels makes of them."""
    head = label_head(lm)
    return logits.softmax(-1) if head is None else head.probabilities(logits)


def require_tokens(lm: LanguageModel, what: str) -> None:
    """Raise ``Unsupported`` where logits are of labels: ``what`` needs those of tokens."""
    if label_head(lm) is not None:
        raise Unsupported(
            f"{what} needs a model that predicts tokens; this one gives labels.",
            "Open a language model.",
        )


def _listed(head: LabelHead) -> str:
    shown = ", ".join(visible(label[:40]) for label in head.labels[:_MOST_LISTED])
    more = len(head.labels) - _MOST_LISTED
    return f"Its labels: {shown}{f' and {more} more' if more > 0 else ''}."
