"""What makes two texts alike."""

from __future__ import annotations

from interpboard.registry import reading
from interpboard.registry.attribution import BASELINE
from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis

TABLE: tuple[Analysis, ...] = (
    Analysis(
        name="similarity_pairs",
        title="Pairs of tokens in a similarity",
        function="interpboard.attribution.similarity.pairs:similarity_pairs",
        axes=("token", "other"),
        value="share of the pair in the cosine of prompt and target; the shares sum to cosine − reference, "
        "what the texts have in common with the baselines",
        scale="diverging",
        reading=reading.added("the pair"),
        cost="cells",
        gives_way=True,
        parameters=(
            *BASELINE,
            Parameter("samples", int, 16, "orders of the tokens", minimum=1, maximum=10_000),
            Parameter("seed", int, 0, "of the orders", minimum=0),
        ),
    ),
)
