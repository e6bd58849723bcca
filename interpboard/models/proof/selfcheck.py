"""At load, a model proves what the analyses rely on. What it cannot prove is switched off, by name.

On random prompts of eight tokens: rows must not depend on those beside them nor on later tokens
(``row_proofs``); sites are proved on a layer of each kind (``site_proofs``, ``kinds``); the tail must
give the model's own logits; replayed layers must equal plain hooked forwards on edited rows
(``replay_proofs``); what saves arithmetic must give the same (``shortcuts``). Everything is compared
where it lies, up to what rounding does there (``rounding``). A model that fails where nothing can work
without it is refused. Never a silent wrong number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.as_opened import may_look_at_places
from interpboard.models.calls import LayerCall, recording_calls
from interpboard.models.checkpoint.foreign import first_line
from interpboard.models.division import device_of
from interpboard.models.packed import mixes_rows
from interpboard.models.proof.absorbed import absorbed_agrees
from interpboard.models.proof.end_to_end import end_to_end_agrees
from interpboard.models.proof.faster_parts import faster_head_agrees, faster_parts_agree
from interpboard.models.proof.fewer_passes import fewer_passes_names
from interpboard.models.proof.fused_gelu import fused_gelu_names
from interpboard.models.proof.heads import why_no_heads, why_no_pattern
from interpboard.models.proof.kinds import kinds_of_layers, layers_to_prove
from interpboard.models.proof.mixtures import router_sites
from interpboard.models.proof.notes import ALONE, layer_notes
from interpboard.models.proof.replay import replay_agrees
from interpboard.models.proof.rounding import Noise, agrees, same_within_rounding
from interpboard.models.proof.rows import (
    beside_others,
    depends_on_later,
    head_is_independent,
    plain_logits,
    refuse_filling_up,
    refuse_unless_finite,
)
from interpboard.models.proof.shortcuts import (
    MISFIT,
    blocks_agree,
    kept_attention_agrees,
    mlp_at_one_agrees,
    one_query_agrees,
    some_logits_agree,
)
from interpboard.models.proof.sites import ProofPrompts, prove_layer
from interpboard.models.proof.streams import stream_sites
from interpboard.models.proof.verified import Verified
from interpboard.models.proof.whole_layers import whole_layers_agree
from interpboard.models.sites import at_site
from interpboard.models.training_mode import evaluating
from interpboard.models.unembedding import residual_to_logits, run_body, unembed

__all__ = [
    "ALONE",
    "Verified",
    "agrees",
    "plain_logits",
    "random_prompts",
    "self_check",
    "with_final_norm",
]

_TOKENS, _NUDGED = 8, 0.1  # the latter of a number's own size


@torch.no_grad()
def self_check(anatomy: Anatomy, causal: bool = True) -> Verified:
    """Prove ``anatomy`` on random tokens, in evaluation mode; raises ``NotALanguageModel`` where nothing
    would work, and for one that is said to be ``causal`` and looks at later tokens."""
    with evaluating(anatomy.model):
        return _checked(anatomy, causal)


@torch.no_grad()
def with_final_norm(anatomy: Anatomy) -> Anatomy:
    """``anatomy`` with that one of its ``final_norms`` which, with the unembedding, gives the model's logits
    from the last layer's output; as it is where none does."""
    last: list[torch.Tensor] = []
    ids = random_prompts(anatomy)[0]
    with (
        evaluating(anatomy.model),
        at_site(anatomy, "resid_post", anatomy.n_layers - 1, last.append),
    ):
        clean = plain_logits(anatomy, ids)[0]
    one_step = refuse_other_heads(anatomy, ids, clean)
    tried = (replace(anatomy, final_norm=norm) for norm in anatomy.final_norms)
    fits = (a for a in tried if _lens_agrees(a, clean, last[0], anatomy.alone, one_step))
    return next(fits, anatomy)


