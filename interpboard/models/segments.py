"""Segments of a pair of texts (BERT's token types): 0 up to the token between the two, 1 behind it.

They are a function of the tokens, so that whatever runs the model, with whatever edits, gives it the same.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch

from interpboard.models.anatomy import Anatomy

_NAME = "token_type_ids"


def segments_of(anatomy: Anatomy, token_ids: torch.Tensor) -> torch.Tensor | None:
    """Of ``token_ids`` [..., pos]; None where the model takes none."""
    if anatomy.separator is None:
        return None
    ends = (token_ids == anatomy.separator).long()
    return (ends.cumsum(-1) - ends).clamp(max=1)


def with_segments(anatomy: Anatomy, token_ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """The segments of ``token_ids`` as an argument of the model."""
    found = segments_of(anatomy, token_ids)
    return {} if found is None else {_NAME: found}


def separator_of(anatomy: Anatomy, tokenizer: Any) -> int | None:
    """The token between two texts where the model tells them apart by segments; None where it does not."""
    config: Any = anatomy.model.config
    body: Any = anatomy.base
    takes = _NAME in inspect.signature(body.forward).parameters
    gives = _NAME in getattr(tokenizer, "model_input_names", ())
    separator = getattr(tokenizer, "sep_token_id", None)
    if not takes or not gives or separator is None or getattr(config, "type_vocab_size", 0) < 2:
        return None
    return int(separator) if any(tokenizer("a", "b").get(_NAME, ())) else None
