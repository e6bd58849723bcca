"""Forward passes of an encoder in which every receiver hears its own mixture of two runs, exactly.

As ``edge_runs``, which see.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.edge_runs import (
    hang,
    patched,
    record_activations,
    rounded_anew,
)
from interpboard.circuits.discovery.own_inputs import prove_own_inputs
from interpboard.circuits.discovery.whole_rows.streams import ReceiverStreams
from interpboard.circuits.discovery.whole_rows.wiring import RowWiring, find_row_wiring
from interpboard.circuits.discovery.wiring import unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import on_input
from interpboard.models.proof.rounding import Noise, same_within_rounding
from interpboard.models.proof.selfcheck import unpadded_prompts
from interpboard.models.unembedding import run_body
from interpboard.runs.watch import SILENT, Watch


@torch.no_grad()
def rows_patched(
    wiring: RowWiring,
    ids: torch.Tensor,
    reference: Activations,
    edges: np.ndarray,
    watch: Watch = SILENT,
) -> torch.Tensor:
    """The last layer's output [batch, pos, d_model] for ``ids`` [batch, pos] with only ``edges``
    [sender, receiver] live. Asks ``watch`` in every layer whether to stop."""
    return patched(wiring, ids, ReceiverStreams(wiring, reference, edges, watch))


def proved_row_wiring(lm: LanguageModel) -> RowWiring:
    """The wiring of ``lm``, proved on two prompts of random tokens.

    With all edges the first prompt's stream must come out, with none the second's; and in a layer of each
    kind, where only every other input of a head hears the first prompt, its queries, keys and values must be
    that prompt's at these heads and the other's elsewhere. Raises ``Unsupported`` where it is not so.
    """
    wiring = find_row_wiring(lm)
    ids, others = unpadded_prompts(lm.anatomy)
    _refuse_other_calls(wiring, ids)
    clean, reference = (record_activations(wiring, row) for row in (ids, others))
    graph = wiring.graph
    for edges, row, expected in (
        (graph.edges, ids, clean),
        (~graph.edges & graph.edges, others, reference),
    ):
        noise = Noise.between(rounded_anew(wiring, row), expected.output)
        found = rows_patched(wiring, ids, reference, edges)
        if not same_within_rounding(found, expected.output, noise):
            raise unsupported(lm, "what its layers add is not what heads and MLPs write")
    prove_own_inputs(
        wiring,
        ids,
        others,
        lambda stack, edges: hang(stack, wiring, ReceiverStreams(wiring, reference, edges)),
    )
    return wiring


@torch.no_grad()
def _refuse_other_calls(wiring: RowWiring, ids: torch.Tensor) -> None:
    """Raise ``Unsupported`` where a projection is called for something else than the stream, too."""
    lm = wiring.lm
    shapes: dict[int, list[torch.Size]] = {}
    with ExitStack() as stack:
        for own in wiring.layers:
            for projection in own.projections:
                called = shapes.setdefault(id(projection.module), [])
                keep = lambda given, called=called: called.append(given.shape[:-1])  # noqa: E731
                stack.enter_context(on_input(projection.module, keep))
        run_body(lm.anatomy, ids)
    if any(called != [ids.shape] for called in shapes.values()):
        raise unsupported(
            lm, "its queries, keys and values are made of more than the stream (relative positions)"
        )
