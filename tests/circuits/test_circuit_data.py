"""What circuits are searched on: named behaviours, datasets, and the pairs that are made of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch

from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.circuits import CircuitAnalyzer
from interpboard.circuits.discovery.behaviours import BEHAVIOURS, BEHAVIOURS_FOLDER, load_behaviour
from interpboard.circuits.discovery.behaviours.make import file_text
from interpboard.circuits.discovery.cases import measured, tokenize_examples
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.edge_scores import edge_scores
from interpboard.circuits.discovery.examples import Example, read_examples
from interpboard.circuits.discovery.faithfulness import measure_edges, top_edges
from interpboard.errors import BadParameter, BadPrompt, BadTarget, InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest


@cache
def demo() -> LanguageModel:
    return open_model("demo", device="cpu")


@pytest.mark.parametrize("behavior", BEHAVIOURS)
def test_every_named_behaviour_is_there_in_the_demo_model_and_in_half_of_its_edges(
    behavior,
) -> None:
    named = load_behaviour(behavior)
    cases = tokenize_examples(demo(), named.examples)
    assert len(cases) == 40
    evaluator = EdgeEvaluator.of(demo(), cases, measure=named.measure)
    graph = evaluator.wiring.graph
    assert evaluator.on_clean > evaluator.on_reference
    assert evaluator.on_clean > 0
    scores = edge_scores(evaluator, "eap")
    half = measure_edges(evaluator, top_edges(graph, scores, int(graph.edges.sum()) // 2))
    assert half.faithfulness >= 0.8


@pytest.mark.parametrize("behavior", BEHAVIOURS)
def test_the_files_are_what_the_corpus_and_the_demo_tokenizer_make(behavior: str) -> None:
    # After a change of either: python -m interpboard.circuits.discovery.behaviours.make
    shipped = (BEHAVIOURS_FOLDER / f"{behavior}.json").read_text(encoding="utf-8")
    assert shipped == file_text(behavior, demo().tokenizer)


def test_subjects_are_swapped_where_they_are_named() -> None:
    lm = demo()
    examples = [
        Example("Then Mary went to the park. Mary", subject="Mary", target=(" was",)),
        Example("Everyone saw that John", subject="John", target=(" had",)),
    ]
    cases = tokenize_examples(lm, examples)
    assert [case.corrupted.text for case in cases] == [
        "Then John went to the park. John", "Everyone saw that Mary",
    ]  # fmt: skip
    assert cases[0].foils == cases[1].targets


def test_measures_are_known_by_hand() -> None:
    lm = demo()
    prompt = tokenize_examples(lm, [Example("Mary", target=(" is",), foil=(" a",))], partners=False)
    case = type(prompt[0])(prompt[0].clean, None, (0, 1), (2,), 0)
    logits = torch.tensor([[2.0, 4.0, 1.0, 0.0]])
    assert float(measured(logits, [case], "logit_diff")[0]) == pytest.approx(2.0)
    share = logits[0].softmax(-1)
    expected = float(share[0] + share[1] - share[2])
    assert float(measured(logits, [case], "prob_diff")[0]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dataset", "error", "complaint"),
    [
        ("", BadParameter, "needs a behavior, a dataset, or a corrupted"),
        ("Mary and John", BadPrompt, r"No other prompt of \d tokens"),
        ("Mary and John => Mary | is | a", BadPrompt, r"has \d tokens, its corrupted partner \d"),
        ("Mary and John => Mary and John | is | a", BadPrompt, "are the same"),
        ("Mary and John => Tom and John | is | is", BadTarget, "Target and foil .* are the same"),
        ("Mary => Tom => a => b => c", BadParameter, r"^Line 1, .* more than a target and a foil"),
        ("Mary\nMary => Tom | is | a | the", BadParameter, r"^Line 2, .* more than a target"),
        ("Mary => Tom | is not", BadTarget, "is 2 tokens"),
    ],
)
def test_data_that_does_not_fit_is_refused_in_one_line(dataset, error, complaint) -> None:
    with pytest.raises(error, match=complaint) as raised:
        analyze(demo(), "a", ["circuit"], MetricRequest(), {"circuit": {"dataset": dataset}})
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, InterpBoardError)


def test_a_dataset_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("The keys => The key | are | is\n\nThe boys => The boy | are | 'is'/'was'\n")
    examples = read_examples(str(file))
    assert [example.clean for example in examples] == ["The keys", "The boys"]
    assert examples[1] == Example("The boys", "The boy", (" are",), ("is", "was"))


def test_a_dataset_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_bytes(b"caf\xe9 => th\xe9")
    with pytest.raises(BadParameter, match="not UTF-8 text"):
        read_examples(str(file))


def test_an_unknown_behaviour_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(BadParameter, match="ioi, induction, facts, agreement, greater_than"):
        load_behaviour("oii")
    with (
        CircuitAnalyzer(demo().model, demo().tokenizer) as analyzer,
        pytest.raises(BadParameter, match="no dataset for the behaviour 'mine'"),
    ):
        analyzer.discover_circuits(target_behavior="mine")


def test_prompts_of_other_lengths_lend_their_tokens_and_the_result_says_so() -> None:
    lm = demo()
    lines = ["The capital of France is", "The president of USA is"]
    cases = tokenize_examples(lm, read_examples(lines))
    for case, other in zip(cases, cases[::-1], strict=True):
        assert case.patched_together
        assert case.corrupted is not None
        clean, corrupted = case.clean.token_ids, case.corrupted.token_ids
        assert len(corrupted) == len(clean)
        assert corrupted[-1] == clean[-1]  # the end that both share stays
        assert corrupted[-2] == other.clean.token_ids[-2] != clean[-2]
        assert case.corrupted.text == "".join(case.corrupted.tokens)
    with CircuitAnalyzer(lm.model, lm.tokenizer) as analyzer:
        found = analyzer.discover_circuits(dataset=lines, target_behavior="country_capital")
    assert "tokens were exchanged" in found.warnings[0]
    assert cases[0].corrupted.text in list(found.extra["corrupted_prompts"].values)
