"""At load, a model proves what the analyses rely on. What it cannot prove is switched off, by name.

On eight random tokens: hooks fire and edits at every site change the logits; the last logits do not
depend on later tokens; the tail gives the model's own logits; replayed layers equal the plain forward.
A model that fails where nothing can work without it is refused. Never a silent wrong number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from interpboard.errors import NotALanguageModel, Unsupported
from interpboard.models.anatomy import Anatomy
from interpboard.models.calls import LayerCall, recording_calls
from interpboard.models.sites import SITES, at_site
from interpboard.models.tail import forward_logits, residual_to_logits

# Some families compute attention in float32 whatever they are asked for, hence 1e-6 for float64.
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 5e-5, torch.bfloat16: 0.06, torch.float16: 0.02}
_TOKENS = 8


@dataclass(frozen=True)
class Verified:
    """What a model proved. ``path``: ``replay`` (layers called again) or ``hooks`` (plain forwards)."""

    path: str
    sites: frozenset[str]
    lens: bool
    notes: tuple[str, ...]

    def require_site(self, site: str) -> None:
        """Raise ``Unsupported`` unless edits at ``site`` were seen to act."""
        if site not in self.sites:
            raise Unsupported(f"Edits at {site} do not act on this model.")

    def require_lens(self) -> None:
        """Raise ``Unsupported`` unless final norm and unembedding gave the model's own logits."""
        if not self.lens:
            raise Unsupported("Final norm and unembedding do not give this model's logits.")


@torch.no_grad()
def self_check(anatomy: Anatomy) -> Verified:
    """Prove ``anatomy`` on random tokens; raises ``NotALanguageModel`` where nothing would work."""
    model: Any = anatomy.model
    device: Any = anatomy.embedding.weight.device
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(min(anatomy.d_vocab, 1000), (1, _TOKENS), generator=generator).to(device)
    calls: list[LayerCall] = []
    last: list[torch.Tensor] = []
    with (
        recording_calls(anatomy, calls),
        at_site(anatomy, "resid_post", anatomy.n_layers - 1, last.append),
    ):
        clean = _plain(model, ids)
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
    sites = frozenset(site for site in SITES if _edit_acts(anatomy, ids, clean, site))
    if not sites:
        raise NotALanguageModel(f"{type(model).__name__}: no edit at any site changes the logits.")
    lens = _lens_agrees(anatomy, clean, last[0])
    path = "replay" if lens and _replay_agrees(anatomy, clean, calls) else "hooks"
    notes = [f"edits at {site} do not act on this model" for site in SITES if site not in sites]
    if not lens:
        notes.append("no logit lens: final norm and unembedding do not give this model's logits")
    if path == "hooks":
        notes.append("layers cannot be replayed exactly: plain hooked forwards are used")
    return Verified(path, sites, lens, tuple(notes))


def agrees(measured: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two sets of logits are the same up to the rounding of their number format."""
    scale = 1.0 + float(expected.abs().max())
    return float((measured - expected).abs().max()) <= _TOLERANCE[expected.dtype] * scale


def _plain(model: Any, ids: torch.Tensor) -> torch.Tensor:
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
    model: Any = anatomy.model
    changed = model(input_ids=other, use_cache=False).logits[0]
    if not agrees(changed[:-1], clean[:-1]):
        raise NotALanguageModel(
            f"{type(model).__name__} looks at later tokens, so it predicts no next token.",
            "Choose a decoder (causal) model.",
        )


def _edit_acts(anatomy: Anatomy, ids: torch.Tensor, clean: torch.Tensor, site: str) -> bool:
    def scramble(value: torch.Tensor) -> torch.Tensor:
        return value.flip(-1) * 3 + 1

    model: Any = anatomy.model
    for layer in (0, anatomy.n_layers - 1):
        with at_site(anatomy, site, layer, scramble):
            edited = model(input_ids=ids, use_cache=False).logits[0]
        if torch.equal(edited, clean):
            return False
    return True


# A family whose modules do not take what was recorded raises one of these: that, too, is an answer.
_MISFIT = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError)


def _lens_agrees(anatomy: Anatomy, clean: torch.Tensor, last: torch.Tensor) -> bool:
    try:
        return agrees(residual_to_logits(anatomy, last[0]), clean)
    except _MISFIT:
        return False


def _replay_agrees(anatomy: Anatomy, clean: torch.Tensor, calls: list[LayerCall]) -> bool:
    try:
        return all(
            agrees(residual_to_logits(anatomy, row), clean)
            for start in {0, anatomy.n_layers // 2}
            for row in _replayed(anatomy, calls, start)
        )
    except _MISFIT:
        return False


def _replayed(anatomy: Anatomy, calls: list[LayerCall], start: int) -> torch.Tensor:
    hidden = calls[start].hidden.repeat(2, 1, 1)
    for layer, call in zip(anatomy.layers[start:], calls[start:], strict=True):
        hidden = call.replay(layer, hidden)
    return hidden
