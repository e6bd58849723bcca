"""What heads of an encoder attend to: types that need no order in which the text is read.

Induction, copying and name movers are about what comes next, which an encoder does not predict. What is left
are places (the token before, the one behind), the same token elsewhere, and the tokens around every text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from interpboard.circuits.heads.probes import Probe, Repeats, longest_repeat, random_repeats
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.runs.encoded import added_tokens
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.patterns import each_pattern
from interpboard.runs.prompt import text_prefix
from interpboard.runs.watch import Watch

ENCODER_SCORES = (
    "previous_token", "next_token", "duplicate_token", "begin_token", "end_token", "mask_token",
)  # fmt: skip
UNDEFINED = (
    "Induction, copying and name movers are types of heads that predict the next token: an encoder has no "
    "score of them."
)


def encoder_probes(
    lm: LanguageModel, samples: int, length: int, seed: int, watch: Watch
) -> tuple[dict[str, Probe | None], list[str], int]:
    """``ENCODER_SCORES`` of every head, what must be said of those that are missing, and the length taken.

    Over random tokens repeated once, with what the tokenizer puts around a text. Null of the two neighbours,
    and of the tokens around: a key drawn at random. Of the same token: the same place where the segment came
    shuffled the second time. Of the mask: the same place where nothing is masked. Raises as
    ``random_repeats``.
    """
    behind = list(added_tokens(lm.tokenizer)[1]) if lm.special_tokens else []
    length = length or room_for_repeat(lm, len(behind))
    repeats = random_repeats(lm, samples, length, seed)
    end = repeats.offset + 2 * length
    if lm.anatomy.context is not None and end + len(behind) > lm.anatomy.context:
        raise BadParameter(
            f"Twice {length} tokens exceed the model's context of {lm.anatomy.context}.",
            f"Use length={room_for_repeat(lm, len(behind))} or less.",
        )
    shape = (samples, lm.anatomy.n_layers, lm.anatomy.n_heads)
    mask = getattr(lm.tokenizer, "mask_token_id", None)
    missing = {
        "begin_token": not repeats.offset,
        "end_token": not behind,
        "mask_token": mask is None,
    }
    probes: dict[str, Probe | None] = {
        name: None if missing.get(name) else Probe(np.zeros(shape), np.zeros(shape))
        for name in ENCODER_SCORES
    }
    generator = torch.Generator().manual_seed(seed)
    for sample, pair in enumerate(repeats.ids):
        ids = torch.cat([pair, pair.new_tensor([behind] * 2)], dim=1) if behind else pair
        masked, at = ids[:1].clone(), random_places(repeats, 1, generator)
        masked[0, at] = masked[0, at] if mask is None else int(mask)
        hear = EncoderHearing(
            probes, repeats, sample, at, random_places(repeats, 2 * length, generator)
        )
        each_pattern(lm, torch.cat([ids, masked]), range(lm.anatomy.n_layers), hear)
        watch.check()
    warnings = [UNDEFINED]
    lacking = [name for name, probe in probes.items() if probe is None]
    if lacking:
        warnings.append(f"No {', '.join(lacking)} score: the tokenizer has no such token.")
    return probes, warnings, length


class EncoderHearing:
    """Puts one sample's attention [repeated, shuffled, masked; query, head, key] into ``probes``; those that
    are None are left out. ``masked``: the place of the mask; ``anywhere``: of each query a key by chance."""

    def __init__(
        self,
        probes: dict[str, Probe | None],
        repeats: Repeats,
        sample: int,
        masked: torch.Tensor,
        anywhere: torch.Tensor,
    ) -> None:
        self.probes, self.sample, self.masked, self.anywhere = probes, sample, masked, anywhere
        self.offset, self.length = repeats.offset, repeats.length

    def __call__(self, layer: int, pattern: torch.Tensor) -> None:
        repeated, shuffled, masked = at_least_float32(pattern).cpu()
        every = torch.arange(2 * self.length) + self.offset
        first, second = every[: self.length], every[self.length :]
        chance = repeated[every, :, self.anywhere]

        def put(name: str, values: Any, null: Any) -> None:
            probe = self.probes[name]
            if probe is not None:
                probe.values[self.sample, layer] = values.mean(0)
                probe.null[self.sample, layer] = null.mean(0)

        put("previous_token", repeated[every[1:], :, every[:-1]], chance)
        put("next_token", repeated[every[:-1], :, every[1:]], chance)
        here, there = torch.cat([first, second]), torch.cat([second, first])
        put("duplicate_token", repeated[here, :, there], shuffled[here, :, there])
        put("begin_token", repeated[every, :, 0], chance)
        if self.probes["end_token"] is not None:
            put("end_token", repeated[every, :, every[-1] + 1], chance)
        others = every[every != self.masked]
        put("mask_token", masked[others, :, self.masked], repeated[others, :, self.masked])


def room_for_repeat(lm: LanguageModel, behind: int) -> int:
    """Of how many tokens a segment may be that is repeated, with ``behind`` more tokens behind it."""
    if lm.anatomy.context is None:
        return longest_repeat(lm)
    room = (lm.anatomy.context - len(text_prefix(lm)) - behind) // 2
    return max(2, min(longest_repeat(lm), room))


def random_places(repeats: Repeats, count: int, generator: torch.Generator) -> torch.Tensor:
    """Positions [count] of ordinary tokens, drawn at random."""
    return torch.randint(2 * repeats.length, (count,), generator=generator) + repeats.offset
