"""Forward passes by what a model proved of faster kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from interpboard.models.anatomy import Anatomy
from interpboard.models.faster_parts import faster_parts
from interpboard.models.fewer_passes import in_fewer_passes, standins_of
from interpboard.models.fused_gelu import fused, pair_of
from interpboard.models.proof.verified import Verified


@contextmanager
def faster_passes(anatomy: Anatomy, proved: Verified) -> Iterator[None]:
    """While open, layers compute by what they ``proved`` of faster kernels: ``faster_parts``, ``fused_gelu``
    and ``fewer_passes``. For passes of which no gradient is taken; in others modules compute as ever, one
    after the other."""
    layers = anatomy.layers
    pairs = [pair_of(*of) for of in zip(layers, proved.fused_gelu, strict=False)]
    standins = [
        standin
        for of in zip(layers, proved.fewer_passes, strict=False)
        for standin in standins_of(*of)
    ]
    with ExitStack() as stack:
        if proved.faster_parts:
            stack.enter_context(faster_parts(anatomy))
        for pair in pairs:
            if pair is not None:
                stack.enter_context(fused(*pair))
        stack.enter_context(in_fewer_passes(standins))
        yield
