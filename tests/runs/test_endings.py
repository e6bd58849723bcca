"""Where a text that a model writes begins and ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from interpboard.attribution.continuation import continuation_attribution
from interpboard.interventions.steering import difference_of_means, steering
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.token_texts import text_behind
from tests.tiny import tiny_model
from tests.tokenizers import lm_of, tokenizer_of

TEXT = "Tom is 8"


class Ends:
    """A tokenizer that has another end of text."""

    def __init__(self, own: Any, end: int) -> None:
        self._own, self.eos_token_id = own, end

    def __call__(self, text: str, **options: Any) -> Any:
        return self._own(text, **options)

    def __len__(self) -> int:
        return len(self._own)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


def continued(lm: LanguageModel, count: int = 6) -> Any:
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    return continuation_attribution(lm, prompt, metric, new_tokens=count, method="saliency")


def greedy(lm: LanguageModel, count: int) -> list[int]:
    ids = [t for t in make_prompt(lm, TEXT).token_ids if t != 2]
    for _ in range(count):
        with torch.no_grad():
            logits = lm.model(torch.tensor([ids])).logits[0, -1]
        ids.append(int(logits.argmax()))
    return ids[-count:]


def test_a_continuation_ends_at_any_of_the_ends_and_says_so() -> None:
    lm = lm_of("llama")
    plain = continued(lm)
    assert len(plain.axes[0].labels) == 6
    assert not any("end-of-text" in warning for warning in plain.warnings)
    third = greedy(lm, 3)[-1]
    by_tokenizer = replace(lm, tokenizer=Ends(lm.tokenizer, third))
    model = tiny_model("llama")
    model.generation_config.eos_token_id = [7, third]
    by_settings = LanguageModel.of(model, tokenizer_of("llama"))
    for ended in (by_tokenizer, by_settings):
        result = continued(ended)
        count = len(result.axes[0].labels)
        assert count == greedy(lm, 3).index(third) + 1
        assert any("end-of-text token" in warning for warning in result.warnings)


def test_a_text_is_continued_at_its_end_and_not_behind_what_the_tokenizer_appends() -> None:
    with_end, without = lm_of("both ends"), lm_of("llama, new")
    found, expected = continued(with_end, 2), continued(without, 2)
    assert found.axes[0].labels == expected.axes[0].labels
    np.testing.assert_allclose(found.values, expected.values)


def test_steering_reads_and_continues_the_text_alone_and_keeps_its_leading_space() -> None:
    with_end, without = lm_of("both ends"), lm_of("llama, new")
    args: dict[str, Any] = {"positive": "He is happy", "negative": "Tom is 8", "layer": 1}
    texts = []
    for lm in (with_end, without):
        prompt = make_prompt(lm, TEXT)
        result = steering(
            lm, prompt, resolve_metric(lm, prompt, MetricRequest()), **args, scales=[0.0],
            new_tokens=4,
        )  # fmt: skip
        texts.append(str(result.extra["text"].values[0]))
    assert texts[0] == texts[1]
    written = greedy(without, 4)
    whole = without.tokenizer.decode([*make_prompt(without, TEXT).token_ids, *written])
    assert whole.endswith(texts[1]) or "\ufffd" in whole
    vectors = [difference_of_means(lm, ["He is"], ["Tom is"], 1) for lm in (with_end, without)]
    torch.testing.assert_close(vectors[0], vectors[1])


def test_the_text_behind_a_prompt_has_its_leading_space() -> None:
    for kind in ("llama", "llama, new", "byte level", "unigram"):
        tokenizer = tokenizer_of(kind)
        before = tokenizer("Tom", add_special_tokens=False)["input_ids"]
        both = tokenizer("Tom is", add_special_tokens=False)["input_ids"]
        assert text_behind(tokenizer, before, both[len(before) :]) == " is"
