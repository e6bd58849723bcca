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
_OF_TWO_STACKS: dict[str, tuple[str, dict[str, Any]]] = {
    **ASKED,
    "what-if": ("what_if", {"interventions": "E1.0=zero; X1.2=zero; D1.0=mean; X1.mlp=mean"}),
    "path patching": ("path_patching", {**_CORRUPTED}),
    "path patching across the border": ("path_patching", {**_CORRUPTED, "receiver": "X1.0.k"}),
}


def had(lm: LanguageModel) -> dict[str, str]:
    """Of each of ``ASKED``, and of path patching in a model of two stacks: nothing where it gives numbers, or
    else the words of its refusal."""
    prompt = make_prompt(lm, TEXT)
    two = lm.anatomy.strips is not None
    masked = not lm.verified.causal and not two
    position = len(prompt.tokens) // 2 if masked else -1  # as if it were masked
    found = {}
    for name, (analysis, params) in (_OF_TWO_STACKS if two else ASKED).items():
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
