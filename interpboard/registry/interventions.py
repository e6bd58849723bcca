"""Interventions that are made together, and steering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from interpboard.registry import reading
from interpboard.registry.lens import LENS_SITE
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis, Cost

FEW_ALONE = 8  # interventions whose own effects take no longer than some passes

_INTERVENTIONS = Parameter(
    "interventions",
    str,
    None,
    'interventions: 2.5=zero; 1.mlp=mean; 3.resid@4=patch; @4=" Rome"',
    required=True,
)
_SOURCE = Parameter("source", str, "", "the prompt that patch takes its values from")


def _cost_of_what_if(params: Mapping[str, Any]) -> Cost:
    """A pass of all together; where there are several, a run of each alone as well."""
    texts = (str(params.get(name, "")) for name in ("interventions", "controls"))
    alone = sum(len([item for item in text.split(";") if item.strip()]) for text in texts)
    return "passes" if alone <= FEW_ALONE else "runs"


TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="steering",
        title="Steering",
        function="interpboard.interventions.steering:steering",
        axes=("scale",),
        value="effect = metric(steered) − metric(clean), with scale times the vector added at every "
        "position",
        reading=reading.STEERED,
        scale="diverging",
        of_runs="difference",
        cost="cells",
        gives_way=True,
        parameters=(
            Parameter(
                "positive", object, "", "prompts that the vector points to, one a line, or a file"
            ),
            Parameter(
                "negative", object, "", "prompts that it points away from, one a line, or a file"
            ),
            Parameter("vector", str, "", "a saved vector instead: a safetensors file"),
            Parameter(
                "layer",
                int,
                -1,
                "layer behind which it is added; -1: a file's own, else the middle",
                minimum=-1,
            ),
            Parameter(
                "scales",
                float,
                None,
                "e.g. 1,4 (-2 to 2); 0 is always there",
                many=True,
                minimum=-1e6,
                maximum=1e6,
            ),
            Parameter("new_tokens", int, 20, "length of the text", minimum=0, maximum=4096),
            Parameter("save", str, "", "write the vector to this safetensors file", written=True),
        ),
    ),
    Analysis(
        name="what_if",
        title="What if",
        function="interpboard.interventions.what_if:what_if",
        axes=("run",),
        value="the metric of the clean run and of the run with all interventions made at once",
        reading=reading.LEVEL,
        scale="diverging",
        cost="passes",
        cost_of=_cost_of_what_if,
        cells="edited runs",
        parameters=(
            _INTERVENTIONS,
            _SOURCE,
            Parameter("controls", str, "", "not made, each measured alone beside: a random set"),
            Parameter("top_k", int, 10, "tokens kept", minimum=1),
            replace(LENS_SITE, name="lens_site", help="where the lens of both runs reads"),
            Parameter("translators", str, "", "folder with a tuned lens to read both runs with"),
        ),
    ),
    Analysis(
        name="edited_direct_attribution",
        title="Direct logit attribution, edited",
        function="interpboard.interventions.edited_direct:edited_direct_attribution",
        axes=("component", "run"),
        value="what the component writes directly into the logit (or logit difference) of the clean "
        "run and of the run with all interventions made at once",
        reading=reading.WRITTEN_READING,
        scale="diverging",
        cost="passes",
        parameters=(_INTERVENTIONS, _SOURCE),
    ),
    Analysis(
        name="edited_continuation",
        title="Continuation, clean and edited",
        function="interpboard.interventions.edited_continuation:edited_continuation",
        axes=("run", "step"),
        value="probability of each token that the model writes on, of the clean run and of the run with all "
        "interventions held",
        scale="probability",
        cost="runs",
        gives_way=True,
        own_measure=True,
        gaps=("values", "kl", "parted"),
        parameters=(
            Parameter("interventions", str, "", "held beside the clean run: 1.mlp=zero"),
            _SOURCE,
            Parameter("new_tokens", int, 20, "tokens to write, at most", minimum=1),
            Parameter(
                "temperature", float, 0.0, "0: the likeliest; above: drawn", minimum=0, maximum=100
            ),
            Parameter("seed", int, 0, "of what is drawn, the same in both runs", minimum=0),
        ),
    ),
)
