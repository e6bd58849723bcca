"""Attention patterns of the clean run, of every family that has any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing, require_finite
from interpboard.runs.record import by_blocks

OnPattern = Callable[[int, torch.Tensor], None]
OnPatternBlock = Callable[[int, torch.Tensor, int], None]


@torch.no_grad()
def each_pattern(
    lm: LanguageModel, token_ids: torch.Tensor, layers: Sequence[int], hear: OnPattern
) -> bool:
    """Run ``token_ids`` [batch, pos]; ``hear(layer, pattern [batch, query, head, key])`` in order.

    True if the patterns are those that the self-check proved by editing them. Families in which none was
    proved may report theirs on demand; those are taken if they are probabilities of keys that the query
    may see, and asking changes nothing. Raises ``Unsupported`` otherwise, and for
    ``layers`` that have no pattern where others do (see ``layers_with_pattern``); ``NotFinite`` where a
    run or a pattern is not finite.
    """
    return each_pattern_block(
        lm, token_ids, layers, lambda layer, pattern, _first: hear(layer, pattern), whole=True
    )


@torch.no_grad()
def each_pattern_block(
    lm: LanguageModel,
    token_ids: torch.Tensor,
    layers: Sequence[int],
    hear: OnPatternBlock,
    *,
    whole: bool = False,
) -> bool:
    """As ``each_pattern``, some queries at a time: ``hear(layer, block [batch, query, head, key], first)``.

    ``first``: the position of the block's first query; they come in order, and together are the pattern.
    A model that did not prove that its patterns can be computed so gives each as one block, and so does
    every model where they are asked for ``whole``.
    """
    about = "The run whose attention is read"
    lacking = [layer for layer in layers if "pattern" not in lm.verified.at(layer)]
    if lacking and not layers_with_pattern(lm):
        with refusing(lm, about, len(token_ids)):
            reported = _reported(lm, token_ids, layers)
        for layer, pattern in zip(layers, reported, strict=True):
            hear(layer, pattern.transpose(1, 2), 0)
        return False
    if lacking:
        lm.verified.require_site("pattern", lacking[0])
    with ExitStack() as stack:
        for layer in layers:
            checked = partial(_finite, lm, about, partial(hear, layer))
            seen = partial(checked, first=0) if whole else by_blocks(lm, checked)
            stack.enter_context(at_site(lm.anatomy, "pattern", layer, seen))
        stack.enter_context(refusing(lm, about, len(token_ids)))
        run_body(lm.anatomy, token_ids)
    return True


def layers_with_pattern(lm: LanguageModel) -> list[int]:
    """The layers whose patterns were proved; none where the family hides them."""
    return [i for i in range(lm.anatomy.n_layers) if "pattern" in lm.verified.at(i)]


def _finite(
    lm: LanguageModel,
    about: str,
    hear: Callable[[torch.Tensor, int], None],
    pattern: torch.Tensor,
    first: int,
) -> None:
    require_finite(lm, about, pattern)
    hear(pattern, first)


def _reported(
    lm: LanguageModel, token_ids: torch.Tensor, layers: Sequence[int]
) -> list[torch.Tensor]:
    """[batch, head, query, key] of each of ``layers``, in the model's own words."""
    body: Any = lm.anatomy.base
    plain = run_body(lm.anatomy, token_ids).last_hidden_state
    try:
        with _eager(body.config):
            output = run_body(lm.anatomy, token_ids, output_attentions=True)
        if len(output.attentions) != lm.anatomy.n_layers:  # of some layers: whose is unknown
            raise IndexError(len(output.attentions))
        reported = [output.attentions[layer] for layer in layers]
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise Unsupported("The attention patterns of this model cannot be read.") from error
    n_pos = token_ids.shape[1]
    shape = (len(token_ids), lm.anatomy.n_heads, n_pos, n_pos)
    believable = agrees(output.last_hidden_state, plain) and all(
        isinstance(pattern, torch.Tensor)
        and pattern.shape == shape
        and float(pattern.min()) >= 0
        and float(pattern.sum(-1).max()) <= 1.01
        and not (lm.verified.causal and float(pattern.triu(1).abs().max()))
        for pattern in reported
    )
    if not believable:
        raise Unsupported("What this model reports as its attention are no patterns.")
    return reported


@contextmanager
def _eager(config: Any) -> Iterator[None]:
    """Falcon makes no mask where it expects a kernel to mask, and then reports what was not masked."""
    implementation = config._attn_implementation
    config._attn_implementation_internal = "eager"
    try:
        yield
    finally:
        config._attn_implementation_internal = implementation
