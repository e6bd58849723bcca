"""The behaviour of a circuit of an encoder, measured where its head reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.cases import TokenizedExample, measured
from interpboard.circuits.discovery.differences import whole_bytes
from interpboard.circuits.discovery.edge_evaluator import (
    EdgeEvaluator,
    ExampleBatch,
    check_cases,
    require_streams,
)
from interpboard.circuits.discovery.edge_runs import logits_at, record_activations
from interpboard.circuits.discovery.normed_sums import reference_output
from interpboard.circuits.discovery.whole_rows.runs import proved_row_wiring, rows_patched
from interpboard.circuits.discovery.whole_rows.wiring import RowWiring
from interpboard.models.language_model import LanguageModel
from interpboard.models.unembedding import unembed
from interpboard.runs.finite import require_logits
from interpboard.runs.watch import Watch


@dataclass(eq=False)
class RowEvaluator(EdgeEvaluator):
    """As ``EdgeEvaluator``; the prompts of a batch are equally long. Make it with ``over_rows``."""

    wiring: RowWiring

    @classmethod
    def over_rows(
        cls,
        lm: LanguageModel,
        cases: Sequence[TokenizedExample],
        measure: str,
        ablation: str,
    ) -> RowEvaluator:
        """Raises as ``EdgeEvaluator.of``, and ``Unaffordable``."""
        check_cases(cases, measure, ablation)
        wiring = proved_row_wiring(lm)
        batches = _batches(wiring, cases)
        require_streams(wiring, batches)
        return cls(wiring, batches, measure, ablation)

    def _patched(self, batch: ExampleBatch, edges: np.ndarray, watch: Watch) -> torch.Tensor:
        return rows_patched(self.wiring, batch.clean, self.reference(batch), edges, watch)

    def of_output(self, batch: ExampleBatch, output: torch.Tensor) -> torch.Tensor:
        """The behaviour [row], read where the head reads: of a mean over all tokens, of all of them."""
        anatomy = self.wiring.lm.anatomy
        if anatomy.reads_all:
            output = anatomy.final_norm(output).mean(1, keepdim=True)
            logits = unembed(anatomy, output[:, 0].expand(len(batch.cases), -1))
        else:
            logits = logits_at(self.wiring.lm, output, batch.last)
        require_logits(self.wiring.lm, "A run of the circuit's dataset", logits.detach())
        return measured(logits, batch.cases, self.measure)

    @cached_property
    def _mean(self) -> Activations:
        """One row, one position; the output is what comes of these means, which norms make another than its
        own mean."""
        total: Activations | None = None
        tokens = 0
        for batch in self.batches:
            activations = record_activations(self.wiring, batch.clean)
            summed = activations.map(lambda t: t.double().sum((0, 1), keepdim=True))
            total = summed if total is None else total.plus(summed)
            tokens += batch.clean.numel()
        assert total is not None
        weight: torch.Tensor = self.wiring.lm.anatomy.embedding.weight  # type: ignore[assignment]
        mean = total.map(lambda t: (t / tokens).to(weight.dtype))
        layers = zip(self.wiring.layers, mean.z, mean.mlp, strict=True)
        return replace(mean, output=reference_output(mean.embed, layers))


def _token_bytes(wiring: RowWiring) -> int:
    """Of a stream for each receiver."""
    weight: torch.Tensor = wiring.lm.anatomy.embedding.weight  # type: ignore[assignment]
    return len(wiring.graph.receivers) * wiring.lm.anatomy.d_model * weight.element_size()


def _batches(wiring: RowWiring, cases: Sequence[TokenizedExample]) -> tuple[ExampleBatch, ...]:
    tokens = max(1, whole_bytes(wiring.lm.device) // _token_bytes(wiring))
    most = 1 if wiring.lm.anatomy.alone else tokens

    def length(case: TokenizedExample) -> int:
        return len(case.clean.token_ids)

    batches = []
    for size, alike in groupby(sorted(cases, key=length), key=length):
        some, rows = list(alike), max(1, most // size)
        for begin in range(0, len(some), rows):
            batches.append(_batch(wiring.lm, tuple(some[begin : begin + rows])))
    return tuple(batches)


def _batch(lm: LanguageModel, cases: tuple[TokenizedExample, ...]) -> ExampleBatch:
    clean, corrupted = (
        torch.tensor([p.token_ids for p in prompts if p is not None], device=lm.device)
        for prompts in (
            [case.clean for case in cases],
            [case.corrupted for case in cases],
        )
    )
    return ExampleBatch(
        cases,
        clean,
        corrupted if len(corrupted) == len(cases) else None,
        torch.tensor([case.position for case in cases], device=lm.device),
    )
