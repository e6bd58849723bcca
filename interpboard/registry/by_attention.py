"""Where attention could have brought it from."""

from __future__ import annotations

from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

_PARAMETERS = (
    Parameter("fusion", str, "mean", "over the heads of a layer", choices=("mean", "max", "min")),
    Parameter(
        "discard", float, 0.0, "share of each row's smallest entries left out (ours: no paper has it)",
        minimum=0, maximum=0.99,
    ),
)  # fmt: skip

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="attention_rollout",
        title="Attention rollout",
        function="interpboard.attribution.attention_rollout:attention_rollout",
        axes=("token",),
        value="share of the position that attention could have brought from the token, all layers "
        "multiplied; at least 0, they sum to 1",
        scale="probability",
        parameters=_PARAMETERS,
    ),
    Analysis(
        name="value_weighted_rollout",
        title="Value-weighted rollout",
        function="interpboard.attribution.value_weighted_rollout:value_weighted_rollout",
        axes=("token",),
        value="share of the position that came from the token by the norms of what heads move and "
        "the stream keeps; at least 0, they sum to 1",
        scale="probability",
    ),
    Analysis(
        name="attention_flow",
        title="Attention flow",
        function="interpboard.attribution.attention_flow:attention_flow",
        axes=("token",),
        value="the most that could flow from the token to the position through the layers' "
        "attention; from 0 to 1",
        scale="probability",
        parameters=_PARAMETERS,
    ),
)
