"""The tuned lens: the plain one at first, nearer to the output once trained, and kept in a folder."""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from interpboard.circuits import LogitLens
from interpboard.circuits.lens import training
from interpboard.circuits.lens.logit import logit_lens
from interpboard.circuits.lens.training import STATE, TrainingSettings, tune_lens
from interpboard.circuits.lens.training_analysis import lens_training
from interpboard.circuits.lens.translators import PARAMS, Translators, load_translators
from interpboard.circuits.lens.tuned import tuned_lens
from interpboard.cli import main as cli
from interpboard.errors import BadParameter, Cancelled, UnsafeWeights
from interpboard.interventions.what_if import what_if
from interpboard.models.demo.corpus import training_texts
from interpboard.models.fingerprints import Origin
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.models.unembedding import residual_to_logits
from interpboard.results import LabelledArray
from interpboard.runs.record import record
from interpboard.runs.watch import Watch
from tests.alive import Alive
from tests.lm import case, fingerprint, tiny_lm

SHORT = TrainingSettings(steps=6, batch=2, length=12)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    texts = [document.text for document in islice(training_texts(random.Random(1)), 40)]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def random_translators(
    n_layers: int = 3, d_model: int = 32, lm: LanguageModel | None = None
) -> Translators:
    generator = torch.Generator().manual_seed(5)
    weight = 0.1 * torch.randn(n_layers, d_model, d_model, generator=generator)
    bias = torch.randn(n_layers, d_model, generator=generator)
    return Translators(weight, bias, Origin() if lm is None else Origin.of(lm.info))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_untrained_it_is_the_plain_lens(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    lm, prompt, metric = case(family, dtype)
    folder = Translators.identity(lm).save(tmp_path)
    tuned = tuned_lens(lm, prompt, metric, translators=str(folder))
    plain = logit_lens(lm, prompt, metric)
    np.testing.assert_array_equal(tuned.values, plain.values)
    np.testing.assert_array_equal(tuned.extra["kl"].values, plain.extra["kl"].values)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_row_is_the_translated_stream_through_the_models_own_head(
    family: str, tmp_path: Path
) -> None:
    lm, prompt, metric = case(family, torch.float64)
    made = random_translators(lm=lm)
    before = fingerprint(lm)
    result = tuned_lens(lm, prompt, metric, translators=str(made.save(tmp_path)))
    assert fingerprint(lm) == before
    streams = record(lm, prompt).residuals()
    with torch.no_grad():
        for layer in range(3):
            weight, bias = made.weight[layer].double(), made.bias[layer].double()
            stream = streams[layer] + streams[layer] @ weight.T + bias
            probs = lm.model.lm_head(lm.anatomy.final_norm(stream)).softmax(-1)
            expected = probs[:, metric.target_id]
            np.testing.assert_allclose(result.values[layer], expected, rtol=1e-4, atol=1e-7)
    plain = logit_lens(lm, prompt, metric)
    np.testing.assert_array_equal(result.values[-1], plain.values[-1])
    assert result.warnings == ()
    held = {"interventions": "1.0=zero", "translators": str(tmp_path)}
    both = what_if(lm, prompt, metric, **held).extra["lens"].values
    np.testing.assert_allclose(both[0], result.values, rtol=1e-9)
    assert np.abs(both[1] - both[0]).max() > 1e-6
    with pytest.raises(BadParameter, match="read the stream after layers"):
        what_if(lm, prompt, metric, lens_site="mlp_out", **held)


def test_training_on_the_demo_model_beats_the_plain_lens_at_every_layer(
    tmp_path: Path, corpus: Path
) -> None:
    lm = open_model("demo")
    before = fingerprint(lm)
    held_out = [document.text for document in islice(training_texts(random.Random(99)), 6)]
    with LogitLens(lm.model, lm.tokenizer) as lens:
        lens.tune(corpus, tmp_path / "lens", steps=25, batch=4, rate=4e-3)
        plain = [lens.read(text).extra["kl"].values.mean(1) for text in held_out]
        tuned = [
            lens.read_tuned(text, tmp_path / "lens").extra["kl"].values.mean(1) for text in held_out
        ]
    assert fingerprint(lm) == before
    assert all(parameter.grad is None for parameter in lm.model.parameters())
    assert (np.mean(tuned, axis=0)[:-1] < 0.9 * np.mean(plain, axis=0)[:-1]).all()
    assert np.mean(tuned, axis=0)[-1] == 0


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_step_is_adam_on_the_mean_kl_of_the_window_however_few_positions_are_read_at_once(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, _ = case(family, torch.float64)
    text = tmp_path / "text.txt"
    text.write_text(prompt.text * 8, encoding="utf-8")
    settings = TrainingSettings(steps=1, batch=2, length=12, rate=1e-2)
    whole = tune_lens(lm, text, tmp_path / "whole", settings)
    monkeypatch.setitem(training._LOGITS_A_STEP, "cpu", 5 * lm.anatomy.n_logits)
    with Alive() as alive:
        found = tune_lens(lm, text, tmp_path / "few", settings)
    assert (
        alive.most < 24 * lm.anatomy.n_logits * 8 * 4
    )  # all logits of the window, four times over
    torch.testing.assert_close(found.weight, whole.weight, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found.bias, whole.bias, rtol=1e-4, atol=1e-7)
    (ids,) = islice(training._batches(lm, ((text, text.stat().st_size),), settings), 1)
    streams = training._streams(lm, ids)
    weight = torch.zeros_like(found.weight[1]).requires_grad_()
    logits = [
        residual_to_logits(lm.anatomy, stream).log_softmax(-1)
        for stream in (streams[1] + (streams[1].to(weight) @ weight.T).to(streams[1]), streams[-1])
    ]
    kl = torch.nn.functional.kl_div(logits[0], logits[1], log_target=True, reduction="batchmean")
    adam = torch.optim.Adam([weight], lr=settings.rate)
    (weight.grad,) = torch.autograd.grad(kl, weight)
    adam.step()
    torch.testing.assert_close(whole.weight[1], weight.detach(), rtol=1e-4, atol=1e-7)
    assert weight.abs().max() > 1e-3


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_training_that_was_stopped_goes_on_to_the_same_result(
    family: str, tmp_path: Path, corpus: Path
) -> None:
    lm = tiny_lm(family)
    before = fingerprint(lm)
    whole = tune_lens(lm, corpus, tmp_path / "whole", SHORT)
    heard: list[LabelledArray] = []

    def hear(_done: int, _total: int, partial: LabelledArray | None) -> None:
        if partial is not None:
            heard.append(partial)

    for stop in (2, 5):
        watch = Watch(on_progress=hear, cancelled=lambda stop=stop: len(heard) >= stop)  # type: ignore
        with pytest.raises(Cancelled):
            tune_lens(lm, corpus, tmp_path / "parts", SHORT, watch)
        assert fingerprint(lm) == before
        assert (tmp_path / "parts" / STATE).is_file()
        assert not (tmp_path / "parts" / PARAMS).exists()
    with pytest.raises(BadParameter, match="other settings"):
        tune_lens(lm, corpus, tmp_path / "parts", TrainingSettings(steps=7, batch=2, length=12))
    parts = tune_lens(lm, corpus, tmp_path / "parts", SHORT, Watch(on_progress=hear))
    assert torch.equal(parts.weight, whole.weight)
    assert torch.equal(parts.bias, whole.bias)
    assert len(heard) == SHORT.steps
    assert not (tmp_path / "parts" / STATE).exists()
    assert heard[0].axes[0].labels == ("embed", "0", "1")
    assert whole.weight.abs().max() > 0


def test_as_an_analysis_it_leaves_the_lens_and_the_kl_of_its_last_step(
    tmp_path: Path, corpus: Path
) -> None:
    lm, prompt, metric = case("gpt2")
    heard: list[LabelledArray] = []

    def hear(_done: int, _total: int, partial: LabelledArray | None) -> None:
        heard.extend([partial] if partial is not None else [])

    result = lens_training(
        lm, prompt, metric, corpus=str(corpus), out=str(tmp_path / "lens"), steps=6, batch=2, length=12,
        watch=Watch(on_progress=hear),
    )  # fmt: skip
    whole = tune_lens(lm, corpus, tmp_path / "whole", SHORT)
    assert torch.equal(load_translators(lm, tmp_path / "lens").weight, whole.weight)
    assert len(heard) == 6
    np.testing.assert_array_equal(result.values, heard[-1].values)
    assert (result.values > 0).all()
    assert result.axes[0].labels == ("embed", "0", "1")
    with pytest.raises(BadParameter, match="needs a corpus and a folder"):
        lens_training(lm, prompt, metric, corpus=str(corpus))


def test_a_place_that_cannot_be_written_is_refused_in_words(tmp_path: Path, corpus: Path) -> None:
    lm = tiny_lm("gpt2")
    with pytest.raises(BadParameter, match="Cannot make the folder"):
        tune_lens(lm, corpus, corpus / "lens", SHORT)
    with pytest.raises(BadParameter, match="Cannot read"):
        tune_lens(lm, tmp_path / "none", tmp_path / "lens", SHORT)
    assert not (tmp_path / "lens").exists()  # nothing is left of what never began
    (tmp_path / "taken" / PARAMS).mkdir(parents=True)
    with pytest.raises(BadParameter, match=f"Cannot write .*{PARAMS}"):
        tune_lens(lm, corpus, tmp_path / "taken", SHORT)


def test_what_was_saved_is_loaded_and_published_pickles_only_when_allowed(tmp_path: Path) -> None:
    lm = tiny_lm("gpt2")
    made = random_translators()
    folder = made.save(tmp_path)
    loaded = load_translators(lm, folder)
    assert torch.equal(loaded.weight, made.weight)
    assert torch.equal(loaded.bias, made.bias)
    state = load_file(folder / PARAMS)
    assert set(state) == {f"{layer}.{part}" for layer in range(3) for part in ("weight", "bias")}
    torch.save(state, folder / "params.pt")
    (folder / PARAMS).unlink()
    with pytest.raises(UnsafeWeights, match="allow_pickle=true"):
        load_translators(lm, folder)
    assert torch.equal(load_translators(lm, folder, allow_pickle=True).weight, made.weight)


class _Harmful:
    def __reduce__(self):
        return print, ("this must never run",)


def test_a_pickle_that_runs_code_is_refused_even_when_pickles_are_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = random_translators().save(tmp_path)
    (folder / PARAMS).unlink()
    torch.save({"0.weight": _Harmful()}, folder / "params.pt")
    with pytest.raises(BadParameter, match="tensors alone"):
        load_translators(tiny_lm("gpt2"), folder, allow_pickle=True)
    assert "never" not in capsys.readouterr().out


def test_folders_that_do_not_fit_are_refused_in_words(tmp_path: Path) -> None:
    lm, prompt, metric = case("gpt2")
    with pytest.raises(BadParameter, match="needs translators"):
        tuned_lens(lm, prompt, metric)
    with pytest.raises(BadParameter, match="no tuned lens in"):
        load_translators(lm, tmp_path / "nowhere")
    folder = random_translators(n_layers=2).save(tmp_path / "two")
    with pytest.raises(BadParameter, match="2 layers of width 32, this model has 3"):
        load_translators(lm, folder)
    folder = random_translators().save(tmp_path / "damaged")
    (folder / PARAMS).write_bytes(b"not safetensors")
    with pytest.raises(BadParameter, match="damaged"):
        load_translators(lm, folder)
    folder = random_translators().save(tmp_path / "foreign")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"base_model_name_or_path": "another"}))
    result = tuned_lens(lm, prompt, metric, translators=str(folder))
    assert "only that it is of another" in result.warnings[0]


