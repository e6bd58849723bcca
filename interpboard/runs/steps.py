"""How much is computed at once: found by timing, within what suits the device and its memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch

from interpboard.config import batch_limit
from interpboard.models.attention_sites import PATTERN_BLOCK
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import free_memory
from interpboard.models.packed import in_width

STEP_S = 0.2
TOKENS_A_STEP = {"cpu": (64, 1024), "cuda": (1024, 65536), "mps": (512, 8192)}
MEMORY_A_STEP = 1 << 29
A_LITTLE_RUN = 1 << 25
FIRST_STEP = 3e13
"""Floating-point operations of a first step on a GPU: under 0.1 s in bfloat16, and enough to fill it."""
FIRST_LAYER = 1.5e10
"""Likewise of a layer on a CPU: 0.1 to 0.2 s of one core."""
TOKENS_TOGETHER, SHARED_PASS = 4096, 3e10
"""Of prompts that share a pass on a CPU: tokens, and floating-point operations of all layers, at most."""
TOKENS_BACK = {"cpu": 256, "cuda": 32768, "mps": 4096}
"""Tokens of a backward pass, at most: more were seen to save 7 % for twice the memory."""
TOKENS_BACK_WHOLE = 400
"""On a CPU where layers compute in one piece: each pass orders every weight for its product anew."""

_FEW = 4


class StepSize:
    """Tokens a step: those with which a cancel is heard within 0.2 s.

    Where layers are replayed on a CPU a cancel is heard between two of them, and the largest size that
    is still quick serves best: smaller ones read the weights more often. Elsewhere it is heard between two
    steps, and sizes grow from what the model's number of parameters promises. ``fixed`` stays as it is.
    """

    def __init__(self, lm: LanguageModel, fixed: int | None) -> None:
        self.alone = lm.verified.alone
        device = lm.device.type
        self.widest = _bytes_a_token(lm, _widest(lm)) if device == "cpu" else 0
        self.by_layer = device == "cpu" and lm.verified.path == "replay"
        self.least, most = TOKENS_A_STEP.get(device, TOKENS_A_STEP["cpu"])
        self.most = max(self.least, min(most, _tokens_in_memory(lm)))
        limit = batch_limit()
        if limit:
            self.least, self.most = min(self.least, limit), min(self.most, limit)
        self.most_reused = reused_in_memory(lm)
        self.grows = fixed is None
        self.tokens = fixed if fixed is not None else self._begin(lm)

    def _begin(self, lm: LanguageModel) -> int:
        if not self.by_layer and lm.device.type != "cuda":
            return self.least
        if self.by_layer:
            largest = max(
                sum(parameter.numel() for parameter in layer.parameters())
                for layer in lm.anatomy.layers
            )
            return int(min(self.most, max(self.least, FIRST_LAYER / (2 * max(1, largest)))))
        parameters = sum(parameter.numel() for parameter in lm.model.parameters())
        return int(min(self.most, max(self.least, FIRST_STEP / (2 * parameters))))

    def rows(self, first: int, stop: int, *, trial: bool = False) -> int:
        """Rows a step, at least one, of positions ``first`` to ``stop`` − 1.

        Each row brings the keys and values of the positions before ``first``: few new tokens may need
        much memory. ``trial``: so few that it is soon known what a row takes.
        """
        if self.alone:
            return 1
        tokens = min(self.least, self.tokens) if trial else self.tokens
        return max(1, min(tokens // (stop - first), self.most_reused // max(1, first)))

    def rows_laid(self, firsts: Sequence[int], stop: int, *, trial: bool = False) -> int:
        """Likewise of rows that lie end to end, each from its own of ``firsts`` on. Those of one first
        position bring the keys and values before it together, and each a whole row to the last layer."""
        tokens = min(self.least, self.tokens) if trial else self.tokens
        until = np.cumsum([stop - first for first in firsts])
        fitting = int(np.searchsorted(until, tokens, side="right"))
        return max(1, min(fitting, self.most_reused // stop))

    def largest_block(self, tokens: int, a_row: int) -> int:
        """Bytes of a layer's largest tensor in a step, of ``tokens`` in all; 0 but on a CPU.

        0 where a step has no two rows of ``a_row`` tokens: taken again, blocks that long leave holes between
        them in which no other fits, and to have their pages anew is little beside what is computed of them.
        """
        return min(tokens, self.most) * self.widest if 2 * a_row <= self.most else 0

    def took(self, seconds: float, layers: int, tokens: int) -> None:
        """Hear how long a step of ``tokens`` through ``layers`` took."""
        if not self.grows or tokens < self.tokens / 2:
            return
        heard_after = seconds / max(1, layers) if self.by_layer else seconds
        factor = min(4.0, max(0.25, 0.75 * STEP_S / max(heard_after, 1e-6)))
        self.tokens = int(min(self.most, max(self.least, tokens * factor)))

    def halve(self, tokens: int) -> None:
        """A step of ``tokens`` did not fit."""
        self.tokens, self.grows = max(1, tokens // 2), False


def _tokens_in_memory(lm: LanguageModel) -> int:
    """Tokens whose activations within a layer fit in half a GiB, or in a quarter of what is free."""
    return _fitting(lm, 4 * _widest(lm) + 8 * lm.anatomy.d_model)


def reused_in_memory(lm: LanguageModel) -> int:
    """Tokens whose keys and values in one layer, there twice, fit in a quarter GiB or what is free. On a CPU
    with those that grouped heads share copied for each head, as attention under a mask has them."""
    anatomy, numbers = lm.anatomy, 4 * _d_keys(lm)
    if lm.device.type == "cpu" and anatomy.n_kv_heads != anatomy.n_heads:
        numbers += 2 * anatomy.n_heads * max(anatomy.d_head)
    return _fitting(lm, numbers, MEMORY_A_STEP // 2)


def _d_keys(lm: LanguageModel) -> int:
    return lm.anatomy.n_kv_heads * max(lm.anatomy.d_head)


def rows_of_a_recording(lm: LanguageModel, length: int) -> int:
    """How many rows of ``length`` are recorded in one forward pass, at least one.

    Replays start from what is kept of every layer: its input, head outputs, keys and values. That takes
    at most half a GiB, or a quarter of what is free, and there are no more tokens than a step has.
    """
    if lm.verified.alone:
        return 1
    anatomy = lm.anatomy
    a_layer = anatomy.d_model + anatomy.n_heads * max(anatomy.d_head) + 2 * _d_keys(lm)
    fitting = _fitting(lm, anatomy.n_layers * a_layer)
    return max(1, min(StepSize(lm, None).most, fitting) // length)


def rows_of_a_shared_pass(lm: LanguageModel, length: int) -> int:
    """How many prompts of ``length`` share a clean pass, at least one: as many as are recorded, and of a
    small model so many more that the pass is still quick. Much that follows is done once for all of them."""
    most = rows_of_a_recording(lm, length)
    if lm.verified.alone or lm.device.type != "cpu" or batch_limit():
        return most
    weights = sum(p.numel() for layer in lm.anatomy.layers for p in layer.parameters())
    a_layer = lm.anatomy.d_model + lm.anatomy.n_heads * max(lm.anatomy.d_head) + 2 * _d_keys(lm)
    fitting = min(_tokens_in_memory(lm), _fitting(lm, lm.anatomy.n_layers * a_layer))
    quick = int(SHARED_PASS / (2 * max(1, weights)))
    return max(most, min(TOKENS_TOGETHER, fitting, quick) // length)


def rows_of_a_backward_pass(lm: LanguageModel, length: int) -> int:
    """How many prompts of ``length`` go through one forward and backward pass, at least one.

    What a layer keeps for the backward pass is there for all layers at once; it takes at most a quarter
    of the free memory, and at most ``TOKENS_BACK``.
    """
    if lm.verified.alone:
        return 1
    a_layer = _for_a_backward_pass(lm) + 4 * lm.anatomy.n_heads * length
    fitting = _fitting(lm, lm.anatomy.n_layers * a_layer, sys.maxsize)
    most = TOKENS_BACK.get(lm.device.type, TOKENS_BACK["cpu"])
    if lm.device.type == "cpu" and lm.verified.whole_layers:
        most = max(most, TOKENS_BACK_WHOLE)
    return max(1, min(most, fitting, batch_limit() or most) // length)


def bytes_of_a_layer(
    lm: LanguageModel, length: int, *, rows: int = 1, pattern: bool = False
) -> int:
    """Bytes that a layer has meanwhile of ``rows`` runs of ``length`` tokens in one pass; with ``pattern`` of
    attention in the open: scores, mask, and what softmax makes of them, of as many queries as are looked at
    together."""
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    numbers = rows * length * (4 * _widest(lm) + 8 * lm.anatomy.d_model)
    if pattern:
        block = rows * lm.anatomy.n_heads * length**2
        numbers += 5 * (min(block, PATTERN_BLOCK) if lm.verified.blocks else block)
    return numbers * weight.element_size()


def backward_pass_is_small(lm: LanguageModel, length: int, site: str) -> bool:
    """Whether what all layers keep for the backward pass of one prompt fits in half a GiB, or in a
    quarter of what is free. At ``pattern`` that is much more: attention is computed in the open.
    """
    a_layer = _for_a_backward_pass(lm)
    if site == "pattern":
        a_layer += 6 * lm.anatomy.n_heads * length
    return length <= _fitting(lm, lm.anatomy.n_layers * a_layer)


def layers_are_recomputed(lm: LanguageModel, tokens: int, *, whole: bool = False) -> bool:
    """Whether a backward pass of so many ``tokens`` computes each layer anew instead of keeping all of them:
    where keeping takes more than half a GiB (on a GPU only a quarter of what is free counts). ``whole``:
    layers compute in one piece, and keep less."""
    if lm.verified.path != "replay":
        return False
    most = MEMORY_A_STEP if lm.device.type == "cpu" else sys.maxsize
    a_layer = _widest(lm) + 8 * lm.anatomy.d_model if whole else _for_a_backward_pass(lm)
    return tokens > _fitting(lm, lm.anatomy.n_layers * a_layer, most)


def keeps_all_attention(lm: LanguageModel, length: int) -> bool:
    """Whether what the attention of every layer gives for a prompt of ``length`` is little enough to be kept:
    an eighth of a GiB, on a GPU a quarter of what is free. Without it rows run the attention of the first
    layer that they edit again."""
    anatomy = lm.anatomy
    most = MEMORY_A_STEP // 4 if lm.device.type == "cpu" else sys.maxsize
    return length <= _fitting(lm, anatomy.n_layers * anatomy.n_heads * max(anatomy.d_head), most)


def keeps_all_keys(lm: LanguageModel, length: int) -> bool:
    """Whether keys and values of every layer for a prompt of ``length`` are as little."""
    most = MEMORY_A_STEP // 4 if lm.device.type == "cpu" else sys.maxsize
    return length <= _fitting(lm, 2 * lm.anatomy.n_layers * _d_keys(lm), most)


def spares_few(lm: LanguageModel, first: int, last: int) -> bool:
    """Whether to begin at ``first`` spares so few of the positions to ``last`` that all are run: the keys and
    values before it would be kept of all layers."""
    return first * _FEW < last and not keeps_all_keys(lm, last)


def a_run_is_little(lm: LanguageModel, length: int, sites: Sequence[str]) -> bool:
    """Whether a recorded run of one prompt of ``length`` with ``sites`` is so little (32 MiB) that it is
    there from the first, whoever may need it: of longer prompts a pass more is a small part of the work."""
    anatomy = lm.anatomy
    a_layer = anatomy.d_model + anatomy.n_heads * max(anatomy.d_head)
    a_layer += sum(numbers_a_token(lm, site, length) for site in sites)
    return length <= _fitting(lm, anatomy.n_layers * a_layer, A_LITTLE_RUN)


def is_kept_of_all_layers(lm: LanguageModel, site: str, length: int) -> bool:
    """Whether what all layers have at ``site`` for a prompt of ``length`` is little enough to be kept: a
    quarter of a GiB at most, on a GPU a quarter of what is free."""
    most = MEMORY_A_STEP // 2 if lm.device.type == "cpu" else sys.maxsize
    return length <= _fitting(lm, lm.anatomy.n_layers * numbers_a_token(lm, site, length), most)


def _for_a_backward_pass(lm: LanguageModel) -> int:
    """Numbers a token that a layer keeps for it, but for attention's."""
    return 8 * _widest(lm) + 12 * lm.anatomy.d_model


