"""Activations of one run put into another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import WRITING_SITES, Analysis

_CORRUPTED = Parameter(
    "corrupted", str, None, "the corrupted prompt, as many tokens as the clean one", required=True
)
_SITE = Parameter(
    "site",
    str,
    "resid_pre",
    "which activations are exchanged",
    choices=(
        "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "z", "q", "k", "v", "pattern",
        "neuron", "router", "embed",
    ),
)  # fmt: skip
_ALONG = Parameter(
    "along",
    str,
    "auto",
    "what a cell is; auto: a position, a head, a neuron or an expert, as suits the site",
    choices=("auto", "position", "head", "head_position", "neuron", "expert"),
)
_DIRECTION = Parameter(
    "direction",
    str,
    "denoising",
    "clean activations into the corrupted run, or the other way round",
    choices=("denoising", "noising"),
)
_NOISE = Parameter(
    "noise", float, 3.0, "in standard deviations of the embeddings", minimum=0, maximum=1e6
)


def _exchanged(params: Mapping[str, Any]) -> tuple[str, ...]:
    return (params["site"],)


TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="activation_patching",
        title="Activation patching",
        function="interpboard.patching.activation:activation_patching",
        records_of=_exchanged,
        axes=("layer", "token"),
        value="recovered = (patched − corrupted) / (clean − corrupted); 0 = corrupted, 1 = clean",
        reading=reading.DENOISED,
        readings=("direction", {"noising": reading.NOISED}),
        neutrals=("direction", {"noising": 1.0}),
        scale="diverging",
        of_runs="share",
        cost="cells",
        cells="cells",
        gaps=("values", "metric", "estimate", "estimate_error"),
        in_overview=True,
        parameters=(
            replace(_CORRUPTED, instead="subject"),
            Parameter(
                "subject",
                object,
                "",
                "without a corrupted prompt: the tokens whose embeddings are drowned in noise",
            ),
            _NOISE,
            Parameter("seed", int, 0, "of the noise"),
            _SITE,
            _ALONG,
            _DIRECTION,
            Parameter("preview", bool, False, "show first-order estimates until exact values come"),
        ),
    ),
    Analysis(
        name="patching_confidence",
        title="Activation patching over pairs",
        function="interpboard.patching.confidence:patching_confidence",
        records_of=_exchanged,
        axes=("layer", "token"),
        value="mean over pairs of metric(patched) − metric(run patched into)",
        reading=reading.restored_reading("the activation"),
        readings=("direction", {"noising": reading.taken("the activation")}),
        scale="diverging",
        cost="cells",
        cells="cells",
        gaps=(
            "values",
            "low",
            "high",
            "p_value",
            "p_family",
            "share",
            "per_pair",
            "control",
            "p_control",
        ),
        parameters=(
            _CORRUPTED,
            Parameter(
                "pairs",
                object,
                "",
                "further pairs, one a line: clean => corrupted, and if wanted => target => foil (a "
                "target's own leading space comes after the one behind the arrow); or a file of rows",
            ),
            _SITE,
            _ALONG,
            _DIRECTION,
            Parameter(
                "level", float, 0.95, "of the bootstrap interval", minimum=0.01, maximum=0.999
            ),
            Parameter("resamples", int, 2000, "draws, and patterns of signs", minimum=1),
            Parameter("control", bool, False, "also random vectors as long as the difference"),
            Parameter("seed", int, 0, "of draws, signs and random vectors", minimum=0),
        ),
    ),
    Analysis(
        name="attribution_patching",
        title="Attribution patching",
        function="interpboard.patching.estimates:attribution_patching",
        records_of=_exchanged,
        axes=("layer", "token"),
        value="estimate of metric(patched) − metric(corrupted)",
        reading=reading.restored_reading("the activation"),
        unsigned=("method", ("atp_star",)),
        scale="diverging",
        cost="gradients",
        gives_way=True,
        gaps=("values", "signed", "recovered", "exact", "error"),
        parameters=(
            _CORRUPTED,
            _SITE,
            _ALONG,
            Parameter(
                "method",
                str,
                "atp",
                "gradient at the corrupted run; integrated along the way; with the pattern of q or k "
                "computed anew; that and GradDrop, which gives sizes without sign",
                choices=("atp", "ig", "atp_qk", "atp_star"),
            ),
            Parameter("n_steps", int, 8, "points along the way, for ig", minimum=1, maximum=1024),
            Parameter("verify", int, 0, "cells of largest estimate to evaluate exactly", minimum=0),
        ),
    ),
    Analysis(
        name="path_patching",
        title="Path patching",
        function="interpboard.patching.paths:path_patching",
        records=WRITING_SITES,
        axes=("layer", "component"),
        value="effect = metric(the receiver alone sees the sender's change) − metric(run patched "
        "into); empty: there is no such path",
        reading=reading.restored_reading("the path"),
        readings=("direction", {"noising": reading.taken("the path")}),
        scale="diverging",
        of_runs="difference",
        cost="cells",
        cells="components",
        gaps=("values", "share", "metric"),
        parameters=(
            _CORRUPTED,
            Parameter(
                "receiver",
                object,
                "output",
                "who sees the change: output, 2.mlp, 2.attn, 3.5 (a head), 3.5.q, .k or .v; several "
                "with commas; in an encoder–decoder X0.3.k",
            ),
            replace(_DIRECTION, default="noising"),
        ),
    ),
    Analysis(
        name="causal_trace",
        title="Causal trace",
        function="interpboard.patching.causal_tracing:causal_trace",
        axes=("layer", "token"),
        value="metric(clean state restored) − metric(subject drowned in noise), mean over samples",
        reading=reading.restored_reading("the state"),
        scale="diverging",
        of_runs="difference",
        cost="cells",
        cells="cells",
        gaps=("recovered",),
        in_overview=True,
        parameters=(
            Parameter(
                "subject",
                object,
                None,
                "the subject as it stands in the prompt, or positions, as 1,2 or 1:3",
                required=True,
            ),
            Parameter(
                "state",
                str,
                "resid",
                "what is restored: the stream after a layer, or outputs in a window of layers",
                choices=("resid", "mlp", "attn"),
            ),
            Parameter("window", int, 10, "layers restored together, for mlp and attn", minimum=1),
            _NOISE,
            Parameter("samples", int, 10, "noise samples", minimum=1, maximum=1024),
            Parameter("seed", int, 0, "of the noise"),
        ),
    ),
)
