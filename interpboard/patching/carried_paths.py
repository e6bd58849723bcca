"""Paths where a change does not go on as it was written: through norms of sums, and across a border.

A row is run twice in parallel, layer by layer: the *pass* with what receivers now do differently, and its
*direct* stream, which is made of the same parts but for the sender's, exchanged for that of the other run.
Each sum of the direct stream is made and normed anew (BERT, BART): without such norms it is the stream of the
pass and the sender's change. Receivers read the direct stream.

An encoder–decoder has two streams: what the encoder's parts write is read in the encoder and, behind its
final norm, by the keys and values of every cross attention; what the decoder's parts write is read in the
decoder. So a sender of the encoder has direct paths to ``X0.3.k`` and ``X0.3.v`` and to no query, and none to
an MLP of the decoder or to the output. Layers are called again over both strips (``two_strips.calls``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import groupby

import torch

from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.strips import CROSS, ENCODER, group_of
from interpboard.models.sum_norms import norms_of_sums
from interpboard.patching.one_layer import seen_in_layer
from interpboard.patching.receivers import MODEL_OUTPUT, Receiver
from interpboard.patching.senders import SenderChanges
from interpboard.patching.whole_runs import mlp_in_layer, normed_stream, strip_of_layer
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.joins import first_of_decoder
from interpboard.runs.record import Run, enter_edits
from interpboard.runs.rehearsal import Loop
from interpboard.runs.watch import Watch

_SITES = ("z", "attn_out", "mlp_out")
_OF_STATES = ("k", "v", "z", "attn_out")  # what of a cross attention depends on the states
_OF_STREAM = ("q", "z", "attn_out")


def carries(lm: LanguageModel) -> bool:
    """Whether paths of ``lm`` are carried: it has two streams, or norms the sums in its one."""
    anatomy = lm.anatomy
    two = anatomy.strips is not None
    return two or any(any(norms_of_sums(anatomy, i)) for i in range(anatomy.n_layers))


def sent_in_streams(
    base: Run, source: Run, receivers: Sequence[Receiver], watch: Watch
) -> Iterator[SenderChanges]:
    """Changes source − base of every sender that writes before the last of ``receivers`` (in order) reads, a
    layer at a time, each a step that a rehearsal may leave out.

    Heads and MLPs of all layers, and in the first layer of a stack its embedding: of what is added to the
    sum, over all positions, a sender's change being in its own stream.
    """
    n_heads, border, before = base.lm.anatomy.n_heads, base.prompt.border, receivers[-1].reads
    embedded = source.calls[0].hidden[:1] - base.calls[0].hidden[:1]
    decoder = first_of_decoder(base)
    layers = [layer for layer in range(base.lm.anatomy.n_layers) if 2 * layer < before]
    loop = Loop("layers of carried senders", len(layers), around="edited runs")
    for layer in layers:
        columns = [*range(n_heads), *([n_heads] if mlp_in_layer(base, layer) else [])]
        written = [2 * layer] * n_heads + [2 * layer + 1] * mlp_in_layer(base, layer)
        begins = layer in (0, decoder)
        if not loop.due(layer, 1):
            moments = [-1] * begins + written
            seen = sum(bool(_who_see(base, receivers, layer, moment)) for moment in moments)
            loop.skip(layer, seen, len(moments))
            continue
        changes = [_of_layer(base, source, layer, watch)]
        if begins:
            own = embedded
            if decoder:
                part = slice(0, border) if layer == 0 else slice(border, None)
                own = torch.zeros_like(embedded)
                own[:, part] = embedded[:, part]
            changes, columns, written = [own, *changes], [n_heads + 1, *columns], [-1, *written]
        cells = tuple((layer, column) for column in columns)
        yield SenderChanges(cells, tuple(written), torch.cat(changes))
        loop.took(layer, len(cells))
    loop.close()


def carried_edits(
    run: Run, receivers: Sequence[Receiver], portion: SenderChanges, position: int, watch: Watch
) -> list[Counterfactual]:
    """What ``receivers`` (in order) make of ``portion``'s changes that only they see, row by row; of the
    output, at ``position``.

    A receiver also sees what receivers before it now do differently. Empty where none sees the change.
    """
    streams = _Streams(run, portion)
    last = max(each.layer for each in receivers)
    for layer in range(last + 1):
        watch.check()
        here = [each for each in receivers if each.layer == layer]
        for reads, some in groupby(here, key=lambda each: each.reads):
            if reads <= 2 * layer + 1:
                streams.read(layer, reads, list(some))
        streams.go_on(layer)
        streams.read_end([each for each in here if each.reads > 2 * layer + 1], position)
    return streams.rows


class _Streams:
    """Of every row its edits, its pass (``hidden``), and its direct stream, before a layer
    [row, pos, d_model]."""

    def __init__(self, run: Run, portion: SenderChanges) -> None:
        self.run, self.changes, self.written = run, portion.changes, portion.written
        self.in_source = [_group(run, layer) == ENCODER for layer, _ in portion.cells]
        self.rows: list[Counterfactual] = [()] * len(portion.changes)
        hidden = run.calls[0].hidden[:1]
        self.hidden = hidden.expand(len(self.rows), -1, -1)
        self.direct = self.hidden + self._writes(-1)

    def read(self, layer: int, reads: int, here: Sequence[Receiver]) -> None:
        """Receivers in ``layer`` read the direct stream; what they make of it joins the edits of rows."""
        who = self._who(layer, reads, here)
        if not who:
            return
        entering, edits = self.hidden[who], [self.rows[row] for row in who]
        if here[0].site == "mlp_out" and reads > 2 * layer:
            middle = self._behind(layer, self._passes(layer)["attn_out"])
            edits = [
                (*own, Edit("resid_mid", layer, "patch", value=middle[row]))
                for own, row in zip(edits, who, strict=True)
            ]
        else:
            entering = self._entering(layer)[who]
        seen, _ = _called(self.run, layer, edits, tuple({each.site for each in here}), entering)
        for number, row in enumerate(who):
            for each in here:
                if _sees(each, self.in_source[row], _group(self.run, layer)):
                    value = seen[each.site][number]
                    value = value if each.head is None else value[:, each.head]
                    everywhere = tuple(range(value.shape[0]))
                    edit = Edit(each.site, layer, "patch", each.head, everywhere, value)
                    self.rows[row] += (edit,)

    def read_end(self, here: Sequence[Receiver], position: int) -> None:
        """The output reads the direct stream at ``position``, where the pass has ended."""
        for each in here:
            for row in self._who(each.layer, each.reads, here):
                at = slice(position, position + 1)
                change = self.direct[row, at] - self.hidden[row, at]
                edit = Edit(MODEL_OUTPUT, each.layer, "add", None, (position,), change)
                self.rows[row] += (edit,)

    def go_on(self, layer: int) -> None:
        """Both streams behind ``layer``."""
        seen = self._passes(layer)
        self.direct = self._behind(layer, seen["attn_out"], seen.get("mlp_out"))
        self.hidden = seen["hidden"]

    def _passes(self, layer: int) -> dict[str, torch.Tensor]:
        """What is added in the pass of every row, and where it goes on (``hidden``)."""
        sites = ("attn_out", "mlp_out") if mlp_in_layer(self.run, layer) else ("attn_out",)
        seen, hidden = _called(self.run, layer, self.rows, sites, self.hidden)
        return {**seen, "hidden": hidden}

    def _behind(
        self, layer: int, attention: torch.Tensor, mlp: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The direct stream behind the attention of ``layer``, and behind its MLP where ``mlp`` is given."""
        part, (mid_norm, end_norm) = (
            strip_of_layer(self.run, layer),
            norms_of_sums(self.run.lm.anatomy, layer),
        )
        found = self.direct.clone()
        attention = attention + self._writes(2 * layer)
        found[:, part] = normed_stream(mid_norm, self.direct[:, part] + attention[:, part])
        if mlp is not None:
            mlp = mlp + self._writes(2 * layer + 1)
            found[:, part] = normed_stream(end_norm, found[:, part] + mlp[:, part])
        return found

    def _entering(self, layer: int) -> torch.Tensor:
        if _group(self.run, layer) != CROSS:
            return self.direct
        assert self.run.lm.anatomy.strips is not None
        entering, source = self.direct.clone(), strip_of_layer(self.run, 0)
        entering[:, source] = self.run.lm.anatomy.strips.states_of(self.direct[:, source])
        return entering

    def _writes(self, moment: int) -> torch.Tensor:
        """The changes of those rows whose sender writes at ``moment``; 0 of the others."""
        if moment not in self.written:
            return torch.zeros_like(self.changes[:1])
        writes = torch.tensor([each == moment for each in self.written], device=self.changes.device)
        return torch.where(writes[:, None, None], self.changes, torch.zeros_like(self.changes))

    def _who(self, layer: int, reads: int, here: Sequence[Receiver]) -> list[int]:
        group = _group(self.run, layer)
        return [
            row
            for row, moment in enumerate(self.written)
            if moment < reads and any(_sees(each, self.in_source[row], group) for each in here)
        ]


