"""Proof of a layer's sites: edits there do what their name says.

On two prompts, a *donor* and a *receiver*: patching a site of the receiver with the donor's activation,
at every position, must give the donor's activation at the next site down the stream; and where several
sites are patched together, it must not once one of them is given something else. All patches of a layer
are rows of one forward pass that ends behind the layer, or a forward pass each where rows depend on
each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.attention_sites import ATTENTION_SITES
from interpboard.models.own_attention import looking
from interpboard.models.proof.rounding import (
    ONE_STEP,
    Noise,
    differs,
    largest_error,
    same_within_rounding,
)
from interpboard.models.proof.rows import plain_logits
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.sites import HEAD_SITES, SITES, at_site

# Sites that are patched together, and the site that must then be the donor's.
Proofs = tuple[tuple[tuple[str, ...], str], ...]
PROOFS: Proofs = (
    (("embed",), "resid_post"),
    (("resid_pre",), "resid_post"),
    (("q", "k", "v"), "z"),
    (("pattern", "v"), "z"),
    (("z",), "attn_out"),
    (("resid_pre", "attn_out", "mlp_out"), "resid_post"),
    (("resid_pre", "attn_out"), "resid_post"),
    (("resid_pre", "mlp_out"), "resid_post"),
    (("resid_mid",), "resid_post"),
    (("neuron",), "mlp_out"),
    (("resid_post",), "logits"),
)
_ADDED = {"attn_out", "mlp_out"}
_PLAIN = tuple(site for site in SITES if site not in ATTENTION_SITES)
_LARGE = 8.0
_NORMED = 1e-2
Seen = dict[str, torch.Tensor]


class _Enough(Exception):
    """Raised behind the layer that is looked at."""


@dataclass(frozen=True, eq=False)
class _Row:
    """One patched run: what is put where, which site is watched, and which sites it speaks for."""

    put: Seen
    watched: str
    sites: tuple[str, ...]
    is_donor: bool  # or must not be


@dataclass(frozen=True)
class ProofPrompts:
    """Receiver and donor [1, pos] with their logits [pos, d_vocab] alone."""

    ids: torch.Tensor
    donor_ids: torch.Tensor
    clean: torch.Tensor
    donor: torch.Tensor
    noise: Noise
    alone: bool = False  # a forward pass a row

    def one_step(self, watched: str) -> Noise:
        """What rounding does to what is ``watched`` in a step or two."""
        return Noise(parts=self.noise.parts) if watched == "logits" else ONE_STEP


@dataclass(frozen=True)
class LayerProof:
    """The sites of a layer, and what it does to its input besides adding attention and MLP: nothing (``""``),
    a norm of the sum (``"norms"``), or something else (``"adds"``)."""

    sites: frozenset[str]
    besides: str


@torch.no_grad()
def prove_layer(
    anatomy: Anatomy, layer: int, prompts: ProofPrompts, proofs: Proofs = PROOFS
) -> LayerProof:
    """What ``layer`` has, of what ``proofs`` speak for."""
    proved: set[str] = set()
    besides = "adds"
    # Apart, since looking into attention must itself be seen to change nothing (falcon).
    for wanted in (_PLAIN, (*ATTENTION_SITES, "z")):
        clean, donor = (_look(anatomy, layer, prompts, wanted, of) for of in (False, True))
        if "logits" not in clean or not same_within_rounding(
            clean["logits"], prompts.clean, prompts.noise
        ):
            continue
        if not same_within_rounding(
            donor.get("logits", clean["logits"]), prompts.donor, prompts.noise
        ):
            continue
        proved |= _proved(anatomy, layer, prompts, clean, donor, proofs)
        if wanted is _PLAIN:
            besides = _besides(anatomy, layer, prompts, clean)
    return LayerProof(frozenset(proved), besides)


def _proved(
    anatomy: Anatomy,
    layer: int,
    prompts: ProofPrompts,
    clean: Seen,
    donor: Seen,
    proofs: Proofs,
) -> set[str]:
    rows = [
        row
        for sites, watched in proofs
        if all(site in donor and site in clean for site in (*sites, watched))
        and not _by_both(sites, watched, proofs, clean)
        and (layer == 0 or sites != ("embed",))  # further up other layers lie between
        and differs(
            clean[watched], donor[watched], prompts.one_step(watched)
        )  # else it shows nothing
        for row in _rows(sites, watched, clean, donor)
    ]
    found = _run(anatomy, layer, prompts, rows)
    failed = {row.sites: False for row in rows}
    rounded = 0.0
    for row, got in zip(rows, found, strict=True):
        expected = donor[row.watched]
        one_step = prompts.one_step(row.watched)
        if row.is_donor:
            noise = prompts.noise if row.watched == "logits" else prompts.noise.elsewhere
            holds = got is not None and same_within_rounding(got, expected, noise)
            rounded = largest_error(got, expected, one_step) if got is not None else 0.0
        else:  # well above what rounding just did in this very comparison
            least = 4 * max(rounded, torch.finfo(expected.dtype).eps)
            holds = got is not None and largest_error(got, expected, one_step) > least
        failed[row.sites] |= not holds
    return {site for sites, bad in failed.items() if not bad for site in sites}


def _by_both(sites: tuple[str, ...], watched: str, proofs: Proofs, clean: Seen) -> bool:
    """Whether a proof by one block of a layer is made by both of them, which this layer has."""
    return bool(_ADDED & set(sites)) and any(
        set(sites) < set(more) and behind == watched and all(site in clean for site in more)
        for more, behind in proofs
    )


def _rows(sites: tuple[str, ...], watched: str, clean: Seen, donor: Seen) -> Iterable[_Row]:
    put = {site: donor[site] for site in sites}
    yield _Row(put, watched, sites, is_donor=True)
    if len(sites) > 1:
        for own in sites:
            other = _other(own, clean[own], donor[own], donor[watched])
            if other is not None:
                yield _Row({**put, own: other}, watched, sites, is_donor=False)


def _other(
    site: str, clean: torch.Tensor, donor: torch.Tensor, watched: torch.Tensor
) -> torch.Tensor | None:
    """A value that must be seen downstream where it is put in the place of ``donor``; None if there is
    none to be had: queries of zeros, say, on either prompt."""
    if site == "resid_pre":
        return clean
    if site in ATTENTION_SITES and not differs(clean, donor):
        return None
    if site == "pattern":  # [1, query, head, key]: each query attends to itself
        itself = torch.eye(donor.shape[1], donor.shape[3], device=donor.device, dtype=donor.dtype)
        return itself[None, :, None].expand(donor.shape).contiguous()
    # A layer adds little to a stream: what is put must be large enough to be seen in it.
    # The root mean square: where most numbers are 0, the median is 0 and would put nothing there.
    size = (donor if site in ATTENTION_SITES else watched).double().square().mean().sqrt()
    noise = torch.randn(donor.shape, generator=torch.Generator().manual_seed(3))
    return donor + (_LARGE * size * noise.to(donor.device)).to(donor)


def _besides(anatomy: Anatomy, layer: int, prompts: ProofPrompts, clean: Seen) -> str:
    """What is done to the stream without what attention and MLP add: it is left as it is, but for a factor;
    it is normed, so that a stream of twice the size is left the same; or it is something else."""
    added = tuple(site for site in sorted(_ADDED) if site in clean)
    if not added or not all(site in clean for site in ("resid_pre", "resid_post")):
        return "adds"
    nothing = {site: torch.zeros_like(clean[site]) for site in added}
    before = clean["resid_pre"]
    twice = {**nothing, "resid_pre": 2 * before}
    rows = [_Row(put, "resid_post", added, is_donor=False) for put in (nothing, twice)]
    left, of_twice = _run(anatomy, layer, prompts, rows)
    if left is None or of_twice is None:
        return "adds"
    mid, end = (each[layer] if each else None for each in (anatomy.mid_norm, anatomy.end_norm))
    if mid is not None and end is not None:  # the sums are normed: of the stream two norms are left
        try:
            normed = end(mid(before))
        except MISFIT:  # norms that take a scale beside the stream (ibert)
            return "adds"
        return "" if same_within_rounding(left, normed, prompts.noise.elsewhere) else "adds"
    factor = (left.double() * before.double()).sum() / before.double().square().sum()
    noise = prompts.noise.elsewhere
    if same_within_rounding(left, (factor * before.double()).to(left.dtype), noise):
        return ""
    # Norms have an epsilon that is not doubled.
    return "norms" if largest_error(of_twice, left) < _NORMED else "adds"


def _look(
    anatomy: Anatomy, layer: int, prompts: ProofPrompts, wanted: tuple[str, ...], of_donor: bool
) -> Seen:
    """What passes at ``wanted`` sites of ``layer`` [1, pos, …], and the logits [pos, d_vocab]."""
    seen: Seen = {}

    def keep(site: str, value: torch.Tensor) -> None:
        seen[site] = value.clone()

    with ExitStack() as stack:
        stack.enter_context(looking())
        try:
            for site in wanted:
                if _is_there(anatomy, site, layer):
                    stack.enter_context(at_site(anatomy, site, layer, partial(keep, site)))
            ids = prompts.donor_ids if of_donor else prompts.ids
            seen["logits"] = plain_logits(anatomy, ids)[0]
        except (*MISFIT, NotALanguageModel):
            return {}
    return seen


def _is_there(anatomy: Anatomy, site: str, layer: int) -> bool:
    if site == "neuron":
        return anatomy.down_proj[layer] is not None
    return site not in HEAD_SITES or bool(anatomy.d_head[layer])


def _run(
    anatomy: Anatomy, layer: int, prompts: ProofPrompts, rows: list[_Row]
) -> list[torch.Tensor | None]:
    """What each row's watched site is under its patches; None where it cannot be run."""
    found: dict[int, torch.Tensor | None] = {}
    # To the logits it is a long way: only who watches them goes it.
    far = [i for i, row in enumerate(rows) if row.watched == "logits"]
    near = [i for i in range(len(rows)) if i not in far]
    for batch in (near, far):
        for part in [[i] for i in batch] if prompts.alone else [batch] if batch else []:
            got = _batch(anatomy, layer, prompts.ids, [rows[i] for i in part])
            if got is None:  # one that does not fit must not fail the others
                singly = [_batch(anatomy, layer, prompts.ids, [rows[i]]) for i in part]
                got = [None if one is None else one[0] for one in singly]
            found |= zip(part, got, strict=True)
    return [found[i] for i in range(len(rows))]


