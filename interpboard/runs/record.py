"""The clean run, or a batch of edited ones, and what is kept of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from interpboard.models.attention_backends import any_shape
from interpboard.models.attention_sites import (
    ATTENTION_SITES,
    AttentionChange,
    QueryBlocks,
    in_attention,
)
from interpboard.models.calls import LayerCall, recording_calls
from interpboard.models.finite import Tally
from interpboard.models.kept_tensors import Keeper
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens
from interpboard.models.partial_layer import KeptAttention, recording_attention
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit, FindsIndices, apply_edits, block_keys
from interpboard.runs.finite import require, run_words
from interpboard.runs.prompt import input_ids
from interpboard.runs.shared import recorded_together
from interpboard.runs.steps import bytes_of_a_layer, keeps_all_attention, numbers_a_token

CLEAN: tuple[Counterfactual, ...] = ((),)
KEPT_ON_DEVICE = 1 << 30
_EVERYWHERE = slice(None)


@dataclass(frozen=True)
class Run:
    """One forward pass of ``batch`` rows: the clean prompt, or one row for each set of edits.

    ``calls`` has each layer's input and arguments; ``resid_final`` [batch, pos, d_model] is the output
    of the last layer, before the final norm. ``sites[site][layer]`` [batch, pos, …] are recorded
    activations. ``attended`` has what each layer's attention gave, where replays can use it. A
    counterfactual on this run starts from one of its rows. ``keeper`` knows how much is kept, and where.
    """

    lm: LanguageModel
    prompt: PromptInfo
    edits: tuple[Counterfactual, ...]
    calls: tuple[LayerCall, ...]
    resid_final: torch.Tensor
    sites: dict[str, tuple[torch.Tensor, ...]] = field(default_factory=dict)
    attended: tuple[KeptAttention, ...] = ()
    keeper: Keeper = field(default_factory=Keeper)

    @property
    def batch(self) -> int:
        """Number of rows."""
        return len(self.edits)

    def residuals(self, row: int = 0) -> torch.Tensor:
        """[layer + 1, pos, d_model] of a row: the input of layer 0, then the output of every layer."""
        inputs = [call.hidden[row].to(self.resid_final.device) for call in self.calls]
        return torch.stack([*inputs, self.resid_final[row]])


@torch.no_grad()
def record(
    lm: LanguageModel,
    prompt: PromptInfo,
    sites: Sequence[str] = (),
    edits: Sequence[Counterfactual] = CLEAN,
    keep_on_device: int = KEPT_ON_DEVICE,
    site_rows: int | None = None,
    site_positions: slice = _EVERYWHERE,
    behind_attention: bool = True,
    *,
    partly: bool = False,
) -> Run:
    """Run the prompt once for each of ``edits``, keeping layer calls and the activations at ``sites``.

    ``partly``: a site may be lacking in some layers (a hybrid's heads); what is kept there is empty.
    ``site_rows``: activations are kept of the first so many rows only (None: of all); ``site_positions``:
    of these positions only. ``behind_attention``: what each layer's attention gave is kept too, for
    replays that begin behind it; without it, or where it would be large, they run the attention again.
    All that is kept beyond ``keep_on_device`` bytes goes to host memory, also keys and values that are
    asked for later; the output of the last layer, and masks and angles that layers share, stay. A clean run
    that is there already, of this prompt among others, is not made again (``shared``). Raises
    ``Unsupported`` for a site that this model does not have, ``NotFinite`` if a row overflows,
    ``Unaffordable`` where there is not as much memory as it would keep.
    """
    for site in sites:
        if partly:
            lm.verified.require_somewhere(site)
        else:
            lm.verified.require_site(site)
    if tuple(edits) == CLEAN and keep_on_device == KEPT_ON_DEVICE:
        there = recorded_together(lm, prompt, sites)
        if there is not None:
            attended = there.attended if behind_attention else ()
            own = {site: there.sites[site] for site in sites}
            return _at_positions(replace(there, sites=own, attended=attended), site_positions)
    ids = input_ids(lm, prompt).expand(len(edits), -1)
    run, _ = record_ids(
        lm, prompt, ids, sites, edits, keep_on_device, site_rows, site_positions, behind_attention
    )
    return run


@torch.no_grad()
def record_ids(
    lm: LanguageModel,
    prompt: PromptInfo,
    ids: torch.Tensor,
    sites: Sequence[str],
    edits: Sequence[Counterfactual],
    keep_on_device: int = KEPT_ON_DEVICE,
    site_rows: int | None = None,
    site_positions: slice = _EVERYWHERE,
    behind_attention: bool = True,
) -> tuple[Run, torch.Tensor]:
    """``record`` of ``ids`` [row, pos], which may be of several prompts, ``prompt`` being the first; and the
    body's output [row, pos, d_model], which the head takes."""
    positions = range(len(prompt.token_ids))
    of_sites = len(positions[site_positions]) * min(len(edits), site_rows or len(edits))
    keeps_attention = (
        behind_attention and lm.verified.keeps_attention and keeps_all_attention(lm, len(positions))
    )
    _require_room(lm, len(positions), len(edits), sites, of_sites, keeps_attention)
    keeper = Keeper(keep_on_device)
    calls: list[LayerCall] = []
    final: list[torch.Tensor] = []
    attended: list[KeptAttention] = []
    kept: dict[str, list[torch.Tensor]] = {site: [] for site in sites}
    n_layers = lm.anatomy.n_layers
    with ExitStack() as stack:
        stack.enter_context(recording_calls(lm.anatomy, calls, keeper))
        if keeps_attention:  # before any edit: a replay makes them again
            for attention, out_proj in zip(lm.anatomy.attention, lm.anatomy.out_proj, strict=True):
                stack.enter_context(recording_attention(attention, out_proj, attended, keeper))
        tally = Tally(len(edits))
        enter_edits(stack, lm, edits, lambda _edit: True, tally=tally)
        stack.enter_context(at_site(lm.anatomy, "resid_post", n_layers - 1, final.append))
        for site in sites:
            for layer in range(n_layers):
                keep = partial(_keep_site, keeper, kept[site], (slice(site_rows), site_positions))
                if not lm.verified.has(site, layer):
                    # Before the layer, so that what is kept stays in the order of the layers.
                    empty = partial(_keep_nothing, kept[site], site_rows)
                    stack.enter_context(at_site(lm.anatomy, "resid_pre", layer, empty))
                    continue
                stack.enter_context(at_site(lm.anatomy, site, layer, keep))
        stack.enter_context(tally.over(lm.anatomy))  # behind the edits, to hear what they make
        # The metric's run too, before any analysis begins.
        stack.enter_context(any_shape(lm.device))
        body = run_body(lm.anatomy, ids)
    require(tally, lm, run_words(prompt, edited=any(edits)))
    run = Run(
        lm, prompt, tuple(edits), tuple(calls), _beside_states(lm, prompt, calls, final[0]),
        {site: tuple(values) for site, values in kept.items()}, tuple(attended), keeper,
    )  # fmt: skip
    return run, body.last_hidden_state


def _beside_states(
    lm: LanguageModel, prompt: PromptInfo, calls: Sequence[LayerCall], final: torch.Tensor
) -> torch.Tensor:
    """``final``; of a decoder beside the encoder's states, as its layers are given and give them."""
    if lm.anatomy.strips is None:
        return final
    return torch.cat([calls[-1].hidden[:, : prompt.border], final[:, prompt.border :]], dim=1)


def _at_positions(run: Run, positions: slice) -> Run:
    if positions == _EVERYWHERE:
        return run
    sites = {site: tuple(v[:, positions] for v in values) for site, values in run.sites.items()}
    return replace(run, sites=sites)


def _require_room(
    lm: LanguageModel, length: int, rows: int, sites: Sequence[str], of_sites: int, attention: bool
) -> None:
    """Raise ``Unaffordable`` where what is kept, and the sites of ``of_sites`` tokens, has no room."""
    anatomy, share = lm.anatomy, of_sites / length
    a_token = anatomy.d_model + (anatomy.n_heads * max(anatomy.d_head) if attention else 0)
    weight: torch.Tensor = anatomy.embedding.weight  # type: ignore[assignment]

    def needed(tokens: int) -> int:
        at_sites = math.ceil(share * tokens) * sum(
            numbers_a_token(lm, site, tokens) for site in sites
        )
        return (rows * tokens * a_token + at_sites) * anatomy.n_layers * weight.element_size()

    device = lm.device if needed(length) <= KEPT_ON_DEVICE else torch.device("cpu")
    what = f"What is kept of {rows} run{'s' if rows > 1 else ''} of {length:,} tokens"
    if sites:
        what += f", {' and '.join(sites)} of {anatomy.n_layers} layers among it,"
    beside = partial(bytes_of_a_layer, lm, rows=rows, pattern="pattern" in sites)
    # Later as much again: it is read, or another run is kept.
    require_room_for_tokens(device, needed, length, what, beside=beside, later=needed)


def enter_edits(
    stack: ExitStack,
    lm: LanguageModel,
    rows: Sequence[Counterfactual],
    wanted: Callable[[Edit], bool],
    first: int = 0,
    mlp_first: int | None = None,
    tally: Tally | None = None,
    indices: FindsIndices | None = None,
) -> None:
    """Open a hook for every site that the wanted edits of ``rows`` touch.

    ``tally`` hears what they make of queries, keys and values, which no module's output shows.

    ``first``: the prompt's position at which the forward's activations begin; ``mlp_first``: that at
    which the MLP's do, where it is another. ``indices`` may know those of the edits.
    """
    for (site, layer), edits in edits_by_site(rows, wanted).items():
        begin = first_at(site, first, mlp_first)
        if site == "mask":
            hide = partial(_hidden_keys, edits, lm.anatomy.n_heads, first, indices)
            strips, anatomy = lm.anatomy.strips, lm.anatomy
            at = in_attention if strips is None else strips.at
            stack.enter_context(at(anatomy, site, layer, by_blocks(lm, hide)))
            continue
        if site == "pattern":
            block = partial(_edited_block, tally, f"the attention of layer {layer}", edits, begin)
            stack.enter_context(at_site(lm.anatomy, site, layer, by_blocks(lm, block)))
            continue
        act: AttentionChange = partial(apply_edits, rows=edits, first=begin, indices=indices)
        if tally is not None and site in ATTENTION_SITES:
            act = partial(_heard, tally, f"the attention of layer {layer}", act)
        stack.enter_context(at_site(lm.anatomy, site, layer, act))


def edits_by_site(
    rows: Sequence[Counterfactual], wanted: Callable[[Edit], bool]
) -> dict[tuple[str, int], list[tuple[int, Edit]]]:
    """The wanted edits, each with its row, by site and layer."""
    by_site: dict[tuple[str, int], list[tuple[int, Edit]]] = {}
    for row, counterfactual in enumerate(rows):
        for edit in counterfactual:
            if wanted(edit):
                site = "mask" if edit.kind == "block" else edit.site
                by_site.setdefault((site, edit.layer), []).append((row, edit))
    return by_site


def first_at(site: str, first: int, mlp_first: int | None) -> int:
    """The prompt's position at which activations at ``site`` begin; the others as for ``enter_edits``."""
    if mlp_first is not None and site in ("neuron", "router", "mlp_out"):
        return mlp_first
    # Keys and values arrive with those of the positions before ``first`` in front.
    return 0 if site in ("k", "v") else first


def by_blocks(
    lm: LanguageModel, act: Callable[[torch.Tensor, int], torch.Tensor | None]
) -> AttentionChange:
    """A change of ``pattern`` by blocks of queries, where the model proved that they can be computed so."""
    return QueryBlocks(act) if lm.verified.blocks else partial(_whole, act)


def _whole(
    act: Callable[[torch.Tensor, int], torch.Tensor | None], pattern: torch.Tensor
) -> torch.Tensor | None:
    return act(pattern, 0)


def _hidden_keys(
    edits: list[tuple[int, Edit]],
    heads: int,
    begin: int,
    indices: FindsIndices | None,
    mask: torch.Tensor,
    first: int,
) -> torch.Tensor:
    return block_keys(mask, edits, heads, begin + first, indices)


def _edited_block(
    tally: Tally | None,
    place: str,
    edits: list[tuple[int, Edit]],
    begin: int,
    block: torch.Tensor,
    first: int,
) -> torch.Tensor:
    edited = apply_edits(block, edits, begin + first)
    if tally is not None:
        tally.hear(place, edited)
    return edited


def _heard(
    tally: Tally, place: str, act: AttentionChange, value: torch.Tensor
) -> torch.Tensor | None:
    changed = act(value)
    tally.hear(place, value if changed is None else changed)
    return changed


def _keep_nothing(where: list[torch.Tensor], rows: int | None, stream: torch.Tensor) -> None:
    where.append(stream.new_empty((len(stream[:rows]), 0)))


def _keep_site(
    keeper: Keeper, where: list[torch.Tensor], part: tuple[slice, slice], value: torch.Tensor
) -> None:
    # A copy: some families go on to add to it in place.
    where.append(keeper.keep(value[part], copy=True).tensor)
