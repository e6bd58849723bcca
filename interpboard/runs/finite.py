"""Finite or refused: a run that leaves the model's number format gives an error or NaN, never a number.

A run that everything rests on (the prompt, a corrupted prompt, a reference, a recorded edit) is refused.
Of many edited runs each that is not finite is NaN, and is counted for the one who asked (``not_finite``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from interpboard.display import visible
from interpboard.errors import NotFinite
from interpboard.models.attention_backends import any_shape
from interpboard.models.finite import Tally, finite_logits
from interpboard.models.language_model import LanguageModel
from interpboard.models.unembedding import forward_logits
from interpboard.results import PromptInfo
from interpboard.runs.prompt import input_ids
from interpboard.runs.shared import logits_together

_SHOWN = 40
_REMEDY = {
    "float16": "Try --dtype float32 or bfloat16.",
    "bfloat16": "Try --dtype float32.",
    "float32": "Are the weights damaged, or is what was put in too large?",
}
_counted: ContextVar[list[int] | None] = ContextVar("counted", default=None)


@contextmanager
def refusing(lm: LanguageModel, about: str, rows: int = 1) -> Iterator[None]:
    """While open, forwards of ``rows`` rows; then ``NotFinite`` if one of them was not.

    Open it behind the hooks that edit. ``about``: whose run it is, see ``run_of``.
    """
    tally = Tally(rows)
    with tally.over(lm.anatomy):
        yield
    require(tally, lm, about)


def require(tally: Tally, lm: LanguageModel, about: str) -> None:
    """Raise ``NotFinite`` unless all that ``tally`` heard was finite."""
    if not bool(tally.finite().all()):
        raise not_finite_error(lm, about, tally.where())


def require_finite(lm: LanguageModel, about: str, *numbers: torch.Tensor) -> None:
    """Raise ``NotFinite`` unless all ``numbers`` are finite. One look, however many they are."""
    if numbers and not bool(_all_true([each.isfinite().all() for each in numbers])):
        raise not_finite_error(lm, about)


def require_passes(
    tally: Tally,
    lm: LanguageModel,
    about: str,
    values: torch.Tensor,
    gradient: torch.Tensor | None = None,
) -> None:
    """Raise ``NotFinite`` unless a forward and its backward pass were: what ``tally`` heard, the ``values``
    and, if given, their ``gradient``. One look behind both: one between them would make a device stand
    still."""
    gradients = () if gradient is None else (gradient,)
    heard = tally.finite_on(values.device).all()
    if bool(_all_true([heard, *(each.isfinite().all() for each in (values, *gradients))])):
        return
    require(tally, lm, about)
    require_finite(lm, about, values)
    require_finite(lm, f"The gradient in {about[0].lower()}{about[1:]}", *gradients)


def _all_true(flags: Sequence[torch.Tensor]) -> torch.Tensor:
    """[]: whether all ``flags`` [] are true, where the first of them is."""
    return torch.stack([flag.to(flags[0].device) for flag in flags]).all()


def require_logits(lm: LanguageModel, about: str, logits: torch.Tensor) -> None:
    """Raise ``NotFinite`` unless ``logits`` [row, d_vocab] are, but for what the model itself masks."""
    if not bool(surely_finite(logits)) and not bool(finite_logits(logits, lm.masked_tokens).all()):
        raise not_finite_error(lm, about, "the logits")


def surely_finite(logits: torch.Tensor) -> torch.Tensor:
    """[]: true where all are finite; if false, what is not may be what the model masks."""
    # NaN is both the least and the most; looking for those two is many times as quick as at each.
    return torch.stack(logits.aminmax()).isfinite().all()


def not_finite_error(lm: LanguageModel, about: str, where: str = "") -> NotFinite:
    """The error for ``about``, a noun phrase, with what to do in the model's number format."""
    dtype = lm.info.dtype
    place = f", first in {where}" if where else ""
    return NotFinite(f"{about} is not finite in {dtype}{place}.", remedy(lm))


def remedy(lm: LanguageModel) -> str:
    """What to do where numbers leave the model's format."""
    return _REMEDY.get(lm.info.dtype, _REMEDY["float32"])


def run_words(prompt: PromptInfo, edited: bool = False) -> str:
    """``The run of "The Eiffel Tow…"``."""
    text = prompt.text or "".join(prompt.tokens)
    shown = visible(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
    return f'The {"edited " if edited else ""}run of "{shown}"'


@torch.no_grad()
def clean_logits(lm: LanguageModel, ids: torch.Tensor, position: int, about: str) -> torch.Tensor:
    """Logits [row, d_vocab] at ``position`` of a plain forward of ``ids`` [row, pos].

    Raises ``NotFinite`` if any number on the way was not finite.
    """
    with refusing(lm, about, len(ids)), any_shape(lm.device):
        logits = forward_logits(lm.anatomy, ids, position)
    require_logits(lm, about, logits)
    return logits


def prompt_logits(
    lm: LanguageModel, prompt: PromptInfo, position: int, about: str = ""
) -> torch.Tensor:
    """Logits [d_vocab] at ``position`` of the clean run. Raises ``NotFinite``; ``about``: whose run it then
    is, empty: the prompt's."""
    there = logits_together(lm, prompt, position)
    if there is not None:
        return there
    return clean_logits(lm, input_ids(lm, prompt), position, about or run_words(prompt))[0]


@contextmanager
def counting() -> Iterator[list[int]]:
    """While open, the numbers of edited runs that were not finite are put into the list."""
    counted: list[int] = []
    token = _counted.set(counted)
    try:
        yield counted
    finally:
        _counted.reset(token)


def is_counting() -> bool:
    """Whether somebody asked for those numbers."""
    return _counted.get() is not None


@contextmanager
def losses_in() -> Iterator[list[int]]:
    """``counting`` of a part, where somebody counts the whole, who does not hear of it; else nothing."""
    if not is_counting():
        yield []
        return
    with counting() as lost:
        yield lost


def count_not_finite(rows: int) -> None:
    """Say that ``rows`` edited runs are NaN because they were not finite."""
    counted = _counted.get()
    if rows and counted is not None:
        counted.append(rows)
