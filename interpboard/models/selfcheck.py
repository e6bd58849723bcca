"""At load, a model proves what the analyses rely on. What it cannot prove is switched off, by name.

On two random prompts of eight tokens, a *donor* and a *receiver*: patching a site of the receiver with
the donor's activation, at every position, must give the donor's activation at the next site down the
stream. The last logits must not depend on later tokens; the tail must give the model's own logits;
replayed layers must equal the plain forward. A model that fails where nothing can work without it is
refused. Never a silent wrong number.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from interpboard.errors import NotALanguageModel, Unsupported
from interpboard.models.anatomy import Anatomy
from interpboard.models.attention_sites import ATTENTION_SITES
from interpboard.models.calls import LayerCall, recording_calls
from interpboard.models.shortcuts import (
    MISFIT,
    agrees,
    kept_attention_agrees,
    mlp_at_one_agrees,
    some_logits_agree,
)
from interpboard.models.sites import SITES, at_site
from interpboard.models.tail import forward_logits, residual_to_logits

_TOKENS = 8
# Sites that are patched together, and the site that must then be the donor's.
_PROOFS = (
    (("embed",), "resid_post"),
    (("resid_pre",), "resid_post"),
    (("q", "k", "v"), "z"),
    (("pattern", "v"), "z"),
    (("z",), "attn_out"),
    (("resid_pre", "attn_out", "mlp_out"), "resid_post"),
    (("resid_mid",), "resid_post"),
    (("neuron",), "mlp_out"),
    (("resid_post",), "logits"),
)


@dataclass(frozen=True)
class Verified:
    """What a model proved. ``path``: ``replay`` (layers called again) or ``hooks`` (plain forwards).

    ``reuse``: a replay may begin at a later position, with recorded keys and values before it.
    ``some_logits``: the head gives the same logits for a few tokens as for all. ``mlp_at_one``: the last
    layer's MLP may run at the metric's position alone. ``keeps_attention``: rows edited behind
    attention may take their head outputs as recorded. ``causal``: later tokens do not matter.
    """

    path: str
    reuse: bool
    sites: frozenset[str]
    lens: bool
    notes: tuple[str, ...]
    some_logits: bool = False
    mlp_at_one: bool = False
    keeps_attention: bool = False
    causal: bool = True

    def require_site(self, site: str) -> None:
        """Raise ``Unsupported`` unless edits at ``site`` were seen to do what they should."""
        if site not in self.sites:
            raise Unsupported(f"Edits at {site} are not available on this model.")

    def require_lens(self) -> None:
        """Raise ``Unsupported`` unless final norm and unembedding gave the model's own logits."""
        if not self.lens:
            raise Unsupported("Final norm and unembedding do not give this model's logits.")


@torch.no_grad()
def self_check(anatomy: Anatomy) -> Verified:
    """Prove ``anatomy`` on random tokens; raises ``NotALanguageModel`` where nothing would work."""
    model: Any = anatomy.model
    ids, donor_ids = random_prompts(anatomy)
    calls: list[LayerCall] = []
    last: list[torch.Tensor] = []
    with (
        recording_calls(anatomy, calls),
        at_site(anatomy, "resid_post", anatomy.n_layers - 1, last.append),
    ):
        clean = plain_logits(anatomy, ids)
    if len(calls) != anatomy.n_layers or not last:
        raise NotALanguageModel(
            f"{type(model).__name__}: hooks fired on {len(calls)} of {anatomy.n_layers} layers.",
            "It cannot be looked into; is it compiled or wrapped?",
        )
    if not torch.isfinite(clean).all():
        raise NotALanguageModel(
            f"{type(model).__name__} gives logits that are not finite.", "Try --dtype float32."
        )
    if not agrees(forward_logits(anatomy, ids, 3)[0], clean[3]):
        raise NotALanguageModel(f"{type(model).__name__}: its head does more than unembed.")
    _refuse_if_it_looks_ahead(anatomy, ids, clean)
    sites = _proved_sites(anatomy, ids, donor_ids)
    if not sites:
        raise NotALanguageModel(f"{type(model).__name__}: no edit at any site acts as it should.")
    lens = _lens_agrees(anatomy, clean, last[0])
    replays = lens and _replay_agrees(anatomy, clean, calls, first=0)
    reuse = replays and _replay_agrees(anatomy, clean, calls, first=3)
    return Verified(
        "replay" if replays else "hooks",
        reuse,
        sites,
        lens,
        _notes(sites, lens, replays),
        some_logits=lens and some_logits_agree(anatomy, clean, last[0]),
        mlp_at_one=replays and mlp_at_one_agrees(anatomy, clean, calls),
        keeps_attention=replays and "z" in sites and kept_attention_agrees(anatomy, ids, calls),
    )