def _who_see(run: Run, receivers: Sequence[Receiver], layer: int, moment: int) -> list[Receiver]:
    """Those that read what is written in ``layer`` at ``moment``."""
    in_source = _group(run, layer) == ENCODER
    return [
        each
        for each in receivers
        if moment < each.reads and _sees(each, in_source, _group(run, each.layer))
    ]


def _sees(receiver: Receiver, in_source: bool, group: str) -> bool:
    """Whether the receiver reads the stream that the sender writes to."""
    if not group:
        return True
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
    length = len(base.prompt.token_ids)
    z = source.sites["z"][layer][0]
    rows: list[Counterfactual] = [
        (Edit("z", layer, "patch", head, value=z[:, head]),)
        for head in range(base.lm.anatomy.n_heads)
    ]
    seen = seen_in_layer(base, layer, rows, ("attn_out",), 0, length, watch=watch)
    changed = seen["attn_out"] - base.sites["attn_out"][layer][:1]
    if not mlp_in_layer(base, layer):
        return changed
    own, others = (run.sites["mlp_out"][layer][:1] for run in (base, source))
    return torch.cat([changed, others - own])


def _group(run: Run, layer: int) -> str:
    """The group of ``layer``; none where there is one stack."""
    anatomy = run.lm.anatomy
    return "" if anatomy.strips is None else group_of(anatomy.layer_names[layer])
