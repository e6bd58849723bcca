"""Counterfactuals that are evaluated together: rows of one batch, joining where they begin to differ.

On the ``replay`` path a row starts from the recorded input of the first layer it edits and joins the
batch as the batch passes that layer. A row whose first edit lies behind attention keeps the recorded
head outputs of its first layer. In the last layer the MLP runs at the metric's position alone, and of
the vocabulary only the logits that the metric needs. Each of these where the model proved it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from interpboard.models.absorbed_attention import absorbed
from interpboard.models.calls import LayerCall, first_layer_input
from interpboard.models.crossing import to_device
from interpboard.models.faster_passes import faster_passes
from interpboard.models.finite import Tally
from interpboard.models.kept_tensors import Kept
from interpboard.models.layer_caches import KeysValues
from interpboard.models.partial_layer import attention_kept, mlp_at
from interpboard.runs.edit_indices import EditIndices, dimensions_at
from interpboard.runs.edits import Counterfactual, Edit, apply_edits, start_of
from interpboard.runs.joins import joins_at, keeps_attention
from interpboard.runs.metrics import Metric
from interpboard.runs.one_query import absorbs, reads_one
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import Run, edits_by_site, enter_edits, first_at
from interpboard.runs.residual_metric import metric_of_residual
from interpboard.runs.row_logits import edited_logits
from interpboard.runs.watch import Watch


@dataclass(frozen=True)
class _AtLayer:
    """What is edited in a layer: ``edits`` [row] by hooks; of the rows ``keeping`` their head outputs those
    at the sites ``inside`` attention, counted from the first that keeps. ``mlp_first``: see ``enter_edits``.
    """

    edits: list[Counterfactual]
    keeping: list[int]
    inside: dict[str, list[tuple[int, Edit]]]
    mlp_first: int | None


class Batch:
    """Rows in the order in which they join. Activations cover positions ``first`` to ``stop`` − 1."""

    def __init__(
        self, run: Run, rows: list[Counterfactual], base: list[int], first: int, stop: int
    ) -> None:
        self.run, self.rows, self.first, self.stop = run, rows, first, stop
        self.base = base
        self._base_on: dict[torch.device, torch.Tensor] = {}
        self.indices = EditIndices()
        self._there: dict[int, _AtLayer] = {}
        # Edits of the recorded row come first: layers that run again would otherwise lose them.
        self.edits = [(*run.edits[b], *row) for b, row in zip(base, rows, strict=True)]
        self.tally = Tally(len(rows))
        # Elsewhere attention's numbers can only leave the format where the stream does, or an edit.
        self.narrow = run.resid_final.dtype == torch.float16
        self.only_ends = False  # whether the layer at work has the positions alone that are read
        # Keys and values of the attending rows before ``first``; None: as recorded.
        self.made: KeysValues | None = None

    @torch.no_grad()
    def metric(self, metric: Metric, watch: Watch) -> torch.Tensor:
        """The metric [row]; NaN for a row that is not finite anywhere."""
        proved, anatomy = self.run.lm.verified, self.run.lm.anatomy
        with faster_passes(anatomy, proved):
            if proved.path == "hooks":
                position, tally = metric.info.position, self.tally
                found = metric.of(edited_logits(self.run, self.edits, position, self.stop, tally))
            else:
                end = self._replayed(metric.info.position, watch)
                found = metric_of_residual(self.run, end, metric)
        return found.masked_fill(~self.tally.finite_on(found.device), torch.nan)

    def _replayed(self, position: int, watch: Watch) -> torch.Tensor:
        """The last residual stream [row, d_model] at ``position`` of the prompt."""
        starts = [max(0, joins_at(self.run, row)) for row in self.rows]
        hidden = self.through_layers(starts, position, watch)
        late = self._late(starts)
        final = [] if hidden is None else [hidden[:, position - self.stop]]
        if late:
            final.append(self._edited_end(late)[:, position - self.first])
        end = torch.cat([part.to(final[0].device) for part in final])
        self.tally.hear("the last stream", end)
        return end

    def through_layers(
        self, starts: Sequence[int], position: int, watch: Watch
    ) -> torch.Tensor | None:
        """What the last layer gives [row, pos, d_model] for the rows that pass any, which join at ``starts``;
        the last position is ``stop`` − 1."""
        n_layers = self.run.lm.anatomy.n_layers
        self._expect(starts, position)
        hidden: torch.Tensor | None = None
        for layer in range(starts[0], n_layers):
            joining = [row for row, start in enumerate(starts) if start == layer]
            if joining:
                fresh = self._layer_input(layer, joining)
                hidden = fresh if hidden is None else torch.cat([hidden, fresh.to(hidden.device)])
            assert hidden is not None
            watch.check()
            if layer == n_layers - 1 and reads_one(self.run, self.first, position, self.stop):
                hidden = LastLayer(self, position).output(hidden, joining)
            else:
                hidden = self._layer(layer, hidden, joining, position)
            self.tally.hear(f"layer {layer}", hidden)
        return hidden

    def _layer(
        self, layer: int, hidden: torch.Tensor, joining: list[int], position: int
    ) -> torch.Tensor:
        """The layer's output for all rows that are there, edits made."""
        run, rows, anatomy = self.run, len(hidden), self.run.lm.anatomy
        call = run.calls[layer]
        if self.first and self.made is None:
            call.keys_and_values()
        there = self._there.pop(layer, None) or self._at_layer(layer, rows, joining, position)
        attending = rows - len(there.keeping)
        with ExitStack() as stack:
            if there.keeping:
                kept, attended = run.attended[layer], partial(self._attended, layer, there)
            if there.mlp_first is not None:
                # Before the edits' hooks: they see what the MLP sees.
                stack.enter_context(mlp_at(anatomy.before_mlp[layer], position - self.first))
            enter_edits(
                stack, run.lm, there.edits, _any, self.first, there.mlp_first, self.tally,
                self.indices,
            )  # fmt: skip
            if self.narrow:
                stack.enter_context(self.tally.on_attention(anatomy, layer))
            if there.keeping:
                stack.enter_context(attention_kept(kept, attending, attended))
            return self._called(call, hidden, attending if there.keeping else None)

    def _at_layer(self, layer: int, rows: int, joining: list[int], position: int) -> _AtLayer:
        """What of the edits of the first ``rows`` is made in ``layer``, and how."""
        run, anatomy = self.run, self.run.lm.anatomy
        edits = [tuple(e for e in row if e.start == layer) for row in self.edits[:rows]]
        keeping = [
            row
            for row in joining
            if run.attended and keeps_attention(run, self.rows[row], self.base[row])
        ]
        attending = rows - len(keeping)  # rows are ordered so that those that keep come last
        inside: dict[str, list[tuple[int, Edit]]] = {}
        if keeping:
            whole = anatomy.attn_out[layer] is run.attended[layer].out_proj
            inside = {"z": [], **({"attn_out": []} if whole else {})}
            for i, row in enumerate(edits[attending:]):
                for edit in row:
                    if edit.site in inside:
                        inside[edit.site].append((i, edit))
            edits[attending:] = [
                tuple(e for e in row if e.site not in inside) for row in edits[attending:]
            ]
        last = layer == anatomy.n_layers - 1
        at_one = last and not self.only_ends and run.lm.verified.mlp_at_one
        mlp_first = position if at_one and not _at(edits, "resid_mid") else None
        return _AtLayer(edits, keeping, inside, mlp_first)

    def _expect(self, starts: Sequence[int], position: int) -> None:
        """Send the indices of what is edited in all layers to where they compute, each device's at once."""
        length = self.stop - self.first
        for layer in range(starts[0], len(self.run.calls)):
            device = self.run.calls[layer].device
            if device.type == "cpu":
                continue
            joining = [row for row, start in enumerate(starts) if start == layer]
            rows = sum(start <= layer for start in starts)
            there = self._there[layer] = self._at_layer(layer, rows, joining, position)
            for (site, _layer), edits in edits_by_site(there.edits, _any).items():
                begin = first_at(site, self.first, there.mlp_first)
                dimensions = dimensions_at(site)
                if dimensions is not None:
                    at_one = there.mlp_first is not None and begin == there.mlp_first
                    stop = begin + 1 if at_one else self.stop
                    self.indices.expect(device, edits, dimensions, begin, stop - begin)
            for site, edits in there.inside.items():
                if edits:
                    dimensions = dimensions_at(site) or 0
                    self.indices.expect(device, edits, dimensions, self.first, length)
        end, late = self.run.resid_final, self._late(starts)
        if late and end.device.type != "cpu":
            self.indices.expect(end.device, self._at_end(late), end.dim(), self.first, length)
        self.indices.send()

    def _late(self, starts: Sequence[int]) -> list[int]:
        """The rows that are edited behind the last layer alone."""
        return [row for row, start in enumerate(starts) if start == len(self.run.calls)]

    def _at_end(self, rows: list[int]) -> list[tuple[int, Edit]]:
        return [(i, edit) for i, row in enumerate(rows) for edit in self.rows[row]]

    def _called(self, call: LayerCall, hidden: torch.Tensor, attending: int | None) -> torch.Tensor:
        base = self._bases(range(len(hidden)), call.device)
        return call.replay(hidden, base, self.first, attending, self.made)

    def _bases(self, rows: Sequence[int], device: torch.device) -> torch.Tensor:
        """The recorded rows that ``rows``, which follow each other, start from; moved once a device."""
        if device not in self._base_on:
            self._base_on[device] = to_device(torch.tensor(self.base), device)
        return self._base_on[device][rows[0] : rows[-1] + 1]

    def _attended(self, layer: int, there: _AtLayer) -> torch.Tensor:
        """What attention gives for rows that keep their head outputs but for their edits ``inside`` it."""
        kept = self.run.attended[layer]
        z = self._kept_heads(kept.z, there.keeping)
        of_z, of_output = (there.inside.get(site) for site in ("z", "attn_out"))
        if of_z:
            heads = z.unflatten(-1, (self.run.lm.anatomy.n_heads, -1))
            z = apply_edits(heads, of_z, self.first, self.indices).flatten(2)
        # The module's forward itself: the hooks on it count the rows whose attention runs.
        output: torch.Tensor = kept.out_proj.forward(z)
        return apply_edits(output, of_output, self.first, self.indices) if of_output else output

    def _kept_heads(self, z: Kept, rows: list[int]) -> torch.Tensor:
        return z[self._bases(rows, z.tensor.device), self.first : self.stop]

    def _layer_input(self, layer: int, joining: list[int]) -> torch.Tensor:
        begins = any(start_of(self.rows[row]) < 0 for row in joining)
        given = self._recorded_input(layer, joining) if layer or not begins else None
        if given is not None and not begins:
            return given
        # What is edited in the embedding passes the rest of the way to layer 0 anew.
        ids = input_ids(self.run.lm, self.run.prompt).expand(len(joining), -1)
        rows = [self.edits[row] for row in joining]
        with ExitStack() as stack:
            enter_edits(stack, self.run.lm, rows, lambda edit: edit.start < 0)
            fresh = first_layer_input(self.run.lm.anatomy, ids)[:, self.first : self.stop]
        if given is None:
            return fresh
        border = self.run.prompt.border  # two strips, and the source's embedding is as it was
        return torch.cat([given[:, :border], fresh[:, border:]], dim=1)

    def _recorded_input(self, layer: int, rows: Sequence[int]) -> torch.Tensor:
        recorded = self.run.calls[layer].hidden
        return recorded[self._bases(rows, recorded.tensor.device), self.first : self.stop]

    def _edited_end(self, rows: list[int]) -> torch.Tensor:
        """The recorded output of the last layer with the edits of ``rows`` made."""
        final = self.run.resid_final
        stream = final[self._bases(rows, final.device), self.first : self.stop]
        return apply_edits(stream, self._at_end(rows), self.first, self.indices)


