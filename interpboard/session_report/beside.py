"""What one pane of the app shows is one result of a report: the MLPs are a column beside the heads."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from interpboard.registry.component_names import written_component
from interpboard.results import Document, Result
from interpboard.results.beside_heads import with_parts
from interpboard.store import SavedRun

_MLP_SLOTS = frozenset({"mlp_ablation", "mlps"})  # the app's, now and formerly

Saved = tuple[SavedRun, Document]


def with_mlps(group: Sequence[Saved]) -> list[tuple[Saved, tuple[Saved, ...]]]:
    """The results of one prompt and model, and behind each those that are a part of it now.

    The app asks for the effects of MLPs as interventions, each alone. Where the effects of heads under the
    same ablation and metric are there, they are their column; a run that belongs to none stays its own.
    """
    mlps = [saved for saved in group if saved[0].slot in _MLP_SLOTS]
    found, placed = [], set()
    for run, document in group:
        parts: list[Saved] = []
        (result,) = document.results
        for own in mlps if result.analysis == "head_ablation" else ():
            widened = _widened(result, own[1].results[0])
            if widened is not None:
                document, parts = msgspec.structs.replace(document, results=(widened,)), [own]
                placed.add(own[0].id)
        found.append(((run, document), tuple(parts)))
    return [each for each in found if each[0][0].id not in placed]


def _widened(heads: Result, mlps: Result) -> Result | None:
    """``heads`` with the effects of ``mlps`` [layer]; None where they are of another question."""
    asked = str(mlps.params.get("interventions", "")).split("; ")
    effects = next((mlps.extra[name] for name in ("alone", "effect") if name in mlps.extra), None)
    if effects is None or effects.values.size != len(asked) or heads.metric != mlps.metric:
        return None
    pairs = zip(asked, effects.values.reshape(-1), strict=True)
    known = {what: float(value) for what, value in pairs}
    ablation = heads.params.get("ablation")
    column = [
        known.get(f"{written_component(label)}={ablation}", np.nan)
        for label in heads.axes[0].labels
    ]
    return None if np.isnan(column).all() else with_parts(heads, np.array(column))
