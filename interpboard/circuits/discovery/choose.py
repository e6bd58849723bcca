"""Which evaluator a model's circuits are measured by, and how its batches are scored."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.circuits.discovery.cases import TokenizedExample
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.edge_scores import ScoredBatch
from interpboard.circuits.discovery.strips.evaluator import StripEvaluator
from interpboard.circuits.discovery.strips.scores import StripBatch
from interpboard.circuits.discovery.whole_rows.evaluator import RowEvaluator
from interpboard.circuits.discovery.whole_rows.scores import RowBatch
from interpboard.models.language_model import LanguageModel


def evaluator_for(
    lm: LanguageModel, cases: Sequence[TokenizedExample], measure: str, ablation: str
) -> EdgeEvaluator:
    """Of ``cases`` on ``lm``. Raises as ``EdgeEvaluator.of``."""
    if lm.anatomy.strips is not None:
        return StripEvaluator.in_strips(lm, cases, measure, ablation)
    if not lm.verified.causal:
        return RowEvaluator.over_rows(lm, cases, measure, ablation)
    return EdgeEvaluator.of(lm, cases, measure=measure, ablation=ablation)


def scored_in(lm: LanguageModel) -> type[ScoredBatch | StripBatch | RowBatch]:
    """How a batch of ``lm`` is scored."""
    if lm.anatomy.strips is not None:
        return StripBatch
    return ScoredBatch if lm.verified.causal else RowBatch
