"""What a tuned lens of an encoder–decoder is trained on: pairs of source and target, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from interpboard.circuits.neurons.corpora import corpus_lines
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.results import PromptInfo
from interpboard.results.two_texts import BARS
from interpboard.runs.finite import refusing
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.strip_places import source_layers


def pair_batches(
    lm: LanguageModel, files: Sequence[Path], size: int, length: int
) -> Iterator[list[PromptInfo]]:
    """The pairs of ``files``, over and over, ``size`` at a time; those with more than ``length`` tokens in
    either strip are passed over.

    Raises ``BadParameter`` for a line that is no pair, and where every pair is too long.
    """
    rows: list[PromptInfo] = []
    while True:
        found = 0
        for file in files:
            for number, line in enumerate(corpus_lines(file), 1):
                text = line.strip()
                if not text:
                    continue
                prompt = _pair(lm, text, f"Line {number} of {file}")
                if max(prompt.border, len(prompt.token_ids) - prompt.border) > length:
                    continue
                found += 1
                rows.append(prompt)
                if len(rows) == size:
                    yield rows
                    rows = []
        if not found:
            raise BadParameter(
                f"Every pair of the text has a strip of more than {length} tokens.",
                "Raise length, or use shorter pairs.",
            )


def pair_streams(lm: LanguageModel, prompts: Sequence[PromptInfo]) -> list[torch.Tensor]:
    """The input of each layer of the decoder, and the final stream, each [pos of all prefixes, d_model]."""
    first, last = source_layers(lm), lm.anatomy.n_layers - 1
    parts: list[list[torch.Tensor]] = []
    for prompt in prompts:
        seen: list[torch.Tensor] = []

        def keep(
            value: torch.Tensor, seen: list[torch.Tensor] = seen, p: PromptInfo = prompt
        ) -> None:
            seen.append(value[0, p.border :].clone())

        with ExitStack() as stack:
            for layer in range(first, last + 1):
                stack.enter_context(at_site(lm.anatomy, "resid_pre", layer, keep))
            stack.enter_context(at_site(lm.anatomy, "resid_post", last, keep))
            with refusing(lm, "A pair of the text"):
                run_body(lm.anatomy, input_ids(lm, prompt))
        parts.append(seen)
    return [torch.cat(streams) for streams in zip(*parts, strict=True)]


def _pair(lm: LanguageModel, text: str, place: str) -> PromptInfo:
    if BARS not in text:
        raise BadParameter(
            f"{place} is no pair of source and target.", f"Write source {BARS} target in each line."
        )
    return make_prompt(lm, text)
