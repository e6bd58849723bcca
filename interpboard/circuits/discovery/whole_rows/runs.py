"""Forward passes of an encoder in which every receiver hears its own mixture of two runs, exactly.

As ``edge_runs``, which see.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.edge_runs import record_activations
from interpboard.circuits.discovery.own_inputs import prove_own_inputs
from interpboard.circuits.discovery.whole_rows.streams import ReceiverStreams
from interpboard.circuits.discovery.whole_rows.wiring import RowWiring, find_row_wiring
from interpboard.circuits.discovery.wiring import unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import on_input, on_output
from interpboard.models.proof.rounding import Noise, same_within_rounding
from interpboard.models.proof.rows import disturbed
from interpboard.models.proof.selfcheck import unpadded_prompts
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing
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
    streams = ReceiverStreams(wiring, reference, edges, watch)
    with ExitStack() as stack:
        _hang(stack, wiring, streams)
        with refusing(wiring.lm, "A run with some edges only", len(ids)):
            run_body(wiring.lm.anatomy, ids)
    return streams.output()


def _hang(stack: ExitStack, wiring: RowWiring, streams: ReceiverStreams) -> None:
    anatomy = wiring.lm.anatomy
    stack.enter_context(at_site(anatomy, "resid_pre", 0, streams.begin))
    for layer, own in enumerate(wiring.layers):
        for number, projection in enumerate(own.projections):
            project = partial(streams.project, layer, number)
            stack.enter_context(on_output(projection.module, project))
        stack.enter_context(at_site(anatomy, "z", layer, partial(streams.heads, layer)))
        before = partial(streams.before_mlp, layer)
        stack.enter_context(on_input(anatomy.before_mlp[layer], before))
        stack.enter_context(at_site(anatomy, "mlp_out", layer, partial(streams.mlp, layer)))


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
        noise = Noise.between(_rounded_anew(wiring, row), expected.output)
        found = rows_patched(wiring, ids, reference, edges)
        if not same_within_rounding(found, expected.output, noise):
            raise unsupported(lm, "what its layers add is not what heads and MLPs write")
    prove_own_inputs(
        wiring,
        ids,
        others,
        lambda stack, edges: _hang(stack, wiring, ReceiverStreams(wiring, reference, edges)),
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


@torch.no_grad()
def _rounded_anew(wiring: RowWiring, ids: torch.Tensor) -> torch.Tensor:
    """The last layer's output in a plain run in which what attention and MLPs read is rounded once more."""
    anatomy = wiring.lm.anatomy
    end: list[torch.Tensor] = []
    with ExitStack() as stack:
        for layer, own in enumerate(wiring.layers):
            act = partial(disturbed, dtype=own.rounds_to)
            stack.enter_context(at_site(anatomy, "resid_pre", layer, act))
            stack.enter_context(on_input(anatomy.before_mlp[layer], act))
        stack.enter_context(at_site(anatomy, "resid_post", anatomy.n_layers - 1, end.append))
        run_body(anatomy, ids)
    return end[0]
