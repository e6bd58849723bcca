"""The loss of each token is transformers' own, whatever the windows; edits held are those of plain hooks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard import LanguageModel
from interpboard.analyze import analyze
from interpboard.cli.main import main
from interpboard.errors import BadParameter, BadPrompt, Unsupported
from interpboard.results import Result
from interpboard.runs.prompt import token_text
from interpboard.whole_text import scores
from interpboard.whole_text.windows import windows_of
from tests.lm import TEXT, case, fingerprint, tiny_lm
from tests.plain_hooks import plain_logits


def losses(family: str = "gpt2", dtype: torch.dtype = torch.float64, **params: Any) -> Result:
    lm = tiny_lm(family, dtype)
    return analyze(lm, TEXT, ("token_losses",), params={"token_losses": params}).results[0]


def lone(result: Result, name: str) -> float:
    return float(result.extra[name].values)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gptj", "gemma2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_mean_is_the_loss_that_transformers_gives(family: str, dtype: torch.dtype) -> None:
    lm, prompt, _ = case(family, dtype)
    before = fingerprint(lm)
    result = losses(family, dtype)
    ids = torch.tensor([prompt.token_ids])
    with torch.no_grad():
        own = float(lm.model(input_ids=ids, labels=ids).loss)
    # Its loss is computed in float32 whatever the model is in.
    assert lone(result, "mean_loss") == pytest.approx(own, rel=2e-6)
    assert lone(result, "perplexity") == pytest.approx(math.exp(own), rel=1e-5)
    assert math.isnan(result.values[0])
    assert result.baseline is None
    assert not result.warnings
    assert fingerprint(lm) == before


def test_rank_entropy_surprise_and_the_likeliest_are_those_of_the_logits() -> None:
    lm, prompt, _ = case("gpt2", torch.float64)
    result = losses()
    logs = plain_logits(lm, prompt, ())[0].log_softmax(-1)
    for at, token in enumerate(prompt.token_ids[1:], 1):
        row = logs[at - 1]
        entropy = float(-(row.exp() * row).sum())
        assert result.values[at] == pytest.approx(-float(row[token]), rel=1e-9)
        assert result.extra["rank"].values[at] == 1 + int((row > row[token]).sum())
        assert result.extra["entropy"].values[at] == pytest.approx(entropy, rel=1e-9)
        assert result.extra["surprise"].values[at] == pytest.approx(
            -float(row[token]) - entropy, abs=1e-9
        )
        assert result.extra["context"].values[at] == at
        assert result.extra["likeliest_prob"].values[at] == pytest.approx(float(row.exp().max()))
        assert result.extra["likeliest"].values[at] == token_text(lm.tokenizer, int(row.argmax()))


def test_blocks_of_positions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = losses()
    monkeypatch.setattr(scores, "_LOGITS_A_BLOCK", 1)
    np.testing.assert_allclose(losses().values, whole.values, rtol=1e-12)


@pytest.mark.parametrize(
    ("written", "site", "layer"),
    [("1.mlp=zero", "mlp_out", 1), ("0.attn=zero", "attn_out", 0), ("1.2=zero", "z", 1)],
)
def test_the_edited_loss_is_that_of_plain_hooks(written: str, site: str, layer: int) -> None:
    lm, prompt, _ = case("gpt2", torch.float64)

    def zero(value: torch.Tensor) -> torch.Tensor:
        value = value.clone()
        if site == "z":
            value[:, :, 2] = 0
            return value
        return torch.zeros_like(value)

    logs = plain_logits(lm, prompt, [(site, layer, zero)])[0].log_softmax(-1)
    said = torch.tensor(prompt.token_ids[1:])
    expected = -logs[:-1].gather(-1, said[:, None])[:, 0].numpy()
    result = losses(interventions=written)
    np.testing.assert_allclose(result.extra["edited"].values[1:], expected, rtol=1e-9)
    effect = result.extra["edited"].values - result.values
    np.testing.assert_allclose(result.extra["effect"].values, effect, equal_nan=True)
    assert lone(result, "edited_mean_loss") == pytest.approx(expected.mean())


def test_loss_recovered_is_one_of_the_clean_run_and_none_where_nothing_is_lost() -> None:
    nothing = losses(interventions='@3=" city"', reference="0.mlp=zero")
    clean, away = lone(nothing, "mean_loss"), lone(nothing, "reference_mean_loss")
    edited = lone(nothing, "edited_mean_loss")
    if away > clean:
        assert lone(nothing, "loss_recovered") == pytest.approx((away - edited) / (away - clean))
    for place in ("0.mlp", "1.mlp", "0.attn", "1.attn"):
        result = losses(interventions=f"{place}=zero")
        if lone(result, "reference_mean_loss") > lone(result, "mean_loss"):
            assert lone(result, "loss_recovered") == 0
        else:
            assert "loss_recovered" not in result.extra
            assert "no loss to recover" in " ".join(result.warnings)


def test_a_mean_is_warned_of_because_it_has_seen_later_tokens() -> None:
    result = losses(interventions="1.mlp=mean")
    assert any("has seen later ones" in words for words in result.warnings)


@torch.no_grad()
def last_logs(lm: LanguageModel, ids: list[int]) -> torch.Tensor:
    """Log probabilities [d_vocab] behind ``ids``, of the plain model."""
    logits: torch.Tensor = lm.model(torch.tensor([ids])).logits
    return logits[0, -1].log_softmax(-1)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(f"{TEXT} ten. " * 12, encoding="utf-8")
    return path


@pytest.mark.parametrize(("window", "stride"), [(16, 4), (12, 11), (9, 0), (40, 1)])
def test_each_token_of_a_file_is_scored_once_with_the_context_that_is_said(
    book: Path, window: int, stride: int
) -> None:
    lm = tiny_lm("gpt2", torch.float64)
    result = losses(file=str(book), window=window, stride=stride)
    ids = lm.tokenizer(book.read_text())["input_ids"]
    context = result.extra["context"].values
    assert len(result.values) == len(ids)
    assert np.isnan(result.values).tolist() == [True] + [False] * (len(ids) - 1)
    for at in range(1, len(ids), 7):
        logs = last_logs(lm, ids[at - int(context[at]) : at])
        assert result.values[at] == pytest.approx(-float(logs[ids[at]]), rel=1e-9)
    step = stride or window // 2
    assert np.nanmin(context[window:]) >= min(window - step, window - 1)
    assert "windows" in " ".join(result.warnings)
    assert result.params["window"] == window


def test_a_window_that_holds_the_text_is_the_prompt_itself(book: Path) -> None:
    book.write_text(TEXT)
    as_file, as_prompt = losses(file=str(book)), losses()
    np.testing.assert_array_equal(as_file.values, as_prompt.values)
    assert as_file.params == {"file": str(book)}
    assert len(losses(file=str(book), limit=4).values) == 4


class Beginning:
    """A tokenizer that puts a token in front of every text."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def __len__(self) -> int:
        return len(self.own)

    def __call__(self, text: str, add_special_tokens: bool = True, **options: Any) -> Any:
        found = self.own(text, add_special_tokens=False)
        return {"input_ids": [3] * add_special_tokens + list(found["input_ids"])}


