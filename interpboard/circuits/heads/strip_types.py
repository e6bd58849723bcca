"""What heads of an encoder–decoder attend to, by group: in the source, in the target, from one to the other.

A row has random tokens repeated once in the source, and the same words in the target. So the encoder has the
types of an encoder, the decoder's self-attention those of a decoder, and of cross attention it is seen
whether it looks for the word that was just written, for the one behind it, or for a place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from interpboard.circuits.heads.encoder_types import (
    EncoderHearing,
    random_places,
    room_for_repeat,
)
from interpboard.circuits.heads.probes import Probe, Repeats, random_repeats
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.models.strips import CROSS, ENCODER, group_of
from interpboard.runs.encoded import added_tokens
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.patterns import each_pattern
from interpboard.runs.prompt import make_prompt
from interpboard.runs.watch import Watch

STRIP_SCORES = (
    "previous_token", "next_token", "duplicate_token", "induction", "begin_token", "end_token",
    "same_source", "following_source", "aligned_source",
)  # fmt: skip
UNMEASURED = (
    "Copying and name movers are not measured in an encoder–decoder; each other score is of the groups of "
    "layers in which it is defined."
)


def strip_probes(
    lm: LanguageModel, samples: int, length: int, seed: int, watch: Watch
) -> tuple[dict[str, Probe | None], list[str], int]:
    """``STRIP_SCORES`` of every head, NaN in the groups that have no such score; what must be said of them;
    and the length taken.

    Encoder: ``previous_token``, ``next_token``, ``duplicate_token``, and ``begin_token`` and ``end_token``,
    what the tokenizer puts around a source; nulls as of an encoder. Decoder: ``previous_token``,
    ``duplicate_token``, ``induction``, and ``begin_token``, the one that begins every target; nulls as of a
    decoder. Cross attention, from a word of the target: ``same_source``, to that word in the source, and
    ``following_source``, to the one behind it there (null of both: the same places, the source shuffled);
    ``aligned_source``, to the place in the source that has its number, whatever stands there, ``begin_token``
    and ``end_token`` of the source (null: a word of the source at random). Raises as ``random_repeats``.
    """
    behind = list(added_tokens(lm.tokenizer)[1]) if lm.special_tokens else []
    empty = make_prompt(lm, "a")
    front = list(empty.token_ids[empty.border :])
    more = max(len(behind), len(front))
    length = length or room_for_repeat(lm, more)
    repeats = random_repeats(lm, samples, length, seed)
    longest = 2 * length + max(repeats.offset + len(behind), len(front))
    if lm.anatomy.context is not None and longest > lm.anatomy.context:
        raise BadParameter(
            f"Twice {length} tokens exceed the model's context of {lm.anatomy.context}.",
            f"Use length={room_for_repeat(lm, more)} or less.",
        )
    shape = (samples, lm.anatomy.n_layers, lm.anatomy.n_heads)
    found = {name: Probe(np.full(shape, np.nan), np.full(shape, np.nan)) for name in STRIP_SCORES}
    generator = torch.Generator().manual_seed(seed)
    for sample, pair in enumerate(repeats.ids):
        hear = _StripHearing(lm, found, repeats, sample, (len(front), len(behind)), generator)
        ids = _rows(lm, pair, repeats, front, behind)
        each_pattern(lm, ids, range(lm.anatomy.n_layers), hear)
        watch.check()
    probes: dict[str, Probe | None] = dict(found)
    warnings = [UNMEASURED]
    if not behind:
        probes["end_token"] = None
        warnings.append("No end_token score: the tokenizer puts nothing behind a source.")
    return probes, warnings, length


def _rows(
    lm: LanguageModel, pair: torch.Tensor, repeats: Repeats, front: list[int], behind: list[int]
) -> torch.Tensor:
    """Ids [repeated, shuffled, another source; pos] of a pair, as the model is given them.

    The third has the target of the first, and a source in which each word stands elsewhere, twice.
    """
    ahead, words = pair[:, : repeats.offset], pair[:, repeats.offset :]
    elsewhere = words[1:, repeats.length :].repeat(1, 2)
    sources = torch.cat([words, elsewhere])
    targets = torch.cat([words, words[:1]])
    source = [ahead[:1].expand(3, -1), sources, pair.new_tensor([behind] * 3).view(3, -1)]
    target = [pair.new_tensor([front] * 3).view(3, -1), targets]
    border = sum(part.shape[1] for part in source)
    assert lm.anatomy.strips is not None
    return lm.anatomy.strips.code(torch.cat([*source, *target], dim=1), border)


class _StripHearing:
    """Puts one sample's attention [repeated, shuffled, another source; query, head, key] into probes.

    ``around``: how many tokens stand in front of the target's words, and behind those of the source.
    """

    def __init__(
        self,
        lm: LanguageModel,
        probes: dict[str, Probe],
        repeats: Repeats,
        sample: int,
        around: tuple[int, int],
        generator: torch.Generator,
    ) -> None:
        self.names, self.probes, self.sample = lm.anatomy.layer_names, probes, sample
        self.length, self.offset = repeats.length, repeats.offset
        count = 2 * repeats.length
        front, self.behind = around
        self.source = torch.arange(count) + repeats.offset
        self.begin = repeats.offset + count + self.behind
        self.target = torch.arange(count) + self.begin + front
        self.anywhere = random_places(repeats, count, generator)
        seen = torch.rand(count, generator=generator) * (torch.arange(count) + 1)
        self.before = self.target[0] + seen.long()
        own: dict[str, Probe | None] = {**probes, "mask_token": None}
        if not repeats.offset:
            own["begin_token"] = None
        if not self.behind:
            own["end_token"] = None
        self.encoder = EncoderHearing(own, repeats, sample, self.source[:1], self.anywhere)

    def __call__(self, layer: int, pattern: torch.Tensor) -> None:
        group = group_of(self.names[layer])
        if group == ENCODER:
            self.encoder(layer, pattern[[0, 1, 0]])
        elif group == CROSS:
            self._crossing(layer, *at_least_float32(pattern).cpu())
        else:
            self._decoder(layer, *at_least_float32(pattern[:2]).cpu())

    def _put(self, name: str, layer: int, values: Any, null: Any) -> None:
        self.probes[name].values[self.sample, layer] = values.mean(0)
        self.probes[name].null[self.sample, layer] = null.mean(0)

    def _decoder(self, layer: int, repeated: torch.Tensor, shuffled: torch.Tensor) -> None:
        words, later = self.target, self.target[self.length :]
        chance = repeated[words, :, self.before]
        self._put("previous_token", layer, repeated[words[1:], :, words[:-1]], chance[1:])
        self._put("begin_token", layer, repeated[words, :, self.begin], chance)
        for name, ahead in (("duplicate_token", 0), ("induction", 1)):
            keys = later - self.length + ahead
            self._put(name, layer, repeated[later, :, keys], shuffled[later, :, keys])

    def _crossing(
        self, layer: int, repeated: torch.Tensor, _: torch.Tensor, elsewhere: torch.Tensor
    ) -> None:
        number = torch.arange(2 * self.length) % self.length
        inner = number < self.length - 1  # behind the last word of the source stands none
        first, words = number + self.offset, self.target

        def twice(pattern: torch.Tensor, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
            return pattern[queries, :, keys] + pattern[queries, :, keys + self.length]

        same = (words, first)
        self._put("same_source", layer, twice(repeated, *same), twice(elsewhere, *same))
        next_one = (words[inner], first[inner] + 1)
        self._put(
            "following_source", layer, twice(repeated, *next_one), twice(elsewhere, *next_one)
        )
        by_place = elsewhere[words, :, self.source]
        self._put("aligned_source", layer, by_place, elsewhere[words, :, self.anywhere])
        chance = repeated[words, :, self.anywhere]
        if self.offset:
            self._put("begin_token", layer, repeated[words, :, 0], chance)
        if self.behind:
            self._put("end_token", layer, repeated[words, :, self.source[-1] + 1], chance)