def numbers_a_token(lm: LanguageModel, site: str, length: int) -> int:
    """Numbers that one layer has at ``site`` for each of ``length`` tokens."""
    anatomy = lm.anatomy
    heads = anatomy.n_heads * max(anatomy.d_head)
    widths = {
        "z": heads,
        "q": heads,
        "attended": heads,
        "k": _d_keys(lm),
        "v": _d_keys(lm),
        "pattern": anatomy.n_heads * length,
        "neuron": _widest(lm),
        "router": max((m.n_experts for m in anatomy.mixtures if m is not None), default=0),
    }
    return widths.get(site, anatomy.d_model)


def _widest(lm: LanguageModel) -> int:
    """Numbers a token inside the MLP."""
    down = lm.anatomy.down_proj[0] if lm.anatomy.down_proj else None
    return in_width(down) if down is not None else 4 * lm.anatomy.d_model


def fullest_device(lm: LanguageModel) -> torch.device:
    """Of the devices that ``lm`` computes on, that with the least memory left: rows pass all of them."""
    return min(lm.devices, key=free_memory)


def _fitting(lm: LanguageModel, numbers: int, most: int = MEMORY_A_STEP) -> int:
    """How many tokens, of so many ``numbers`` each, fit in ``most`` bytes or in a quarter of what is free."""
    # A model without attention keeps no keys: it has no numbers there at all.
    a_token = _bytes_a_token(lm, max(1, numbers))
    return int(min(most, free_memory(fullest_device(lm)) // 4) // a_token)


def _bytes_a_token(lm: LanguageModel, numbers: int) -> int:
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    return numbers * weight.element_size()
