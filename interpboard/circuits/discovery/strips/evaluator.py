"""The behaviour of a circuit of an encoder–decoder, measured.

The prompts of a batch are equally long, in each of their strips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np
import torch

from interpboard.circuits.discovery.cases import TokenizedExample
from interpboard.circuits.discovery.differences import whole_bytes
from interpboard.circuits.discovery.edge_evaluator import (
    EdgeEvaluator,
    ExampleBatch,
    check_cases,
)
from interpboard.circuits.discovery.normed_sums import reference_output
from interpboard.circuits.discovery.strips.activations import StripActivations
from interpboard.circuits.discovery.strips.runs import (
    proved_strip_wiring,
    record_strips,
    strip_edges_patched,
)
from interpboard.circuits.discovery.strips.wiring import StripWiring
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens
from interpboard.runs.watch import Watch


@dataclass(eq=False)
class StripEvaluator(EdgeEvaluator):
    """As ``EdgeEvaluator``; a mean is over the tokens of a part's own strip. Make it with ``in_strips``."""

    wiring: StripWiring

    @classmethod
    def in_strips(
        cls,
        lm: LanguageModel,
        cases: Sequence[TokenizedExample],
        measure: str,
        ablation: str,
    ) -> StripEvaluator:
        """Raises as ``EdgeEvaluator.of``."""
        check_cases(cases, measure, ablation)
        wiring = proved_strip_wiring(lm)
        batches = _batches(wiring, cases)
        for batch in batches:
            _require_room(wiring, batch)
        return cls(wiring, batches, measure, ablation)

    def reference(self, batch: ExampleBatch) -> StripActivations:
        """As ``EdgeEvaluator.reference``, of both strips."""
        found = super().reference(batch)
        assert isinstance(found, StripActivations)
        return found

    def _recorded(self, ids: torch.Tensor) -> StripActivations:
        return record_strips(self.wiring, ids)

    def _patched(self, batch: ExampleBatch, edges: np.ndarray, watch: Watch) -> torch.Tensor:
        return strip_edges_patched(self.wiring, batch.clean, self.reference(batch), edges, watch)

    @cached_property
    def on_clean(self) -> float:
        """The behaviour of the whole model on the clean prompts, mean over examples."""
        return self._mean_of(lambda batch: record_strips(self.wiring, batch.clean).output)

    @cached_property
    def _mean(self) -> StripActivations:
        """One row, one position."""
        total: StripActivations | None = None
        tokens: StripActivations | None = None
        for batch in self.batches:
            activations = record_strips(self.wiring, batch.clean)
            summed = activations.map(lambda t: t.double().sum((0, 1), keepdim=True))
            counted = activations.map(lambda t: torch.tensor(float(t.shape[0] * t.shape[1])))
            total = summed if total is None else total.plus(summed)
            tokens = counted if tokens is None else tokens.plus(counted)
        assert total is not None
        assert tokens is not None
        weight: torch.Tensor = self.wiring.lm.anatomy.embedding.weight  # type: ignore[assignment]
        counts = iter(tokens.tensors)
        mean = total.map(lambda t: (t / float(next(counts))).to(weight.dtype))
        layers = zip(self.wiring.layers, mean.z, mean.mlp, strict=True)
        of_decoder = [each for each in layers if not each[0].in_source]
        return replace(mean, output=reference_output(mean.embed_prefix, of_decoder))


def _require_room(wiring: StripWiring, batch: ExampleBatch) -> None:
    """Raise ``Unaffordable`` where what all receivers of ``batch`` read has no room: it is there at once."""
    rows, length = batch.clean.shape
    a_token = 3 * rows * _token_bytes(wiring)
    require_room_for_tokens(
        wiring.lm.device, lambda tokens: tokens * a_token, length,
        f"What the parts of both stacks read in {rows * length:,} tokens", prompts="the prompts",
    )  # fmt: skip


def _token_bytes(wiring: StripWiring) -> int:
    """Of a stream for each receiver of the strip that more of them read."""
    of_source = wiring.graph.of_source
    weight: torch.Tensor = wiring.lm.anatomy.embedding.weight  # type: ignore[assignment]
    most = max(int(of_source.sum()), int((~of_source).sum()))
    return most * wiring.lm.anatomy.d_model * weight.element_size()


def _batches(wiring: StripWiring, cases: Sequence[TokenizedExample]) -> tuple[ExampleBatch, ...]:
    fit = max(1, whole_bytes(wiring.lm.device) // _token_bytes(wiring))
    tokens = 1 if wiring.lm.anatomy.alone else fit

    def lengths(case: TokenizedExample) -> tuple[int, int]:
        return len(case.clean.token_ids), case.clean.border

    batches = []
    for (length, _), alike in groupby(sorted(cases, key=lengths), key=lengths):
        some, rows = list(alike), max(1, tokens // length)
        for begin in range(0, len(some), rows):
            batches.append(_batch(wiring, tuple(some[begin : begin + rows])))
    return tuple(batches)


def _batch(wiring: StripWiring, cases: tuple[TokenizedExample, ...]) -> ExampleBatch:
    border = cases[0].clean.border

    def coded(rows: list[tuple[int, ...]]) -> torch.Tensor:
        return wiring.strips.code(torch.tensor(rows, device=wiring.lm.device), border)

    corrupted = [case.corrupted.token_ids for case in cases if case.corrupted is not None]
    last = len(cases[0].clean.token_ids) - border - 1  # counted within the prefix, as the output is
    return ExampleBatch(
        cases,
        coded([case.clean.token_ids for case in cases]),
        coded(corrupted) if len(corrupted) == len(cases) else None,
        torch.full((len(cases),), last, device=wiring.lm.device),
    )
