"""Receivers of a path: parts of the model whose input is changed while their own input stream is not.

| name | what reads the change |
|---|---|
| ``output`` | the final norm and the unembedding, at the metric's position |
| ``2.mlp`` | the MLP of layer 2 |
| ``2.attn`` | all heads of layer 2 |
| ``3.5`` | head 5 of layer 3: its query, key and value |
| ``3.5.q``, ``3.5.k``, ``3.5.v`` | only one of them; of ``k`` and ``v`` head 5 is a key/value head |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.patching.one_layer import seen_in_layer
from interpboard.registry.component_names import LAYER
from interpboard.registry.layer_names import has_mlp
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.record import Run
from interpboard.runs.watch import Watch

MODEL_OUTPUT = "resid_post"  # of the last layer: nothing but the end of the model reads it
_MIDDLE = "resid_mid"  # where a model has it, the MLP comes behind attention
_NAME = re.compile(rf"({LAYER})\.(?:(mlp|attn)|(\d+)(?:\.([qkv]))?)")


@dataclass(frozen=True)
class Receiver:
    """Where the change is read: what the receiver then does is patched at ``site``.

    ``reads``: the moment, 2 · layer for attention and one later for an MLP behind it. What is written
    before that moment is seen: by the heads of a layer at 2 · layer, by its MLP at 2 · layer + 1.
    """

    name: str
    layer: int
    site: str
    reads: int
    head: int | None = None


def resolve_receivers(lm: LanguageModel, given: str | Sequence[str]) -> tuple[Receiver, ...]:
    """Receivers by name, one or several (by commas or lines). Raises ``BadParameter``, ``Unsupported``."""
    written = given.replace("\n", ",").split(",") if isinstance(given, str) else given
    names = [name.strip() for name in written]
    found = tuple(_resolve(lm, name) for name in dict.fromkeys(names))
    if not found:
        raise BadParameter("No receiver was given.", "Use e.g. output, 2.mlp or 3.5.q.")
    for receiver in found:
        lm.verified.require_site(receiver.site)
    return tuple(sorted(found, key=lambda receiver: receiver.reads))


def _resolve(lm: LanguageModel, name: str) -> Receiver:
    anatomy = lm.anatomy
    if name == "output":
        return Receiver(name, anatomy.n_layers - 1, MODEL_OUTPUT, 2 * anatomy.n_layers)
    match = _NAME.fullmatch(name)
    if match is None:
        forms = "X0.mlp, D0.attn, E0.3" if anatomy.strips is not None else "2.mlp, 2.attn, 3.5"
        letter = "X0.3.q" if anatomy.strips is not None else "3.5.q"
        raise BadParameter(f"There is no receiver {name!r}.", f"Use output, {forms} or {letter}.")
    names = anatomy.layer_names
    if match[1] not in names:
        raise BadParameter(
            f"Receiver {name}: there is no layer {match[1]}.",
            f"There are {names[0]} to {names[-1]}.",
        )
    layer = names.index(match[1])
    if match[2] == "mlp" and not has_mlp(names[layer]):
        raise BadParameter(
            f"Receiver {name}: {names[layer]} is self-attention alone.",
            f"The MLP of that layer is {name.replace('D', 'X')}.",
        )
    if match[2] == "mlp":
        return Receiver(name, layer, "mlp_out", 2 * layer + (_MIDDLE in lm.verified.sites))
    if match[2] == "attn":
        return Receiver(name, layer, "attn_out", 2 * layer)
    head, site = int(match[3]), match[4] or "z"
    count = anatomy.n_kv_heads if site in ("k", "v") else anatomy.n_heads
    if head >= count:
        what = "key/value head" if site in ("k", "v") else "head"
        raise BadParameter(
            f"Receiver {name}: there is no {what} {head}.", f"There are 0 to {count - 1}."
        )
    return Receiver(name, layer, site, 2 * layer, head)


def receiver_edits(
    run: Run,
    receivers: Sequence[Receiver],
    changes: torch.Tensor,
    written: Sequence[int],
    first: int,
    stop: int,
    position: int,
    watch: Watch,
) -> list[Counterfactual]:
    """What ``receivers`` (in order) make of changes of the stream that only they see, row by row.

    ``changes`` [row, stop − first, d_model] at positions ``first`` to ``stop`` − 1 are written at the
    moment ``written[row]``; only receivers that read later see them, the output at ``position``. A receiver
    also sees what receivers before it now do differently. The edits of a row that none sees are empty.
    """
    rows: list[Counterfactual] = [()] * len(changes)
    hidden: torch.Tensor | None = None
    at = receivers[0].layer
    moments = groupby(receivers, key=lambda receiver: (receiver.layer, receiver.site == "mlp_out"))
    for (layer, is_mlp), group in moments:
        here = list(group)
        while at < layer and run.lm.verified.path == "replay":
            seen = seen_in_layer(
                run, at, rows, (MODEL_OUTPUT,), first, stop, hidden=hidden, watch=watch
            )
            hidden, at = seen[MODEL_OUTPUT], at + 1
        who = [row for row, moment in enumerate(written) if moment < here[0].reads]
        where = tuple(range(first, stop))
        if here[0].site == MODEL_OUTPUT:
            for row in who:
                here_alone = slice(position - first, position - first + 1)
                rows[row] += (
                    Edit(MODEL_OUTPUT, layer, "add", None, (position,), changes[row][here_alone]),
                )
            continue
        entry = _MIDDLE if is_mlp and _MIDDLE in run.lm.verified.sites else "resid_pre"
        if is_mlp and entry == "resid_pre":
            _refuse_unless_parallel(run, layer, first, stop)
        altered = [
            (*rows[row], Edit(entry, layer, "add", None, where, changes[row])) for row in who
        ]
        sites = tuple({receiver.site for receiver in here})
        stream = None if hidden is None else hidden[who]
        seen = seen_in_layer(run, layer, altered, sites, first, stop, hidden=stream, watch=watch)
        for number, row in enumerate(who):
            for receiver in here:
                value = seen[receiver.site][number]
                if receiver.head is not None:  # a copy: the other heads are let go
                    value = value[:, receiver.head].clone()
                edit = Edit(receiver.site, layer, "patch", receiver.head, where, value)
                rows[row] += (edit,)
    return rows


def _refuse_unless_parallel(run: Run, layer: int, first: int, stop: int) -> None:
    """Without a stream between attention and MLP, the MLP must not see what attention adds."""
    hidden = run.calls[layer].hidden[0]
    probe = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(layer))
    value = hidden.std() * probe.to(hidden)
    rows: list[Counterfactual] = [(), (Edit("attn_out", layer, "add", value=value),)]
    found = seen_in_layer(run, layer, rows, ("mlp_out",), first, stop)["mlp_out"]
    if not agrees(found[1], found[0]):
        raise Unsupported(
            f"What the MLP of layer {layer} reads cannot be told apart on this model.",
            "Choose other receivers.",
        )
