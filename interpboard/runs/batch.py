"""Counterfactuals that are evaluated together: rows of one batch, joining where they begin to differ.

On the ``replay`` path a row starts from the recorded input of the first layer it edits and joins the
batch as the batch passes that layer. A row whose first edit lies behind attention keeps the recorded
head outputs of its first layer. In the last layer the MLP runs at the metric's position alone, and of
the vocabulary only the logits that the metric needs. Each of these where the model proved it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from interpboard.models.calls import LayerCall, first_layer_input
from interpboard.models.finite import Tally
from interpboard.models.kept_tensors import Kept
from interpboard.models.partial_layer import attention_kept, mlp_at
from interpboard.models.unembedding import residual_to_logits, residual_to_some_logits
from interpboard.runs.edits import Counterfactual, Edit, apply_edits, start_of
from interpboard.runs.joins import first_of_decoder, joins_at
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import Run, enter_edits
from interpboard.runs.row_logits import edited_logits
from interpboard.runs.watch import Watch

_LOGITS_A_STEP = 1 << 24
BEHIND_ATTENTION = ("z", "attn_out", "resid_mid", "neuron", "router", "mlp_out", "resid_post")


class Batch:
    """Rows in the order in which they join. Activations cover positions ``first`` to ``stop`` − 1."""

    def __init__(
        self, run: Run, rows: list[Counterfactual], base: list[int], first: int, stop: int
    ) -> None:
        self.run, self.rows, self.first, self.stop = run, rows, first, stop
        self.base = base
        self._base_on: dict[torch.device, torch.Tensor] = {}
        # Edits of the recorded row come first: layers that run again would otherwise lose them.
        self.edits = [(*run.edits[b], *row) for b, row in zip(base, rows, strict=True)]
        self.tally = Tally(len(rows))
        # Elsewhere attention's numbers can only leave the format where the stream does, or an edit.
        self.narrow = run.resid_final.dtype == torch.float16
        self.only_ends = False  # whether the layer at work has the positions alone that are read

    @torch.no_grad()
    def metric(self, metric: Metric, watch: Watch) -> torch.Tensor:
        """The metric [row]; NaN for a row that is not finite anywhere."""
        position, tally = metric.info.position, self.tally
        if self.run.lm.verified.path == "hooks":
            logits = edited_logits(self.run, self.edits, position, self.stop, tally)
            found = metric.of(logits)
        else:
            found = _metric_of_residual(self.run, self._replayed(position, watch), metric)
        return found.masked_fill(~tally.finite().to(found.device), torch.nan)

    def _replayed(self, position: int, watch: Watch) -> torch.Tensor:
        """The last residual stream [row, d_model] at ``position`` of the prompt."""
        n_layers = self.run.lm.anatomy.n_layers
        starts = [max(0, joins_at(self.run, row)) for row in self.rows]
        hidden: torch.Tensor | None = None
        for layer in range(starts[0], n_layers):
            joining = [row for row, start in enumerate(starts) if start == layer]
            if joining:
                fresh = self._layer_input(layer, joining)
                hidden = fresh if hidden is None else torch.cat([hidden, fresh.to(hidden.device)])
            assert hidden is not None
            watch.check()
            hidden = self._layer(layer, hidden, joining, position)
            self.tally.hear(f"layer {layer}", hidden)
        late = [row for row, start in enumerate(starts) if start == n_layers]
        final = [] if hidden is None else [hidden[:, position - self.first]]
        if late:
            final.append(self._edited_end(late)[:, position - self.first])
        end = torch.cat([part.to(final[0].device) for part in final])
        self.tally.hear("the last stream", end)
        return end

    def _layer(
        self, layer: int, hidden: torch.Tensor, joining: list[int], position: int
    ) -> torch.Tensor:
        """The layer's output for all rows that are there, edits made."""
        run, rows = self.run, len(hidden)
        anatomy, verified = run.lm.anatomy, run.lm.verified
        call = run.calls[layer]
        if self.first:
            call.keys_and_values()
        edits = [tuple(e for e in row if e.start == layer) for row in self.edits[:rows]]
        keeping = [r for r in joining if run.attended and self._keeps_attention(layer, r)]
        attending = rows - len(keeping)  # rows are ordered so that those that keep come last
        with ExitStack() as stack:
            if keeping:
                kept, edits_inside = run.attended[layer], edits[attending:]
                inside = ("z", "attn_out") if anatomy.attn_out[layer] is kept.out_proj else ("z",)
                attended = partial(self._attended, layer, keeping, edits_inside, inside)
                edits[attending:] = [
                    tuple(e for e in row if e.site not in inside) for row in edits_inside
                ]
            mlp_first = None
            last = layer == anatomy.n_layers - 1
            if last and not self.only_ends and verified.mlp_at_one and not _at(edits, "resid_mid"):
                # Before the edits' hooks: they see what the MLP sees.
                stack.enter_context(mlp_at(anatomy.before_mlp[layer], position - self.first))
                mlp_first = position
            enter_edits(stack, run.lm, edits, _any, self.first, mlp_first, self.tally)
            if self.narrow:
                stack.enter_context(self.tally.on_attention(anatomy, layer))
            if keeping:
                stack.enter_context(attention_kept(kept, attending, attended))
            return self._called(call, hidden, attending if keeping else None)

    def _called(self, call: LayerCall, hidden: torch.Tensor, attending: int | None) -> torch.Tensor:
        base = self._bases(range(len(hidden)), call.device)
        return call.replay(hidden, base, self.first, attending)

    def _bases(self, rows: Sequence[int], device: torch.device) -> torch.Tensor:
        """The recorded rows that ``rows``, which follow each other, start from; moved once a device."""
        if device not in self._base_on:
            self._base_on[device] = torch.tensor(self.base, device=device)
        return self._base_on[device][rows[0] : rows[-1] + 1]

    def _keeps_attention(self, layer: int, row: int) -> bool:
        return keeps_attention(self.rows[row]) and not any(
            e.start == layer for e in self.run.edits[self.base[row]]
        )

    def _attended(
        self, layer: int, rows: list[int], edits: list[Counterfactual], inside: tuple[str, ...]
    ) -> torch.Tensor:
        """What attention gives for rows that keep their head outputs but for their edits ``inside``."""
        kept = self.run.attended[layer]
        z = self._kept_heads(kept.z, rows)
        of_z, of_output = (
            [
                (i, e)
                for i, row in enumerate(edits)
                for e in row
                if e.site == site and site in inside
            ]
            for site in ("z", "attn_out")
        )
        if of_z:
            heads = z.unflatten(-1, (self.run.lm.anatomy.n_heads, -1))
            z = apply_edits(heads, of_z, self.first).flatten(2)
        # The module's forward itself: the hooks on it count the rows whose attention runs.
        output: torch.Tensor = kept.out_proj.forward(z)
        return apply_edits(output, of_output, self.first) if of_output else output

    def _kept_heads(self, z: Kept, rows: list[int]) -> torch.Tensor:
        return z[self._bases(rows, z.tensor.device), self.first : self.stop]

    def _layer_input(self, layer: int, joining: list[int]) -> torch.Tensor:
        recorded = self.run.calls[layer].hidden
        part = slice(self.first, self.stop)
        begins = any(start_of(self.rows[row]) < 0 for row in joining)
        given = None
        if not begins or layer:
            given = recorded[self._bases(joining, recorded.tensor.device), part]
            if not begins:
                return given
        # What is edited in the embedding passes the rest of the way to layer 0 anew.
        ids = input_ids(self.run.lm, self.run.prompt).expand(len(joining), -1)
        rows = [self.edits[row] for row in joining]
        with ExitStack() as stack:
            enter_edits(stack, self.run.lm, rows, lambda edit: edit.start < 0)
            fresh = first_layer_input(self.run.lm.anatomy, ids)[:, part]
        if given is None:
            return fresh
        border = self.run.prompt.border  # two strips, and the source's embedding is as it was
        return torch.cat([given[:, :border], fresh[:, border:]], dim=1)

    def _edited_end(self, rows: list[int]) -> torch.Tensor:
        """The recorded output of the last layer with the edits of ``rows`` made."""
        final = self.run.resid_final
        stream = final[self._bases(rows, final.device), self.first : self.stop]
        return apply_edits(
            stream, [(i, e) for i, row in enumerate(rows) for e in self.rows[row]], self.first
        )


