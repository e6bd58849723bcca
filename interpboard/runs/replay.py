"""The evaluator: what would the metric have been, had these edits been made?

Every intervention analysis is a list of counterfactuals handed to ``evaluate``. A counterfactual
becomes one row of a batch. On the ``replay`` path a row starts from the recorded input of the first
layer it edits and joins the batch as the batch passes that layer, so a layer runs once over everything
that needs it and never over what does not. In the same way positions before the first edited one are
not run again: their recorded keys and values are used; nor are positions after the metric's, which
cannot matter to it. What else need not run is ``batch``'s to know. On the ``hooks`` path, taken where
the model did not prove that its layers can be replayed, rows are plain hooked forwards. Both give the
same values, whatever the size of the batch.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import torch

from interpboard.errors import BadParameter
from interpboard.models.allocator import large_blocks_reused
from interpboard.models.as_opened import require_as_opened
from interpboard.models.attention_backends import any_shape
from interpboard.models.crossing import back
from interpboard.models.memory import check_smaller_may_fit
from interpboard.runs.batch import Batch
from interpboard.runs.edits import Counterfactual, first_of
from interpboard.runs.end_to_end import EndToEnd, lie_end_to_end
from interpboard.runs.ends import Ends
from interpboard.runs.finite import count_not_finite
from interpboard.runs.joins import joins_at, keeps_attention, started_late
from interpboard.runs.kept import AskedCells, mark_of
from interpboard.runs.metrics import Metric
from interpboard.runs.one_query import reads_one
from interpboard.runs.record import Run
from interpboard.runs.rehearsal import Loop
from interpboard.runs.speed import Speed
from interpboard.runs.steps import StepSize, spares_few
from interpboard.runs.watch import SILENT, Pace, Watch

TRIED_OF = 20
"""A first job of at least so many small steps takes one of them beforehand, to say what it will take.

