"""What stands beside the effects of heads: those of the MLPs, and the type of each head. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.session.compared import DIFFERENCE_SIDE
from tui.session.state import State

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import ModelInfo, Result


def mlp_effects(state: State, under_way: bool = False) -> np.ndarray | None:
    """Effect [layer] of taking each MLP away as the heads were, of the same question; None: not known yet.

    ``under_way``: as those heads that are being computed.
    """
    mlps, heads = state.slots["mlp_ablation"], state.slots["heads"]
    beside = heads.pending if under_way else heads.request
    if mlps.result is None or mlps.request is None or beside is None:
        return None
    ablation = beside.params.get("ablation", "zero")
    asked = str(mlps.request.params.get("interventions", ""))
    if mlps.question != beside.question or not asked.endswith(f"={ablation}"):
        return None  # of another prompt, or otherwise taken away
    extra = mlps.result.extra
    found = next((extra[name] for name in ("alone", "effect") if name in extra), None)
    if found is None or state.model is None or not state.model.info.layer_names:
        return None if found is None else found.values.reshape(-1)
    return _in_every_layer(state.model.info, found.values.reshape(-1))


def _in_every_layer(info: ModelInfo, effects: np.ndarray) -> np.ndarray:
    """``effects`` of the layers that have an MLP, NaN in the others."""
    import numpy as np

    from interpboard.registry.layer_names import layers_with_mlp

    having = layers_with_mlp(info)
    placed = np.full(info.layers, np.nan)
    if len(having) == len(effects):
        placed[[info.layer_names.index(name) for name in having]] = effects
    return placed


def head_types(state: State) -> dict[tuple[int, int], str]:
    """The name of the type of each head that is of a known one.

    Only what moves names depends on the prompt; the others are the same for the next one.
    """
    types, heads = state.slots["head_types"], state.slots["heads"]
    if types.result is None or "label" not in types.result.extra:
        return {}
    pending = heads.pending
    question = (
        pending.question if heads.partial is not None and pending is not None else heads.question
    )
    of_now = types.question == question
    return {
        (row, head): str(name)
        for row, names in enumerate(types.result.extra["label"].values)
        for head, name in enumerate(names)
        if name and (of_now or name != "name_mover")
    }


def as_shown(state: State, result: Result) -> Result:
    """The effects of heads with all that the pane shows beside them: so it is exported."""
    from interpboard.results.beside_heads import with_parts

    if state.compared is not None and state.compared.view == DIFFERENCE_SIDE:
        return result  # B − A is a grid of its own
    mlps = mlp_effects(state)
    if mlps is not None and len(mlps) != len(result.axes[0].labels):
        mlps = None
    return with_parts(result, mlps, head_types(state))
