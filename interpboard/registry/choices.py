"""Choices of a text compared, by a model of multiple choice."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

_CHOICES = Parameter(
    "choices", object, None, "the second texts that are compared, one a line", required=True
)

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="choices",
        title="Choices",
        function="interpboard.circuits.choices.compared:compare_choices",
        axes=("choice",),
        value="probability of each choice, by softmax over their scores",
        scale="probability",
        cost="passes",
        own_target=True,
        parameters=(_CHOICES,),
    ),
    Analysis(
        name="choice_ablation",
        title="Head ablation over choices",
        function="interpboard.circuits.choices.ablation:choice_ablation",
        axes=("layer", "head"),
        value="effect = metric(head ablated in every choice's run) − metric(clean)",
        reading=reading.without("the head"),
        scale="diverging",
        cost="cells",
        cells="pairs of head and choice",
        gaps=("values", "score"),
        own_target=True,
        parameters=(
            _CHOICES,
            Parameter("layers", int, None, "layers to ablate in, e.g. 0,3 (all)", many=True),
            Parameter("heads", int, None, "heads to ablate, e.g. 0,3 (all)", many=True),
        ),
    ),
)
