"""Senders of a path: what each head, each MLP and the embedding adds to the stream in two runs.

A sender's change is measured, not rebuilt from weights: its output of the other run is put into its
layer, the layer's MLP is held at what it was, and the layer's output compared. So norms behind
attention (gemma2, olmo2), scaled additions (granite) and parallel blocks need no rule of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.patching.one_layer import seen_in_layer
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.record import Run, record
from interpboard.runs.watch import Watch

_SITES = ("z", "attn_out", "mlp_out")
_KEPT_BYTES = 1 << 27


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
    """A run with what ``sent`` needs of it at positions ``first`` to ``stop`` − 1. Raises ``Unsupported``."""
    lm.verified.require_site("resid_pre")
    return record(lm, prompt, _SITES, site_positions=slice(first, stop))


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
    cells, written, changes = [(0, n_heads + 1)], [-1], [embedded]
    for layer in range(base.lm.anatomy.n_layers):
        if 2 * layer >= before:
            break
        new = _of_layer(base, source, layer, first, stop, watch)
        cells += [(layer, column) for column in range(n_heads + 1)]
        written += [2 * layer] * n_heads + [2 * layer + 1]
        changes.append(new.to(embedded.device))
        if sum(c.numel() * c.element_size() for c in changes) > _KEPT_BYTES:
            yield SenderChanges(tuple(cells), tuple(written), torch.cat(changes))
            cells, written, changes = [], [], []
    if changes:
        yield SenderChanges(tuple(cells), tuple(written), torch.cat(changes))


def _of_layer(
    base: Run, source: Run, layer: int, first: int, stop: int, watch: Watch
) -> torch.Tensor:
    """[head …, MLP; pos, d_model]"""
    z, there = source.sites["z"][layer][0], tuple(range(first, stop))

    def put(site: str, value: torch.Tensor, head: int | None = None) -> Edit:
        return Edit(site, layer, "patch", head, there, value)

    same_mlp = put("mlp_out", base.sites["mlp_out"][layer][0])
    same_attention = put("attn_out", base.sites["attn_out"][layer][0])
    probe = _probe(base, layer)
    rows: list[Counterfactual] = [
        *((put("z", z[:, head], head), same_mlp) for head in range(base.lm.anatomy.n_heads)),
        (same_attention, put("mlp_out", source.sites["mlp_out"][layer][0])),
        (same_attention, same_mlp),
        (Edit("resid_pre", layer, "add", value=probe), same_attention, same_mlp),
    ]
    seen = seen_in_layer(base, layer, rows, ("resid_post",), first, stop, watch=watch)
    *changed, unchanged, probed = seen["resid_post"]
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
    return torch.stack(changed) - unchanged


def _probe(run: Run, layer: int) -> torch.Tensor:
    hidden = run.calls[layer].hidden[0]
    generator = torch.Generator().manual_seed(layer)
    noise = torch.randn(hidden.shape, generator=generator)
    return hidden.std() * noise.to(hidden)
