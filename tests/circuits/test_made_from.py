"""Lenses, examples and vectors are of the weights, tokenizer and text they were made from, or refused."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from interpboard.circuits.lens.training import TrainingSettings, tune_lens
from interpboard.circuits.lens.translators import PARAMS, Translators, load_translators
from interpboard.circuits.lens.tuned import tuned_lens
from interpboard.circuits.lens.unfinished import STATE
from interpboard.circuits.neurons.collect import Collection, collect_examples
from interpboard.circuits.neurons.max_activating import max_activating
from interpboard.cli import main as cli
from interpboard.errors import BadParameter, Cancelled
from interpboard.interventions.edited_direct import edited_direct_attribution
from interpboard.interventions.steering import save_vector, steering
from interpboard.interventions.what_if import what_if
from interpboard.models.demo.corpus import training_texts
from interpboard.models.fingerprints import Origin
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.results import MetricRequest
from interpboard.results.examples import KEY, ExamplesFile
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.watch import Watch
from tests.lm import TEXT, case, tiny_lm
from tests.tiny import save_tiny, tiny_model, tiny_tokenizer

FEW = Collection(top_k=2, length=11, batch=2, before=2, after=2)
SHORT = TrainingSettings(steps=4, batch=2, length=12)


def changed_lm(name: str = "tiny gpt2") -> LanguageModel:
    """The tiny model by the same name after a step of training."""
    model = tiny_model("gpt2")
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data.add_(0.01 * torch.randn_like(parameter))
    return LanguageModel.of(model, tiny_tokenizer(), name)


def other_words() -> LanguageModel:
    """The tiny model with a tokenizer that takes two words for one."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["Eiffel Tower"])
    model = tiny_model("gpt2")
    return LanguageModel.of(model, tokenizer, "tiny gpt2")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    words = [document.text for document in islice(training_texts(random.Random(1)), 12)]
    path.write_text("\n".join(words), encoding="utf-8")
    return path


