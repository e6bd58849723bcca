"""``AttentionHeadAblator``: head ablation of a loaded Hugging Face model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.compare import compare_ablations
from interpboard.circuits.heads.critical import find_critical_components
from interpboard.circuits.heads.pairs import head_pairs
from interpboard.models.model_context import ModelContext
from interpboard.results import MetricRequest, Result
from interpboard.runs.components import Head
from interpboard.runs.on_text import on_text


@dataclass(frozen=True)
class CriticalHead:
    """A head and its effect on the metric."""

    layer: int
    head: int
    effect: float


class AttentionHeadAblator(ModelContext):
    """Head ablation of one model. A ``ModelContext``: usable as a context manager."""

    def systematic_head_ablation(
        self,
        text: str,
        layers: Sequence[int] | None = None,
        heads: Sequence[int] | None = None,
        *,
        metric: MetricRequest | None = None,
        **options: Any,
    ) -> Result:
        """Effect [layer, head] of each head; options as in ``head_ablation``."""
        return on_text(head_ablation, self.lm, text, metric, layers=layers, heads=heads, **options)

    def find_critical_heads(self, result: Result, top_k: int = 5) -> list[CriticalHead]:
        """The heads of ``result`` that do most for the target, at most ``top_k``.

        Without them the metric is less, or ``rank`` more (1 is the best). ``kl`` does not say which
        way a head works: there they are the heads that change the prediction most.
        """
        way = 1 if result.metric.name in ("rank", "kl") else -1
        layers, heads = (axis.labels for axis in result.axes)
        found = [
            CriticalHead(int(layer), int(head), float(result.values[i, j]))
            for i, layer in enumerate(layers)
            for j, head in enumerate(heads)
        ]
        helping = [head for head in found if way * head.effect > 0]
        return sorted(helping, key=lambda head: -way * head.effect)[:top_k]

    def compare_ablations(
        self,
        prompt: str,
        strategies: Sequence[str] = ("zero", "mean", "random"),
        components: Sequence[Head | str] | str | None = None,
        *,
        metric: MetricRequest | None = None,
        **options: Any,
    ) -> Result:
        """Effect [component, strategy]; see ``compare_ablations``."""
        return on_text(
            compare_ablations,
            self.lm,
            prompt,
            metric,
            strategies=strategies,
            components=components,
            **options,
        )

    def pairs(self, text: str, *, metric: MetricRequest | None = None, **options: Any) -> Result:
        """Interaction [head_a, head_b] of the strongest heads; see ``head_pairs``."""
        return on_text(head_pairs, self.lm, text, metric, **options)

    def find_critical_components(
        self, text: str, *, metric: MetricRequest | None = None, **options: Any
    ) -> Result:
        """Heads, MLPs, layers and embeddings by effect; see ``find_critical_components``."""
        return on_text(find_critical_components, self.lm, text, metric, **options)
