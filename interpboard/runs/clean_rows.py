"""The clean run of several prompts of one length at once: by the model's own forward, or on trees.

Trees run once what prompts have in common (``clean_trees``). They are held against the model's own forward:
the first tree of a length in all its prompts, each later one in its last and in the one that is spread
furthest. That is enough: that what stands at a node depends on the tokens up to it and on nothing else is
shown by the first, whose kernels are those that were proved at load. A later tree could only be laid out
otherwise, and its last prompt follows branches behind all others, with a mask, positions and places of its
own, while a window over places ends first between the tokens that are furthest apart. As soon as one is not
as it should be, all prompts of that length are run as ever.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import out_of_memory
from interpboard.models.proof.rounding import agrees
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.results import PromptInfo
from interpboard.runs.clean_trees import CleanRows, PlannedTrees, planned_trees, run_on_trees
from interpboard.runs.record import CLEAN, Run, record_ids
from interpboard.runs.rounding import rounding
from interpboard.runs.row_arguments import RowLayout, of_any_row

SUM_ORDERS = 10.0
"""Of sums: so many times what one order is seen to leave."""
Proved = frozenset[str] | None
"""The sites at which trees gave what all prompts of a pass have; None: somewhere they did not."""


def clean_rows(
    lm: LanguageModel,
    first: PromptInfo,
    ids: torch.Tensor,
    sites: Sequence[str],
    layout: RowLayout,
    proved: Proved,
) -> tuple[CleanRows, Proved]:
    """The clean run of ``ids`` [row, pos], ``first`` being the first prompt, and what is proved of trees from
    now on. Raises what ``record`` raises."""
    known = proved is not None and proved.issuperset(sites)
    plan = None if proved is None else planned_trees(lm, ids, sites, known)
    if plan is not None and proved is not None:
        found = _on_trees(lm, first, plan, sites, layout, everywhere=not known)
        if found is not None:
            return found, proved.union(sites)
        proved = None
    run, body = record_ids(lm, first, ids, sites, CLEAN * len(ids))
    return CleanRows(run, body, layout), proved


def _on_trees(
    lm: LanguageModel,
    first: PromptInfo,
    plan: PlannedTrees,
    sites: Sequence[str],
    layout: RowLayout,
    everywhere: bool,
) -> CleanRows | None:
    """All rows by trees, held against the sample; None where that is something else."""
    sampled, _ = record_ids(lm, first, plan.ids[plan.sample], sites, CLEAN * len(plan.sample))
    arguments = of_any_row(sampled, layout)
    if arguments is None:
        return None
    try:
        made = run_on_trees(plan, arguments, sampled, sites)
    except MISFIT as error:
        if isinstance(error, RuntimeError) and out_of_memory(error):
            raise
        return None
    if made is None or not _is_same(made.run, plan.sample, sampled, everywhere):
        return None
    return made


def _is_same(found: Run, rows: Sequence[int], plain: Run, everywhere: bool) -> bool:
    """Whether ``found`` has in ``rows`` what ``plain`` has, which are its only rows: the last stream
    everywhere, all else there too or at the last token alone."""
    at = slice(None) if everywhere else slice(-1, None)
    ends, expected = found.resid_final[list(rows)], plain.resid_final
    most = SUM_ORDERS * rounding(expected.dtype, 1 + float(expected.abs().max()))
    if not bool(((ends - expected).abs() <= most).all()):
        return False
    pairs = zip(_kept_of(found), _kept_of(plain), strict=True)
    return agrees(ends, expected) and all(agrees(a[list(rows), at], b[:, at]) for a, b in pairs)


def _kept_of(run: Run) -> list[torch.Tensor]:
    """[row, pos, …] each."""
    streams = [call.hidden.tensor for call in run.calls]
    heads = [attended.z.tensor for attended in run.attended]
    return [*streams, *heads, *(each for site in sorted(run.sites) for each in run.sites[site])]
