"""InterpBoard itself."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from benchmarks.engines import NOISED
from interpboard.analyze import analyze
from interpboard.circuits.heads.estimates import estimated_effects
from interpboard.circuits.lens.logit import logit_lens
from interpboard.models.allocator import ask_for_huge_pages
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricInfo, MetricRequest, PromptInfo, Result, TokenRef
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.gradients.embeddings import prompt_embeddings
from interpboard.runs.gradients.path_integral import path_integrals
from interpboard.runs.gradients.quadrature import quadrature
from interpboard.runs.metrics import Metric
from interpboard.runs.noise import embedding_noise
from interpboard.runs.watch import SILENT


def before_weights() -> None:
    """What ``open_model`` does before it loads any."""
    ask_for_huge_pages()


class Engine:
    """See ``benchmarks.engines``. The grids come from the public analyses."""

    def __init__(self, model: Any) -> None:
        self.lm = opened(model)
        self._known: dict[tuple[int, ...], tuple[PromptInfo, Metric]] = {}

    def head_grid(
        self, ids: list[int], target: int, cells: list[tuple[int, int]] | None = None
    ) -> np.ndarray:
        """``head_ablation``, always the whole grid."""
        found = self._asked("head_ablation", ids, MetricRequest(target=str(target)))
        return found.values if cells is None else np.array([found.values[cell] for cell in cells])

    def trace(
        self,
        ids: list[int],
        target: int,
        noise: np.ndarray,
        cells: list[tuple[int, int]] | None,
        measure: str = "logit",
    ) -> np.ndarray:
        """``causal_trace``, always the whole grid; its own noise is what ``noise`` was made with."""
        asked = MetricRequest(measure, str(target))
        found = self._asked("causal_trace", ids, asked, subject=NOISED, samples=len(noise))
        return found.values if cells is None else np.array([found.values[cell] for cell in cells])

    def integrated_gradients(
        self, ids: list[int], target: int, baseline: int, n_steps: int
    ) -> np.ndarray:
        """[token], from a token everywhere."""
        prompt, metric = self._known_case(ids, target)
        start = torch.tensor([baseline] * len(ids), device=self.lm.device)
        with torch.no_grad():
            begin, end = self.lm.anatomy.embedding(start), prompt_embeddings(self.lm, prompt)
        rule = quadrature("gauss_legendre", n_steps)
        found = path_integrals(self.lm, prompt, metric, begin, end[None], rule, SILENT)
        return found[0].cpu().numpy()

    def estimates(self, ids: list[int], target: int) -> np.ndarray:
        """[layer, head], of the whole head grid."""
        prompt, metric = self._known_case(ids, target)
        return estimated_effects(self.lm, prompt, metric, self._heads()).reshape(
            self.lm.anatomy.n_layers, -1
        )

    def lens(self, ids: list[int], target: int, top: int) -> np.ndarray:
        """``logit_lens``: entropy, KL, probability of the target and of the likeliest, [4, row, token]."""
        prompt, metric = self._known_case(ids, target)
        found = logit_lens(self.lm, prompt, metric, top_k=top)
        likeliest = found.extra["top_probs"].values[..., 0]
        return np.stack([
            found.extra["entropy"].values, found.extra["kl"].values, found.values, likeliest
        ])  # fmt: skip

    def noise(self, samples: int) -> np.ndarray:
        """[sample, place, d_model], as ``causal_trace`` draws it."""
        rows = embedding_noise(self.lm, NOISED, 3.0, samples, 0)
        return np.stack([row[0].value.numpy() for row in rows])  # type: ignore[union-attr]

    def preview(self, ids: list[int], target: int) -> tuple[float, float]:
        """Seconds of one plain forward pass, and of estimates of the whole head grid."""
        prompt, metric = self._case(ids, target)
        started = time.perf_counter()
        with torch.no_grad():
            self.lm.model(input_ids=torch.tensor([ids], device=self.lm.device))
        passed = time.perf_counter() - started
        started = time.perf_counter()
        estimated_effects(self.lm, prompt, metric, self._heads())
        return passed, time.perf_counter() - started

    def _heads(self) -> list[Counterfactual]:
        shape = self.lm.anatomy
        return [
            (Edit("z", layer, "zero", head=head),)
            for layer in range(shape.n_layers)
            for head in range(shape.n_heads)
        ]

    def _asked(self, name: str, ids: list[int], metric: MetricRequest, **params: Any) -> Result:
        """As the command line and the app ask for it."""
        text = " ".join(map(str, ids))
        return analyze(self.lm, text, (name,), metric, {name: params}).results[0]

    def _known_case(self, ids: list[int], target: int) -> tuple[PromptInfo, Metric]:
        """The prompt's own run, made once."""
        key = (*ids, target)
        if key not in self._known:
            self._known[key] = self._case(ids, target)
        return self._known[key]

    @torch.no_grad()
    def _case(
        self, ids: list[int], target: int, measure: str = "logit"
    ) -> tuple[PromptInfo, Metric]:
        logits = self.lm.model(
            input_ids=torch.tensor([ids], device=self.lm.device), logits_to_keep=1
        ).logits[0, -1]
        prompt = PromptInfo("", tuple(map(str, ids)), tuple(ids))
        return prompt, Metric(MetricInfo(measure, len(ids) - 1, TokenRef(target, "")), logits)


def opened(model: Any, name: str = "random") -> LanguageModel:
    """``model``, looked into. Its tokens are the ids as words: ``"17 4"`` is a prompt of two."""
    return LanguageModel.of(model, words_of(model), name)


def words_of(model: Any) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are the ids of ``model`` as words."""
    ids = {str(i): i for i in range(model.config.vocab_size)}
    words = Tokenizer(models.WordLevel(ids, unk_token="0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words)