def test_a_folder_is_read_file_by_file_but_for_what_is_trained_into_it(
    tmp_path: Path, corpus: Path
) -> None:
    lm = tiny_lm("gpt2")
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_bytes(corpus.read_bytes())
    for _ in range(2):  # the second time the translators of the first lie in the folder
        made = tune_lens(lm, folder, folder / "lens", SHORT)
    assert torch.equal(made.weight, tune_lens(lm, corpus, tmp_path / "out", SHORT).weight)


def test_texts_that_do_not_do_are_refused_in_words(tmp_path: Path) -> None:
    lm = tiny_lm("gpt2")
    short, binary = tmp_path / "short.txt", tmp_path / "binary.txt"
    short.write_text("ab")
    binary.write_bytes(b"\xff\xfe\x00" * 100)
    for path, words in ((short, "fewer than 12"), (binary, "UTF-8"), (tmp_path / "no", "Cannot")):
        with pytest.raises(BadParameter, match=words):
            tune_lens(lm, path, tmp_path / "out", SHORT)
    with pytest.raises(BadParameter, match="up to 64"):
        tune_lens(lm, short, tmp_path / "out", TrainingSettings(length=65))


def test_the_command_trains_a_lens_that_the_analysis_reads(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lens"
    words = ["tune-lens", "--corpus", str(corpus), "--out", str(out), "--model", "demo"]
    assert cli.main([*words, "--steps", "2", "--batch", "2", "--length", "16"]) == 0
    assert "nats a token: embed " in capsys.readouterr().err
    analyze = ["analyze", "-t", "The Eiffel Tower", "-m", "demo", "-a", "tuned_lens"]
    assert cli.main([*analyze, "-p", f"translators={out}", "-f", "json"]) == 0
    result = json.loads(capsys.readouterr().out)["results"][0]
    assert result["axes"][0]["labels"] == ["embed", "0", "1", "2", "3"]
    assert cli.main([*words[:2], str(tmp_path / "no"), *words[3:]]) == 2
