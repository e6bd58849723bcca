"""Prompts of one length in one pass: each gets its own row of it, as if it had been run alone.

Only prompts with as many tokens go together, so nothing is padded: masks, positions and angles are those of
each prompt alone. The first pass of a length that records a site is held against a run of its first prompt
alone, which also shows what belongs to a row of what the layers are called with. A model of which that is not
so, and one whose rows change each other (``Verified.alone``), runs each prompt by itself. So does one in
fewer bits: there a row beside others is rounded otherwise than alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch

from interpboard.errors import InterpBoardError
from interpboard.models.faster_passes import faster_passes
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import out_of_memory
from interpboard.models.proof.rounding import agrees
from interpboard.models.unembedding import read_by_head, residual_to_logits, unembed
from interpboard.results import PromptInfo
from interpboard.runs.clean_rows import Proved, clean_rows
from interpboard.runs.clean_trees import CleanTree
from interpboard.runs.finite import require_logits, run_words, surely_finite
from interpboard.runs.gradients.together import RowGradients
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import CLEAN, Run, record_ids
from interpboard.runs.row_arguments import Misfit, RowLayout, part_of_a_row, row_of_run
from interpboard.runs.shared import as_it_is
from interpboard.runs.steps import MEMORY_A_STEP, numbers_a_token, rows_of_a_shared_pass

Item = TypeVar("Item")
_EXACT = (torch.float32, torch.float64)


@dataclass
class Lengths:
    """What is known of passes over several prompts, by their length: what of each layer's arguments belongs
    to a row; None: such passes are not what the prompts alone give. ``proved``: the sites whose values were
    held against those of a prompt alone. ``trees``: whether edited runs on a prefix tree are those of a
    prompt alone (``on_tree``). ``clean``: the sites at which clean runs on trees were seen to be those of
    all prompts of a pass (``clean_rows``); None: they were not."""

    known: dict[int, RowLayout | None]
    proved: dict[int, frozenset[str]] = field(default_factory=dict)
    trees: dict[int, bool] = field(default_factory=dict)
    clean: dict[int, Proved] = field(default_factory=dict)

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
        self._whole: Run | None = None  # of all of them
        self._rows: dict[int, Run] = {}
        self._layout_of_a_row: RowLayout = ()
        self._trees: tuple[CleanTree, ...] = ()
        self._body: torch.Tensor | None = None
        self._logits: dict[int, tuple[torch.Tensor, bool]] = {}  # and whether all are finite
        self._gradients = RowGradients(lm)
        self._refused = False
        self._state = as_it_is(lm.model)
        self._left_alone = False

    def run(self, lm: LanguageModel, prompt: PromptInfo, sites: Sequence[str]) -> Run | None:
        """The clean run of ``prompt``."""
        whole = self._with_sites(lm, prompt, sites)
        if whole is None:
            return None
        place = self._place[prompt.token_ids]
        if place not in self._rows:  # kept: what is made of a row's calls later stays with them
            alone = len(self.prompts) == 1
            self._rows[place] = whole if alone else row_of_run(whole, self._layout_of_a_row, place)
        return replace(self._rows[place], lm=lm, prompt=prompt)

    def whole(self, sites: Sequence[str] = ()) -> Run | None:
        """The clean run of all ``prompts``, a row each (``row_of``); None of one, or where there is none."""
        return None if len(self.prompts) < 2 else self._with_sites(self.lm, self.prompts[0], sites)

    def trees(self) -> tuple[CleanTree, ...]:
        """The trees of all ``prompts``, where their clean runs were made on them."""
        return self._trees

    def row_of(self, prompt: PromptInfo) -> int:
        """Its row in ``whole``."""
        return self._place[prompt.token_ids]

    def logits(self, lm: LanguageModel, prompt: PromptInfo, position: int) -> torch.Tensor | None:
        """Its logits at ``position``."""
        whole = self._with_sites(lm, prompt, ())
        if whole is None:
            return None
        if position not in self._logits:
            with torch.no_grad():
                made = self._logits_at(whole, position)
            self._logits[position] = made, bool(surely_finite(made))
        of_all, fine = self._logits[position]
        found = of_all[self._place[prompt.token_ids]]
        if not fine:
            require_logits(self.lm, run_words(prompt), found[None])
        return found

    def _logits_at(self, whole: Run, position: int) -> torch.Tensor:
        anatomy = self.lm.anatomy
        if self._body is None:
            return residual_to_logits(anatomy, whole.resid_final[:, position])
        return unembed(anatomy, read_by_head(anatomy, self._body, position))

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

    def body(self, lm: LanguageModel, prompt: PromptInfo) -> None:
        """None: whoever wants it runs the prompt alone."""

    def _at(self, lm: LanguageModel, prompt: PromptInfo) -> int | None:
        """Its place; None where it has none, or where the model is another or not as it was."""
        same = lm.anatomy is self.lm.anatomy and lm.verified is self.lm.verified
        same = same and prompt.border == self.prompts[0].border
        if self._refused or not same or self._is_another():
            return None
        return self._place.get(prompt.token_ids)

    @contextmanager
    def left_alone(self) -> Iterator[None]:
        """While open, nobody changes the model: it is looked at once, and not for each prompt."""
        self._left_alone = not self._is_another()
        try:
            yield
        finally:
            self._left_alone = False

    def _is_another(self) -> bool:
        return not self._left_alone and as_it_is(self.lm.model) != self._state

    def _with_sites(
        self, lm: LanguageModel, prompt: PromptInfo, sites: Sequence[str]
    ) -> Run | None:
        """The run of all, with ``sites``; None where ``prompt`` has none in it."""
        if self._at(lm, prompt) is None:
            return None
        there = tuple(self._whole.sites) if self._whole else ()
        if self._whole is None or not set(sites) <= set(there):
            wanted = tuple(dict.fromkeys((*there, *sites)))
            if not self._is_little(wanted) or not self._recorded(wanted):
                return None
        return self._whole

    def _is_little(self, sites: Sequence[str]) -> bool:
        length = len(self.prompts[0].token_ids)
        numbers = sum(numbers_a_token(self.lm, site, length) for site in sites)
        weight: torch.Tensor = self.lm.anatomy.embedding.weight  # type: ignore[assignment]
        a_prompt = numbers * length * self.lm.anatomy.n_layers * weight.element_size()
        return len(self.prompts) == 1 or a_prompt * len(self.prompts) <= MEMORY_A_STEP

    def _recorded(self, sites: tuple[str, ...]) -> bool:
        ids = torch.cat([input_ids(self.lm, prompt) for prompt in self.prompts])
        self._rows = {}
        try:
            if len(ids) == 1:
                self._whole, self._body = record_ids(self.lm, self.prompts[0], ids, sites, CLEAN)
                return True
            layout, length = self._layout(ids, sites), ids.shape[1]
            proved = self.lengths.clean.get(length, frozenset())
            with self._faster():
                made, self.lengths.clean[length] = clean_rows(
                    self.lm, self.prompts[0], ids, sites, layout, proved
                )
            self._whole, self._body = made.run, made.body
            self._layout_of_a_row, self._trees = made.layout, made.trees
        except (InterpBoardError, RuntimeError, Misfit) as error:
            self._give_up(error)
            return False
        return True

    def _faster(self) -> AbstractContextManager[None]:
        return faster_passes(self.lm.anatomy, self.lm.verified)

    def _give_up(self, error: Exception) -> None:
        if isinstance(error, RuntimeError) and not out_of_memory(error):
            raise error
        if len(self.prompts) == 1 and isinstance(error, InterpBoardError):
            raise error
        self._refused, self._whole, self._trees = True, None, ()

    def _layout(self, ids: torch.Tensor, sites: tuple[str, ...]) -> RowLayout:
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
                {
                    name: part_of_a_row(value, b.arguments[name], 2)
                    for name, value in a.arguments.items()
                }
                for a, b in zip(alone.calls, beside.calls, strict=True)
            )
            if not _same(row_of_run(beside, layout, 0), alone):
                raise Misfit
            self.lengths.known[length] = layout
            self.lengths.proved[length] = proved | set(sites)
        known = self.lengths.known[length]
        if known is None:
            raise Misfit
        return known


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
