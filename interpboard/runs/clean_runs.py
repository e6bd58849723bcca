"""One pass of the clean prompt for all that one request reads of it.

The run that says what the model predicts, from which the metric is made, is recorded as an analysis will ask
for it (``record``), where that is little. Otherwise, and where the model is not what it was then, whoever
asks makes a run of its own, as where nothing is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from interpboard.errors import Unaffordable
from interpboard.models.attention_sites import ATTENTION_SITES
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import out_of_memory
from interpboard.models.unembedding import read_by_head, unembed
from interpboard.results import PromptInfo
from interpboard.runs.finite import require_logits, run_words
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import CLEAN, Run, record_ids
from interpboard.runs.shared import as_it_is
from interpboard.runs.steps import a_run_is_little

_PROMPTS = 2
"""Of so many prompts a run is there: the one that is explained, and the one it is held against."""


@dataclass(frozen=True)
class _Recorded:
    run: Run
    body: torch.Tensor  # [1, pos, d_model]: what the head takes


class CleanRuns:
    """Clean runs of the first prompts whose logits are asked for. ``sites``: what will be asked for of them.

    Attention is computed otherwise where queries, keys, values or patterns are read: these are never among
    what is recorded, so that logits and streams are those of a plain run. See ``shared.Shared`` for what is
    asked.
    """

    def __init__(self, lm: LanguageModel, sites: Iterable[str] = ()) -> None:
        self._lm, self._state = lm, as_it_is(lm.model)
        self._sites = [
            site
            for site in dict.fromkeys(sites)
            if site not in ATTENTION_SITES and lm.verified.somewhere(site)
        ]
        self._recorded: dict[tuple[tuple[int, ...], int], _Recorded | None] = {}

    def run(self, lm: LanguageModel, prompt: PromptInfo, sites: Sequence[str]) -> Run | None:
        """The clean run of ``prompt``, if its logits were asked for before."""
        there = self._recorded.get(_of(prompt))
        if there is None or not set(sites) <= set(there.run.sites) or not self._is_it(lm):
            return None
        return replace(there.run, lm=lm, prompt=prompt)

    def logits(self, lm: LanguageModel, prompt: PromptInfo, position: int) -> torch.Tensor | None:
        """Its logits [d_vocab] at ``position``. Raises ``NotFinite``."""
        if not self._is_it(lm):
            return None
        if _of(prompt) not in self._recorded and len(self._recorded) < _PROMPTS:
            self._recorded[_of(prompt)] = self._record(prompt)
        there = self._recorded.get(_of(prompt))
        if there is None:
            return None
        with torch.no_grad():
            logits = unembed(lm.anatomy, read_by_head(lm.anatomy, there.body, position))
        require_logits(lm, run_words(prompt), logits)
        return logits[0]

    def gradient(
        self, lm: LanguageModel, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
    ) -> None:
        """None: a gradient is made by whoever wants it."""

    def _is_it(self, lm: LanguageModel) -> bool:
        """Whether ``lm`` is this model, with these weights and hooks and in this mode."""
        own = self._lm
        same = lm.anatomy is own.anatomy and lm.verified is own.verified
        return same and as_it_is(lm.model) == self._state

    def _record(self, prompt: PromptInfo) -> _Recorded | None:
        """None where that would not be little."""
        lm, length = self._lm, len(prompt.token_ids)
        sites: list[str] = []
        for site in self._sites:
            sites += [site] if a_run_is_little(lm, length, (*sites, site)) else []
        if not a_run_is_little(lm, length, sites):
            return None
        try:
            return _Recorded(*record_ids(lm, prompt, input_ids(lm, prompt), sites, CLEAN))
        except Unaffordable:
            return None
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return None


def _of(prompt: PromptInfo) -> tuple[tuple[int, ...], int]:
    """By what runs differ: tokens, and where the prefix of a decoder begins."""
    return prompt.token_ids, prompt.border
