"""The search for circuits, where the circuit is known: by construction, and by trying every set of edges."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest

from interpboard import Result
from interpboard.circuits.discovery.cases import tokenize_examples
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.edge_scores import without_rounding
from interpboard.circuits.discovery.examples import Example
from interpboard.circuits.discovery.faithfulness import distinct, measure_edges, top_edges
from interpboard.circuits.discovery.graph import Graph
from tests.compiled.by_numpy import Edge, logits_of_one_layer, token_ids
from tests.compiled.cases import found, opened
from tests.compiled.compiler import compiled
from tests.compiled.programs import REPEAT, TRUTHS


def chosen(result: Result) -> set[str]:
    """The circuit's edges by name."""
    inside = result.extra["in_circuit"].values == 1
    return set(np.array(result.axes[0].labels)[inside])


def searched(program: str, way: str = "hard", dtype: str = "float64", **params: object) -> Result:
    """A circuit of the program's prompt against its other one."""
    return found(program, "circuit", way, dtype, corrupted=TRUTHS[program].other, **params)


@pytest.mark.parametrize("program", TRUTHS)
def test_greedy_search_returns_the_edges_of_the_program_faithful_and_complete(program: str) -> None:
    result = searched(program, search="greedy")
    assert chosen(result) == set(TRUTHS[program].edges)
    assert result.extra["circuit_faithfulness"].values == pytest.approx(1, abs=1e-12)
    assert result.extra["circuit_completeness"].values == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("way", "dtype"), [("soft", "float64"), ("rotated", "float64"), ("rotated", "float32")]
)
@pytest.mark.parametrize("program", TRUTHS)
def test_the_default_search_keeps_no_edge_that_only_rounding_scores(
    program: str, way: str, dtype: str
) -> None:
    result = searched(program, way, dtype)
    truth = set(TRUTHS[program].edges)
    scored = {e for e, v in zip(result.axes[0].labels, result.values, strict=True) if v}
    assert scored == truth
    assert chosen(result) == truth
    assert result.extra["circuit_faithfulness"].values == pytest.approx(1, abs=1e-5)
    never = np.isnan(result.extra["enters"].values)
    assert not never.any()  # with all edges of the model every edge is there
    only_then = result.extra["enters"].values == len(result.values)
    assert set(np.array(result.axes[0].labels)[~only_then]) == truth


@pytest.mark.parametrize("way", ["hard", "soft", "rotated"])
@pytest.mark.parametrize("program", TRUTHS)
def test_every_size_of_the_series_is_another_circuit(program: str, way: str) -> None:
    sizes = searched(program, way).extra["size"].values.tolist()
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1]) == (0, len(searched(program, way).values))


def test_sizes_that_are_asked_for_and_give_the_same_circuit_are_measured_once() -> None:
    result = searched("chain", "soft", sizes=[6, 10, 50, 200])
    assert result.extra["size"].values.tolist() == [6]
    assert result.extra["size"].axes[0].labels == ("6",)
    assert result.params["sizes"] == [6, 10, 50, 200]
    assert chosen(result) == set(TRUTHS["chain"].edges)


def test_a_model_without_gradients_is_said_to_have_none_and_greedy_search_does_not_need_them() -> (
    None
):
    top = searched("repeat")
    assert len(chosen(top)) == 13
    assert "12 of 13 edges have a score of 0" in top.warnings[0]
    assert "search=greedy" in top.warnings[0]
    greedy = searched("repeat", search="greedy")
    assert chosen(greedy) == set(TRUTHS["repeat"].edges)
    assert "began with all edges" in greedy.warnings[0]
    assert not searched("repeat", "soft").warnings


def test_a_score_below_the_rounding_of_its_format_is_none() -> None:
    scores = np.array([[4.0, -1e-6, 0.0], [1e-13, -1e-15, 0.5]])
    double = without_rounding(scores, np.finfo(np.float64).eps)
    assert double.tolist() == [[4.0, -1e-6, 0.0], [1e-13, 0.0, 0.5]]
    single = without_rounding(scores, float(np.finfo(np.float32).eps))
    assert single.tolist() == [[4.0, 0.0, 0.0], [0.0, 0.0, 0.5]]
    assert not without_rounding(np.zeros((2, 3)), 1e-16).any()


def test_edges_without_a_score_are_in_no_circuit_but_the_whole_model() -> None:
    graph = Graph(1, 2, 2)
    scores = np.zeros(graph.edges.shape)
    scores[graph.senders.index("embed"), graph.receivers.index("output")] = 1.0
    for count in (1, 5, 12):
        assert top_edges(graph, scores, count).sum() == 1
    assert top_edges(graph, scores, 13).sum() == 13
    assert list(distinct(graph, scores, [0, 1, 5, 12, 13])) == [0, 1, 13]


