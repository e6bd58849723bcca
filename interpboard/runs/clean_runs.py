"""One pass of the clean prompt for all that one request reads of it.

The run that says what the model predicts, from which the metric is made, is recorded as an analysis will ask
for it (``record``), where that is little. Otherwise, and where the model is not what it was then, whoever
asks makes a run of its own, as where nothing is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from interpboard.errors import Unaffordable
from interpboard.models.attention_sites import ATTENTION_SITES
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import out_of_memory
from interpboard.models.unembedding import read_by_head, unembed
from interpboard.results import PromptInfo
from interpboard.runs.finite import require_logits, run_words
from interpboard.runs.gradients.embeddings import own_gradient, prompt_embeddings
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


class _Gradient(NamedTuple):
    """That of ``metric`` at the own embeddings of the prompt known by ``of``."""

    of: tuple[tuple[int, ...], int]
    metric: Metric
    value: torch.Tensor
    gradient: torch.Tensor


class CleanRuns:
    """Clean runs of the first prompts whose logits are asked for. ``sites``: what will be asked for of them.

    Attention is computed otherwise where queries, keys, values or patterns are read: these are never among
    what is recorded, so that logits and streams are those of a plain run. See ``shared.Shared`` for what is
    asked.
    """

    def __init__(self, lm: LanguageModel, sites: Sequence[str] = ()) -> None:
        self._lm, self._state = lm, as_it_is(lm.model)
        self._sites = [
            site
            for site in dict.fromkeys(sites)
            if site not in ATTENTION_SITES and lm.verified.somewhere(site)
        ]
        self._recorded: dict[tuple[tuple[int, ...], int], _Recorded | None] = {}
        self._gradient: _Gradient | None = None

    def going_on(self, lm: LanguageModel, prompt: PromptInfo, sites: Sequence[str]) -> CleanRuns:
        """For one more request: these, if they have the run of ``prompt`` with ``sites``; else others, which
        will have all that was asked for of this model so far, as far as it is little. These then let go of
        what they have: it is not to stand beside that, whoever still holds them."""
        same = self._is_it(lm)
        more = CleanRuns(lm, (*sites, *self._sites) if same else sites)
        wanted = {site for site in sites if site in more._sites}
        there = self._recorded.get(_of(prompt))
        if same and there is not None and wanted <= set(there.run.sites):
            return self
        self._recorded, self._gradient = {}, None
        return more

    def run(self, lm: LanguageModel, prompt: PromptInfo, sites: Sequence[str]) -> Run | None:
        """The clean run of ``prompt``, if its logits were asked for before."""
        there = self._there(lm, prompt)
        if there is None or not set(sites) <= set(there.run.sites):
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
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """That of the last prompt and metric that it was asked of, which two methods may begin with."""
        if self._there(lm, prompt) is None or len(embeddings) != 1:
            return None
        if not torch.equal(embeddings[0], prompt_embeddings(lm, prompt)):
            return None
        there = self._gradient
        if there is None or there.of != _of(prompt) or there.metric is not metric:
            made = own_gradient(lm, prompt, metric, embeddings)
            there = self._gradient = _Gradient(_of(prompt), metric, *made)
        return there.value.clone(), there.gradient.clone()

    def body(self, lm: LanguageModel, prompt: PromptInfo) -> torch.Tensor | None:
        """Its final hidden states [1, pos, d_model], if its logits were asked for before."""
        there = self._there(lm, prompt)
        return None if there is None else there.body

    def _there(self, lm: LanguageModel, prompt: PromptInfo) -> _Recorded | None:
        there = self._recorded.get(_of(prompt))
        return there if there is not None and self._is_it(lm) else None

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