def _checked(anatomy: Anatomy, causal: bool) -> Verified:
    name = type(anatomy.model).__name__
    ids, donor_ids = random_prompts(anatomy) if causal else unpadded_prompts(anatomy)
    calls: list[LayerCall] = []
    last: list[torch.Tensor] = []
    with (
        recording_calls(anatomy, calls),
        at_site(anatomy, "resid_post", anatomy.n_layers - 1, last.append),
    ):
        clean = plain_logits(anatomy, ids)[0]
    _refuse_without_layers(anatomy, calls, last)
    refuse_unless_finite(name, clean)
    one_step = refuse_other_heads(anatomy, ids, clean)
    both = torch.cat([ids, donor_ids])
    donor = plain_logits(anatomy, donor_ids)[0]
    together, noise = beside_others(anatomy, both, torch.stack([clean, donor]), one_step)
    mixes = any(mixes_rows(module) for module in anatomy.model.modules())  # on some rows only
    later = causal and depends_on_later(anatomy, ids, clean, noise)
    alone = later or not together or mixes
    lens = _lens_agrees(anatomy, clean, last[0], alone, one_step)
    # Before any forward pass is ended early: what a model sets at its begin may wait for its end.
    replays, reuse = (False, False)
    if lens and not alone:
        replays, reuse = replay_agrees(anatomy, both, noise, whole=not causal)
    whole = may_look_at_places(anatomy.layers)
    refuse_filling_up(anatomy, ids[:, 1:])
    prompts = ProofPrompts(ids, donor_ids, clean, donor, noise, alone)
    kinds = kinds_of_layers(anatomy)
    by_layer, besides = _prove_layers(anatomy, kinds, prompts)
    sites = frozenset.intersection(*by_layer)
    if not any(by_layer):
        raise NotALanguageModel(f"{name}: no edit at any site acts as it should.")
    _refuse_other_runs(anatomy, ids, clean, noise)
    no_pattern = why_no_pattern(anatomy, ids, by_layer)
    one_query = replays and not whole and one_query_agrees(anatomy, calls, noise.elsewhere, reuse)
    return Verified(
        "replay" if replays else "hooks",
        reuse and not whole,
        sites,
        lens,
        layer_notes(
            anatomy, by_layer, lens or anatomy.reads_all, replays, alone, besides, no_pattern
        ),
        some_logits=lens
        and not alone
        and anatomy.label_head is None
        and some_logits_agree(anatomy, clean, last[0], one_step),
        mlp_at_one=replays and mlp_at_one_agrees(anatomy, clean, calls, noise),
        one_query=one_query,
        absorbed=one_query and absorbed_agrees(anatomy, calls, noise.elsewhere),
        end_to_end=one_query
        and end_to_end_agrees(anatomy, calls, layers_to_prove(kinds), noise.elsewhere),
        keeps_attention=replays
        and any("z" in here for here in by_layer)
        and kept_attention_agrees(
            anatomy, ids, calls, layers_to_prove(kinds), by_layer, noise.elsewhere
        ),
        causal=causal,
        blocks=blocks_agree(anatomy, ids, layers_to_prove(kinds), by_layer),
        faster_parts=not alone and faster_parts_agree(anatomy, layers_to_prove(kinds)),
        fused_gelu=fused_gelu_names(anatomy, calls, kinds, layers_to_prove(kinds))
        if replays
        else (),
        fewer_passes=fewer_passes_names(calls, kinds, layers_to_prove(kinds)) if replays else (),
        whole_layers=replays
        and whole_layers_agree(anatomy, calls, layers_to_prove(kinds), noise.elsewhere),
        faster_head=lens and not alone and faster_head_agrees(anatomy),
        alone=alone,
        by_layer=by_layer,
        no_heads=why_no_heads(anatomy),
        no_pattern=no_pattern,
        reads_all=anatomy.reads_all,
    )


def _prove_layers(
    anatomy: Anatomy, kinds: Sequence[int], prompts: ProofPrompts
) -> tuple[tuple[frozenset[str], ...], set[str]]:
    """The sites of each layer, those that all proved layers of its kind have; and what layers do besides
    adding attention and MLP."""
    found = {layer: prove_layer(anatomy, layer, prompts) for layer in layers_to_prove(kinds)}
    embed = found[0].sites & {"embed"}
    for layer, proof in found.items():
        if not {"resid_pre", "resid_post"} <= proof.sites:
            more = stream_sites(anatomy, layer, prompts)
            found[layer] = replace(proof, sites=proof.sites | more)
    for layer, proof in found.items():
        more = router_sites(anatomy, layer, prompts)
        found[layer] = replace(proof, sites=proof.sites | more)
    by_kind = {
        kind: frozenset.intersection(*(found[i].sites for i in found if kinds[i] == kind)) | embed
        for kind in set(kinds)
    }
    return tuple(by_kind[kind] for kind in kinds), {p.besides for p in found.values()}


def random_prompts(anatomy: Anatomy) -> torch.Tensor:
    """Two prompts [2, 1, pos] that differ at every position."""
    generator = torch.Generator().manual_seed(0)
    some = min(anatomy.d_vocab, 1000)
    first = torch.randint(some, (1, _TOKENS), generator=generator)
    shift = torch.randint(1, some, (1, _TOKENS), generator=generator)
    device = device_of(anatomy.embedding)
    return torch.stack([first, (first + shift) % some]).to(device)


def unpadded_prompts(anatomy: Anatomy) -> torch.Tensor:
    """The same without padding tokens: some encoders (roberta) count positions without them."""
    config: Any = anatomy.model.config
    pad = getattr(config.get_text_config(), "pad_token_id", None)
    ids = random_prompts(anatomy)
    return ids if pad is None else torch.where(ids == pad, pad + 1, ids)


