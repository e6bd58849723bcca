"""Bare encoders with a pooling: the target is a second text, or a component of the pooled vector."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from torch.nn.functional import cosine_similarity

from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.similarity.pairs import similarity_pairs
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.cli.main import main
from interpboard.errors import BadParameter, BadTarget, NotALanguageModel, Unaffordable, Unsupported
from interpboard.models import memory
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from tests.tiny import VOCAB, tiny_tokenizer

TEXT, OTHER = "The Eiffel Tower is in Paris", "The keys are on the table"
_PACKAGE = "sentence_transformers.models"


def folder(
    place: Path,
    pooling: str = "mean_tokens",
    more: Sequence[str] = (),
    model: str = "Bert",
) -> Path:
    """What sentence-transformers writes."""
    torch.manual_seed(0)
    config = getattr(tf, f"{model}Config")(
        vocab_size=VOCAB, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=40,
    )  # fmt: skip
    made = getattr(tf, f"{model}Model")(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6.0)
    made.save_pretrained(place)
    tiny_tokenizer().save_pretrained(place)
    kinds = ("Transformer", "Pooling", *more)
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"{_PACKAGE}.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    (place / "modules.json").write_text(json.dumps(modules))
    (place / "1_Pooling").mkdir()
    modes = {
        f"pooling_mode_{name}": name == pooling
        for name in ("cls_token", "mean_tokens", "max_tokens")
    }
    (place / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    return place


def opened(place: Path, dtype: str = "float64") -> LanguageModel:
    return open_model(str(place), device="cpu", dtype=dtype)


def pooled(lm: LanguageModel, text: str, pooling: str = "mean_tokens") -> torch.Tensor:
    """By the plain model."""
    hidden = lm.model.encoder(input_ids=input_ids(lm, make_prompt(lm, text))).last_hidden_state[0]
    return hidden.mean(0) if pooling == "mean_tokens" else hidden[0]


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_similarity_and_what_makes_it_are_the_plain_models(
    tmp_path: Path, pooling: str, dtype: str
) -> None:
    lm = opened(folder(tmp_path, pooling), dtype)
    near = {"rtol": 1e-4, "atol": 1e-5}
    bert = lm.model.encoder
    assert type(bert).__name__ == "BertModel"
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest(target=OTHER))
    other = pooled(lm, OTHER, pooling).detach()
    assert metric.info.name == "cosine"
    value = cosine_similarity(pooled(lm, TEXT, pooling), other, dim=0)
    assert metric.baseline == pytest.approx(float(value), rel=1e-5)

    seen: list[torch.Tensor] = []

    def keep(_module: Any, _args: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    handle = bert.get_input_embeddings().register_forward_hook(keep)
    cosine_similarity(pooled(lm, TEXT, pooling), other, dim=0).backward()
    handle.remove()
    gradient = seen[0].grad
    assert gradient is not None
    expected = (seen[0] * gradient)[0].sum(-1).detach().numpy()
    np.testing.assert_allclose(grad_x_input(lm, prompt, metric).values, expected, **near)
    bert.zero_grad()

    grid = head_ablation(lm, prompt, metric).values
    for layer in range(2):
        out = bert.encoder.layer[layer].attention.output.dense
        for head in range(2):

            def silenced(_module: Any, args: Any, head: int = head) -> Any:
                z = args[0].clone()
                z[..., head * 8 : head * 8 + 8] = 0
                return (z,)

            handle = out.register_forward_pre_hook(silenced)
            without = float(cosine_similarity(pooled(lm, TEXT, pooling), other, dim=0))
            handle.remove()
            assert grid[layer, head] == pytest.approx(without - float(value), rel=1e-3, abs=1e-5)


def test_a_component_is_a_number_of_the_vector(tmp_path: Path) -> None:
    lm = opened(folder(tmp_path, more=["Normalize"]))
    vector = torch.nn.functional.normalize(pooled(lm, TEXT), dim=0).detach()
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest(target="#5"))
    assert (metric.info.name, metric.baseline) == (
        "value",
        pytest.approx(float(vector[5]), rel=1e-9),
    )
    first = resolve_metric(lm, prompt, MetricRequest())
    assert first.target_id == int(vector.argmax())
    changed = occlusion(lm, prompt, metric).values
    assert np.abs(changed).max() > 0
    assert "vector of 16 components" in " ".join(lm.info.notes)


def test_what_a_vector_has_not_is_refused_in_a_line(tmp_path: Path) -> None:
    lm = opened(folder(tmp_path))
    prompt = make_prompt(lm, TEXT)
    for request in (
        MetricRequest("prob", OTHER), MetricRequest("prob", "#1"), MetricRequest("logit_diff", "#1", "#2"),
    ):  # fmt: skip
        with pytest.raises(BadParameter):
            resolve_metric(lm, prompt, request)
    for request in (
        MetricRequest("cosine"),
        MetricRequest("cosine", "#1"),
        MetricRequest(target="#16"),
    ):
        with pytest.raises(BadTarget):
            resolve_metric(lm, prompt, request)
    for analysis in ("logit_lens", "direct_logit_attribution", "continuation_attribution"):
        with pytest.raises(Unsupported) as refused:
            analyze(lm, TEXT, [analysis], MetricRequest(target=OTHER))
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("pooling", "more", "said"),
    [
        ("none", (), "pools by nothing"),
        ("mean_tokens", ("Dense",), "Transformer, Pooling, Dense"),
    ],
)
def test_another_way_to_the_vector_is_refused(
    tmp_path: Path, pooling: str, more: Sequence[str], said: str
) -> None:
    with pytest.raises(NotALanguageModel, match=said):
        opened(folder(tmp_path, pooling, more))


def test_the_command_line_compares_two_texts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(folder(tmp_path, model="Roberta"))
    words = [
        "analyze",
        "-m",
        place,
        "-t",
        TEXT,
        "--target",
        OTHER,
        "-a",
        "grad_x_input",
        "-f",
        "json",
    ]
    assert main(words) == 0
    result = json.loads(capsys.readouterr().out)["results"][0]
    assert result["metric"]["name"] == "cosine"
    assert result["metric"]["target"] == {"id": -1, "token": OTHER}


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
def test_pairs_of_tokens_share_out_the_cosine_whatever_the_samples(
    tmp_path: Path, pooling: str
) -> None:
    lm = open_model(str(folder(tmp_path, pooling, ("Normalize",))), device="cpu", dtype="float64")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest(target=OTHER))
    second = make_prompt(lm, OTHER)
    encoder = lm.model.encoder

    def unit(ids: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        hook = encoder.embeddings.word_embeddings.register_forward_hook(
            lambda _m, _a, out: out * there[None, :, None]
        )
        hidden = encoder(input_ids=ids).last_hidden_state
        hook.remove()
        pooled = hidden.mean(1) if pooling == "mean_tokens" else hidden[:, 0]
        return torch.nn.functional.normalize(pooled, dim=-1)[0]

    with torch.no_grad():
        whole, bare = (
            [
                unit(ids, torch.full((ids.shape[1],), there, dtype=torch.float64))
                for ids in (input_ids(lm, prompt), input_ids(lm, second))
            ]
            for there in (1.0, 0.0)
        )
    expected = (whole[0] - bare[0]) @ (whole[1] - bare[1])
    for samples in (1, 5):
        found = similarity_pairs(lm, prompt, metric, samples=samples)
        assert found.values.shape == (len(prompt.tokens), len(second.tokens))
        assert found.values.sum() == pytest.approx(float(expected), abs=1e-9)
        reference = float(found.extra["reference"].values)
        assert metric.baseline - reference == pytest.approx(found.values.sum(), abs=1e-9)
        np.testing.assert_allclose(found.extra["token"].values, found.values.sum(1))
    # One order, by hand: the last token to join the prompt adds what is there with it and not without.
    one = similarity_pairs(lm, prompt, metric, samples=1, seed=3)
    last = int(np.random.default_rng(3).permutation(len(prompt.tokens))[-1])
    there = torch.ones(len(prompt.tokens), dtype=torch.float64)
    there[last] = 0
    with torch.no_grad():
        added = whole[0] - unit(input_ids(lm, prompt), there)
    row = float(added @ (whole[1] - bare[1]))
    assert one.extra["token"].values[last] == pytest.approx(row, abs=1e-9)


def test_pairs_of_tokens_need_a_second_text(tmp_path: Path) -> None:
    lm = open_model(str(folder(tmp_path)), device="cpu", dtype="float32")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest(target="#5"))
    with pytest.raises(Unsupported, match="there is no second one"):
        similarity_pairs(lm, prompt, metric)


def test_sets_of_tokens_that_have_no_room_are_refused_with_as_many_samples_as_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = opened(folder(tmp_path))

    def asked(samples: int) -> None:
        params = {"similarity_pairs": {"samples": samples}}
        analyze(lm, TEXT, ("similarity_pairs",), MetricRequest(target=OTHER), params)

    monkeypatch.setattr(memory, "_free", lambda _device: 1 << 18)
    with pytest.raises(Unaffordable, match=r"choose \d+ samples\.$") as refused:
        asked(400)
    fits = int(str(refused.value).split(" samples")[0].split()[-1])
    assert 1 < fits < 400
    asked(fits)
