"""The behaviour of a circuit, measured: a dataset in batches, and the model run with only some edges live."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from operator import mul

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.called_maps import maps_round
from interpboard.circuits.discovery.cases import MEASURES, TokenizedExample, measured
from interpboard.circuits.discovery.differences import streams_at_once, whole_bytes
from interpboard.circuits.discovery.edge_runs import (
    edge_patched,
    final_stream,
    logits_at,
    proved_wiring,
    record_activations,
)
from interpboard.circuits.discovery.normed_sums import reference_output
from interpboard.circuits.discovery.wiring import Wiring
from interpboard.errors import BadParameter, BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import at_most_of_free, require_room_for_tokens
from interpboard.runs.finite import require_logits
from interpboard.runs.rounding import difference_beyond_rounding
from interpboard.runs.watch import SILENT, Watch

REFERENCES = ("corrupted", "mean")
KEPT_BYTES = 1 << 29  # of reference activations, all batches together


@dataclass(frozen=True, eq=False)
class ExampleBatch:
    """Cases that are run together, padded behind to one length: in a causal model what stands behind
    the last token cannot matter. ``clean``, ``corrupted`` [row, pos]; ``last`` [row]: the last token."""

    cases: tuple[TokenizedExample, ...]
    clean: torch.Tensor
    corrupted: torch.Tensor | None
    last: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """Tokens of each row, padding aside."""
        return self.last + 1


@dataclass(eq=False)
class EdgeEvaluator:
    """A dataset on a wired model; what the behaviour is with any set of edges. Make it with ``of``.

    ``measure`` as in ``cases.measured``. ``ablation``: what edges outside the circuit carry, the
    sender's activation on the corrupted partner, or its mean over all tokens of the clean prompts.
    """

    wiring: Wiring
    batches: tuple[ExampleBatch, ...]
    measure: str
    ablation: str
    _kept: dict[int, Activations] = field(default_factory=dict)
    _on_clean: dict[int, float] = field(default_factory=dict)  # of a batch, summed

    @classmethod
    def of(
        cls,
        lm: LanguageModel,
        cases: Sequence[TokenizedExample],
        *,
        measure: str = "logit_diff",
        ablation: str = "corrupted",
    ) -> EdgeEvaluator:
        """Raises ``BadParameter``, ``BadPrompt`` for a missing partner, ``Unsupported`` for a model whose
        graph would be wrong, ``Unaffordable``."""
        check_cases(cases, measure, ablation)
        wiring = proved_wiring(lm)
        batches = _batches(wiring, cases)
        if maps_round(wiring):
            require_streams(wiring, batches)
        return cls(wiring, batches, measure, ablation)

    @property
    def n_examples(self) -> int:
        """Examples in all batches."""
        return sum(len(batch.cases) for batch in self.batches)

    def reference(self, batch: ExampleBatch) -> Activations:
        """What senders off the circuit carry: one forward pass, kept while memory allows."""
        if self.ablation == "mean":
            return self._mean
        if id(batch) in self._kept:
            return self._kept[id(batch)]
        assert batch.corrupted is not None
        activations = self._recorded(batch.corrupted)
        most = at_most_of_free(KEPT_BYTES, batch.clean.device, 4)
        if sum(kept.bytes for kept in (*self._kept.values(), activations)) <= most:
            self._kept[id(batch)] = activations
        return activations

    def _recorded(self, ids: torch.Tensor) -> Activations:
        return record_activations(self.wiring, ids)

    def _patched(self, batch: ExampleBatch, edges: np.ndarray, watch: Watch) -> torch.Tensor:
        """What the output reads [batch, pos, d_model] with only ``edges`` live."""
        return edge_patched(self.wiring, batch.clean, self.reference(batch), edges, watch)

    def let_go(self, batch: ExampleBatch) -> None:
        """Keep no reference of ``batch``: it is recorded anew when it is asked for."""
        self._kept.pop(id(batch), None)

    @cached_property
    def on_clean(self) -> float:
        """The behaviour of the whole model on the clean prompts, mean over examples."""
        for batch in self.batches:
            if id(batch) not in self._on_clean:
                self.saw_clean(batch, final_stream(self.wiring, batch.clean))
        return sum(self._on_clean[id(batch)] for batch in self.batches) / self.n_examples

    @torch.no_grad()
    def saw_clean(self, batch: ExampleBatch, output: torch.Tensor) -> None:
        """``output`` [row, pos, d_model] is what a plain run of the clean prompts gave."""
        self._on_clean[id(batch)] = self._sum_of(batch, output)

    @cached_property
    def on_reference(self) -> float:
        """The behaviour where nothing but the reference is heard."""
        return self._mean_of(lambda batch: self.reference(batch).output)

    @cached_property
    def span(self) -> float:
        """clean − reference; NaN where they differ by no more than rounding."""
        weight: torch.Tensor = self.wiring.lm.anatomy.embedding.weight  # type: ignore[assignment]
        largest = max(abs(self.on_clean), abs(self.on_reference))
        return difference_beyond_rounding(
            self.on_clean, self.on_reference, weight.dtype, 1 + largest
        )

    def value(self, edges: np.ndarray, watch: Watch = SILENT) -> float:
        """The behaviour with only ``edges`` [sender, receiver] live, mean over examples. Exact."""
        name = f"behaviour of {hashlib.blake2b(np.packbits(edges).tobytes()).hexdigest()}"

        def of_batch(batch: ExampleBatch) -> float:
            watch.pause()
            output = self._patched(batch, edges, watch)
            return self._sum_of(batch, output)

        with torch.no_grad():
            sums = (
                watch.once(f"{name} {number}", partial(of_batch, batch))
                for number, batch in enumerate(self.batches)
            )
            return sum(sums) / self.n_examples

    def recovered(self, edges: np.ndarray, watch: Watch = SILENT) -> float:
        """(value − reference) / (clean − reference): 0 without edges, 1 with all of them.

        NaN where the behaviour is the same without any edge (``has_span``).
        """
        if not self.has_span:
            return float("nan")
        return (self.value(edges, watch) - self.on_reference) / self.span

    @property
    def has_span(self) -> bool:
        """Whether there is anything for a circuit to explain."""
        return self.span == self.span

    def of_output(self, batch: ExampleBatch, output: torch.Tensor) -> torch.Tensor:
        """The behaviour [row] for final residual streams ``output`` [row, pos, d_model].

        Raises ``NotFinite``.
        """
        logits = logits_at(self.wiring.lm, output, batch.last)
        require_logits(self.wiring.lm, "A run of the circuit's dataset", logits.detach())
        return measured(logits, batch.cases, self.measure)

    @torch.no_grad()
    def _mean_of(self, output: Callable[[ExampleBatch], torch.Tensor]) -> float:
        return sum(self._sum_of(b, output(b)) for b in self.batches) / self.n_examples

    def _sum_of(self, batch: ExampleBatch, output: torch.Tensor) -> float:
        return float(self.of_output(batch, output).double().sum())

    @cached_property
    def _mean(self) -> Activations:
        """Every activation's mean over all tokens of the clean prompts: one row, one position."""
        total: Activations | None = None
        tokens = 0
        for batch in self.batches:
            positions = torch.arange(batch.clean.shape[1], device=batch.clean.device)
            real = positions[None] <= batch.last[:, None]
            activations = record_activations(self.wiring, batch.clean)
            summed = activations.map(partial(_summed, real))
            total = summed if total is None else total.plus(summed)
            tokens += int(real.sum())
        assert total is not None
        weight: torch.Tensor = self.wiring.lm.anatomy.embedding.weight  # type: ignore[assignment]
        dtype = weight.dtype
        mean = total.map(lambda t: (t / tokens).to(dtype))
        if not maps_round(self.wiring):
            return mean
        layers = zip(self.wiring.layers, mean.z, mean.mlp, strict=True)
        return replace(mean, output=reference_output(mean.embed, layers))  # no sum of means


