"""Interventions that are held together."""

from __future__ import annotations

from dataclasses import replace

from interpboard.registry import reading
from interpboard.registry.circuits import LENS_SITE
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

_INTERVENTIONS = Parameter(
    "interventions",
    str,
    None,
    'what is held: 2.5=zero; 1.mlp=mean; 3.resid@4=patch; @4=" Rome"',
    required=True,
)
_SOURCE = Parameter("source", str, "", "the prompt that patch takes its values from")

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="what_if",
        title="What if",
        function="interpboard.interventions.what_if:what_if",
        axes=("run",),
        value="the metric of the clean run and of the run with all interventions made at once",
        reading=reading.LEVEL,
        scale="diverging",
        parameters=(
            _INTERVENTIONS,
            _SOURCE,
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
        reading=reading.WRITTEN,
        scale="diverging",
        parameters=(_INTERVENTIONS, _SOURCE),
    ),
)
