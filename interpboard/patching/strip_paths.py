"""Paths through an encoder–decoder: within either stack, and across the border between them.

Two streams: what the encoder's parts write is read in the encoder and, behind its final norm, by the keys and
values of every cross attention; what the decoder's parts write is read in the decoder. So a sender of the
encoder has direct paths to ``X0.3.k`` and ``X0.3.v`` and to no query, and none to an MLP of the decoder or to
the output. Layers are called again over both strips (``two_strips.calls``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import groupby

import torch

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.models.sites import at_site
from interpboard.models.strips import CROSS, ENCODER, group_of
from interpboard.patching.one_layer import seen_in_layer
from interpboard.patching.receivers import MODEL_OUTPUT, Receiver
from interpboard.patching.senders import SenderChanges
from interpboard.registry.layer_names import has_mlp
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.joins import first_of_decoder
from interpboard.runs.record import Run, enter_edits, record
from interpboard.runs.strip_places import positions_at
from interpboard.runs.watch import Watch

_SITES = ("z", "attn_out", "mlp_out")
_OF_STATES = ("k", "v", "z", "attn_out")  # what of a cross attention depends on the states
_OF_STREAM = ("q", "z", "attn_out")


def record_both(lm: LanguageModel, prompt: PromptInfo) -> Run:
    """A run with all that is needed of it. Raises ``Unsupported``."""
    if lm.verified.path != "replay":
        raise Unsupported(
            "Path patching calls layers again, which on this encoder–decoder is not exact.",
            "Use activation_patching.",
        )
    lm.verified.require_site("resid_pre")
    return record(lm, prompt, _SITES)


def sent_in_strips(base: Run, source: Run, before: int, watch: Watch) -> Iterator[SenderChanges]:
    """Changes source − base of every sender that writes before the moment ``before``, a layer at a time.

    Heads and MLPs of all groups, and in the first layer of either stack its embedding; over all positions
    of both strips, a sender's change being in its own. Raises ``Unsupported`` if a layer does not pass the
    stream on as it is.
    """
    n_heads, border = base.lm.anatomy.n_heads, base.prompt.border
    embedded = source.calls[0].hidden[:1] - base.calls[0].hidden[:1]
    decoder = first_of_decoder(base)
    for layer, name in enumerate(base.lm.anatomy.layer_names):
        if 2 * layer >= before:
            break
        columns = [*range(n_heads), *([n_heads] if has_mlp(name) else [])]
        changes = [_of_layer(base, source, layer, watch)]
        written = [2 * layer] * n_heads + [2 * layer + 1] * has_mlp(name)
        if layer in (0, decoder):
            own = torch.zeros_like(embedded)
            part = slice(0, border) if layer == 0 else slice(border, None)
            own[:, part] = embedded[:, part]
            changes, columns, written = [own, *changes], [n_heads + 1, *columns], [-1, *written]
        cells = tuple((layer, column) for column in columns)
        yield SenderChanges(cells, tuple(written), torch.cat(changes))


def strip_receiver_edits(
    run: Run, receivers: Sequence[Receiver], portion: SenderChanges, position: int, watch: Watch
) -> list[Counterfactual]:
    """What ``receivers`` (in order) make of ``portion``'s changes that only they see, row by row; of the
    output, at ``position``.

    A receiver also sees what receivers before it now do differently. Empty where none sees the change.
    """
    changes, border = portion.changes, run.prompt.border
    assert run.lm.anatomy.strips is not None
    names, states_of = run.lm.anatomy.layer_names, run.lm.anatomy.strips.states_of
    in_source = [group_of(names[layer]) == ENCODER for layer, _ in portion.cells]
    rows: list[Counterfactual] = [()] * len(changes)
    everywhere = tuple(range(changes.shape[1]))
    hidden = run.calls[0].hidden[:1].expand(len(rows), -1, -1)
    ends = hidden[:, :border]  # the encoder's stream, before its final norm
    decoder, last = first_of_decoder(run), max(each.layer for each in receivers)
    by_layer = {
        layer: list(some) for layer, some in groupby(receivers, key=lambda each: each.layer)
    }
    for layer in range(last + 1):
        watch.check()
        group = group_of(names[layer])
        moments = groupby(by_layer.get(layer, ()), key=lambda each: each.reads)
        for reads, some in moments:
            here = list(some)
            who = [
                row
                for row, moment in enumerate(portion.written)
                if moment < reads and any(_sees(each, in_source[row], group) for each in here)
            ]
            if not who:
                continue
            if here[0].site == MODEL_OUTPUT:
                for row in who:
                    at = slice(position, position + 1)
                    rows[row] += (
                        Edit(MODEL_OUTPUT, layer, "add", None, (position,), changes[row, at]),
                    )
                continue
            altered = [rows[row] for row in who]
            entering = hidden[who].clone()
            if here[0].site == "mlp_out":
                altered = [
                    (*edits, Edit("resid_mid", layer, "add", None, everywhere, changes[row]))
                    for edits, row in zip(altered, who, strict=True)
                ]
            elif group == CROSS:
                new = ends[who] + changes[who, :border]
                entering[:, :border] = states_of(new)
                entering[:, border:] += changes[who, border:]
            else:
                entering += changes[who]
            sites = tuple({each.site for each in here})
            seen, _ = _called(run, layer, altered, sites, entering)
            for number, row in enumerate(who):
                for each in here:
                    if _sees(each, in_source[row], group):
                        value = seen[each.site][number]
                        value = value if each.head is None else value[:, each.head]
                        edit = Edit(each.site, layer, "patch", each.head, everywhere, value)
                        rows[row] += (edit,)
        if layer < last:
            wanted = ("resid_post",) if layer == decoder - 1 else ()
            seen, hidden = _called(run, layer, rows, wanted, hidden)
            if wanted:
                ends = seen["resid_post"][:, :border]
    return rows


def _sees(receiver: Receiver, in_source: bool, group: str) -> bool:
    """Whether the receiver reads the stream that the sender writes to."""
    if in_source:
        return group == ENCODER or (group == CROSS and receiver.site in _OF_STATES)
    if group == ENCODER:
        return False
    return group != CROSS or receiver.site in (*_OF_STREAM, "mlp_out", MODEL_OUTPUT)


def _called(
    run: Run,
    layer: int,
    rows: Sequence[Counterfactual],
    sites: Sequence[str],
    hidden: torch.Tensor,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Activations at ``sites`` of ``layer`` given ``hidden`` [row, pos, d_model], with the edits of ``rows``
    that are there; and what it gives."""
    seen: dict[str, torch.Tensor] = {}

    def keep(site: str, value: torch.Tensor) -> None:
        seen[site] = value.clone()

    with ExitStack() as stack:
        enter_edits(stack, run.lm, rows, lambda edit: edit.start == layer)
        for site in sites:
            stack.enter_context(at_site(run.lm.anatomy, site, layer, partial(keep, site)))
        base = torch.zeros(len(rows), dtype=torch.long, device=hidden.device)
        given = run.calls[layer].replay(hidden, base)
    return seen, given


