"""Two results side by side: which entries belong together, and B − A of those that do. No torch.

``alignment`` says which tokens of two prompts are the same, ``refusals`` what is never compared, and
``difference`` takes B − A and says what it was made from.
"""

from interpboard.comparison.alignment import Alignment, align
from interpboard.comparison.difference import (
    difference,
    differences,
    has_metric,
    is_difference,
    sides_said,
)
from interpboard.comparison.refusals import same_name_other_weights, why_not

__all__ = [
    "Alignment",
    "align",
    "difference",
    "differences",
    "has_metric",
    "is_difference",
    "same_name_other_weights",
    "sides_said",
    "why_not",
]
