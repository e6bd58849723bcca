"""The synthetic corpus: one module per behaviour, mixed here into documents.

Each behaviour module has a `training_example` that never touches the combinations its
`held_out_examples` yields.
"""

import random
from collections.abc import Iterator

from . import agreement, filler, ioi, recall, years
from .document import TrainingText

__all__ = ["TrainingText", "training_texts"]

_BEHAVIOURS = (
    (recall.training_example, 0.42),
    (ioi.training_example, 0.20),
    (agreement.training_example, 0.10),
    (years.training_example, 0.18),
    (filler.training_example, 0.10),
)


def training_texts(rng: random.Random) -> Iterator[TrainingText]:
    """An endless stream of documents.

    A third of them open with narrative and a tenth join two behaviours, so that what is asked
    can stand anywhere in the context and not only at its beginning.
    """
    makers = [make for make, _ in _BEHAVIOURS]
    weights = [weight for _, weight in _BEHAVIOURS]
    while True:
        document = rng.choices(makers, weights)[0](rng)
        if rng.random() < 0.1:
            document = document.followed_by(rng.choices(makers, weights)[0](rng))
        if rng.random() < 0.3:
            document = filler.story(rng, rng.choice((1, 1, 2))).followed_by(document)
        yield document