def _of_layer(base: Run, source: Run, layer: int, watch: Watch) -> torch.Tensor:
    """[head …, MLP where it has one; pos, d_model]"""
    lm, length = base.lm, len(base.prompt.token_ids)
    z, mlp = source.sites["z"][layer][0], source.sites["mlp_out"][layer][0]
    held = tuple(
        Edit(site, layer, "patch", value=base.sites[site][layer][0])
        for site in ("attn_out", "mlp_out")
    )
    where = slice(*_bounds(positions_at(lm, base.prompt, "resid_pre", layer)))
    noise = _probe(base, layer, where)
    rows: list[Counterfactual] = [
        *(
            (Edit("z", layer, "patch", head, value=z[:, head]), held[1])
            for head in range(lm.anatomy.n_heads)
        ),
        (held[0], Edit("mlp_out", layer, "patch", value=mlp)),
        held,
        (Edit("resid_pre", layer, "add", value=noise), *held),
    ]
    seen = seen_in_layer(base, layer, rows, ("resid_post",), 0, length, watch=watch)
    *changed, unchanged, probed = seen["resid_post"]
    if not agrees(probed[where], (unchanged + noise.to(unchanged))[where]):
        name = lm.anatomy.layer_names[layer]
        raise Unsupported(
            f"{name} does not pass the residual stream on as it is: it norms the sums in it, so what is "
            "written there reaches nothing unchanged.",
            "Use activation_patching.",
        )
    if not has_mlp(lm.anatomy.layer_names[layer]):
        changed.pop()
    return torch.stack(changed) - unchanged


def _bounds(positions: range) -> tuple[int, int]:
    return positions.start, positions.stop


def _probe(run: Run, layer: int, where: slice) -> torch.Tensor:
    hidden = run.calls[layer].hidden[0]
    generator = torch.Generator().manual_seed(layer)
    noise = torch.zeros_like(hidden)
    noise[where] = hidden.std() * torch.randn(hidden[where].shape, generator=generator).to(hidden)
    return noise
