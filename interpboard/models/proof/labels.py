"""Proof of a head of labels: which token it reads, shown by the model's own logits.

A classifier gives one row of logits for a whole prompt. So that everything that is proved of a language model
can be proved of it, too, each position's stream is read by the head, as a lens does; at the position that
the head reads, what the model itself says stands there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.checkpoint.foreign import first_line
from interpboard.models.label_head import Reads
from interpboard.models.proof.rounding import same_within_rounding
from interpboard.models.unembedding import model_output, read_by_head, run_body, unembed

# What a head that does not take a stream as it is handed over raises.
_MISFIT = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError)


@torch.no_grad()
def logits_of_labels(anatomy: Anatomy, ids: torch.Tensor) -> torch.Tensor:
    """[row, pos, label]: each position's stream read by the head; for one row, where the head reads one
    position, the model's own logits there."""
    head = anatomy.label_head
    if len(ids) > 1 or head is None or head.reads_all:
        return _read_everywhere(anatomy, run_body(anatomy, ids))
    bodies: list[Any] = []
    handle = anatomy.base.register_forward_hook(
        lambda _module, _args, output: bodies.append(output)
    )
    try:
        own = model_output(anatomy, ids).logits
    finally:
        handle.remove()
    logits = _read_everywhere(anatomy, bodies[0])
    logits[:, head.position(ids[0].tolist())] = own
    return logits


def _read_everywhere(anatomy: Anatomy, body: Any) -> torch.Tensor:
    hidden = body.last_hidden_state
    return unembed(anatomy, hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2])


@torch.no_grad()
def with_proved_head(
    anatomy: Anatomy, prompts: Sequence[torch.Tensor], reads: Sequence[Reads]
) -> Anatomy:
    """``anatomy`` with the first of ``reads`` that gives the model's own logits for ``prompts``, each
    [1, pos] and without padding. Raises ``NotALanguageModel`` where none does."""
    _require_a_run(anatomy, prompts[0])
    found = next((a for a in _readings(anatomy, reads) if _agrees(a, prompts)), None)
    if found is None:
        raise NotALanguageModel(
            f"{type(anatomy.model).__name__}: its head reads neither one token nor their mean.",
            "Such classifiers are not supported.",
        )
    return _with_padding(found, prompts[0])


def _require_a_run(anatomy: Anatomy, ids: torch.Tensor) -> None:
    try:
        model_output(anatomy, ids)
    except _MISFIT as error:
        raise NotALanguageModel(
            f"{type(anatomy.model).__name__} does not run on one text: {first_line(error)}",
            "Such classifiers are not supported.",
        ) from error


def _readings(anatomy: Anatomy, reads: Sequence[Reads]) -> list[Anatomy]:
    head = anatomy.label_head
    assert head is not None
    return [replace(anatomy, label_head=replace(head, reads=each)) for each in reads]


def _agrees(anatomy: Anatomy, prompts: Sequence[torch.Tensor]) -> bool:
    head = anatomy.label_head
    assert head is not None
    for ids in prompts:
        own = model_output(anatomy, ids).logits
        hidden = run_body(anatomy, ids).last_hidden_state
        try:
            read = read_by_head(anatomy, hidden, head.position(ids[0].tolist()))
            logits = unembed(anatomy, read)
        except _MISFIT:
            return False
        if logits.shape != own.shape or not same_within_rounding(logits, own):
            return False
    return True


def _with_padding(anatomy: Anatomy, ids: torch.Tensor) -> Anatomy:
    """Whether padding at the end is passed over: seen, not assumed. Raises ``NotALanguageModel``."""
    head = anatomy.label_head
    config: Any = anatomy.model.config
    pad = config.get_text_config().pad_token_id
    if head is None or head.reads != "last" or pad is None or not 0 <= pad < anatomy.d_vocab:
        return anatomy
    padded = torch.cat([ids[:, :-2], torch.full_like(ids[:, -2:], pad)], dim=1)
    passing = replace(anatomy, label_head=replace(head, padding=int(pad)))
    for each in (passing, anatomy):
        if _agrees(each, [padded]):
            return each
    raise NotALanguageModel(
        f"{type(anatomy.model).__name__}: which token its head reads of a prompt that ends in padding is "
        "unclear.",
        "Set pad_token_id to null in config.json.",
    )
