"""Which of the analyses of one prompt a type of model has: run on it, each refusal by its own words."""

from __future__ import annotations

from typing import Any

import numpy as np

from interpboard.analyze import analyze
from interpboard.errors import InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import SITES
from interpboard.results import MetricRequest
from interpboard.runs.prompt import make_prompt
from tests.model_types.truth import OTHER, TEXT

_CORRUPTED = {"corrupted": OTHER}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "heads": ("head_ablation", {}),
    "what-if": ("what_if", {"interventions": "1.0=zero; 1.mlp=mean"}),
    **{
        f"patching {site}": ("activation_patching", {**_CORRUPTED, "site": site})
        for site in SITES
        if site not in ("embed", "pattern")
    },
    "tracing": ("causal_trace", {"subject": "Mary", "samples": 2}),
    "direct attribution": ("direct_logit_attribution", {}),
    "lens": ("logit_lens", {}),
    "neurons": ("neurons", {}),
    "head scores": ("head_scores", {"samples": 2, "length": 8}),
    "circuits": ("circuit", {**_CORRUPTED, "sizes": [4]}),
    "relevance": ("lrp", {}),
}
"""By the name of the table: the analysis, and what it is asked with."""


def had(lm: LanguageModel) -> dict[str, str]:
    """Of each of ``ASKED``, nothing where it gives numbers, or else the words of its refusal."""
    prompt = make_prompt(lm, TEXT)
    position = -1 if lm.verified.causal else len(prompt.tokens) // 2  # as if it were masked
    found = {}
    for name, (analysis, params) in ASKED.items():
        request = MetricRequest(name="logit", position=position)
        try:
            document = analyze(lm, TEXT, [analysis], request, {analysis: params})
        except InterpBoardError as error:
            found[name] = error.message
            continue
        values = np.asarray(document.results[0].values, dtype=float)
        known = values[~np.isnan(values)]  # of a site that some layers lack, NaN
        found[name] = "" if len(known) and np.isfinite(known).all() else "it gives no numbers"
    return found