def _batch(
    anatomy: Anatomy, layer: int, ids: torch.Tensor, rows: list[_Row]
) -> list[torch.Tensor | None] | None:
    """[1, pos, …] (logits: [pos, d_vocab]) for each of ``rows``, run together; None if they cannot be."""
    seen: Seen = {}
    to_the_end = any(row.watched == "logits" for row in rows)

    def put(site: str, value: torch.Tensor) -> torch.Tensor:
        new = value.clone()  # some families (falcon) add to it in place
        for i, row in enumerate(rows):
            if site in row.put:
                new[i] = row.put[site][0]
        return new

    def keep(site: str, value: torch.Tensor) -> None:
        seen[site] = value.clone()

    def stop(_value: torch.Tensor) -> None:
        raise _Enough

    try:
        with ExitStack() as stack:
            for site in dict.fromkeys(site for row in rows for site in row.put):
                stack.enter_context(at_site(anatomy, site, layer, partial(put, site)))
            for site in dict.fromkeys(row.watched for row in rows if row.watched != "logits"):
                stack.enter_context(at_site(anatomy, site, layer, partial(keep, site)))
            if not to_the_end:
                stack.enter_context(at_site(anatomy, "resid_post", layer, stop))
            seen["logits"] = plain_logits(anatomy, ids.expand(len(rows), -1))
    except _Enough:
        pass
    except (*MISFIT, NotALanguageModel):
        return None
    return [
        None
        if row.watched not in seen
        else seen[row.watched][i]
        if row.watched == "logits"
        else seen[row.watched][i : i + 1]
        for i, row in enumerate(rows)
    ]
