"""Encoders without a head, pooled as the user asks, as their files say, or by the mean: said in results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf

from interpboard import open_model
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.cli.main import main
from interpboard.errors import BadParameter, NotALanguageModel
from interpboard.models.checkpoint.hub import HubFiles, snapshot
from interpboard.models.language_model import LanguageModel
from interpboard.registry.loading import POOLINGS
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.sweeps.going_on import identity_of
from tests.models.test_sentence_encoders import OTHER, TEXT, folder
from tests.tiny import tiny_tokenizer

POOLED = {
    "mean": lambda hidden: hidden.mean(0),
    "cls": lambda hidden: hidden[0],
    "max": lambda hidden: hidden.max(0).values,
}


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    """An encoder that says nothing of how it is pooled."""
    place = folder(tmp_path / "silent")
    (place / "modules.json").unlink()
    (place / "1_Pooling" / "config.json").unlink()
    return place


def opened(place: Path, **options: Any) -> LanguageModel:
    return open_model(str(place), device="cpu", dtype="float64", **options)


def plain(lm: LanguageModel, text: str) -> torch.Tensor:
    """The vectors of its tokens, by the plain model."""
    with torch.no_grad():
        ids = input_ids(lm, make_prompt(lm, text))
        hidden: torch.Tensor = lm.model.encoder(input_ids=ids).last_hidden_state[0]
    return hidden


@pytest.mark.parametrize("pooling", POOLINGS)
def test_each_pooling_is_that_of_plain_vectors_clean_and_with_heads_off(
    silent: Path, pooling: str
) -> None:
    lm = opened(silent, pooling=pooling)
    pool = POOLED[pooling]
    assert (lm.info.pooling, lm.info.options.pooling) == (pooling, pooling)
    prompt = make_prompt(lm, TEXT)
    other = pool(plain(lm, OTHER))

    def cosine() -> float:
        return float(torch.cosine_similarity(pool(plain(lm, TEXT)), other, dim=0))

    metric = resolve_metric(lm, prompt, MetricRequest(target=OTHER))
    assert metric.baseline == pytest.approx(clean := cosine(), rel=1e-9)
    component = resolve_metric(lm, prompt, MetricRequest(target="#3"))
    assert component.baseline == pytest.approx(float(pool(plain(lm, TEXT))[3]), rel=1e-9)
    found = head_ablation(lm, prompt, metric).values
    for layer, head in np.ndindex(found.shape):

        def off(_module: Any, args: Any, head: int = head) -> Any:
            z = args[0].clone()
            z[..., head * 8 : head * 8 + 8] = 0
            return (z,)

        out = lm.model.encoder.encoder.layer[layer].attention.output.dense
        handle = out.register_forward_pre_hook(off)
        assert found[layer, head] == pytest.approx(cosine() - clean, rel=1e-6, abs=1e-9)
        handle.remove()


def test_what_is_not_said_is_the_mean_and_results_say_so(silent: Path) -> None:
    lm = opened(silent)
    assert lm.info.pooling == "mean"
    assert any("nothing beside the model says how it is pooled" in note for note in lm.info.notes)
    bare = tf.AutoModel.from_pretrained(silent).eval()
    handed = LanguageModel.of(bare, tiny_tokenizer(), pooling="max")
    assert (handed.info.pooling, handed.info.options.pooling) == ("max", "max")
    assert not any("nothing beside the model" in note for note in handed.info.notes)


def test_the_files_of_the_model_are_followed_and_the_user_before_them(tmp_path: Path) -> None:
    place = folder(tmp_path, "max_tokens")
    own = opened(place)
    assert own.info.pooling == "max"
    (place / "modules.json").unlink()
    assert opened(place).info.pooling == "max"  # 1_Pooling alone says it
    asked = opened(place, pooling="cls")
    assert asked.info.pooling == "cls"
    assert "pooled by cls, as was asked; its own files say max" in asked.info.notes
    # A sweep of the one is not gone on with by the other.
    assert identity_of(asked.info) != identity_of(own.info)
    assert identity_of(opened(place, pooling="max").info) == identity_of(own.info)


def test_a_pooling_is_refused_where_there_is_none(tmp_path: Path, silent: Path) -> None:
    with pytest.raises(BadParameter, match="no pooling 'median'"):
        opened(silent, pooling="median")
    with pytest.raises(BadParameter, match="no encoder without a head"):
        open_model("demo", device="cpu", pooling="mean")
    config = json.loads((silent / "config.json").read_text())
    for change in ({"is_decoder": True}, {"is_encoder_decoder": True}):
        (silent / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(NotALanguageModel):
            opened(silent)


def test_the_command_line_pools_as_it_is_told(
    silent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["analyze", "-m", str(silent), "-t", TEXT, "--target", "#3", "-a", "grad_x_input"]
    assert main([*words, "-f", "json", "--pooling", "max"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["model"]["pooling"] == said["model"]["options"]["pooling"] == "max"
    assert main([*words, "--pooling", "sum"]) != 0


def test_the_hub_is_asked_how_a_cached_encoder_is_pooled(
    silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache",
        lambda _name, file, **_: str(silent / file) if (silent / file).is_file() else None,
    )
    asked: list[str] = []

    def fetched(_asked: HubFiles, _say: Any) -> Path:
        asked.append("hub")
        return silent

    monkeypatch.setattr("interpboard.models.checkpoint.hub._fetched", fetched)
    assert snapshot(HubFiles("somebody/encoder"), lambda _: None) == (silent, "")
    assert asked == ["hub"]
    folder_says = silent / "modules.json"
    folder_says.write_text("[]")
    snapshot(HubFiles("somebody/encoder"), lambda _: None)
    assert asked == ["hub"]
    folder_says.unlink()
    there = snapshot(HubFiles("somebody/encoder", pooling="mean"), lambda _: None)
    assert there == (silent, "")  # what the user says needs no file
    assert asked == ["hub"]
    lm = opened(silent, pooling="mean")
    assert any("is not normalised: no file of the model says" in note for note in lm.info.notes)
