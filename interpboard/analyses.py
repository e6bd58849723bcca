"""The registry: every analysis by name, with its parameters, its axes and the meaning of its values.

The command line, the engine and the app all read this table and nothing else, so an analysis that is
entered here is everywhere. Functions are named, not imported: reading the table needs no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from interpboard.errors import BadParameter
from interpboard.parameters import Parameter

ScaleKind = Literal["diverging", "probability"]


@dataclass(frozen=True)
class Analysis:
    """One analysis. ``meaning`` says in a line what a value is and what its sign says."""

    name: str
    title: str
    function: str  # "package.module:name"
    axes: tuple[str, ...]
    meaning: str
    scale: ScaleKind
    parameters: tuple[Parameter, ...] = ()

    def load(self) -> Callable[..., Any]:
        """Import the function. This is where torch comes in."""
        module, _, name = self.function.partition(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return function

    def parse(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters: defaults, with ``given`` checked and put in their place."""
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise BadParameter(
                    f"{self.name} has no parameter {name!r}.",
                    f"It has: {', '.join(known)}." if known else "It takes none.",
                )
        missing = [name for name in self.required if name not in given]
        if missing:
            raise BadParameter(
                f"{self.name} needs {' and '.join(missing)}: {known[missing[0]].help}.",
                f"Give it, e.g. --{missing[0]} '...'.",
            )
        return {
            name: parameter.parse(given[name]) if name in given else parameter.default
            for name, parameter in known.items()
        }

    @property
    def required(self) -> tuple[str, ...]:
        """The parameters that must be given."""
        return tuple(parameter.name for parameter in self.parameters if parameter.required)


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
        "neuron", "embed",
    ),
)  # fmt: skip
_ALONG = Parameter(
    "along",
    str,
    "auto",
    "what a cell is; auto: a position, a head or a neuron, as suits the site",
    choices=("auto", "position", "head", "head_position", "neuron"),
)

ANALYSES: dict[str, Analysis] = {
    analysis.name: analysis
    for analysis in (
        Analysis(
            name="predictions",
            title="Next tokens",
            function="interpboard.runs.predictions:predictions",
            axes=("rank",),
            meaning="probability of each of the most likely next tokens",
            scale="probability",
            parameters=(Parameter("top_k", int, 10, "how many tokens", minimum=1),),
        ),
        Analysis(
            name="integrated_gradients",
            title="Integrated gradients",
            function="interpboard.attribution.integrated_gradients:integrated_gradients",
            axes=("token",),
            meaning="share of metric(prompt) − metric(baseline) due to the token; "
            "positive: the token raised the metric",
            scale="diverging",
            parameters=(
                Parameter(
                    "n_steps",
                    int,
                    32,
                    "points on the path from baseline to prompt",
                    minimum=1,
                    maximum=1024,
                ),
                Parameter(
                    "baseline",
                    str,
                    "zero",
                    "start of the path: zero embeddings, or the mean of the vocabulary's",
                    choices=("zero", "mean"),
                ),
                Parameter(
                    "method",
                    str,
                    "gauss_legendre",
                    "quadrature rule along the path",
                    choices=("gauss_legendre", "trapezoid", "riemann_left", "riemann_right"),
                ),
            ),
        ),
        Analysis(
            name="logit_lens",
            title="Logit lens",
            function="interpboard.circuits.logit_lens:logit_lens",
            axes=("layer", "token"),
            meaning="probability of the target if the model ended after the layer",
            scale="probability",
            parameters=(Parameter("top_k", int, 10, "tokens kept per cell", minimum=1),),
        ),
        Analysis(
            name="head_ablation",
            title="Head ablation",
            function="interpboard.circuits.head_ablation:head_ablation",
            axes=("layer", "head"),
            meaning="effect = metric(ablated) − metric(clean); negative: the head helped",
            scale="diverging",
            parameters=(
                Parameter(
                    "ablation",
                    str,
                    "zero",
                    "what replaces the head's output z: zeros, its mean over the prompt, its outputs "
                    "permuted, its mean or its outputs on the references",
                    choices=("zero", "mean", "random", "dataset_mean", "resample"),
                ),
                Parameter("layers", int, None, "layers to ablate in, e.g. 0,3 (all)", many=True),
                Parameter("heads", int, None, "heads to ablate, e.g. 0,3 (all)", many=True),
                Parameter("references", str, "", "reference prompts, one a line"),
                Parameter("seed", int, 0, "of random and resample"),
            ),
        ),
        Analysis(
            name="activation_patching",
            title="Activation patching",
            function="interpboard.patching.activation:activation_patching",
            axes=("layer", "token"),
            meaning="recovered = (patched − corrupted) / (clean − corrupted); 0 = corrupted, 1 = clean",
            scale="diverging",
            parameters=(
                _CORRUPTED,
                _SITE,
                _ALONG,
                Parameter(
                    "direction",
                    str,
                    "denoising",
                    "clean activations into the corrupted run, or the other way round",
                    choices=("denoising", "noising"),
                ),
            ),
        ),
        Analysis(
            name="attribution_patching",
            title="Attribution patching",
            function="interpboard.patching.estimates:attribution_patching",
            axes=("layer", "token"),
            meaning="estimate of metric(patched) − metric(corrupted); positive: the clean activation "
            "raises the metric",
            scale="diverging",
            parameters=(
                _CORRUPTED,
                _SITE,
                _ALONG,
                Parameter(
                    "method",
                    str,
                    "atp",
                    "gradient at the corrupted run, or integrated along the way",
                    choices=("atp", "ig"),
                ),
                Parameter(
                    "n_steps", int, 8, "points along the way, for ig", minimum=1, maximum=1024
                ),
            ),
        ),
        Analysis(
            name="causal_trace",
            title="Causal trace",
            function="interpboard.patching.causal_tracing:causal_trace",
            axes=("layer", "token"),
            meaning="metric(clean state restored) − metric(subject drowned in noise), mean over "
            "samples; positive: the state carries the answer",
            scale="diverging",
            parameters=(
                Parameter(
                    "subject",
                    object,
                    None,
                    "the subject as it stands in the prompt",
                    required=True,
                ),
                Parameter(
                    "state",
                    str,
                    "resid",
                    "what is restored: the stream after a layer, or outputs in a window of layers",
                    choices=("resid", "mlp", "attn"),
                ),
                Parameter(
                    "window", int, 10, "layers restored together, for mlp and attn", minimum=1
                ),
                Parameter(
                    "noise",
                    float,
                    3.0,
                    "in standard deviations of the embeddings",
                    minimum=0,
                    maximum=1e6,
                ),
                Parameter("samples", int, 10, "noise samples", minimum=1, maximum=1024),
                Parameter("seed", int, 0, "of the noise"),
            ),
        ),
    )
}


def analyses_for(given: Collection[str]) -> tuple[str, ...]:
    """The analyses that can run when the parameters named in ``given`` are there."""
    return tuple(
        name for name, analysis in ANALYSES.items() if set(analysis.required) <= set(given)
    )


def find_analysis(name: str) -> Analysis:
    """The analysis called ``name``; raises ``BadParameter`` naming the nearest."""
    if name in ANALYSES:
        return ANALYSES[name]
    near = get_close_matches(name, ANALYSES, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(ANALYSES)}."
    raise BadParameter(f"There is no analysis {name!r}.", remedy)