def _notes(sites: frozenset[str], lens: bool, replays: bool) -> tuple[str, ...]:
    missing = [site for site in SITES if site not in sites]
    notes = [f"edits at {', '.join(missing)} are not available on this model"] if missing else []
    if not lens:
        notes.append("no logit lens: final norm and unembedding do not give this model's logits")
    if not replays:
        notes.append("layers cannot be replayed exactly: plain hooked forwards are used")
    return tuple(notes)


def random_prompts(anatomy: Anatomy) -> torch.Tensor:
    """Two prompts [2, 1, pos] that differ at every position."""
    generator = torch.Generator().manual_seed(0)
    some = min(anatomy.d_vocab, 1000)
    first = torch.randint(some, (1, _TOKENS), generator=generator)
    shift = torch.randint(1, some, (1, _TOKENS), generator=generator)
    device: Any = anatomy.embedding.weight.device
    return torch.stack([first, (first + shift) % some]).to(device)


def plain_logits(anatomy: Anatomy, ids: torch.Tensor) -> torch.Tensor:
    """Logits [pos, d_vocab] of the plain model."""
    model: Any = anatomy.model
    try:
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits[0]
    except (RuntimeError, NotImplementedError) as error:  # a kernel that lacks this number format
        raise NotALanguageModel(
            f"{type(model).__name__} cannot run in {model.dtype} on {ids.device}: {error}.",
            "Try --dtype float32.",
        ) from error
    return logits


def _refuse_if_it_looks_ahead(anatomy: Anatomy, ids: torch.Tensor, clean: torch.Tensor) -> None:
    other = ids.clone()
    other[0, -1] = (other[0, -1] + 1) % min(anatomy.d_vocab, 1000)
    if not agrees(plain_logits(anatomy, other)[:-1], clean[:-1]):
        raise NotALanguageModel(
            f"{type(anatomy.model).__name__} looks at later tokens, so it predicts no next token.",
            "Choose a decoder (causal) model.",
        )


def _proved_sites(anatomy: Anatomy, ids: torch.Tensor, donor_ids: torch.Tensor) -> frozenset[str]:
    """The sites proved at the first and at the last layer."""
    plain = tuple(site for site in SITES if site not in ATTENTION_SITES)
    proved = set(SITES)
    for layer in {0, anatomy.n_layers - 1}:
        here: set[str] = set()
        # Apart, since looking into attention must itself be seen to change nothing (falcon).
        for wanted in (plain, (*ATTENTION_SITES, "z")):
            clean = _seen(anatomy, layer, ids, {}, wanted)
            donor = _seen(anatomy, layer, donor_ids, {}, wanted)
            if "logits" not in clean or not agrees(clean["logits"], plain_logits(anatomy, ids)):
                continue
            for patched, watched in _PROOFS:
                if not all(site in donor for site in (*patched, watched)):
                    continue
                patches = {site: donor[site] for site in patched}
                got = _seen(anatomy, layer, ids, patches, (watched,))
                differs = not agrees(clean[watched], donor[watched])  # else it shows nothing
                if differs and watched in got and agrees(got[watched], donor[watched]):
                    here.update(patched)
        proved &= here
    return frozenset(proved)


def _seen(
    anatomy: Anatomy,
    layer: int,
    ids: torch.Tensor,
    patches: dict[str, torch.Tensor],
    wanted: tuple[str, ...],
) -> dict[str, torch.Tensor]:
    """What passes at ``wanted`` sites of ``layer``, and the logits, under ``patches``; by site."""
    seen: dict[str, torch.Tensor] = {}

    def keep(site: str, value: torch.Tensor) -> None:
        seen[site] = value.clone()

    def put(value: torch.Tensor, _old: torch.Tensor) -> torch.Tensor:
        return value.clone()  # some families (falcon) add to it in place

    with ExitStack() as stack:
        try:
            for site, value in patches.items():
                stack.enter_context(at_site(anatomy, site, layer, partial(put, value)))
            for site in wanted:
                if site != "logits" and not (site == "neuron" and not anatomy.down_proj[layer]):
                    stack.enter_context(at_site(anatomy, site, layer, partial(keep, site)))
            seen["logits"] = plain_logits(anatomy, ids)
        except (*MISFIT, NotALanguageModel):
            return {}
    return seen


def _lens_agrees(anatomy: Anatomy, clean: torch.Tensor, last: torch.Tensor) -> bool:
    try:
        return agrees(residual_to_logits(anatomy, last[0]), clean)
    except MISFIT:
        return False


def _replay_agrees(
    anatomy: Anatomy, clean: torch.Tensor, calls: list[LayerCall], first: int
) -> bool:
    try:
        return all(
            agrees(residual_to_logits(anatomy, row), clean[first:])
            for start in {0, anatomy.n_layers // 2}
            for row in _replayed(calls[start:], first)
        )
    except MISFIT:
        return False


def _replayed(calls: list[LayerCall], first: int) -> torch.Tensor:
    hidden = calls[0].hidden[:, first:].repeat(2, 1, 1)
    for call in calls:
        hidden = call.replay(hidden, first=first)
    return hidden