class LastLayer(Batch):
    """The last layer of ``whole`` at ``position``, its last: the others' keys and values are all it needs."""

    def __init__(self, whole: Batch, position: int) -> None:
        super().__init__(whole.run, whole.rows, whole.base, position, position + 1)
        self.whole, self.tally, self.only_ends = whole, whole.tally, True

    def output(self, hidden: torch.Tensor, joining: list[int]) -> torch.Tensor:
        """The layer's output [row, 1, d_model] for ``hidden`` [row, pos, d_model], edits made."""
        last = len(self.run.calls) - 1
        there = self._at_layer(last, len(hidden), joining, self.first)
        attending = len(hidden) - len(there.keeping)
        self._there[last] = there
        with ExitStack() as stack:
            if absorbs(self.run, there.edits, self.first):
                self.made = hidden[:0], hidden[:0]  # nobody asks for them
                if attending:
                    stack.enter_context(self._absorbed(hidden[:attending], there))
            else:
                self.made = self._keys_values(hidden, attending, there)
            return self._layer(last, hidden[:, -1:], joining, self.first)

    def _absorbed(self, attending: torch.Tensor, there: _AtLayer) -> AbstractContextManager[None]:
        call, begin, attention = self.run.calls[-1], self.whole.first, self._attention
        base = self._bases(range(len(attending)), call.device)
        before = call.recorded(base, begin) if begin else None
        with self._stream_edited(there, len(attending)):
            normed = call.given_to(attention, attending, base, begin)
        return absorbed(attention, normed, before)

    def _keys_values(self, hidden: torch.Tensor, attending: int, there: _AtLayer) -> KeysValues:
        call, begin = self.run.calls[-1], self.whole.first
        if begin:
            call.keys_and_values()
        with self._stream_edited(there, attending):
            base = self._bases(range(max(1, attending)), call.device)
            keys, values = call.keys_values_of(hidden[: max(1, attending)], base, begin)
        part = slice(attending), slice(None), slice(self.first)
        return keys[part], values[part]

    @property
    def _attention(self) -> nn.Module:
        return self.run.lm.anatomy.attention[-1]

    @contextmanager
    def _stream_edited(self, there: _AtLayer, attending: int) -> Iterator[None]:
        """While open, what the layer is given is edited: this alone comes before keys and values."""
        with ExitStack() as stack:
            enter_edits(
                stack, self.run.lm, there.edits[:attending], _of_stream, self.whole.first,
                indices=self.indices,
            )  # fmt: skip
            yield


def _at(edits: list[Counterfactual], site: str) -> bool:
    return any(edit.site == site for row in edits for edit in row)


def _any(_edit: Edit) -> bool:
    return True


def _of_stream(edit: Edit) -> bool:
    return edit.site == "resid_pre"
