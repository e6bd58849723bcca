"""Labels as targets: how they are named, and what a probability is for each problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.errors import BadParameter, BadTarget, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from tests.classifiers import DECODERS, SEQUENCE, classifier, labelled
from tests.tiny import tiny_tokenizer

TEXT = "The Eiffel Tower is in the city of Paris"


def of(model: Any) -> LanguageModel:
    return LanguageModel.of(model, tiny_tokenizer(), "tiny")


def explained(lm: LanguageModel, text: str = TEXT, **request: Any) -> Metric:
    return resolve_metric(lm, make_prompt(lm, text), MetricRequest(**request))


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_labels_that_exclude_nothing_have_probabilities_of_their_own(family: str) -> None:
    model = labelled(SEQUENCE[family], problem_type="multi_label_classification")
    lm = of(model)
    own = model(input_ids=input_ids(lm, make_prompt(lm, TEXT))).logits[0].sigmoid().detach()
    for i, label in enumerate(lm.info.label_names):
        found = explained(lm, target=label, name="prob")
        assert found.baseline == pytest.approx(float(own[i]), rel=1e-9)
        assert explained(lm, target=label, name="logprob").baseline == pytest.approx(
            float(own[i].log()), rel=1e-9
        )
    shown = analyze(lm, TEXT, ["predictions"]).results[0]
    np.testing.assert_allclose(sorted(shown.values), sorted(own.tolist()))
    kl = explained(lm, name="kl")
    other = torch.tensor([0.3, -0.2, 1.0], dtype=torch.float64)
    true, said = torch.distributions.Bernoulli(own), torch.distributions.Bernoulli(logits=other)
    expected = torch.distributions.kl_divergence(true, said).sum()
    assert float(kl.of(other[None])[0]) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("family", ["llama", "distilbert"])
def test_one_output_is_a_value_without_probabilities(family: str) -> None:
    model = labelled(SEQUENCE[family], num_labels=1)
    lm = of(model)
    own = float(model(input_ids=input_ids(lm, make_prompt(lm, TEXT))).logits[0, 0])
    for name in ("value", "logit"):
        metric = explained(lm, name=name)
        assert (metric.info.name, metric.baseline) == ("value", pytest.approx(own, rel=1e-9))
    for name in ("prob", "logprob", "kl", "rank", "logit_diff"):
        with pytest.raises(BadParameter, match="gives a value"):
            explained(lm, name=name, foil="#0")
    if lm.verified.lens:
        with pytest.raises(Unsupported, match="this model gives none"):
            analyze(lm, TEXT, ["logit_lens"])


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("positive", "Did you mean POSITIVE"),
        ("of", "is no label of this model. Its labels: NEGATIVE, POSITIVE, mixed feelings"),
        ("#3", "the model has #0 to #2"),
        ("\\#1", "is no label"),
        ("", "is no label"),
    ],
)
def test_what_is_no_label_is_refused_with_the_labels(target: str, said: str) -> None:
    with pytest.raises(BadTarget) as refused:
        explained(classifier("gpt2"), target=target)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_labels_of_one_name_are_named_by_index() -> None:
    names = {0: "same", 1: "other", 2: "same"}
    lm = of(labelled(DECODERS["gpt2"], id2label=names, label2id={"same": 0, "other": 1}))
    with pytest.raises(BadTarget, match=r"2 labels are called 'same'.*#0 or #2"):
        explained(lm, target="same")
    assert explained(lm, target="#2").target_id == 2


def test_labels_without_names_are_numbered() -> None:
    lm = of(labelled(DECODERS["gpt2"], num_labels=4))
    assert lm.info.label_names == ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3")
