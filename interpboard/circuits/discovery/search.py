"""Which edges between a model's parts carry a behaviour: scored, searched, and measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interpboard.circuits.discovery.behaviours import load_behaviour
from interpboard.circuits.discovery.called_maps import rounding_said
from interpboard.circuits.discovery.cases import (
    TokenizedExample,
    require_equal_length,
    require_same_reading,
    tokenize_examples,
)
from interpboard.circuits.discovery.choose import evaluator_for, scored_in
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.edge_scores import edge_scores
from interpboard.circuits.discovery.examples import read_examples
from interpboard.circuits.discovery.faithfulness import (
    Measured,
    curve_areas,
    distinct,
    measure_edges,
    prune,
    series,
    smallest,
    top_edges,
)
from interpboard.circuits.discovery.graph import OUTPUT, Graph
from interpboard.circuits.discovery.listed_edges import (
    Edges,
    edge_axis,
    listed_edges,
    of_unlisted,
)
from interpboard.circuits.discovery.measured_sizes import measured_sizes, rehearsed_loops
from interpboard.circuits.discovery.room import refuse_edges_without_room
from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, MetricInfo, PromptInfo, text_array
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.labels import label_head, logit_name
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.strip_prompt import in_same_strips
from interpboard.runs.watch import SILENT, Watch

SEARCHES = ("top", "greedy")


@analysis("circuit", path="autograd", refuses=refuse_edges_without_room)
def circuit(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    behavior: str = "",
    dataset: str | Iterable[Any] = "",
    corrupted: str = "",
    method: str = "eap_ig",
    n_steps: int = 5,
    search: str = "top",
    keep: float = 0.85,
    edges: int = 0,
    sizes: Sequence[int] | None = None,
    ablation: str = "corrupted",
    measure: str = "logit_diff",
    watch: Watch = SILENT,
) -> Computed:
    """Score [edge] of every edge, a circuit, and what circuits of a series of sizes are worth.

    The behaviour is that of the named ``behavior``, or of a ``dataset`` (see ``examples`` for its lines;
    ``behavior`` is then a name for it), or of ``prompt`` and ``metric`` against one ``corrupted`` prompt; in
    the first two cases ``prompt`` itself is not looked at. A masked model is read at its mask, a classifier
    where its head reads, any other at the last position. Scores are made by ``method``, with ``n_steps``
    points where it integrates, of the metric ``measure``: see ``edge_scores``. Edges are named as in
    ``graph``; what they are where a model norms its sums is said in ``normed_sums``.

    The circuit: the top ``edges`` by |score|, or (``edges`` = 0) the smallest of the series (``sizes``) whose
    measured faithfulness is at least ``keep``. ``search="greedy"`` then takes away whatever it can while that
    holds; see ``faithfulness.prune``. Faithfulness and completeness are measured exactly, edge by edge,
    everything outside replaced as ``ablation`` says (see ``evaluator``). An edge of score 0 (see
    ``edge_scores``) is in no circuit of the series but that of all edges, and a size that gives the same
    circuit as a smaller one is left out. Of a large graph the strongest edges are listed
    (``listed_edges``).

    ``extra``: ``in_circuit`` [edge] 0 or 1; ``enters`` [edge] the smallest size of the series whose circuit
    has the edge; ``nodes`` [node], the sum of the scores of a node's outgoing edges, and
    ``node_in_circuit``; ``size`` (edges left after dropping those on no way to the output),
    ``faithfulness`` and ``completeness`` over [edges], the series; ``circuit_size``,
    ``circuit_faithfulness``, ``circuit_completeness``; ``cpr`` and ``cmd``, the areas of the series
    (``faithfulness.curve_areas``); ``all_edges``, how many, where not all are listed; the behaviour
    ``clean`` and ``corrupted``. Where these two are the same to rounding, shares are NaN, the circuit is
    empty, and a warning says so.

    Raises ``BadParameter``, ``BadPrompt``, ``BadTarget`` for data that does not fit, ``Unsupported`` for a
    model whose graph would be wrong.
    """
    if search not in SEARCHES:
        raise BadParameter(f"There is no search {search!r}.", f"Use {' or '.join(SEARCHES)}.")
    watch.step(0, 1)
    partners = ablation == "corrupted"
    cases, measure = watch.once(
        "cases",
        lambda: _cases(lm, prompt, metric, behavior, dataset, corrupted, measure, partners),
    )
    evaluator = watch.once("evaluator", lambda: evaluator_for(lm, cases, measure, ablation))
    graph = evaluator.wiring.graph
    asked = series(graph, sizes)
    passes = len(evaluator.batches) * (1 if method == "eap" else n_steps)
    steps = _Steps(watch, passes, len(asked))
    greedy = search == "greedy"
    scoring, measuring = rehearsed_loops(greedy, passes, len(asked))
    scores = edge_scores(evaluator, method, n_steps, steps.scoring, scored_in(lm), scoring)
    series_of = distinct(graph, scores, asked)
    curve, at_sizes = measured_sizes(
        evaluator, asked, series_of, measuring, watch.silent, steps.measured
    )
    chosen, warnings = _choose(evaluator, scores, curve, edges, keep, greedy, watch.silent)
    steps.measured(len(asked) + 1)
    listed = listed_edges(graph, scores, chosen.edges)
    unlisted, said = of_unlisted(graph, listed)
    return Computed(
        values=scores[listed],
        axes=(edge_axis(graph, listed),),
        extra={
            **_extra(evaluator, scores, list(series_of), curve, chosen, listed),
            **_areas(graph, asked, at_sizes),
            **(_prompts(cases, lm) if dataset else {}),
            **unlisted,
        },
        warnings=(*_about(cases), *rounding_said(evaluator.wiring), *warnings, *said),
        params={
            "dataset": dataset if isinstance(dataset, str) else f"{len(cases)} examples",
            "measure": measure,
        },
        metric=_info(metric, measure, single=bool(corrupted)),
        baseline=evaluator.on_clean,
    )


def _about(cases: Sequence[TokenizedExample]) -> list[str]:
    """A warning where corrupted prompts had to be patched together."""
    patched = [case.corrupted.text for case in cases if case.patched_together and case.corrupted]
    if not patched:
        return []
    return [
        f"No other prompt was as long as {len(patched)} of {len(cases)}, so tokens were exchanged, e.g. "
        f"{patched[0]!r}. Better give partners of your own: clean => corrupted."
    ]


@dataclass
class _Steps:
    """Progress: scoring counts a step a pass, measuring a step a size, the search one more."""

    watch: Watch
    passes: int
    sizes: int

    @property
    def total(self) -> int:
        return self.passes + self.sizes + 1

    @property
    def scoring(self) -> Watch:
        return self.watch.stage(0, self.total)

    def measured(self, done: int) -> None:
        self.watch.step(self.passes + done, self.total)


def _cases(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    behavior: str,
    dataset: str | Iterable[Any],
    corrupted: str,
    measure: str,
    partners: bool,
) -> tuple[list[TokenizedExample], str]:
    """The cases, and how they are measured."""
    if bool(corrupted) == bool(dataset or behavior):
        raise BadParameter(
            "A circuit needs a behavior, a dataset, or a corrupted prompt: one of them.",
            "E.g. --param behavior=ioi, or --corrupted '...'.",
        )
    head = label_head(lm)
    if head is not None and head.problem != "one" and measure == "prob_diff":
        raise Unsupported("prob_diff compares labels one of which is true.", "Use logit_diff.")
    if dataset:
        return tokenize_examples(lm, read_examples(dataset), partners=partners), measure
    if behavior:
        named = load_behaviour(behavior)
        return tokenize_examples(lm, named.examples, partners=partners), named.measure
    if metric.info.name not in ("logit", "logit_diff", "value"):
        raise Unsupported(
            f"Circuits of the metric {metric.info.name} are not available.",
            "Use logit, or logit_diff with a foil.",
        )
    position = metric.info.position
    if lm.verified.causal and position != len(prompt.token_ids) - 1:
        raise BadParameter("A circuit explains the last position.", "Shorten the prompt.")
    foils = () if metric.info.against is None else (metric.info.against.id,)
    partner = require_equal_length(prompt, make_prompt(lm, in_same_strips(prompt, corrupted)))
    require_same_reading(lm, prompt, partner)
    return [TokenizedExample(prompt, partner, (metric.target_id,), foils, position)], "logit_diff"


def _choose(
    evaluator: EdgeEvaluator,
    scores: np.ndarray,
    curve: list[Measured],
    edges: int,
    keep: float,
    greedy: bool,
    watch: Watch,
) -> tuple[Measured, tuple[str, ...]]:
    """The circuit, and what must be said about it."""
    graph, warnings = evaluator.wiring.graph, []
    if edges:
        chosen = measure_edges(evaluator, top_edges(graph, scores, edges), watch)
    elif not evaluator.has_span:
        chosen = measure_edges(evaluator, np.zeros_like(graph.edges), watch)
    else:
        found = smallest(curve, keep)
        chosen = found or max(curve, key=lambda point: point.size)
        if found is None:
            warnings.append(f"No circuit of the series keeps {keep:g} of the behaviour.")
        unscored = int((scores[graph.pairs] == 0).sum())
        if found is not None and unscored and chosen.size > graph.edges.sum() - unscored:
            warnings.append(_unseen(graph, unscored, keep, greedy))
    if greedy and chosen.faithfulness >= keep:
        pruned = prune(evaluator, chosen.edges, scores, keep, watch)
        chosen = measure_edges(evaluator, pruned, watch)
    if not evaluator.has_span:
        warnings.append(
            "The behaviour is the same without any edge: there is nothing to explain, and no share of it "
            "to measure."
        )
    return chosen, tuple(warnings)


def _unseen(graph: Graph, unscored: int, keep: float, greedy: bool) -> str:
    """That the scores do not lead to a circuit: only the whole model is enough."""
    found = (
        f"{unscored} of {int(graph.edges.sum())} edges have a score of 0, and those that have one do not "
        f"keep {keep:g} of the behaviour: a softmax or an activation that is saturated has no gradient."
    )
    if greedy:
        return f"{found} The search began with all edges."
    return f"{found} So the circuit is the whole model; search=greedy takes away what it can spare."


def _extra(
    evaluator: EdgeEvaluator,
    scores: np.ndarray,
    asked: list[int],
    curve: list[Measured],
    chosen: Measured,
    listed: Edges,
) -> dict[str, LabelledArray]:
    graph = evaluator.wiring.graph
    edge = (edge_axis(graph, listed),)
    node = (Axis("node", (*graph.senders, OUTPUT)),)
    size = (Axis("edges", tuple(map(str, asked))),)
    enters = np.full(graph.edges.shape, np.nan)
    for count, point in zip(reversed(asked), reversed(curve), strict=True):
        enters[point.edges] = count
    in_circuit = np.append(chosen.edges.any(1), chosen.edges[:, -1].any())
    one = {
        "circuit_size": chosen.size,
        "circuit_faithfulness": chosen.faithfulness,
        "circuit_completeness": chosen.completeness,
        "clean": evaluator.on_clean,
        "corrupted": evaluator.on_reference,
        "examples": evaluator.n_examples,
    }
    return {
        **{name: LabelledArray((), np.array(value)) for name, value in one.items()},
        "size": LabelledArray(size, np.array([point.size for point in curve])),
        "faithfulness": LabelledArray(size, np.array([p.faithfulness for p in curve])),
        "completeness": LabelledArray(size, np.array([p.completeness for p in curve])),
        "in_circuit": LabelledArray(edge, chosen.edges[listed].astype(np.int64)),
        "enters": LabelledArray(edge, enters[listed]),
        "nodes": LabelledArray(node, np.append(scores.sum(1), np.nan)),
        "node_in_circuit": LabelledArray(node, in_circuit.astype(np.int64)),
    }


def _areas(graph: Graph, asked: Sequence[int], own: Sequence[float]) -> dict[str, LabelledArray]:
    cpr, cmd = curve_areas(int(graph.edges.sum()), asked, own)
    return {"cpr": LabelledArray((), np.array(cpr)), "cmd": LabelledArray((), np.array(cmd))}


def _prompts(cases: Sequence[TokenizedExample], lm: LanguageModel) -> dict[str, LabelledArray]:
    """The dataset as it was used, so that the result can be made again."""
    axis = (Axis("example", tuple(map(str, range(len(cases))))),)

    def words(ids: Sequence[int]) -> str:
        return "/".join(logit_name(lm, i) for i in ids)

    columns = {
        "clean_prompts": [case.clean.text for case in cases],
        "corrupted_prompts": ["" if c.corrupted is None else c.corrupted.text for c in cases],
        "targets": [words(case.targets) for case in cases],
        "foils": [words(case.foils) for case in cases],
    }
    return {name: LabelledArray(axis, text_array(column)) for name, column in columns.items()}


def _info(metric: Metric, measure: str, single: bool) -> MetricInfo:
    """The prompt's own metric, or the measure of a dataset, which has no one target."""
    return metric.info if single else MetricInfo(measure, metric.info.position)
