"""What an encoder–decoder proves at load: that it is looked into as it is, and where it can be edited.

Its logits from coded strips must be those of its own forward; each site is proved as in a decoder, with a
donor that differs from the receiver in what the group's stream is made of: in the source for the encoder, in
the prefix for the decoder, and in both where cross attention fetches the one for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.checkpoint.foreign import first_line
from interpboard.models.proof.notes import switched
from interpboard.models.proof.rounding import ONE_STEP, Noise, differs, same_within_rounding
from interpboard.models.proof.rows import beside_others, plain_logits, refuse_unless_finite
from interpboard.models.proof.selfcheck import refuse_other_heads
from interpboard.models.proof.shortcuts import MISFIT, some_logits_agree
from interpboard.models.proof.sites import PROOFS, ProofPrompts, Proofs, prove_layer
from interpboard.models.proof.verified import Verified
from interpboard.models.sites import HEAD_SITES, SITES, at_site
from interpboard.models.strips import DECODER, ENCODER, group_of
from interpboard.models.two_strips.modules import coded
from interpboard.models.two_strips.replay_proof import strips_replay
from interpboard.models.unembedding import residual_to_logits

SOURCE, PREFIX = 7, 5
_OF_MLP = frozenset({"resid_mid", "neuron", "mlp_out"})
_WITHOUT_MLP: Proofs = (
    *(each for each in PROOFS if not _OF_MLP & {*each[0], each[1]}),
    (("resid_pre", "attn_out"), "resid_post"),
)
NO_LENS = "no logit lens: final norm and unembedding do not give this model's logits"
NO_REPLAY = "layers cannot be replayed exactly: plain hooked forwards are used"


def strip_prompts(anatomy: Anatomy) -> torch.Tensor:
    """Two prompts [2, 1, pos], coded, that differ at every position."""
    generator = torch.Generator().manual_seed(0)
    some = min(anatomy.d_vocab, 1000)
    low = _first_ordinary(anatomy)
    first = torch.randint(low, some, (1, SOURCE + PREFIX), generator=generator)
    shift = torch.randint(1, some - low, first.shape, generator=generator)
    both = torch.stack([first, low + (first - low + shift) % (some - low)])
    weight: torch.Tensor = anatomy.embedding.weight  # type: ignore[assignment]
    return torch.stack([coded(ids, SOURCE) for ids in both]).to(weight.device)


@torch.no_grad()
def check_strips(anatomy: Anatomy) -> Verified:
    """Prove ``anatomy``, in evaluation mode. Raises ``NotALanguageModel`` where nothing would work."""
    assert anatomy.strips is not None
    ids, other = strip_prompts(anatomy)
    name = type(anatomy.model.whole).__name__
    for each in (ids, _as_prompted(anatomy, ids)):
        _refuse_other_logits(anatomy, each, name)
    clean, donor = (plain_logits(anatomy, each)[0] for each in (ids, other))
    one_step = refuse_other_heads(anatomy, ids, clean)
    both = torch.cat([ids, other])
    together, noise = beside_others(anatomy, both, torch.stack([clean, donor]), one_step)
    if not together:
        raise NotALanguageModel(
            f"{name}: its rows change each other, which is not supported in an encoder–decoder."
        )
    last: list[torch.Tensor] = []
    with at_site(anatomy, "resid_post", anatomy.n_layers - 1, last.append):
        plain_logits(anatomy, ids)
    stream, expected = last[0][:, SOURCE:], clean[SOURCE:]
    lens = _lens_agrees(anatomy, stream, expected, one_step)
    embed = _embedding_agrees(anatomy, ids, other, donor, noise)
    by_layer = tuple(
        _sites_of(anatomy, layer, ids, other, noise) | embed for layer in range(anatomy.n_layers)
    )
    if not any(by_layer):
        raise NotALanguageModel(f"{name}: no edit at any site acts as it should.")
    replays = lens and strips_replay(anatomy, both, SOURCE, noise)
    notes = [*lacking_words(by_layer, anatomy.strips.names), *switched(anatomy)]
    notes += [] if lens else [NO_LENS]
    return Verified(
        path="replay" if replays else "hooks",
        reuse=False,
        sites=frozenset.intersection(*by_layer),
        lens=lens,
        notes=(*notes, *(() if replays else (NO_REPLAY,))),
        some_logits=lens and some_logits_agree(anatomy, expected, stream, one_step),
        causal=False,
        by_layer=by_layer,
    )


def _first_ordinary(anatomy: Anatomy) -> int:
    """The first id behind those of padding, begin and end, where they stand in front."""
    config: Any = anatomy.model.config
    special = [
        getattr(config, f"{each}_token_id", None) for each in ("pad", "bos", "eos", "decoder_start")
    ]
    return 1 + max((i for i in special if isinstance(i, int) and i < 8), default=-1)


def _as_prompted(anatomy: Anatomy, ids: torch.Tensor) -> torch.Tensor:
    """``ids`` with the end of a text behind the source and what begins a target in front of the prefix."""
    config: Any = anatomy.model.config
    ids = ids.clone()
    start, end = getattr(config, "decoder_start_token_id", None), config.eos_token_id
    if isinstance(start, int):
        ids[:, SOURCE] = -1 - start
    if isinstance(end, int):
        ids[:, SOURCE - 1] = end
    return ids


def _refuse_other_logits(anatomy: Anatomy, ids: torch.Tensor, name: str) -> None:
    """Raise ``NotALanguageModel`` unless coded ``ids`` give the logits of the model's own forward, alone,
    and in two rows that share an encoder."""
    whole: Any = anatomy.model.whole
    try:
        own = whole(
            input_ids=ids[:, :SOURCE], decoder_input_ids=-1 - ids[:, SOURCE:], use_cache=False
        ).logits[0]
        found = plain_logits(anatomy, torch.cat([ids, ids]))[:, SOURCE:]
        alone = plain_logits(anatomy, ids)[0, SOURCE:]
    except (*MISFIT, NotALanguageModel) as error:
        raise NotALanguageModel(
            f"{name} does not run as encoder and decoder of transformers do ({first_line(error)})."
        ) from error
    refuse_unless_finite(name, own)
    if not all(same_within_rounding(each, own, ONE_STEP) for each in (alone, *found)):
        raise NotALanguageModel(
            f"{name}: encoder, decoder and head, called one after the other, do not give its own logits."
        )


def _lens_agrees(
    anatomy: Anatomy, stream: torch.Tensor, expected: torch.Tensor, one_step: Noise
) -> bool:
    try:
        return same_within_rounding(residual_to_logits(anatomy, stream[0]), expected, one_step)
    except MISFIT:
        return False


def _embedding_agrees(
    anatomy: Anatomy, ids: torch.Tensor, other: torch.Tensor, donor: torch.Tensor, noise: Noise
) -> frozenset[str]:
    """``embed``, if the embeddings of another prompt give its logits, of both strips and of neither alone."""
    embedded = anatomy.embedding(other).detach()
    own = anatomy.embedding(ids).detach()
    halves = [
        torch.cat([embedded[:, :SOURCE], own[:, SOURCE:]], 1),
        torch.cat([own[:, :SOURCE], embedded[:, SOURCE:]], 1),
    ]

    def logits(value: torch.Tensor) -> torch.Tensor:
        with at_site(anatomy, "embed", None, lambda _own: value.clone()):
            return plain_logits(anatomy, ids)[0]

    mixed = [
        torch.cat([other[:, :SOURCE], ids[:, SOURCE:]], 1),
        torch.cat([ids[:, :SOURCE], other[:, SOURCE:]], 1),
    ]
    expected = [donor, *(plain_logits(anatomy, each)[0] for each in mixed)]
    agree = all(
        same_within_rounding(logits(value), want, noise)
        for value, want in zip((embedded, *halves), expected, strict=True)
    )
    apart = differs(expected[1], donor) and differs(expected[2], donor)
    return frozenset({"embed"}) if agree and apart else frozenset()


def _sites_of(
    anatomy: Anatomy, layer: int, ids: torch.Tensor, other: torch.Tensor, noise: Noise
) -> frozenset[str]:
    """What ``layer`` has; sites of an MLP where it has none are there, empty."""
    assert anatomy.strips is not None
    group = group_of(anatomy.strips.names[layer])
    new_source = torch.cat([other[:, :SOURCE], ids[:, SOURCE:]], dim=1)
    new_prefix = torch.cat([ids[:, :SOURCE], other[:, SOURCE:]], dim=1)

    def proved(donor: torch.Tensor, proofs: Proofs = PROOFS) -> frozenset[str]:
        clean, of_donor = (plain_logits(anatomy, each)[0] for each in (ids, donor))
        prompts = ProofPrompts(ids, donor, clean, of_donor, noise)
        return prove_layer(anatomy, layer, prompts, proofs).sites

    if group == ENCODER:
        return proved(new_source)
    if group == DECODER:
        return proved(new_prefix, _WITHOUT_MLP) | _OF_MLP
    # Its keys and values are the source's: with the same source nothing is shown of them.
    inside = frozenset(HEAD_SITES)
    return (proved(new_prefix) - inside) | (proved(other) & inside)


def lacking_words(by_layer: Sequence[frozenset[str]], names: Sequence[str]) -> tuple[str, ...]:
    """What is not available, and in which layers."""
    found = []
    for site in SITES:
        layers = [name for name, sites in zip(names, by_layer, strict=True) if site not in sites]
        if layers:
            where = "on this model" if len(layers) == len(names) else f"in {', '.join(layers)}"
            found.append(f"edits at {site} are not available {where}")
    return tuple(found)