Its values are not used: the batches, and with them the last bits, are those of every other run.
"""

OnValues = Callable[[list[int], np.ndarray], None]


@torch.no_grad()
def evaluate(
    run: Run,
    counterfactuals: Sequence[Counterfactual],
    metric: Metric,
    *,
    base: Sequence[int] | None = None,
    watch: Watch = SILENT,
    on_values: OnValues | None = None,
    tokens_a_step: int | None = None,
) -> np.ndarray:
    """The metric [counterfactual] of each counterfactual, in float64; NaN where its run is not finite.

    ``base`` [counterfactual]: the row of the run that each starts from; row 0 unless given.
    ``on_values(indices, values)`` hears a batch or a few as they are done; ``watch`` is asked before a layer.
    Batches are cut by tokens: ``tokens_a_step``, or as many as were seen to take under 0.2 s.

    Raises ``BadParameter`` for a counterfactual without edits or outside the model, ``Unsupported``
    for a site that the model does not have, ``OutOfMemory`` if one row alone does not fit.
    """
    require_as_opened(run.lm.anatomy)  # the run may be older than what was put in
    for counterfactual in counterfactuals:
        _check(run, counterfactual)
    rows_of = list(base) if base is not None else [0] * len(counterfactuals)
    position = metric.info.position
    stop = _stop(run, counterfactuals, position)
    replays = run.lm.verified.path == "replay"
    if replays:
        counterfactuals = [
            started_late(run, edits, row)
            for edits, row in zip(counterfactuals, rows_of, strict=True)
        ]

    reuse = replays and run.lm.verified.reuse
    latest = min(max(map(first_of, counterfactuals), default=0), position)
    reuse = reuse and not spares_few(run.lm, latest, position)

    def first(i: int) -> int:
        return min(first_of(counterfactuals[i]), position) if reuse else 0

    laid = replays and reuse and lie_end_to_end(run, counterfactuals, rows_of, position, stop)

    def joins(i: int) -> tuple[int, bool]:
        return joins_at(run, counterfactuals[i]), keeps_attention(
            run, counterfactuals[i], rows_of[i]
        )

    def begins(i: int) -> int:
        """The first layer that is run: all of them are where nothing is replayed."""
        return max(0, joins_at(run, counterfactuals[i])) if replays else 0

    values = np.full(len(counterfactuals), np.nan)
    asked, before = _kept(run, counterfactuals, rows_of, watch, values, on_values)
    watch.pause()
    mine = np.ones(len(counterfactuals), dtype=bool)
    if watch.kept is not None and asked is not None:
        mine = watch.kept.to_compute(asked)
    order = sorted(np.flatnonzero(mine).tolist(), key=lambda i: (first(i), *joins(i)))
    if laid:
        order.sort(key=joins)
    layers = run.lm.anatomy.n_layers
    work = np.cumsum([(stop - first(i)) * (1 + layers - begins(i)) for i in order])
    size = StepSize(run.lm, tokens_a_step)
    a_row = max((stop - first(i) for i in order), default=0)

    def batch_of(some: Sequence[int]) -> Batch:
        edits, rows = [counterfactuals[i] for i in some], [rows_of[i] for i in some]
        firsts = [first(i) for i in some]
        if laid:
            return EndToEnd(run, edits, rows, firsts, stop)
        return Batch(run, edits, rows, min(firsts), stop)

    def step(done: int, *, trial: bool = False) -> int:
        """How many rows of ``order`` a step takes from there on."""
        if laid:
            of_these = order[done : done + size.tokens]  # of a token each there are no more
            return size.rows_laid([first(i) for i in of_these], stop, trial=trial)
        return size.rows(first(order[done]), stop, trial=trial)

    with large_blocks_reused(size.largest_block(len(order) * a_row, a_row)):
        done, spent = 0, 0.0
        loop = Loop("edited runs", len(order))
        ends = Ends(metric, together=laid and loop.rehearsal is None)
        if watch.speed is not None and order:
            few = sorted(order[: step(0, trial=True)], key=joins)
            if not watch.speed.known and len(few) * TRIED_OF <= len(order):
                _try(batch_of(few), metric, watch, watch.speed, float(work[len(few) - 1]))
            expected = watch.speed.seconds(float(work[-1]))
            if expected is not None:
                watch.on_pace(Pace(expected, len(order), expected / len(order), expected=True))
        while done < len(order):
            watch.step(before + done, before + len(order))
            chosen = sorted(order[done : done + step(done)], key=joins)
            lengths = [stop - (first(i) if laid else first(order[done])) for i in chosen]
            starts = [begins(i) for i in chosen]
            share = sum(n * (1 - start / layers) for n, start in zip(lengths, starts, strict=True))
            if not loop.due(done, len(chosen)):
                values[chosen] = metric.baseline
                at_one = reads_one(run, stop - max(lengths), position, stop)
                spared = [n - 1 for n, start in zip(lengths, starts, strict=True) if start < layers]
                passed = share - (sum(spared) / layers if at_one else 0)
                loop.skip(done, len(chosen), share, passed / len(run.prompt.token_ids))
                done += len(chosen)
                continue
            batch, tokens = batch_of(chosen), sum(lengths)
            started = time.perf_counter()
            try:
                with any_shape(run.lm.device):
                    last = done + len(chosen) == len(order)
                    known, found = ends.after(batch, chosen, watch, last=last)
            except RuntimeError as error:
                check_smaller_may_fit(error, len(chosen))
                size.halve(tokens)
                continue
            values[known] = back(found.double())[0].numpy()
            count_not_finite(int(np.isnan(values[known]).sum()))
            loop.took(done, share)
            took = time.perf_counter() - started
            size.took(took, layers - starts[0], tokens)
            begun, done, spent = done, done + len(chosen), spent + took
            left = spent * (float(work[-1]) / float(work[done - 1]) - 1)
            watch.on_pace(Pace(left, len(order) - done, spent / done))
            if watch.speed is not None:
                watch.speed.took(float(work[done - 1] - (work[begun - 1] if begun else 0)), took)
            if watch.kept is not None and asked is not None:
                watch.kept.take(asked, known, values[known])
            if on_values is not None and known:
                on_values(known, values[known])
        loop.close()
        watch.step(before + done, before + len(order))
    if watch.kept is not None and asked is not None:
        watch.kept.others_compute(asked)
    return values


def _try(batch: Batch, metric: Metric, watch: Watch, speed: Speed, work: float) -> None:
    """Time ``batch`` for ``speed``. One that does not fit says nothing: its rows come again."""
    started = time.perf_counter()
    try:
        with any_shape(batch.run.lm.device):
            batch.metric(metric, watch).cpu()
    except RuntimeError as error:
        check_smaller_may_fit(error, 2)
        return
    speed.took(work, time.perf_counter() - started)


def _kept(
    run: Run,
    counterfactuals: Sequence[Counterfactual],
    rows: Sequence[int],
    watch: Watch,
    values: np.ndarray,
    on_values: OnValues | None,
) -> tuple[AskedCells | None, int]:
    """Those that ``watch`` has kept, put into ``values`` and told; and how many they are."""
    if watch.kept is None:
        return None, 0
    of_prompt = zlib.crc32(repr(run.prompt.token_ids).encode())
    starts = {row: mark_of(run.edits[row], of_prompt) for row in set(rows)}
    asked = watch.kept.ask(counterfactuals, [starts[row] for row in rows])
    known = np.flatnonzero(asked.known).tolist()
    values[known] = asked.values
    count_not_finite(int(np.isnan(asked.values).sum()))
    if known and on_values is not None:
        on_values(known, values[known])
    return asked, len(known)


def _stop(run: Run, counterfactuals: Sequence[Counterfactual], position: int) -> int:
    """Where replays may end: behind the metric's position, unless an edit looks at later keys."""
    looks_ahead = any(
        edit.site == "pattern" and edit.kind not in ("zero", "block")
        for counterfactual in (*counterfactuals, *run.edits)
        for edit in counterfactual
    )
    whole = looks_ahead or run.lm.verified.whole_prompt
    return len(run.prompt.token_ids) if whole else position + 1


def _check(run: Run, counterfactual: Counterfactual) -> None:
    if not counterfactual:
        raise BadParameter("A counterfactual without edits is the clean run.")
    anatomy = run.lm.anatomy
    for edit in counterfactual:
        if not 0 <= edit.layer < anatomy.n_layers:
            raise BadParameter(
                f"Layer {edit.layer} does not exist.", f"The model has 0 to {anatomy.n_layers - 1}."
            )
        run.lm.verified.require_site(edit.site, edit.layer)
        heads = anatomy.n_kv_heads if edit.site in ("k", "v") else anatomy.n_heads
        if edit.head is not None and not 0 <= edit.head < heads:
            raise BadParameter(
                f"Head {edit.head} does not exist.", f"A layer has 0 to {heads - 1}."
            )
        for positions in (edit.positions, edit.keys):
            if positions is not None and not all(
                0 <= position < len(run.prompt.token_ids) for position in positions
            ):
                raise BadParameter(f"Positions {positions} are not all in the prompt.")
        if (edit.kind == "block") != (edit.keys is not None) or (
            edit.kind == "block" and edit.site != "pattern"
        ):
            raise BadParameter("Keys are blocked at a pattern.", 'Edit("pattern", layer, "block").')
