"""Senders of a path: what each head, each MLP and the embedding adds to the stream in two runs.

A sender's change is measured, not rebuilt from weights: its output of the other run is put into its
layer, the layer's MLP is held at what it was, and the layer's output compared. So norms behind
attention (gemma2, olmo2), scaled additions (granite) and parallel blocks need no rule of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.patching.one_layer import seen_in_layer
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.record import Run, record
from interpboard.runs.steps import numbers_a_token
from interpboard.runs.watch import Watch

_SITES = ("z", "attn_out", "mlp_out")
_KEPT_BYTES = 1 << 25


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
    for site in _SITES:
        lm.verified.require_site(site)
    numbers = sum(numbers_a_token(lm, site, stop) for site in _SITES) * lm.anatomy.n_layers
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    much = numbers * (stop - first) * weight.element_size() > _KEPT_BYTES
    sites = () if much and lm.verified.path == "replay" else _SITES
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
    for layer in range(base.lm.anatomy.n_layers):
        if 2 * layer >= before:
            break
        for column, some in _of_layer(base, source, layer, first, stop, watch):
            new = some.to(embedded.device)
            if kept + _bytes(new) > _KEPT_BYTES:
                yield _portion(cells, changes, n_heads)
                cells, changes, kept = [], [], 0
            cells += [(layer, column + number) for number in range(len(new))]
            changes.append(new)
            kept += _bytes(new)
    yield _portion(cells, changes, n_heads)


def _portion(
    cells: list[tuple[int, int]], changes: list[torch.Tensor], n_heads: int
) -> SenderChanges:
    moments = {
        n_heads: 1,
        n_heads + 1: -1,
    }  # of the MLP, behind the heads of its layer; of the embedding
    written = tuple(2 * layer + moments.get(column, 0) for layer, column in cells)
    together = changes[0] if len(changes) == 1 else torch.cat(changes)
    return SenderChanges(tuple(cells), written, together)


def _bytes(values: torch.Tensor) -> int:
    return values.numel() * values.element_size()


def _of_layer(
    base: Run, source: Run, layer: int, first: int, stop: int, watch: Watch
) -> Iterator[tuple[int, torch.Tensor]]:
    """[head …, MLP; pos, d_model], in pieces, each with the number of its first sender."""
    there = tuple(range(first, stop))
    ours = _written(base, layer, first, stop, watch)
    theirs = _written(source, layer, first, stop, watch)

    def put(site: str, value: torch.Tensor, head: int | None = None) -> Edit:
        return Edit(site, layer, "patch", head, there, value)

    same_mlp, same_attention = (put(site, ours[site]) for site in ("mlp_out", "attn_out"))
    z, probe = theirs["z"], _probe(base, layer)
    rows: list[Counterfactual] = [
        *((put("z", z[:, head], head), same_mlp) for head in range(base.lm.anatomy.n_heads)),
        (same_attention, put("mlp_out", theirs["mlp_out"])),
    ]
    held: list[Counterfactual] = [
        (same_attention, same_mlp),
        (Edit("resid_pre", layer, "add", value=probe), same_attention, same_mlp),
    ]

    def seen(some: list[Counterfactual]) -> torch.Tensor:
        return seen_in_layer(base, layer, some, ("resid_post",), first, stop, watch=watch)[
            "resid_post"
        ]

    room = max(1, _KEPT_BYTES // max(1, _bytes(ours["attn_out"])))
    found = seen([*held, *rows[:room]])
    unchanged, probed = found[0].clone(), found[1]
    if not agrees(probed, unchanged + probe[first:stop].to(unchanged)):
        norms = base.lm.anatomy.mid_norm
        why = (
            ": it norms the sums in it, so that what is written there reaches nothing unchanged."
            if norms and norms[layer] is not None
            else "."
        )
        raise Unsupported(
            f"Layer {layer} does not pass the residual stream on as it is{why}",
            "Use activation_patching.",
        )
    yield 0, found[len(held) :].sub_(unchanged)
    for column in range(room, len(rows), room):
        yield column, seen(rows[column : column + room]).sub_(unchanged)


def _written(run: Run, layer: int, first: int, stop: int, watch: Watch) -> dict[str, torch.Tensor]:
    """What the layer's senders write [pos, …], from ``first`` to ``stop`` − 1, recorded or computed."""
    if run.sites:
        return {site: values[layer][0] for site, values in run.sites.items()}
    # From position 0 on: so the run keeps no keys and values for it.
    seen = seen_in_layer(run, layer, [()], _SITES, 0, stop, watch=watch)
    return {site: value[0, first:] for site, value in seen.items()}


def _probe(run: Run, layer: int) -> torch.Tensor:
    hidden = run.calls[layer].hidden[0]
    generator = torch.Generator().manual_seed(layer)
    noise = torch.randn(hidden.shape, generator=generator)
    return hidden.std() * noise.to(hidden)