def _refuse_without_layers(
    anatomy: Anatomy, calls: Sequence[LayerCall], last: Sequence[torch.Tensor]
) -> None:
    name = type(anatomy.model).__name__
    if len(calls) > anatomy.n_layers:
        raise NotALanguageModel(
            f"{name} runs its {anatomy.n_layers} layers {len(calls)} times in one forward pass.",
            "Models that run a layer again are not supported.",
        )
    if len(calls) != anatomy.n_layers or not last:
        raise NotALanguageModel(
            f"{name}: hooks fired on {len(calls)} of {anatomy.n_layers} layers.",
            "It cannot be looked into; is it compiled or wrapped?",
        )
    wanted = (1, _TOKENS, anatomy.d_model)
    for shape in [*(tuple(call.hidden.shape) for call in calls), tuple(last[0].shape)]:
        if shape != wanted:
            raise NotALanguageModel(
                f"{name}: its layers pass {list(shape)} on, where a residual stream is "
                f"[row, position, d_model], here {list(wanted)}.",
                "Models with several streams or other layouts are not supported.",
            )


def refuse_other_heads(anatomy: Anatomy, ids: torch.Tensor, clean: torch.Tensor) -> Noise:
    """Raise ``NotALanguageModel`` unless the head gives ``clean`` [pos, d_vocab] position by position.

    Gives what rounding does in the head alone.
    """
    name = type(anatomy.model).__name__
    try:
        hidden = run_body(anatomy, ids).last_hidden_state[0]
        at_one = unembed(anatomy, hidden[3, None])
        one_step = Noise(parts=_parts(anatomy, hidden))
    except MISFIT as error:
        raise NotALanguageModel(
            f"{name}: its head reads more of what its body gives than the last hidden state "
            f"({first_line(error)})."
        ) from error
    if not same_within_rounding(at_one, clean[3, None], one_step):
        _refuse_other_runs(anatomy, ids, clean, one_step)
        raise NotALanguageModel(f"{name}: its head does more than unembed.")
    return one_step


def _refuse_other_runs(
    anatomy: Anatomy, ids: torch.Tensor, clean: torch.Tensor, noise: Noise
) -> None:
    """Raise ``NotALanguageModel`` where further runs of ``ids`` do not give ``clean`` [pos, d_vocab]."""
    # Twice: one that alternates is found, too.
    if not all(same_within_rounding(plain_logits(anatomy, ids)[0], clean, noise) for _ in range(2)):
        raise NotALanguageModel(
            f"{type(anatomy.model).__name__} gives one prompt other logits at each run: it draws at random, "
            "or keeps something between runs.",
            "Runs are compared with each other here: switch that off.",
        )


def refuse_other_unembedding(anatomy: Anatomy) -> None:
    """Raise ``NotALanguageModel`` unless the logits [row, pos, d_vocab] come out of the unembedding that the
    user named: it gives as many numbers, and without them there are other logits."""
    ids = random_prompts(anatomy)[0]
    shapes: list[tuple[int, ...]] = []

    def silence(_module: Any, _args: Any, output: Any) -> Any:
        shapes.append(tuple(output.shape))
        return torch.zeros_like(output)

    clean = plain_logits(anatomy, ids)
    handle = anatomy.unembedding.register_forward_hook(silence)
    try:
        silent = plain_logits(anatomy, ids)
    except MISFIT:
        silent = clean
    finally:
        handle.remove()
    if shapes != [tuple(clean.shape)] or bool((silent == clean).all()):
        raise NotALanguageModel(
            f"{type(anatomy.unembedding).__name__}, named as head, is not what makes the logits.",
            "Name the unembedding.",
        )


def _parts(anatomy: Anatomy, hidden: torch.Tensor) -> torch.Tensor:
    """The usual size [d_vocab] of the terms whose sum a logit is: what changing each of the numbers
    ``hidden`` [pos, d_model] by some of its own size, a row each, changes, in that size."""
    generator = torch.Generator().manual_seed(4)
    by = _NUDGED * torch.randn(hidden.shape, generator=generator).to(hidden.device)
    change = unembed(anatomy, (hidden * (1 + by)).to(hidden)).double()
    change -= unembed(anatomy, hidden).double()
    # An overflow (float16) says nothing of a size.
    return (change.square().mean(0).sqrt() / _NUDGED).nan_to_num(nan=0.0, posinf=0.0)


def _lens_agrees(
    anatomy: Anatomy, clean: torch.Tensor, last: torch.Tensor, alone: bool, one_step: Noise
) -> bool:
    if anatomy.reads_all:  # the logits are of no position's stream
        return False

    def logits_of(residual: torch.Tensor) -> torch.Tensor:
        return residual_to_logits(anatomy, residual)

    try:
        agree = same_within_rounding(logits_of(last[0]), clean.to(last[0].device), one_step)
        return agree and (not alone or head_is_independent(last[0], logits_of, one_step))
    except MISFIT:
        return False