@pytest.mark.parametrize("search", ["top", "greedy"])
@pytest.mark.parametrize("way", ["hard", "hard_rotated"])
@pytest.mark.parametrize("program", ["induction", "tally"])
def test_where_two_prompts_differ_in_nothing_that_is_read_there_is_no_circuit_and_no_share(
    program: str, way: str, search: str
) -> None:
    """Rotated, the two runs differ by rounding, and shares of that would be numbers like any other."""
    truth = TRUTHS[program]
    unread = truth.read.index(0, 1)  # behind <s>
    other = truth.prompt[: unread - 1] + "l" + truth.prompt[unread:]
    result = found(program, "circuit", way, corrupted=other, search=search)
    shown = {name: result.extra[name].values for name in ("clean", "corrupted")}
    assert shown["clean"] == pytest.approx(8)
    assert shown["corrupted"] == pytest.approx(8)
    assert "there is nothing to explain" in result.warnings[0]
    for share in ("faithfulness", "completeness", "circuit_faithfulness", "circuit_completeness"):
        assert np.isnan(result.extra[share].values).all()
    assert not chosen(result)


@cache
def every_set() -> tuple[np.ndarray, np.ndarray, tuple[Edge, ...]]:
    """All 2¹³ sets of edges of the smallest program [set, edge], and the behaviour of each [set]."""
    graph, truth = Graph(1, 2, 2), TRUTHS["repeat"]
    names = (graph.name(s, r).split(">") for s, r in zip(*graph.pairs, strict=True))
    edges = tuple((sender, receiver) for sender, receiver in names)
    sets = np.array(list(product((0.0, 1.0), repeat=len(edges))))
    answers, weights = [], compiled(REPEAT)
    for part in np.array_split(sets, 16):
        live = {edge: part[:, i] for i, edge in enumerate(edges)}
        logits = logits_of_one_layer(weights, 2, truth.prompt, truth.other, live)
        right, wrong = (token_ids(token)[1] for token in "+-")
        answers.append(logits[:, right] - logits[:, wrong])
    return sets.astype(bool), np.concatenate(answers), edges


def experiment() -> tuple[EdgeEvaluator, Graph]:
    """The library's own, on the same prompts."""
    truth = TRUTHS["repeat"]
    example = Example(truth.prompt, truth.other, (truth.target,), (truth.foil or "",))
    lm = opened("repeat")
    made = EdgeEvaluator.of(lm, tokenize_examples(lm, [example]))
    return made, made.wiring.graph


def test_of_all_sets_of_edges_the_smallest_faithful_one_is_the_one_that_greedy_search_finds() -> (
    None
):
    sets, values, edges = every_set()
    clean, reference = values[-1], values[0]
    assert (clean, reference) == (8, -8)
    faithful = (values - reference) / (clean - reference) >= 0.85
    sizes = sets.sum(1)
    smallest = np.flatnonzero(faithful & (sizes == sizes[faithful].min()))
    assert len(smallest) == 1
    (best,) = sets[smallest]
    names = {">".join(edge) for edge, inside in zip(edges, best, strict=True) if inside}
    assert names == chosen(searched("repeat", search="greedy")) == set(TRUTHS["repeat"].edges)
    assert (faithful == sets[:, best].all(1)).all()  # every faithful set has it in it


def test_faithfulness_and_completeness_of_any_set_of_edges_are_those_of_plain_numpy() -> None:
    sets, values, edges = every_set()
    shares = (values - values[0]) / (values[-1] - values[0])
    of_set = {tuple(row): share for row, share in zip(sets.tolist(), shares, strict=True)}
    made, graph = experiment()
    senders = [graph.senders.index(sender) for sender, _ in edges]
    receivers = [graph.receivers.index(receiver) for _, receiver in edges]
    truth = [">".join(edge) in TRUTHS["repeat"].edges for edge in edges]
    generator = np.random.default_rng(0)
    tried = [*generator.choice(len(sets), 60, replace=False)]
    with_circuit = [i for i in generator.permutation(len(sets)) if sets[i][truth].all()][:20]
    for index in [*tried, *with_circuit]:
        chosen_edges = np.zeros_like(graph.edges)
        chosen_edges[senders, receivers] = sets[index]
        measured = measure_edges(made, chosen_edges)
        assert measured.faithfulness == pytest.approx(shares[index], abs=1e-12)
        without = of_set[tuple((~sets[index]).tolist())]
        assert measured.completeness == pytest.approx(1 - without, abs=1e-12)