def test_what_the_tokenizer_puts_in_front_stands_in_front_of_every_window(book: Path) -> None:
    plain = tiny_lm("gpt2", torch.float64)
    lm = replace(plain, tokenizer=Beginning(plain.tokenizer))
    params = {"token_losses": {"file": str(book), "window": 10, "stride": 9}}
    result = analyze(lm, TEXT, ("token_losses",), params=params).results[0]
    ids, context = plain.tokenizer(book.read_text())["input_ids"], result.extra["context"].values
    assert np.isnan(result.values).tolist() == [True] + [False] * len(ids)
    for at in (0, 1, 9, 10, 30):
        begin = at - int(context[at + 1])
        logs = last_logs(lm, [3, *ids[begin:at]])
        assert result.values[at + 1] == pytest.approx(-float(logs[ids[at]]), rel=1e-9)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_windows_score_every_token_once_and_each_has_one_before_it(
    length: int, size: int, stride: int, in_front: int
) -> None:
    try:
        cut = windows_of(length, size, stride, in_front)
    except BadParameter:
        return
    scored = [at for window in cut for at in range(window.first, window.end)]
    assert scored == list(range(length))
    for window in cut:
        assert window.end - window.begin + in_front <= size
        assert window.first == 0 or window.first - window.begin + in_front >= 1


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ({"file": "nowhere.txt"}, BadParameter, "Cannot read nowhere.txt"),
        ({"window": 5, "stride": 5}, BadParameter, "stride of 5 leaves tokens without any before"),
        ({"window": 1}, BadParameter, "A window of 1 has no token to predict"),
        ({"window": 10**6}, BadParameter, "longer than the model's context"),
        ({"window": 4, "interventions": "1.mlp@2=zero"}, BadParameter, "is at a position"),
        ({"interventions": "9.mlp=zero"}, BadParameter, "the model has layers"),
        ({"interventions": "adapter=off"}, Unsupported, "no edit of a run"),
        ({"reference": "1.mlp=zero"}, BadParameter, "A reference is for interventions"),
        ({"interventions": "1.mlp=patch", "source": "The"}, BadPrompt, "The source has"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    params: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        losses(**params)


def test_an_empty_file_one_of_bytes_and_one_token_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    for data, said in (
        (b"", "is empty"),
        (b"\xff\xff", "is not UTF-8"),
        (b"\xff\xfe\x00", "is UTF-16"),
        (b"The", "One token"),
    ):
        path.write_bytes(data)
        with pytest.raises((BadParameter, BadPrompt), match=said):
            losses(file=str(path))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no device without an end here")
def test_what_has_no_end_is_not_read_for_ever() -> None:
    with pytest.raises(BadParameter, match="/dev/zero has more than 20 MB"):
        losses(file="/dev/zero")


def test_from_the_command_line_a_file_needs_no_prompt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "text.txt"
    path.write_text("The capital of France is Paris.\n")
    assert main(["analyze", "-a", "token_losses", "-p", f"file={path}"]) == 0
    shown = capsys.readouterr().out
    assert "Loss of each token" in shown
    assert "metric: not looked at" in shown
    assert "perplexity: " in shown
    assert main(["analyze", "-a", "token_losses"]) == 2
    assert "There is no prompt" in capsys.readouterr().err
