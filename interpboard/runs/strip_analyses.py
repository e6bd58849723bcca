"""Which analyses an encoder–decoder has; each other one says why it has it not."""

from __future__ import annotations

from collections.abc import Iterable

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.registry import ANALYSES

IN_STRIPS = frozenset({
    "predictions", "integrated_gradients", "compare_attributions", "saliency", "grad_x_input", "smoothgrad",
    "noise_tunnel", "occlusion", "shapley", "logit_lens", "head_ablation", "attention", "activation_patching",
    "causal_trace", "what_if", "continuation_attribution", "compare_ablations", "head_pairs",
    "attention_knockout", "knockout_grid", "unit_attribution", "context_cite", "attribution_patching",
    "critical_components", "patching_confidence", "attention_rollout", "attention_flow",
    "direct_logit_attribution", "edited_direct_attribution", "neurons", "lrp", "token_losses", "steering",
    "tune_lens", "tuned_lens", "path_patching", "circuit", "linear_probe", "probe_transfer", "stream_pca",
    "stream_cosine", "value_weighted_rollout", "head_scores", "edited_continuation",
})  # fmt: skip
"""Those that are held against plain hooked forwards, over both strips."""

_WHY = {"max_activating": "it goes over one text, and this model reads two"}
_NOT_YET = "it has not been held against plain runs over two strips"


def all_that_it_has(lm: LanguageModel, names: Iterable[str]) -> tuple[str, ...]:
    """Of ``names`` those that ``lm`` has: of an encoder–decoder those of ``IN_STRIPS``."""
    return tuple(name for name in names if lm.anatomy.strips is None or name in IN_STRIPS)


def require_in_strips(name: str) -> None:
    """Raise ``Unsupported`` unless an encoder–decoder has the analysis ``name``."""
    if name in IN_STRIPS or name not in ANALYSES:
        return
    title = ANALYSES[name].title
    raise Unsupported(
        f"{title} is not available for an encoder–decoder: {_WHY.get(name, _NOT_YET)}."
    )
