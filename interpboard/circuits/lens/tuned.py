"""At which layer the answer appears, each layer read through an affine map trained for it."""

from __future__ import annotations

import torch

from interpboard.circuits.lens.logit import lens_axis, lens_extra, lens_rows, lens_tokens
from interpboard.circuits.lens.reading import read_lens
from interpboard.circuits.lens.translators import load_translators
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.record import record
from interpboard.runs.watch import SILENT, Watch


@analysis("tuned_lens", path="forward")
@torch.no_grad()
def tuned_lens(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    translators: str = "",
    allow_pickle: bool = False,
    top_k: int = 10,
    watch: Watch = SILENT,
) -> Computed:
    """Probability [layer, token] of the target under each layer's stream, translated to the last one's.

    ``translators`` is a folder that ``tune_lens`` wrote, or a published one, which may be a
    pickle and is then read only with ``allow_pickle``; see ``translators.py``.
    Belrose et al. 2023, "Eliciting Latent Predictions from Transformers with the Tuned Lens". Rows and
    ``extra`` (with ``top_k``) as in ``logit_lens`` at ``resid_post``; the last row is the model's own output,
    untranslated.

    Raises ``BadParameter`` or ``UnsafeWeights`` for what cannot be loaded, ``Unsupported`` if the model's
    head could not be verified.
    """
    lm.verified.require_lens()
    if not translators:
        raise BadParameter(
            "tuned_lens needs translators: a folder that interpboard tune-lens wrote.",
            "Give it, e.g. --param translators=lens.",
        )
    loaded = load_translators(lm, translators, allow_pickle=allow_pickle)
    run = record(lm, prompt, behind_attention=False)
    rows = loaded.translate(lens_rows(run, 0, "resid_post"))
    found = read_lens(lm, rows, metric.target_id, top_k, watch)
    axes = (lens_axis(lm, "resid_post"), lens_tokens(prompt))
    return Computed(
        values=found["prob"],
        axes=axes,
        extra=lens_extra(found, axes),
        warnings=loaded.warnings,
    )