def keeps_attention(row: Counterfactual) -> bool:
    """Whether the first layer that ``row`` edits is edited behind attention only."""
    start = start_of(row)
    return start >= 0 and all(e.site in BEHIND_ATTENTION for e in row if e.start == start)


def started_late(run: Run, counterfactual: Counterfactual, base: int) -> Counterfactual:
    """The same counterfactual, with what is edited at a layer's output edited where it goes.

    ``resid_post`` of a layer is ``resid_pre`` of the next, and behind the last layer nothing runs.
    Left as it is where another edit at that place would come in between.
    """
    end, ends = (
        run.lm.anatomy.n_layers,
        first_of_decoder(run) - 1,
    )  # the encoder's last goes elsewhere
    taken = {e.layer for e in (*run.edits[base], *counterfactual) if e.site == "resid_pre"}

    def moved(edit: Edit) -> Edit:
        if edit.site != "resid_post" or edit.layer + 1 in taken or edit.layer == ends:
            return edit
        if edit.layer + 1 == end:
            return replace(edit, site=END, layer=end) if alone else edit
        return replace(edit, site="resid_pre", layer=edit.layer + 1)

    alone = all(e.site == "resid_post" and e.layer == end - 1 for e in counterfactual)
    return tuple(moved(edit) for edit in counterfactual)


END = "end"
"""The stream behind the last layer, where nothing but the head is left to run."""


def _metric_of_residual(run: Run, residual: torch.Tensor, metric: Metric) -> torch.Tensor:
    anatomy = run.lm.anatomy
    if metric.tokens is not None and run.lm.verified.some_logits:
        tokens = torch.tensor(metric.tokens)
        return metric.of_tokens(residual_to_some_logits(anatomy, residual, tokens))
    rows = max(1, _LOGITS_A_STEP // anatomy.n_logits)
    unembedded: Callable[[Any], torch.Tensor] = partial(residual_to_logits, anatomy)
    return torch.cat([metric.of(unembedded(part)) for part in residual.split(rows)])


def _at(edits: list[Counterfactual], site: str) -> bool:
    return any(edit.site == site for row in edits for edit in row)


def _any(_edit: Edit) -> bool:
    return True
