"""The registry: every analysis by name, with its function, parameters and the meaning of its values.

The command line, the engine and the app all read this table and nothing else, so an analysis that is
entered here is everywhere. Functions are named, not imported: reading the table needs no torch.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from interpboard.errors import BadParameter
from interpboard.registry import (
    attribution,
    by_attention,
    circuits,
    discovery,
    gradients,
    parts,
    patching,
    perturbation,
    prediction,
    what_if,
)
from interpboard.registry.spec import Analysis

__all__ = ["ANALYSES", "Analysis", "analyses_for", "find_analysis"]

ANALYSES: dict[str, Analysis] = {
    analysis.name: analysis
    for table in (
        prediction.TABLE,
        attribution.TABLE,
        gradients.TABLE,
        perturbation.TABLE,
        by_attention.TABLE,
        circuits.TABLE,
        parts.TABLE,
        discovery.TABLE,
        patching.TABLE,
        what_if.TABLE,
    )
    for analysis in table
}


def analyses_for(given: Collection[str]) -> tuple[str, ...]:
    """The analyses of the overview that can run when the parameters named in ``given`` are there."""
    return tuple(
        name
        for name, analysis in ANALYSES.items()
        if analysis.in_overview and set(analysis.required) <= set(given)
    )


def find_analysis(name: str) -> Analysis:
    """The analysis called ``name``; raises ``BadParameter`` naming the nearest."""
    if name in ANALYSES:
        return ANALYSES[name]
    near = get_close_matches(name, ANALYSES, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(ANALYSES)}."
    raise BadParameter(f"There is no analysis {name!r}.", remedy)
