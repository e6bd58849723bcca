"""Forward passes of an encoder in which every receiver hears its own mixture of two runs, exactly.

As ``edge_runs``, which see.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.called_maps import CalledMaps, maps_round
from interpboard.circuits.discovery.edge_runs import (
    HearsPass,
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
    return patched(wiring, ids, _hearing(wiring, reference, edges, watch))


def _hearing(
    wiring: RowWiring, reference: Activations, edges: np.ndarray, watch: Watch = SILENT
) -> HearsPass:
    how = CalledMaps if maps_round(wiring) else ReceiverStreams
    return how(wiring, reference, edges, watch)


def proved_row_wiring(lm: LanguageModel) -> RowWiring:
    """The wiring of ``lm``, proved on two prompts of random tokens.

    With all edges the first prompt's stream must come out, with none the second's; and in a layer of each
    kind, where only every other input of a head hears the first prompt, its queries, keys and values must be
    that prompt's at these heads and the other's elsewhere. Raises ``Unsupported`` where it is not so.
    """
    ids, others = unpadded_prompts(lm.anatomy)
    wiring = _with_calls(find_row_wiring(lm), ids, others)
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
        lambda stack, edges: hang(stack, wiring, _hearing(wiring, reference, edges)),
    )
    return wiring


@torch.no_grad()
def _with_calls(wiring: RowWiring, ids: torch.Tensor, others: torch.Tensor) -> RowWiring:
    """``wiring`` with which calls of its projections are of the stream. All others must be given the same on
    two prompts. Raises ``Unsupported`` where that is not so."""
    given = [_given(wiring, row) for row in (ids, others)]
    layers = []
    for own in wiring.layers:
        found = []
        for projection in own.projections:
            called = [each[id(projection.module)] for each in given]
            ours, theirs = called
            of_stream = [
                number
                for number, (one, other) in enumerate(zip(ours, theirs, strict=False))
                if one.shape != other.shape or not torch.equal(one, other)
            ]
            if len(ours) != len(theirs) or len(of_stream) != 1:
                raise unsupported(
                    wiring.lm, "its queries, keys and values are made of more than the stream"
                )
            found.append(replace(projection, called=of_stream[0], calls=len(ours)))
        layers.append(replace(own, projections=tuple(found)))
    return replace(wiring, layers=tuple(layers))


def _given(wiring: RowWiring, ids: torch.Tensor) -> dict[int, list[torch.Tensor]]:
    """What each projection is given in a run of ``ids``, call by call."""
    found: dict[int, list[torch.Tensor]] = {}
    with ExitStack() as stack:
        for own in wiring.layers:
            for projection in own.projections:
                called = found.setdefault(id(projection.module), [])
                keep = lambda given, called=called: called.append(given.clone())  # noqa: E731
                stack.enter_context(on_input(projection.module, keep))
        run_body(wiring.lm.anatomy, ids)
    return found
