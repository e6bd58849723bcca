"""What ``long_prompts`` asks of each analysis: its parameters, and what it needs that is no long prompt.

Every analysis of ``interpboard list`` is here, by its own name with its own parameters, or by that name and
what is other than usual behind a comma.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from interpboard.analyze import analyze
from interpboard.models.language_model import LanguageModel
from interpboard.registry import ANALYSES

CORRUPTED = (
    "activation_patching",
    "attribution_patching",
    "path_patching",
    "patching_confidence",
    "circuit",
)
PROBES = ("linear_probe", "stream_pca", "stream_cosine")
PARTS = 8
"""So many spans the prompt is divided into where units are asked for: ids are no sentences."""

OWN: dict[str, dict[str, Any]] = {
    "causal_trace": {"subject": [1, 2]},
    "causal_trace, mlp": {"subject": [1, 2], "state": "mlp"},
    "causal_trace, attn": {"subject": [1, 2], "state": "attn"},
    **{
        f"activation_patching, {site}": {"site": site}
        for site in ("embed", "resid_mid", "resid_post", "attn_out", "mlp_out", "z", "q", "k",
                     "v", "pattern", "neuron")
    },
    "activation_patching, z by position": {"site": "z", "along": "head_position"},
    "activation_patching, neuron by position": {"site": "neuron", "along": "position"},
    "activation_patching, subject": {"subject": [1, 2]},
    "patching_confidence, control": {"control": True},
    "path_patching, heads and an MLP": {"receiver": "1.3.q,2.5.k,2.5.v,3.mlp"},
    "attribution_patching, pattern": {"site": "pattern"},
    "attribution_patching, neuron": {"site": "neuron"},
    "attribution_patching, ig": {"method": "ig"},
    "attribution_patching, atp_star q": {"site": "q", "method": "atp_star"},
    "circuit, mean": {"ablation": "mean"},
    "what_if": {"interventions": "2.5=zero"},
    "what_if, held": {
        "interventions": "2.5=zero; 1.mlp=mean; 3.resid@4=patch; 5.3=mean", "patch from": True
    },
    "edited_continuation": {"interventions": "2.5=zero; 1.mlp=mean", "new_tokens": 4},
    "edited_direct_attribution": {"interventions": "2.5=zero; 1.mlp=mean"},
    "continuation_attribution": {"new_tokens": 2},
    "continuation_attribution, lrp": {"new_tokens": 2, "method": "lrp"},
    "head_ablation, mean": {"ablation": "mean"},
    "head_ablation, random": {"ablation": "random"},
    "head_ablation, position_mean": {"ablation": "position_mean", "references": True},
    "head_ablation, estimates first": {"preview": True},
    "critical_components": {"budget": 4},
    "compare_ablations": {"components": ["1.3", "5.2"]},
    "compare_attributions": {"methods": ["grad_x_input", "lrp", "value_weighted_rollout"]},
    "attention": {"layers": [3], "heads": [2]},
    "attention, all heads": {},
    "attention_knockout": {"unit": "token"},
    "attention_knockout, later": {"unit": "span", "queries": "later"},
    "knockout_grid": {"unit": "span"},
    "unit_attribution": {"unit": "span"},
    "unit_attribution, shapley": {"unit": "span", "method": "shapley", "samples": 2},
    "unit_attribution, integrated_gradients": {"unit": "span", "method": "integrated_gradients"},
    "context_cite": {"unit": "span", "samples": 8},
    "context_cite, token": {"unit": "token"},
    "lrp, frozen": {"attention": "frozen"},
    "logit_lens, attn_out": {"site": "attn_out"},
    "direct_logit_attribution, neurons": {"neurons": True},
    "neurons, one": {"neuron": "2.117"},
    "steering": {"positive": "1 2 3", "negative": "4 5 6", "new_tokens": 2},
    "token_losses, edited": {"interventions": "1.mlp=mean"},
    "tune_lens": {"steps": 2, "batch": 1},
    "linear_probe": {"folds": 2, "shuffles": 2},
    "linear_probe, neuron by mean": {
        "folds": 2, "shuffles": 2, "site": "neuron", "positions": "mean"
    },
    "probe_transfer": {"folds": 2},
    "stream_pca": {"components": 2},
}  # fmt: skip
"""Parameters other than usual. ``references``, and the prompt that is patched from, are the other prompt."""

TASKS = tuple(dict.fromkeys([*ANALYSES, *OWN]))


def asked_for(
    lm: LanguageModel, task: str, ids: list[int], other: list[int], folder: Path
) -> tuple[str, dict[str, Any], str]:
    """The analysis, its parameters and the prompt; ``folder`` takes the files that it needs."""
    name, params = task.split(", ")[0], dict(OWN.get(task, {}))
    text, corrupted = (" ".join(map(str, row)) for row in (ids, other))
    if name in CORRUPTED and "subject" not in params:
        params["corrupted"] = corrupted
    if name == "patching_confidence":
        params["pairs"] = [[corrupted, text]]
    if params.get("unit") == "span":
        params["spans"] = _spans(len(ids))
    if params.pop("patch from", False):
        params["source"] = corrupted
    if "references" in params:
        params["references"] = [text, corrupted]
    if name == "tuned_lens":
        params["translators"] = _lens(lm, ids, folder)
    if name in ("tune_lens", "max_activating"):
        params.update(corpus=_corpus(ids, folder), out=str(folder / "found"), length=len(ids) // 2)
    if name in (*PROBES, "probe_transfer"):
        rows = folder / "rows.jsonl"
        with rows.open("w", encoding="utf-8") as file:
            for number in range(4):
                row = [*ids[:-1], (ids[-1] + number) % lm.anatomy.d_vocab]
                line = {"text": " ".join(map(str, row)), "label": "ab"[number % 2]}
                print(json.dumps(line), file=file)
        params["data"] = [str(rows), str(rows)] if name == "probe_transfer" else str(rows)
    return name, params, text


def _spans(length: int) -> str:
    edges = [part * length // PARTS for part in range(PARTS + 1)]
    return ",".join(f"{a}-{b - 1}" for a, b in pairwise(edges))


def _corpus(ids: list[int], folder: Path) -> str:
    file = folder / "corpus.txt"
    file.write_text("\n".join(" ".join(map(str, ids)) for _ in range(2)), encoding="utf-8")
    return str(file)


def _lens(lm: LanguageModel, ids: list[int], folder: Path) -> str:
    """A lens of one step: its memory is that of any."""
    out = str(folder / "lens")
    own = {"corpus": _corpus(ids, folder), "out": out, "steps": 1, "batch": 1, "length": 8}
    analyze(lm, "1 2 3", ("tune_lens",), params={"tune_lens": own})
    return out
