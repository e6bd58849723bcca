"""``CausalTracer``: causal tracing of a loaded Hugging Face model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interpboard.models.model_context import ModelContext
from interpboard.patching.causal_tracing import causal_trace
from interpboard.results import MetricRequest, PromptInfo, Result
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt


@dataclass(frozen=True)
class CausalTrace:
    """A trace of one prompt. Effects are metric differences, clean state restored − corrupted.

    Whatever else a ``Result`` has is the result's own: ``top``, ``plot``, ``to_json``, ``save`` and the rest.
    """

    prompt: PromptInfo
    result: Result

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "result":
            raise AttributeError(name)
        return getattr(self.result, name)

    def __repr__(self) -> str:
        return f"CausalTrace of {self.prompt.text!r}\n{self.result!r}"

    @property
    def restoration_effect(self) -> np.ndarray:
        """[layer, position]: metric(restored) − metric(corrupted), mean over the noise samples."""
        return self.result.values

    @property
    def indirect_effects(self) -> np.ndarray:
        """[sample, layer, position]: the same of every sample."""
        return self.result.extra["per_sample"].values

    @property
    def total_effect(self) -> float:
        """metric(clean) − metric(corrupted), mean over the noise samples."""
        return float(self.result.extra["total_effect"].values)


class CausalTracer(ModelContext):
    """Causal tracing of one model. A ``ModelContext``: usable as a context manager."""

    def trace_causal_effect(
        self,
        text: str,
        subject_tokens: str | Sequence[str] | Sequence[int],
        target_token_position: int = -1,
        *,
        target: str | None = None,
        metric: str = "prob",
        **options: Any,
    ) -> CausalTrace:
        """Trace the prediction at ``target_token_position``; options as in ``causal_trace``.

        ``target``: the token traced, the model's own first unless given. The metric is its
        probability, as in ROME, unless another is named.
        """
        prompt = make_prompt(self.lm, text)
        request = MetricRequest(metric, target, None, target_token_position)
        resolved = resolve_metric(self.lm, prompt, request)
        return CausalTrace(
            prompt, causal_trace(self.lm, prompt, resolved, subject=subject_tokens, **options)
        )