def same_size(text: Path) -> None:
    """One letter in the middle is another."""
    raw = bytearray(text.read_bytes())
    raw[len(raw) // 2] = ord("x") if raw[len(raw) // 2] != ord("x") else ord("y")
    text.write_bytes(raw)


Work = Callable[[LanguageModel, Path, Path, Watch], Any]


def collecting(lm: LanguageModel, text: Path, out: Path, watch: Watch = Watch()) -> Any:  # noqa: B008
    return collect_examples(lm, text, out / "examples", FEW, watch)


def training(lm: LanguageModel, text: Path, out: Path, watch: Watch = Watch()) -> Any:  # noqa: B008
    return tune_lens(lm, text, out / "lens", SHORT, watch)


def stopped(work: Work, lm: LanguageModel, text: Path, out: Path) -> None:
    """Begin and be stopped after something has been computed."""
    calls = [0]

    def enough(_done: int, _total: int, _partial: object) -> None:
        calls[0] += 1

    with pytest.raises(Cancelled):
        work(lm, text, out, Watch(enough, lambda: calls[0] >= 3))


@pytest.mark.parametrize("work", [collecting, training])
@pytest.mark.parametrize("change", ["weights", "tokenizer", "text"])
def test_what_was_stopped_does_not_go_on_with_other_weights_tokenizer_or_text(
    change: str, work: Work, text: Path, tmp_path: Path
) -> None:
    stopped(work, tiny_lm("gpt2"), text, tmp_path)
    lm = {"weights": changed_lm, "tokenizer": other_words}.get(change, lambda: tiny_lm("gpt2"))()
    if change == "text":
        same_size(text)
    words = {"weights": "other weights", "tokenizer": "another tokenizer", "text": "another text"}
    with pytest.raises(BadParameter, match=words[change]) as refused:
        work(lm, text, tmp_path, Watch())
    assert "\n" not in str(refused.value)
    assert "elete" in str(refused.value)


@pytest.mark.parametrize("work", [collecting, training])
def test_what_was_stopped_goes_on_in_a_text_that_has_moved_and_a_model_of_another_name(
    work: Work, text: Path, tmp_path: Path
) -> None:
    whole = work(tiny_lm("gpt2"), text, tmp_path / "whole", Watch()) if work is training else None
    stopped(work, tiny_lm("gpt2"), text, tmp_path)
    moved = tmp_path / "moved" / text.name
    moved.parent.mkdir()
    text.rename(moved)
    lm = LanguageModel.of(tiny_model("gpt2"), tiny_tokenizer(), "/elsewhere/tiny")
    made = work(lm, moved, tmp_path, Watch())
    assert made.warnings == ()
    if whole is not None:
        assert torch.equal(whole.weight, made.weight)


def test_the_command_refuses_to_take_the_old_models_examples_for_the_new_ones(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_tiny(tmp_path / "model")
    out = tmp_path / "out.safetensors"
    words = ["max-activating", "--corpus", str(text), "--out", str(out), "-m", str(folder)]
    few = ["--length", "16", "--layers", "1", "--top-k", "1"]
    assert cli.main([*words, *few]) == 0
    capsys.readouterr()
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.h.1.mlp.c_fc.weight"] *= 1.5
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    before = out.read_bytes()
    assert cli.main([*words, *few]) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert f"{out} holds examples of other weights than {folder} has now" in said
    assert out.read_bytes() == before


def test_a_lens_of_a_folder_reads_a_model_that_was_handed_over_and_other_number_formats(
    text: Path, tmp_path: Path
) -> None:
    folder = save_tiny(tmp_path / "model")
    tune_lens(open_model(folder), text, tmp_path / "lens", SHORT)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    handed = LanguageModel.of(model, AutoTokenizer.from_pretrained(folder), "mine")
    for lm in (handed, open_model(folder, dtype="bfloat16"), open_model(folder, dtype="float16")):
        assert load_translators(lm, tmp_path / "lens").warnings == ()


def without_origin(path: Path) -> None:
    """As files were before they said what they were made from."""
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    tensors = load_file(path)
    if KEY in metadata:
        said = json.loads(metadata[KEY])
        for name in ("weights", "tokenizer", "text"):
            said["about"].pop(name)
        metadata[KEY] = json.dumps(said)
    if "settings" in metadata:  # the name and the text's place stood among the settings
        settings = json.loads(metadata["settings"])
        settings.pop("dtype")
        metadata["settings"] = json.dumps({**settings, "model": metadata["model"]})
    for name in ("model", "weights", "tokenizer", "text"):
        metadata.pop(name, None)
    save_file(tensors, path, metadata=metadata)


def test_a_lens_is_refused_by_other_weights_and_an_old_one_is_used_with_a_warning(
    tmp_path: Path,
) -> None:
    lm, prompt, metric = case("gpt2")
    folder = Translators.identity(lm).save(tmp_path / "lens")
    for other in (changed_lm(), changed_lm("another")):
        with pytest.raises(BadParameter, match=f"The lens in {folder} is of .*other weights"):
            load_translators(other, folder)
        other_prompt = make_prompt(other, TEXT)
        resolved = resolve_metric(other, other_prompt, MetricRequest())
        with pytest.raises(BadParameter, match="other weights"):
            what_if(
                other, other_prompt, resolved, interventions="1.0=zero", translators=str(folder)
            )
    (warning,) = load_translators(other_words(), folder).warnings
    assert "another tokenizer" in warning
    without_origin(folder / PARAMS)
    read = tuned_lens(lm, prompt, metric, translators=str(folder))
    edited = what_if(lm, prompt, metric, interventions="1.0=zero", translators=str(folder))
    for result in (read, edited):
        (warning,) = result.warnings
        assert "are not said" in warning


def test_training_anew_does_not_take_the_place_of_another_models_lens_nor_silently_of_another_texts(
    text: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "lens"
    first = tune_lens(tiny_lm(), text, folder, SHORT)
    assert not first.warnings
    kept = (folder / PARAMS).read_bytes()
    with pytest.raises(BadParameter, match="holds a finished lens of other weights"):
        tune_lens(changed_lm(), text, folder, SHORT)
    assert (folder / PARAMS).read_bytes() == kept
    other = tmp_path / "other.txt"
    other.write_text(text.read_text(encoding="utf-8")[::-1], encoding="utf-8")
    again = tune_lens(tiny_lm(), other, folder, SHORT)
    assert any("was trained on another text" in warning for warning in again.warnings)
    assert not tune_lens(tiny_lm(), other, folder, SHORT).warnings


def test_new_parameters_beside_an_old_configuration_are_known_by_what_they_say_themselves(
    tmp_path: Path,
) -> None:
    """The machine stopped between the two files of a lens."""
    first = Translators.identity(tiny_lm("gpt2")).save(tmp_path / "first")
    second = Translators.identity(changed_lm("second")).save(tmp_path / "second")
    (second / PARAMS).replace(first / PARAMS)
    with pytest.raises(BadParameter, match="is of second"):
        load_translators(tiny_lm("gpt2"), first)


@pytest.mark.parametrize("work", [collecting, training])
def test_an_old_unfinished_file_goes_on_with_a_warning_and_is_not_called_known(
    work: Work, text: Path, tmp_path: Path
) -> None:
    lm = tiny_lm("gpt2")
    stopped(work, lm, text, tmp_path)
    state = tmp_path / ("examples" if work is collecting else f"lens/{STATE}")
    without_origin(state)
    with pytest.raises(BadParameter, match="the model tiny gpt2, this is other"):
        work(msgspec_named(lm, "other"), text, tmp_path, Watch())
    (warning,) = work(lm, text, tmp_path, Watch()).warnings
    assert "taken to be of these" in warning
    if work is collecting:
        assert ExamplesFile(state).info.weights == ""
        (again,) = work(lm, text, tmp_path, Watch()).warnings
        assert again == warning
    else:
        assert "are not said" in load_translators(lm, tmp_path / "lens").warnings[0]


def msgspec_named(lm: LanguageModel, name: str) -> LanguageModel:
    from dataclasses import replace

    return replace(lm, info=msgspec.structs.replace(lm.info, name=name))


def test_the_analysis_says_what_an_old_file_does_not(text: Path, tmp_path: Path) -> None:
    lm, prompt, metric = case("gpt2")
    out = tmp_path / "examples"
    options = {"top_k": 2, "length": 11, "batch": 2, "before": 2, "after": 2}
    ways = {"corpus": str(text), "out": str(out), **options}
    assert max_activating(lm, prompt, metric, **ways).warnings == ()
    without_origin(out)
    (warning,) = max_activating(lm, prompt, metric, **ways).warnings
    assert "weights and tokenizer and text" in warning


def test_a_vector_is_refused_by_other_weights_wherever_it_is_used(tmp_path: Path) -> None:
    lm, prompt, metric = case("gpt2")
    path = tmp_path / "v.safetensors"
    texts = {"positive": "Mary", "negative": "John", "new_tokens": 0, "layer": 1}
    steering(lm, prompt, metric, **texts, save=str(path))
    held = f'1.resid=steer "{path}"'
    for other in (changed_lm(), changed_lm("another")):
        own = make_prompt(other, TEXT)
        resolved = resolve_metric(other, own, MetricRequest())
        for use in (
            lambda o=other, p=own, m=resolved: steering(o, p, m, vector=str(path), new_tokens=0),
            lambda o=other, p=own, m=resolved: what_if(o, p, m, interventions=held),
            lambda o=other, p=own, m=resolved: edited_direct_attribution(
                o, p, m, interventions=held
            ),
        ):
            with pytest.raises(BadParameter, match=f"The vector in {path} is of .*other weights"):
                use()
    assert steering(lm, prompt, metric, vector=str(path), new_tokens=0).warnings == ()
    assert what_if(lm, prompt, metric, interventions=held).warnings == ()
    save_vector(path, torch.ones(32), 1)
    np.save(tmp_path / "v.npy", np.ones(32))
    for old in (path, tmp_path / "v.npy"):
        held = f'1.resid=steer "{old}"; 2.resid=steer "{old}"'
        found = [what_if(lm, prompt, metric, interventions=held)]
        found += [edited_direct_attribution(lm, prompt, metric, interventions=held)]
        found += [steering(lm, prompt, metric, vector=str(old), new_tokens=0)]
        for result in found:
            assert [w for w in result.warnings if "are not said" in w] == [result.warnings[0]]


def test_a_vector_that_is_saved_again_keeps_what_it_was_made_from(tmp_path: Path) -> None:
    lm, prompt, metric = case("gpt2")
    origin = Origin("first", lm.info.weights, lm.info.tokenizer)
    save_vector(tmp_path / "a.safetensors", torch.ones(32), 1, origin)
    again = tmp_path / "b.safetensors"
    ways = {"vector": str(tmp_path / "a.safetensors"), "save": str(again), "new_tokens": 0}
    steering(lm, prompt, metric, **ways)
    with safe_open(again, "pt") as file:
        assert Origin.read(file.metadata()) == origin
