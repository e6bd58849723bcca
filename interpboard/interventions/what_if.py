"""What would have happened: a few interventions made at once, clean and edited side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch

from interpboard.circuits.lens.logit import lens_axis, lens_rows, lens_tokens, recorded_for
from interpboard.circuits.lens.reading import read_lens
from interpboard.circuits.lens.translators import load_translators
from interpboard.errors import BadParameter
from interpboard.interventions.grammar import StackItem, parse_items
from interpboard.interventions.resolve import edits_of, warnings_of
from interpboard.models.adapters import without_adapters
from interpboard.models.language_model import LanguageModel
from interpboard.models.unembedding import forward_logits
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Counterfactual
from interpboard.runs.labels import logit_names, probabilities
from interpboard.runs.metrics import Metric, at_least_float32
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import CLEAN, Run, record
from interpboard.runs.replay import evaluate
from interpboard.runs.row_logits import row_logits
from interpboard.runs.steps import is_kept_of_all_layers
from interpboard.runs.watch import SILENT, Watch

RUN_AXIS = Axis("run", ("clean", "edited"))
_Context = Callable[[], AbstractContextManager[Any]]


@analysis("what_if", path="hooks")
@torch.no_grad()
def what_if(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    interventions: str,
    source: str = "",
    controls: str = "",
    top_k: int = 10,
    lens_site: str = "resid_post",
    translators: str = "",
    watch: Watch = SILENT,
) -> Computed:
    """The metric [run] of the clean prompt and of the prompt with all ``interventions`` made at once.

    Exact: one forward pass of two rows, or two passes where the prompt is long or one is without the
    model's adapters (``adapter=off``; what else is made is then made on the base). ``interventions`` is
    text such as ``2.5=zero; 1.mlp=mean; 3.resid@4=patch; @4=" Rome"; "a set"{2.5, 2.6}=zero``;
    ``grammar.py`` says more. ``source`` is the prompt that ``patch`` takes its values from, as many tokens
    as this one.
    ``controls``: interventions in the same words that are *not* made, each measured alone for comparison:
    the random set beside a chosen one.

    ``extra``: ``effect`` (edited − clean) and, where there are several, ``alone`` [intervention], the
    effect of each made alone, a set as one; ``control`` [control], the effect of each of ``controls`` made
    alone; ``top_ids``, ``top_tokens``, ``top_probs`` [run, rank], the ``top_k`` likeliest
    next tokens of each run, and ``top_other`` [run, rank], their probability in the other run; the lens
    of each run, as ``logit_lens`` gives it at ``lens_site``, or ``tuned_lens`` with the ``translators`` of a
    folder: ``lens`` [run, layer, token], the target's probability, with ``lens_top_ids``,
    ``lens_top_tokens``, ``lens_top_probs``, ``lens_entropy``, ``lens_kl``, ``lens_rank``; none of them where
    the model's head could not be verified.

    Raises ``BadParameter`` for what cannot be read or is not there and for translators of another site than
    ``resid_post``, ``BadPrompt`` for a source of another length, ``BadPosition``, ``BadTarget``,
    ``Unsupported``.
    """
    items = parse_items(interventions)
    beside = parse_items(controls) if controls.strip() else ()
    stack = tuple(member for item in items for member in item.members)
    if translators and lens_site != "resid_post":
        raise BadParameter("Translators read the stream after layers.", "Leave lens_site as it is.")
    runs = 1 + (len(items) if len(items) > 1 else 0) + len(beside)
    watch.step(0, runs)
    without = any(each.what == "off" for each in stack)
    base: _Context = partial(without_adapters, lm.model) if without else nullcontext
    replacing = [item for item in items if item.members[0].what != "off"]
    stack = tuple(member for item in replacing for member in item.members)
    warnings = warnings_of(lm, stack)
    has_lens = lm.verified.lens and lm.info.problem not in ("value", "vector")
    sites = recorded_for(lens_site) if has_lens else ()
    position = metric.info.position
    loaded = load_translators(lm, translators) if translators and has_lens else None
    warnings += loaded.warnings if loaded is not None else ()

    def read(run: Run, row: int) -> Mapping[str, np.ndarray]:
        streams = lens_rows(run, row, lens_site)
        streams = streams if loaded is None else loaded.translate(streams)
        return read_lens(lm, streams, metric.target_id, top_k, watch.silent)

    # Of a long prompt one run after the other: streams of all layers, and once more as the lens has them.
    # So, too, where rows change each other.
    small = is_kept_of_all_layers(lm, "resid_pre", 4 * len(prompt.token_ids))
    together = small and not lm.anatomy.alone
    off = metric.baseline
    with base():
        edits = edits_of(lm, prompt, stack, source)
        run = record(lm, prompt, sites, edits=(*CLEAN, edits) if together else (edits,))
        logits = at_least_float32(row_logits(run, position))
        reads = [read(run, run.batch - 1)] if has_lens else []
        if without:
            plain = (
                logits if together else forward_logits(lm.anatomy, input_ids(lm, prompt), position)
            )
            off = float(metric.of(at_least_float32(plain))[0])
    if without or not together:
        del run  # before the other is there
        run = record(lm, prompt, sites)
        logits = torch.cat([at_least_float32(row_logits(run, position)), logits[-1:]])
    reads = [read(run, 0), *reads] if has_lens else []
    watch.step(1, runs)
    baseline = metric.baseline
    edited = float(metric.unless_rounding(metric.of(logits)[1].double().cpu().numpy(), baseline))
    extra = {"effect": LabelledArray((), np.array(edited - baseline)), **_top(lm, logits, top_k)}
    if without and replacing:  # each alone is made on the model as it is
        edits = edits_of(lm, prompt, stack, source)
    alone = _grouped(edits, replacing) if len(items) > 1 else []
    others = tuple(member for item in beside for member in item.members)
    alone += _grouped(edits_of(lm, prompt, others, source), beside)
    if alone:
        values = evaluate(run, alone, metric, watch=watch.stage(1, runs))
        values = metric.unless_rounding(values, baseline) - baseline
        first = len(alone) - len(beside)
        if first:
            rest = iter(values[:first])
            effects = [
                off - baseline if item not in replacing else float(next(rest)) for item in items
            ]
            axis = Axis("intervention", tuple(item.label for item in items))
            extra["alone"] = LabelledArray((axis,), np.array(effects))
        if beside:
            axis = Axis("control", tuple(item.label for item in beside))
            extra["control"] = LabelledArray((axis,), values[first:])
    if has_lens:
        extra |= _lenses(reads, prompt, lens_axis(lm, lens_site))
    watch.step(runs, runs)
    return Computed(
        values=np.array([baseline, edited]),
        axes=(RUN_AXIS,),
        extra=extra,
        warnings=tuple(dict.fromkeys(warnings)),
        unused=() if beside else ("controls",),
    )


def _grouped(edits: Counterfactual, items: Sequence[StackItem]) -> list[Counterfactual]:
    """The edits of each item together."""
    waiting = iter(edits)
    return [tuple(next(waiting) for _ in item.members) for item in items]


def _top(lm: LanguageModel, logits: torch.Tensor, top_k: int) -> dict[str, LabelledArray]:
    probs = probabilities(lm, logits)
    top = probs.topk(min(top_k, logits.shape[-1]))
    ids = top.indices.cpu().numpy()
    axes = (RUN_AXIS, Axis("rank", tuple(str(i + 1) for i in range(ids.shape[1]))))
    names = logit_names(lm, ids)
    return {
        "top_ids": LabelledArray(axes, ids),
        "top_tokens": LabelledArray(axes, names),
        "top_probs": LabelledArray(axes, top.values.cpu().numpy()),
        "top_other": LabelledArray(axes, probs.flip(0).gather(1, top.indices).cpu().numpy()),
    }


def _lenses(
    reads: Sequence[Mapping[str, np.ndarray]], prompt: PromptInfo, layers: Axis
) -> dict[str, LabelledArray]:
    """The lens of each run, one array for both."""
    axes = (RUN_AXIS, layers, lens_tokens(prompt))
    top = Axis("top", tuple(str(i + 1) for i in range(reads[0]["top_ids"].shape[-1])))
    return {
        "lens" if name == "prob" else f"lens_{name}": LabelledArray(
            (*axes, top) if name.startswith("top_") else axes,
            np.stack([read[name] for read in reads]),
        )
        for name in reads[0]
    }
