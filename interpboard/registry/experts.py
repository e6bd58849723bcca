"""Mixtures of experts: who goes where, and what each expert does."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import WRITING_SITES, Analysis

_LAYERS = Parameter("layers", int, None, "layers to look into, e.g. 0,3 (every mixture)", many=True)

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="expert_routing",
        title="Routing to experts",
        function="interpboard.circuits.experts.routing:expert_routing",
        records=("router",),
        axes=("layer", "token", "expert"),
        value="weight with which the token goes to the expert, as the block uses it; 0: it does not go there",
        scale="magnitude",
        cost="passes",
        gaps=("values", "tokens", "share"),
        own_measure=True,
        parameters=(_LAYERS,),
    ),
    Analysis(
        name="expert_ablation",
        title="Expert ablation",
        function="interpboard.circuits.experts.ablation:expert_ablation",
        records=("router",),
        axes=("layer", "expert"),
        value="effect = metric(expert off) − metric(clean)",
        reading=reading.without("the expert"),
        scale="diverging",
        of_runs="difference",
        cost="cells",
        cells="experts",
        gaps=("values", "tokens"),
        parameters=(
            Parameter(
                "others",
                str,
                "kept",
                "the weights of a token's other experts: as they are, or rescaled to the sum they had, where "
                "the model itself gives every token the same sum",
                choices=("kept", "rescaled"),
            ),
            _LAYERS,
            Parameter("experts", int, None, "experts to switch off, e.g. 0,3 (all)", many=True),
        ),
    ),
    Analysis(
        name="expert_neurons",
        title="Neurons within experts",
        function="interpboard.circuits.experts.neurons:expert_neurons",
        records=WRITING_SITES,
        axes=("component",),
        value="what the neuron writes directly into the logit (or logit difference), activation × weight of "
        "its expert × effect of a unit",
        reading=reading.WRITTEN_READING,
        scale="diverging",
        cost="passes",
        gaps=("experts",),
        parameters=(Parameter("top_k", int, 100, "neurons that are listed", minimum=1),),
    ),
)
