"""Senders of a path: what each head, each MLP and the embedding adds to the stream in two runs.

A sender's change is measured, not rebuilt from weights: its output of the other run is put into its
layer, the layer's MLP is held at what it was, and the layer's output compared. So norms behind
attention (gemma2, olmo2), scaled additions (granite) and parallel blocks need no rule of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import at_most_of_free
from interpboard.models.proof.rounding import agrees
from interpboard.patching.one_layer import seen_in_layer
from interpboard.registry.spec import WRITING_SITES
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.record import Run, record
from interpboard.runs.rehearsal import Loop
from interpboard.runs.steps import numbers_a_token
from interpboard.runs.watch import Watch

_KEPT_BYTES = 1 << 25
_ROWS = "edited runs"


@dataclass(frozen=True)
class SenderChanges:
    """Changes of the stream by some senders: ``changes`` [sender, pos, d_model].

    ``cells``: (layer, column) of each, the heads of a layer first, then its MLP, then the embedding.
    ``written``: the moment of each, as receivers count them; −1 for the embedding.
    """

    cells: tuple[tuple[int, int], ...]
    written: tuple[int, ...]
    changes: torch.Tensor


def record_senders(lm: LanguageModel, prompt: PromptInfo, first: int, stop: int) -> Run:
    """A run with what ``sent`` needs of it at positions ``first`` to ``stop`` − 1. Raises ``Unsupported``.

    Of many positions only the layers' inputs are kept: what a layer's senders write is computed from its
    input as it is needed.
    """
    lm.verified.require_site("resid_pre")
    for site in WRITING_SITES:
        lm.verified.require_site(site)
    numbers = sum(numbers_a_token(lm, site, stop) for site in WRITING_SITES) * lm.anatomy.n_layers
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    much = numbers * (stop - first) * weight.element_size() > _kept_bytes(weight.device)
    sites = () if much and lm.verified.path == "replay" else WRITING_SITES
    return record(lm, prompt, sites, site_positions=slice(first, stop))


def only_written(run: Run) -> Run:
    """``run`` without what ``sent`` does not read of its ``source``, which nothing is replayed on."""
    calls = run.calls[:1] if run.sites else run.calls
    return replace(run, calls=calls, attended=(), resid_final=run.resid_final[:, :0].clone())


def sent(
    base: Run, source: Run, before: int, first: int, stop: int, watch: Watch
) -> Iterator[SenderChanges]:
    """Changes source − base of the senders that write before the moment ``before``, in portions.

    At positions ``first`` to ``stop`` − 1, of which both were recorded; they must agree before ``first``.
    Raises ``Unsupported`` if a layer does not pass the stream on as it is.
    """
    part = slice(first, stop)
    n_heads = base.lm.anatomy.n_heads
    embedded = source.calls[0].hidden[:, part] - base.calls[0].hidden[:, part]
    cells, changes, kept = [(0, n_heads + 1)], [embedded], _bytes(embedded)
    most = _kept_bytes(embedded.device)
    room = max(1, most // max(1, kept))
    layers = [layer for layer in range(base.lm.anatomy.n_layers) if 2 * layer < before]
    make = partial(_Layer, base, source, first=first, stop=stop, watch=watch)
    if room <= n_heads:  # a layer's are more than one portion
        yield _portion(cells, changes, n_heads)
        yield from _one_by_one(make, layers, n_heads, before, room)
        return
    for layer in layers:
        new = make(layer).changes(0, n_heads + 1)
        if kept + _bytes(new) > most:
            yield _portion(cells, changes, n_heads)
            cells, changes, kept = [], [], 0
        cells += [(layer, column) for column in range(n_heads + 1)]
        changes.append(new)
        kept += _bytes(new)
    yield _portion(cells, changes, n_heads)


def _one_by_one(
    make: Callable[[int], _Layer], layers: Sequence[int], n_heads: int, before: int, room: int
) -> Iterator[SenderChanges]:
    """Portions of ``room`` senders, each a step that a rehearsal may leave out, and the layers with them."""
    of_layers = Loop("layers of senders", len(layers), around=_ROWS)
    loop = Loop("senders", len(layers) * (n_heads + 1), around=_ROWS)
    for layer in layers:
        made: _Layer | None = None
        for column in range(0, n_heads + 1, room):
            done, count = layer * (n_heads + 1) + column, min(room, n_heads + 1 - column)
            cells = [(layer, column + number) for number in range(count)]
            if not loop.due(done, count):
                seen = sum(moment < before for moment in _moments(cells, n_heads))
                loop.skip(done, seen, count)
                continue
            if made is None:
                of_layers.begin()
                made = make(layer)
                made.changes(0, 0)
                of_layers.took(layer, 1)
                loop.begin()
            yield _portion(cells, [made.changes(column, count)], n_heads)
            loop.took(done, count)
        if made is None:
            of_layers.skip(layer, 0, 1)
    of_layers.close()
    loop.close()


def _portion(
    cells: list[tuple[int, int]], changes: list[torch.Tensor], n_heads: int
) -> SenderChanges:
    together = changes[0] if len(changes) == 1 else torch.cat(changes)
    return SenderChanges(tuple(cells), _moments(cells, n_heads), together)


def _moments(cells: list[tuple[int, int]], n_heads: int) -> tuple[int, ...]:
    """When each writes: the MLP behind the heads of its layer, the embedding before all."""
    later = {n_heads: 1, n_heads + 1: -1}
    return tuple(2 * layer + later.get(column, 0) for layer, column in cells)


def _kept_bytes(device: torch.device) -> int:
    """What a portion may take: receivers have as much again of it several times over."""
    return at_most_of_free(_KEPT_BYTES, device, 12)


def _bytes(values: torch.Tensor) -> int:
    return values.numel() * values.element_size()


class _Layer:
    """What the heads and the MLP of one layer write in two runs, computed where it is asked for."""

    def __init__(
        self, base: Run, source: Run, layer: int, *, first: int, stop: int, watch: Watch
    ) -> None:
        self.base, self.layer, self.first, self.stop, self.watch = base, layer, first, stop, watch
        ours = _written(base, layer, first, stop, watch)
        self._theirs = _written(source, layer, first, stop, watch)
        self._same = tuple(self._put(site, ours[site]) for site in ("attn_out", "mlp_out"))
        self._unchanged: torch.Tensor | None = None
        self._device = base.calls[0].hidden.device  # where changes of all layers are

    def changes(self, column: int, count: int) -> torch.Tensor:
        """[sender, pos, d_model] of ``count`` senders from ``column`` on: the heads, then the MLP."""
        rows = [self._exchanged(column + number) for number in range(count)]
        if self._unchanged is not None:
            return self._seen(rows).sub_(self._unchanged).to(self._device)
        probe = _probe(self.base, self.layer)
        probed = (Edit("resid_pre", self.layer, "add", value=probe), *self._same)
        found = self._seen([self._same, probed, *rows])
        self._unchanged = found[0].clone()
        if not agrees(found[1], self._unchanged + probe[self.first : self.stop].to(found)):
            norms = self.base.lm.anatomy.mid_norm
            why = (
                ": it norms the sums in it, so that what is written there reaches nothing unchanged."
                if norms and norms[self.layer] is not None
                else "."
            )
            raise Unsupported(
                f"Layer {self.layer} does not pass the residual stream on as it is{why}",
                "Use activation_patching.",
            )
        return found[2:].sub_(self._unchanged).to(self._device)

    def _exchanged(self, column: int) -> Counterfactual:
        """The layer with what one sender writes exchanged, and the others held."""
        same_attention, same_mlp = self._same
        if column == self.base.lm.anatomy.n_heads:
            return (same_attention, self._put("mlp_out", self._theirs["mlp_out"]))
        return (self._put("z", self._theirs["z"][:, column], column), same_mlp)

    def _put(self, site: str, value: torch.Tensor, head: int | None = None) -> Edit:
        return Edit(site, self.layer, "patch", head, tuple(range(self.first, self.stop)), value)

    def _seen(self, rows: list[Counterfactual]) -> torch.Tensor:
        return seen_in_layer(
            self.base, self.layer, rows, ("resid_post",), self.first, self.stop, watch=self.watch
        )["resid_post"]


def _written(run: Run, layer: int, first: int, stop: int, watch: Watch) -> dict[str, torch.Tensor]:
    """What the layer's senders write [pos, …], from ``first`` to ``stop`` − 1, recorded or computed."""
    if run.sites:
        return {site: values[layer][0] for site, values in run.sites.items()}
    # From position 0 on: so the run keeps no keys and values for it.
    seen = seen_in_layer(run, layer, [()], WRITING_SITES, 0, stop, watch=watch)
    return {site: value[0, first:] for site, value in seen.items()}


def _probe(run: Run, layer: int) -> torch.Tensor:
    hidden = run.calls[layer].hidden[0]
    generator = torch.Generator().manual_seed(layer)
    noise = torch.randn(hidden.shape, generator=generator)
    return hidden.std() * noise.to(hidden)
