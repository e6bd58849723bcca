"""A word without its space is another token, which is said; a token is not compared with itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from interpboard.errors import BadTarget
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.token_texts import token_text
from interpboard.sweeps.sweep import sweep
from tests.lm import TEXT, case


@pytest.fixture(scope="module")
def likelier() -> dict[str, bool]:
    """Words that are a token each, with a space in front and without: is that with one likelier?"""
    lm, _, metric = case()
    logits, tokenizer = metric.clean_logits, lm.tokenizer
    ids = {token_text(tokenizer, number): number for number in range(len(tokenizer))}
    both = [(text, " " + text) for text in ids if text.isalpha() and " " + text in ids]
    return {
        bare: bool(logits[ids[spaced]] > logits[ids[bare]])
        for bare, spaced in both
        if all(tokenizer.encode(each) == [ids[each]] for each in (bare, spaced))
    }


def test_a_word_that_is_likelier_behind_a_space_is_said_and_no_other(
    likelier: dict[str, bool],
) -> None:
    lm, prompt, _ = case()
    assert set(likelier.values()) == {True, False}
    for word, said in likelier.items():
        by_id = f"#{lm.tokenizer.encode(word)[0]}"
        for given, warned in ((word, said), (" " + word, False), (by_id, False)):
            found = resolve_metric(lm, prompt, MetricRequest("logit", given)).warnings
            assert [f"·{word}, it is likelier" in words for words in found] == [True] * warned
    some = next(word for word, said in likelier.items() if said)
    asked = MetricRequest("logit_diff", target=" " + some, foil=some)
    (of_foil,) = resolve_metric(lm, prompt, asked).warnings
    assert of_foil.startswith(f"The foil {some} has no space in front")


@pytest.mark.parametrize("named", [True, False])
def test_a_target_is_not_compared_with_itself(named: bool) -> None:
    lm, prompt, metric = case()
    own = f"#{metric.target_id}"
    with pytest.raises(BadTarget, match="target and the foil are one and the same"):
        resolve_metric(lm, prompt, MetricRequest("logit_diff", own if named else None, own))
    assert resolve_metric(lm, prompt, MetricRequest("logit", own, own)).info.foil is None


def test_a_mean_over_rows_whose_answers_lack_their_space_says_so(
    likelier: dict[str, bool], tmp_path: Path
) -> None:
    word = next(word for word, said in likelier.items() if said)
    data = tmp_path / "rows.csv"
    data.write_text(f"text,target\n{TEXT},{word}\n{TEXT}, {word}\n", encoding="utf-8")
    found = sweep(case()[0], data, ["saliency"], tmp_path / "out")
    (said,) = [words for words in found.results[0].warnings if "no space in front" in words]
    assert said.startswith("1 of the sweep's 2 rows have warnings")
