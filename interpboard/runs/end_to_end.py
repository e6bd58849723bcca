"""Counterfactuals that begin at different positions, evaluated together: their rows lie end to end.

A ``Batch`` covers the positions from the earliest of its rows on. Where many rows begin at each of many
positions (a causal trace: every sample at every position) that is a fifth of its work, or steps of few rows.
Laid end to end, rows of one layer's cells are one step whatever their positions. In the last layer, of
which one position is read, they are rows again, filled up with what was recorded before each.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch

from interpboard.models.end_to_end import Laid, replay_laid
from interpboard.models.faster_passes import faster_passes
from interpboard.models.sites import at_site
from interpboard.runs.batch import Batch, LastLayer
from interpboard.runs.edit_indices import dimensions_at
from interpboard.runs.edits import Counterfactual, Edit, apply_edits, first_of, start_of
from interpboard.runs.joins import joins_at, keeps_attention
from interpboard.runs.one_query import reads_one
from interpboard.runs.record import Run
from interpboard.runs.watch import Watch

_SITES = ("resid_pre", "z", "attn_out", "resid_mid", "neuron", "mlp_out", "resid_post", "end")
_FEWEST = 4
"""Rows that begin alike: of fewer, attention would be computed in as many pieces as there are rows."""


def lie_end_to_end(
    run: Run,
    counterfactuals: Sequence[Counterfactual],
    base: Sequence[int],
    position: int,
    stop: int,
) -> bool:
    """Whether that is how ``counterfactuals`` on the rows ``base`` are evaluated: where it was proved, spares
    something, and every edit is made at known positions that are all run."""
    if not run.lm.verified.end_to_end or run.lm.anatomy.strips is not None:
        return False
    firsts = {first_of(row) for row in counterfactuals}
    if len(firsts) < 2 or not reads_one(run, min(firsts), position, stop):
        return False
    if any(call.device.type != "cpu" for call in run.calls):
        return False
    alike = {(joins_at(run, row), first_of(row)) for row in counterfactuals}
    if len(counterfactuals) < _FEWEST * len(alike):
        return False
    own = {edit for row in set(base) for edit in run.edits[row]}
    return all(edit.start < 0 for edit in own) and all(
        start_of(row) >= 0
        and not keeps_attention(run, row, b)
        and all(_is_placed(edit, stop) for edit in row)
        for row, b in zip(counterfactuals, base, strict=True)
    )


def _is_placed(edit: Edit, stop: int) -> bool:
    known = edit.positions is not None and max(edit.positions) < stop and not edit.by_position
    return known and edit.site in _SITES and edit.kind != "block"


class EndToEnd(Batch):
    """Rows in the order in which they join; ``firsts`` [row]: where each begins."""

    def __init__(
        self,
        run: Run,
        rows: list[Counterfactual],
        base: list[int],
        firsts: list[int],
        stop: int,
    ) -> None:
        super().__init__(run, rows, base, min(firsts), stop)
        self.firsts = firsts

    @torch.no_grad()
    def ends(self, position: int, watch: Watch) -> tuple[torch.Tensor, torch.Tensor]:
        """The last stream [row, d_model] at ``position``, and whether a row is finite everywhere [row]."""
        with faster_passes(self.run.lm.anatomy, self.run.lm.verified):
            end = self._replayed(position, watch)
        return end, self.tally.finite_on(end.device)

    def through_layers(
        self, starts: Sequence[int], position: int, watch: Watch
    ) -> torch.Tensor | None:
        """As of the rows of a ``Batch``; at ``position`` alone."""
        calls, laid = self.run.calls, Laid(self.stop)
        last = len(calls) - 1
        hidden = calls[0].hidden[0, :0]
        for layer in range(starts[0], last):
            calls[layer].keys_and_values()
            joining = [row for row, start in enumerate(starts) if start == layer]
            added = laid.join([self.base[r] for r in joining], [self.firsts[r] for r in joining])
            if added:
                hidden = torch.cat([hidden, laid.recorded(calls[layer], added)])
            watch.check()
            with ExitStack() as stack:
                self._enter(stack, layer, laid)
                hidden = replay_laid(self.run.lm.anatomy, layer, calls[layer], hidden, laid)
            self.tally.hear(f"layer {layer}", laid.lengths(hidden))
        joining = [row for row, start in enumerate(starts) if start == last]
        parts = [self._filled_up(hidden, laid)] if laid.segments else []
        parts += [self._layer_input(last, joining)] if joining else []
        if not parts:
            return None
        watch.check()
        end = LastLayer(self, position).output(torch.cat(parts), joining)
        self.tally.hear(f"layer {last}", end)
        return end

    def _enter(self, stack: ExitStack, layer: int, laid: Laid) -> None:
        """Open a hook for every site of the layer that is edited; there each token is a row by itself."""
        by_site: dict[str, list[tuple[int, Edit]]] = {}
        for row, begin in enumerate(laid.offsets):
            for edit in self.rows[row]:
                if edit.start == layer:
                    by_site.setdefault(edit.site, []).extend(
                        _by_token(edit, begin - self.firsts[row])
                    )
        for site, edits in by_site.items():

            def change(value: torch.Tensor, edits: list[tuple[int, Edit]] = edits) -> torch.Tensor:
                return apply_edits(value.transpose(0, 1), edits).transpose(0, 1)

            stack.enter_context(at_site(self.run.lm.anatomy, site, layer, change))

    def _filled_up(self, hidden: torch.Tensor, laid: Laid) -> torch.Tensor:
        """The last layer's input [row, pos, d_model] from the earliest position on."""
        rows = range(len(laid.offsets))
        whole = self._recorded_input(len(self.run.calls) - 1, rows)
        row = 0
        for s in laid.segments:
            some = hidden[s.tokens].view(s.rows, s.length, -1)
            whole[row : row + s.rows, s.first - self.first :] = some
            row += s.rows
        return whole


def _by_token(edit: Edit, before: int) -> list[tuple[int, Edit]]:
    """The edit at each of its positions by itself, with the token at which it is made."""
    positions = edit.positions or ()
    whole = (
        (dimensions_at(edit.site) or 0) - 1 - (edit.head is not None) - (edit.neuron is not None)
    )
    found = []
    for i, position in enumerate(positions):
        value = edit.value
        if value is not None and value.dim() == whole and len(value) == len(positions):
            value = value[i : i + 1]
        found.append((before + position, replace(edit, positions=(0,), value=value)))
    return found