def require_streams(wiring: Wiring, batches: Sequence[ExampleBatch]) -> None:
    """Raise ``Unaffordable`` where a stream for each receiver has no room: a pass carries them."""
    weight: torch.Tensor = wiring.lm.anatomy.embedding.weight  # type: ignore[assignment]
    a_token = len(wiring.graph.receivers) * wiring.lm.anatomy.d_model * weight.element_size()
    for rows, length in {batch.clean.shape for batch in batches}:
        require_room_for_tokens(
            wiring.lm.device, partial(mul, 3 * rows * a_token), length,
            f"What is read in {rows * length:,} tokens", prompts="the prompts",
        )  # fmt: skip


def check_cases(cases: Sequence[TokenizedExample], measure: str, ablation: str) -> None:
    """Raise ``BadParameter`` for an unknown measure or ablation, ``BadPrompt`` for a missing partner."""
    if measure not in MEASURES:
        raise BadParameter(f"There is no measure {measure!r}.", f"Use {' or '.join(MEASURES)}.")
    if ablation not in REFERENCES:
        raise BadParameter(f"There is no ablation {ablation!r}.", f"Use {' or '.join(REFERENCES)}.")
    if ablation == "corrupted" and any(case.corrupted is None for case in cases):
        raise BadPrompt("A clean prompt has no corrupted partner.", "Give one, or ablate by mean.")


def _summed(real: torch.Tensor, activation: torch.Tensor) -> torch.Tensor:
    weights = real.to(activation.device)
    return activation[weights].double().sum(0)[None, None]


def _batches(wiring: Wiring, cases: Sequence[TokenizedExample]) -> tuple[ExampleBatch, ...]:
    anatomy = wiring.lm.anatomy
    weight: torch.Tensor = anatomy.embedding.weight  # type: ignore[assignment]
    per_token = streams_at_once(wiring) * anatomy.d_model * weight.element_size()
    tokens = max(1, whole_bytes(weight.device) // per_token)
    if anatomy.alone:  # each row would change the others
        return tuple(_batch(wiring.lm, (case,)) for case in cases)
    order = sorted(cases, key=lambda case: len(case.clean.token_ids))
    batches, begin = [], 0
    while begin < len(order):
        stop = begin + 1
        while stop < len(order) and len(order[stop].clean.token_ids) * (stop + 1 - begin) <= tokens:
            stop += 1
        batches.append(_batch(wiring.lm, tuple(order[begin:stop])))
        begin = stop
    return tuple(batches)


def _batch(lm: LanguageModel, cases: tuple[TokenizedExample, ...]) -> ExampleBatch:
    longest = max(len(case.clean.token_ids) for case in cases)

    def padded(rows: list[tuple[int, ...]]) -> torch.Tensor:
        full = [[*row, *[row[-1]] * (longest - len(row))] for row in rows]
        return torch.tensor(full, device=lm.device)

    corrupted = [case.corrupted.token_ids for case in cases if case.corrupted is not None]
    return ExampleBatch(
        cases,
        padded([case.clean.token_ids for case in cases]),
        padded(corrupted) if len(corrupted) == len(cases) else None,
        torch.tensor([len(case.clean.token_ids) - 1 for case in cases], device=lm.device),
    )
