"""Prompts of one length in one pass: each gets its own row of it, as if it had been run alone.

Only prompts with as many tokens go together, so nothing is padded: masks, positions and angles are those of
each prompt alone. The first pass of a length that records a site is held against a run of its first prompt
alone, which also shows what belongs to a row of what the layers are called with. A model of which that is not
so, and one whose rows change each other (``Verified.alone``), runs each prompt by itself. So does one in
fewer bits: there a row beside others is rounded otherwise than alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch

from interpboard.errors import InterpBoardError
from interpboard.models.fused_gelu import faster_passes
from interpboard.models.kept_tensors import Kept
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import out_of_memory
from interpboard.models.proof.rounding import agrees
from interpboard.models.unembedding import read_by_head, unembed
from interpboard.results import PromptInfo
from interpboard.runs.finite import require_logits, run_words
from interpboard.runs.gradients.together import RowGradients
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import CLEAN, Run, record_ids
from interpboard.runs.shared import as_it_is
from interpboard.runs.steps import MEMORY_A_STEP, numbers_a_token, rows_of_a_shared_pass

Item = TypeVar("Item")
_EXACT = (torch.float32, torch.float64)
_SHARED = 0  # a layer's argument that is the same for all rows; else how many entries a row has


class _Misfit(Exception):
    """The rows of a pass are not those of the prompts alone."""


@dataclass
class Lengths:
    """What is known of passes over several prompts, by their length: what of each layer's arguments belongs
    to a row; None: such passes are not what the prompts alone give. ``proved``: the sites whose values were
    held against those of a prompt alone. ``trees``: whether edited runs on a prefix tree are those of a
    prompt alone (``on_tree``)."""

    known: dict[int, tuple[dict[str, Any], ...] | None]
    proved: dict[int, frozenset[str]] = field(default_factory=dict)
    trees: dict[int, bool] = field(default_factory=dict)

    @classmethod
    def none(cls) -> Lengths:
        """Nothing is known yet."""
        return cls({})


def in_passes(
    lm: LanguageModel, items: Iterable[Item], prompt_of: Callable[[Item], PromptInfo]
) -> Iterator[list[Item]]:
    """``items`` in groups that one pass may run: prompts of as many tokens (in each strip), as many of them
    as fit. Each alone where a row beside others is not what it is alone (``prompts_a_pass``)."""
    alike: dict[tuple[int, int], list[Item]] = {}
    for item in items:
        prompt = prompt_of(item)
        alike.setdefault((len(prompt.token_ids), prompt.border), []).append(item)
    for (length, _), group in alike.items():
        most = prompts_a_pass(lm, length)
        for begin in range(0, len(group), most):
            yield group[begin : begin + most]


def prompts_a_pass(lm: LanguageModel, length: int) -> int:
    """How many prompts of ``length`` tokens may be run at once, at least one."""
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    if lm.verified.alone or lm.info.quantization or weight.dtype not in _EXACT:
        return 1
    return rows_of_a_shared_pass(lm, length)


class Together:
    """Clean runs and gradients of ``prompts``, all of one length, made all at once when first asked for.

    Where a pass over several is refused, for want of memory or by a number that is not finite, each prompt
    is run alone, and has its own reason. See ``shared.Shared`` for what is asked.
    """

    def __init__(
        self, lm: LanguageModel, prompts: Sequence[PromptInfo], lengths: Lengths | None = None
    ) -> None:
        self.lm = lm
        self.lengths = lengths or Lengths.none()
        self.prompts = list({prompt.token_ids: prompt for prompt in prompts}.values())
        self._place = {prompt.token_ids: i for i, prompt in enumerate(self.prompts)}
        self._runs: tuple[Run, ...] = ()
        self._whole: Run | None = None
        self._body = torch.empty(0)
        self._logits: dict[int, torch.Tensor] = {}
        self._gradients = RowGradients(lm)
        self._refused = False
        self._state = as_it_is(lm.model)

    def run(self, lm: LanguageModel, prompt: PromptInfo, sites: Sequence[str]) -> Run | None:
        """The clean run of ``prompt``."""
        place = self._at(lm, prompt)
        if place is None:
            return None
        there = tuple(self._runs[0].sites) if self._runs else ()
        if not self._runs or not set(sites) <= set(there):
            wanted = tuple(dict.fromkeys((*there, *sites)))
            if not self._is_little(wanted) or not self._recorded(wanted):
                return None
        return replace(self._runs[place], lm=lm, prompt=prompt)

    def whole(self, sites: Sequence[str] = ()) -> Run | None:
        """The clean run of all ``prompts``, a row each (``row_of``); None of one, or where there is none."""
        if len(self.prompts) < 2 or self.run(self.lm, self.prompts[0], sites) is None:
            return None
        return self._whole

    def row_of(self, prompt: PromptInfo) -> int:
        """Its row in ``whole``."""
        return self._place[prompt.token_ids]

    def logits(self, lm: LanguageModel, prompt: PromptInfo, position: int) -> torch.Tensor | None:
        """Its logits at ``position``."""
        if self.run(lm, prompt, ()) is None:
            return None
        if position not in self._logits:
            with torch.no_grad():
                self._logits[position] = unembed(
                    self.lm.anatomy, read_by_head(self.lm.anatomy, self._body, position)
                )
        found = self._logits[position][self._place[prompt.token_ids]]
        require_logits(self.lm, run_words(prompt), found[None])
        return found

    def measures(self, prompt: PromptInfo, metric: Metric) -> None:
        """Of ``prompt`` the gradient of ``metric`` may be asked for."""
        self._gradients.add(prompt, metric)

    def gradient(
        self, lm: LanguageModel, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The metric's gradient at the prompt's own embeddings."""
        if self._at(lm, prompt) is None or len(self.prompts) == 1:
            return None
        try:
            return self._gradients.of(prompt, metric, embeddings)
        except (InterpBoardError, RuntimeError) as error:
            self._give_up(error)
            return None

    def _at(self, lm: LanguageModel, prompt: PromptInfo) -> int | None:
        """Its place; None where it has none, or where the model is another or not as it was."""
        same = lm.anatomy is self.lm.anatomy and lm.verified is self.lm.verified
        if self._refused or not same or as_it_is(lm.model) != self._state:
            return None
        return self._place.get(prompt.token_ids)

    def _is_little(self, sites: Sequence[str]) -> bool:
        length = len(self.prompts[0].token_ids)
        numbers = sum(numbers_a_token(self.lm, site, length) for site in sites)
        weight: torch.Tensor = self.lm.anatomy.embedding.weight  # type: ignore[assignment]
        a_prompt = numbers * length * self.lm.anatomy.n_layers * weight.element_size()
        return len(self.prompts) == 1 or a_prompt * len(self.prompts) <= MEMORY_A_STEP

    def _recorded(self, sites: tuple[str, ...]) -> bool:
        ids = torch.cat([input_ids(self.lm, prompt) for prompt in self.prompts])
        edits = CLEAN * len(ids)
        try:
            if len(ids) == 1:
                run, self._body = record_ids(self.lm, self.prompts[0], ids, sites, edits)
                self._runs = (run,)
                return True
            layout = self._layout(ids, sites)
            with self._faster():
                run, self._body = record_ids(self.lm, self.prompts[0], ids, sites, edits)
            self._runs, self._whole = tuple(_row(run, layout, i) for i in range(len(ids))), run
        except (InterpBoardError, RuntimeError, _Misfit) as error:
            self._give_up(error)
            return False
        return True

    def _faster(self) -> AbstractContextManager[None]:
        proved = self.lm.verified
        return faster_passes(self.lm.anatomy, proved.faster_parts, proved.fused_gelu)

    def _give_up(self, error: Exception) -> None:
        if isinstance(error, RuntimeError) and not out_of_memory(error):
            raise error
        if len(self.prompts) == 1 and isinstance(error, InterpBoardError):
            raise error
        self._refused, self._runs, self._whole = True, (), None

    def _layout(self, ids: torch.Tensor, sites: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
        length = ids.shape[1]
        proved = self.lengths.proved.get(length, frozenset())
        failed = length in self.lengths.known and self.lengths.known[length] is None
        if not failed and (length not in self.lengths.known or not proved >= set(sites)):
            self.lengths.known[length] = None
            first = self.prompts[0]
            alone, _ = record_ids(self.lm, first, ids[:1], sites, CLEAN)
            with self._faster():  # as all of them will be
                beside, _ = record_ids(self.lm, first, ids[:2], sites, CLEAN * 2)
            layout = tuple(
                {name: _part(value, b.arguments[name], 2) for name, value in a.arguments.items()}
                for a, b in zip(alone.calls, beside.calls, strict=True)
            )
            if not _same(_row(beside, layout, 0), alone):
                raise _Misfit
            self.lengths.known[length] = layout
            self.lengths.proved[length] = proved | set(sites)
        known = self.lengths.known[length]
        if known is None:
            raise _Misfit
        return known


def _row(run: Run, layout: Sequence[dict[str, Any]], row: int) -> Run:
    """What ``run`` of several prompts has of one of them."""
    one = slice(row, row + 1)

    def kept(value: Kept) -> Kept:
        return Kept(value.tensor[one], value.device)

    calls = tuple(
        replace(
            call,
            hidden=kept(call.hidden),
            arguments={
                name: _cut(value, parts[name], row) for name, value in call.arguments.items()
            },
            keys_values=[],
        )
        for call, parts in zip(run.calls, layout, strict=True)
    )
    return replace(
        run,
        edits=CLEAN,
        calls=calls,
        resid_final=run.resid_final[one],
        sites={site: tuple(v[one] for v in values) for site, values in run.sites.items()},
        attended=tuple(replace(each, z=kept(each.z)) for each in run.attended),
    )


def _part(alone: Any, beside: Any, rows: int) -> Any:
    """How many entries of ``beside`` belong to a row, ``alone`` being those of the first; ``_SHARED``: all of
    them to all. Of a tuple, that of each. Raises ``_Misfit``."""
    if isinstance(alone, tuple):
        return tuple(_part(a, b, rows) for a, b in zip(alone, beside, strict=True))
    if not isinstance(alone, torch.Tensor):
        return _SHARED
    if alone.shape == beside.shape:
        part, first_row = _SHARED, beside
    elif alone.dim() and beside.shape == (rows * len(alone), *alone.shape[1:]):
        part, first_row = len(alone), beside[: len(alone)]
    else:
        raise _Misfit
    if not torch.allclose(first_row.double(), alone.double(), rtol=1e-5, atol=1e-6, equal_nan=True):
        raise _Misfit
    return part


def _cut(value: Any, part: Any, row: int) -> Any:
    if isinstance(part, tuple):
        return tuple(_cut(v, p, row) for v, p in zip(value, part, strict=True))
    return value if part == _SHARED else value[row * part : (row + 1) * part]


def _same(one: Run, other: Run) -> bool:
    """Whether two runs of one prompt gave the same within rounding."""
    if any(one.sites[site][0].shape[0] != 1 for site in one.sites):
        return False
    pairs = [
        (one.resid_final, other.resid_final),
        *((a.hidden[:], b.hidden[:]) for a, b in zip(one.calls, other.calls, strict=True)),
        *((a.z[:], b.z[:]) for a, b in zip(one.attended, other.attended, strict=True)),
        *((a, b) for site in one.sites for a, b in zip(one.sites[site], other.sites[site], strict=True)),
    ]  # fmt: skip
    return all(a.shape == b.shape and agrees(a, b) for a, b in pairs)
