"""An encoder's loss of each token is that of a loop that masks one token at a time, also with edits."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.analyze import analyze
from interpboard.cli.main import main
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest, Result
from interpboard.whole_text import masked
from interpboard.whole_text.windows import windows_around
from tests.lm import fingerprint
from tests.masked import HEADS, masked_lm, masked_model, plain

TEXT = "the capital of france is paris in the city"
MASK = 4


def losses(lm: LanguageModel, text: str = TEXT, **params: Any) -> Result:
    return analyze(lm, text, ("token_losses",), params={"token_losses": params}).results[0]


def ids_of(lm: LanguageModel, text: str = TEXT) -> list[int]:
    return list(lm.tokenizer(text)["input_ids"])


def by_hand(family: str, ids: list[int], done: Any = ()) -> np.ndarray:
    """−ln p of each token between the special ones, it alone masked."""
    found = []
    for at in range(1, len(ids) - 1):
        row = torch.tensor([ids])
        row[0, at] = MASK
        logits = plain(family, masked_model(family), row, list(done))
        found.append(-float(logits[at].log_softmax(-1)[ids[at]]))
    return np.array(found)


@pytest.mark.parametrize("family", ["bert", "mpnet", "deberta-v2", "modernbert"])
def test_each_token_is_scored_while_it_alone_is_masked(family: str) -> None:
    lm = masked_lm(family)
    before = fingerprint(lm)
    result = losses(lm)
    expected = by_hand(family, ids_of(lm))
    np.testing.assert_allclose(result.values[1:-1], expected, rtol=1e-9)
    assert np.isnan(result.values[[0, -1]]).all()  # what the tokenizer puts around the text
    assert float(result.extra["mean_loss"].values) == pytest.approx(expected.mean())
    assert float(result.extra["pseudo_perplexity"].values) == pytest.approx(
        math.exp(expected.mean())
    )
    assert "perplexity" not in result.extra  # it is of no distribution over texts
    assert set(result.extra["context"].values[1:-1]) == {8.0}
    assert fingerprint(lm) == before


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = losses(masked_lm("bert")).values
    monkeypatch.setattr(masked, "_TOKENS_A_BATCH", 25)
    np.testing.assert_allclose(losses(masked_lm("bert")).values, whole, rtol=1e-12)


def test_interventions_are_made_in_every_masked_run() -> None:
    lm = masked_lm("bert")

    def off(z: torch.Tensor) -> torch.Tensor:
        heads = z.unflatten(-1, (HEADS, -1)).clone()
        heads[:, :, 2] = 0
        return heads.flatten(2)

    def level(value: torch.Tensor) -> torch.Tensor:
        return value.mean(1, keepdim=True).expand(value.shape)

    for written, done in (("1.2=zero", ("z", 1, off)), ("0.mlp=mean", ("mlp_out", 0, level))):
        result = losses(lm, interventions=written)
        expected = by_hand("bert", ids_of(lm), [done])
        np.testing.assert_allclose(result.extra["edited"].values[1:-1], expected, rtol=1e-9)
        assert np.abs(result.extra["effect"].values[1:-1]).max() > 1e-3
        name = "edited_pseudo_perplexity"
        assert float(result.extra[name].values) == pytest.approx(math.exp(expected.mean()))


def test_a_mask_of_the_text_itself_is_no_word_and_stays_for_the_others() -> None:
    lm = masked_lm("bert")
    text = "the capital of [MASK] is [MASK]"
    result = losses(lm, text)
    expected = by_hand("bert", ids_of(lm, text))
    masks = [4, 6]
    assert np.isnan(result.values[masks]).all()
    others = [1, 2, 3, 5]
    np.testing.assert_allclose(result.values[others], expected[np.array(others) - 1], rtol=1e-9)
    assert float(result.extra["predicted"].values) == 4
    with pytest.raises(InterpBoardError, match="only masks"):
        losses(lm, "[MASK] [MASK]")


def test_of_a_long_text_each_token_is_scored_where_it_has_most_on_both_sides(
    tmp_path: Path,
) -> None:
    lm = masked_lm("bert")
    file = tmp_path / "long.txt"
    words = (TEXT + " ") * 3
    file.write_text(words, encoding="utf-8")
    result = losses(lm, file=str(file), window=12, stride=5)
    ids = ids_of(lm, words)
    own = ids[1:-1]
    for window in windows_around(len(own), 10, 5):
        cut = [ids[0], *own[window.begin : window.end], ids[-1]]
        expected = by_hand("bert", cut)
        scored = slice(window.first - window.begin, window.last - window.begin)
        found = result.values[1 + window.first : 1 + window.last]
        np.testing.assert_allclose(found, expected[scored], rtol=1e-9)
    assert any("had beside it" in warning for warning in result.warnings)
    with pytest.raises(BadParameter, match="leaves tokens out"):
        losses(lm, file=str(file), window=12, stride=11)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20))
def test_windows_of_both_sides_score_every_token_once(length: int, own: int, stride: int) -> None:
    if stride > own and length > own:
        return
    windows = windows_around(length, own, stride)
    scored = [at for w in windows for at in range(w.first, w.last)]
    assert scored == list(range(length))
    assert all(w.begin <= w.first <= w.last <= w.end <= length for w in windows)
    assert all(w.end - w.begin <= own for w in windows)


def test_the_command_line_needs_no_mask_and_says_pseudo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = masked_lm("bert", torch.float32)
    lm.model.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    words = ["analyze", "--model", str(tmp_path), "--text", TEXT, "-a", "token_losses"]
    assert main([*words, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["results"][0]
    assert "pseudo_perplexity" in found["extra"]
    assert main(words) == 0
    assert "paris" in capsys.readouterr().out
    assert main([*words[:-1], "occlusion"]) != 0
    assert "0 mask tokens" in capsys.readouterr().err


def test_what_looks_at_the_metric_still_needs_a_mask() -> None:
    with pytest.raises(InterpBoardError, match="has 0 mask tokens"):
        analyze(masked_lm("bert"), TEXT, ("token_losses", "occlusion"), MetricRequest())
