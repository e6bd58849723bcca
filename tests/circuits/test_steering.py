"""Steering: the vector added is the one that was meant, everywhere, and the text is the model's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from interpboard.errors import BadParameter, Cancelled
from interpboard.interventions.steering import difference_of_means, load_vector, steering
from interpboard.interventions.what_if import what_if
from interpboard.runs.edits import Edit
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import TOLERANCE, case, fingerprint

PROMPTS = {"positive": "The old house\nMary and John", "negative": "The keys\nParis is on the"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_an_effect_is_that_of_the_vector_added_at_every_position(family: str, dtype) -> None:
    lm, prompt, metric = case(family, dtype)
    before = fingerprint(lm)
    result = steering(lm, prompt, metric, **PROMPTS, layer=1, scales=[3, -1], new_tokens=2)
    assert fingerprint(lm) == before
    sides = [text.splitlines() for text in PROMPTS.values()]
    means = [
        torch.stack(
            [record(lm, make_prompt(lm, t), ("resid_post",)).sites["resid_post"][1][0, -1] for t in side]
        ).mean(0)
        for side in sides
    ]  # fmt: skip
    vector = means[0] - means[1]
    edits = [(Edit("resid_post", 1, "add", value=scale * vector[None]),) for scale in (-1, 3)]
    expected = evaluate(record(lm, prompt), edits, metric)
    tolerance = {key: 10 * value for key, value in TOLERANCE[dtype].items()}
    np.testing.assert_allclose(result.extra["metric"].values[[0, 2]], expected, **tolerance)
    assert result.axes[0].labels == ("-1", "0", "3")
    assert abs(result.values[1]) < 1e-4
    assert np.abs(result.values[[0, 2]]).min() > 1e-3


@pytest.mark.usefixtures("changed_on_purpose")
def test_of_a_long_prompt_few_scales_are_run_at_once_with_the_same_values_and_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("llama", torch.float64)
    options = {**PROMPTS, "layer": 1, "new_tokens": 3}
    together = steering(lm, prompt, metric, **options)
    rows: list[int] = []
    handle = lm.anatomy.layers[2].register_forward_pre_hook(
        lambda _module, args: rows.append(len(args[0]))
    )
    monkeypatch.setenv("INTERPBOARD_BATCH_TOKENS", "8")
    try:
        apart = steering(lm, prompt, metric, **options)
    finally:
        handle.remove()
    assert set(rows) == {1}
    np.testing.assert_allclose(apart.values, together.values, atol=1e-9)
    assert apart.extra["text"].values.tolist() == together.extra["text"].values.tolist()
    assert np.abs(apart.values[[0, -1]]).min() > 1e-3


def test_the_sides_of_a_vector_may_be_files_of_rows_and_a_file_that_is_not_there_is_no_prompt(
    tmp_path: Path,
) -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    sides = {}
    for (name, text), end in zip(PROMPTS.items(), (".csv", ".txt"), strict=True):
        sides[name] = str(tmp_path / f"{name}{end}")
        lines = (["text"] if end == ".csv" else []) + text.splitlines()
        Path(sides[name]).write_text("\n".join(lines), encoding="utf-8")
    read, written = (
        steering(lm, prompt, metric, **given, layer=1, new_tokens=0) for given in (sides, PROMPTS)
    )
    np.testing.assert_array_equal(read.values, written.values)
    assert read.params["positive"] == PROMPTS["positive"].splitlines()
    for name in ("gone.csv", "gone.txt", "far/gone.jsonl"):
        with pytest.raises(BadParameter, match=f"There is no file {name}"):
            steering(lm, prompt, metric, **PROMPTS | {"negative": name})


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_unsteered_text_is_what_the_model_generates_and_steered_text_follows_the_vector(
    family,
) -> None:
    lm, prompt, metric = case(family)
    result = steering(lm, prompt, metric, **PROMPTS, layer=0, scales=[8], new_tokens=6)
    ids = torch.tensor([prompt.token_ids])
    made = lm.model.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :]
    text = result.extra["text"].values
    assert text[0] == lm.tokenizer.decode(made)
    assert text[1] != text[0]
    vector = 8 * difference_of_means(lm, *(t.splitlines() for t in PROMPTS.values()), 0)
    handle = lm.anatomy.layers[0].register_forward_hook(
        lambda _m, _a, out: (out[0] + vector, *out[1:]) if isinstance(out, tuple) else out + vector
    )
    made = lm.model.generate(ids, max_new_tokens=6, do_sample=False)[0, ids.shape[1] :]
    handle.remove()
    assert text[1] == lm.tokenizer.decode(made)


def test_a_saved_vector_steers_as_the_one_that_was_saved(tmp_path: Path) -> None:
    lm, prompt, metric = case("llama")
    file = str(tmp_path / "v.safetensors")
    first = steering(lm, prompt, metric, **PROMPTS, layer=1, new_tokens=0, save=file)
    again = steering(lm, prompt, metric, vector=file, layer=1, new_tokens=0)
    np.testing.assert_array_equal(again.values, first.values)
    assert len(first.values) == 5
    for scale, effect in zip(first.params["scales"], first.values, strict=True):
        held = what_if(lm, prompt, metric, interventions=f'1.resid=steer "{file}" * {scale}')
        np.testing.assert_allclose(held.extra["effect"].values, effect, rtol=1e-4, atol=1e-4)


def test_a_vector_is_added_where_it_was_read_and_elsewhere_not_without_a_word(
    tmp_path: Path,
) -> None:
    lm, prompt, metric = case("llama")
    file, copy = str(tmp_path / "v.safetensors"), str(tmp_path / "w.safetensors")
    made = steering(lm, prompt, metric, **PROMPTS, layer=0, new_tokens=0, save=file)
    same = steering(lm, prompt, metric, vector=file, new_tokens=0)
    np.testing.assert_array_equal(same.values, made.values)
    assert (same.params["layer"], same.warnings) == (0, ())
    other = steering(lm, prompt, metric, vector=file, layer=2, new_tokens=0, save=copy)
    said = f"The vector in {file} was read behind layer 0 and is added behind layer 2."
    assert other.warnings == (said,)
    assert steering(lm, prompt, metric, vector=copy, new_tokens=0).params["layer"] == 0
    held = f'0.resid=steer "{file}"; 1.mlp=steer "{file}"; 1.mlp=steer "{file}" * 2'
    [warning] = what_if(lm, prompt, metric, interventions=held).warnings
    assert (
        warning
        == f"The vector in {file} was read behind layer 0 and is added at the MLP of layer 1."
    )


def test_a_vector_of_which_nobody_knows_where_it_was_read_is_added_in_the_middle(
    tmp_path: Path,
) -> None:
    lm, prompt, metric = case("gpt2")
    of_none = ({}, {"layer": "7"}, {"layer": "model.layers.1"}, {"layer": "9" * 5000})
    for number, about in enumerate(of_none):
        save_file({"v": torch.ones(32)}, tmp_path / f"{number}.safetensors", metadata=about)
        result = steering(
            lm, prompt, metric, vector=str(tmp_path / f"{number}.safetensors"), new_tokens=0
        )
        assert result.params["layer"] == 1
        assert not any("was read" in warning for warning in result.warnings)


def test_of_a_vector_that_names_no_site_nothing_is_said_of_the_site(tmp_path: Path) -> None:
    lm, prompt, metric = case("llama")
    file = str(tmp_path / "v.safetensors")
    save_file({"v": torch.ones(32)}, file, metadata={"layer": "1"})
    for place, elsewhere in (("1.mlp", []), ("1.resid", []), ("0.attn", ["at the attention of"])):
        result = what_if(lm, prompt, metric, interventions=f'{place}=steer "{file}"')
        said = [warning for warning in result.warnings if "was read" in warning]
        assert said == [
            f"The vector in {file} was read at layer 1 and is added {where} layer 0."
            for where in elsewhere
        ]


def test_text_ends_with_the_models_context() -> None:
    lm, prompt, metric = case("gpt2")
    result = steering(lm, prompt, metric, **PROMPTS, new_tokens=500, scales=[1])
    assert lm.anatomy.context == 64
    assert all(isinstance(text, str) and text for text in result.extra["text"].values)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    lm, prompt, metric = case("gpt2")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadParameter, match="Cannot write the vector to"):
        steering(lm, prompt, metric, **PROMPTS, new_tokens=0, save=str(tmp_path / "file" / "v"))
    with pytest.raises(BadParameter, match="one of the two"):
        steering(lm, prompt, metric)
    with pytest.raises(BadParameter, match="both sides"):
        steering(lm, prompt, metric, positive="Mary")
    with pytest.raises(BadParameter, match="The model has 0 to 2"):
        steering(lm, prompt, metric, **PROMPTS, layer=3)
    with pytest.raises(BadParameter, match="not finite"):
        steering(lm, prompt, metric, **PROMPTS, scales=[float("nan")])
    with pytest.raises(BadParameter, match="There is no file"):
        load_vector(lm, tmp_path / "none.safetensors")
    save_file({"a": torch.ones(7)}, tmp_path / "short.safetensors")
    with pytest.raises(BadParameter, match="one axis of 32"):
        load_vector(lm, tmp_path / "short.safetensors")


def test_cancelling_leaves_the_model_as_it_was() -> None:
    lm, prompt, metric = case("gpt2")
    before = fingerprint(lm)
    left = iter([False] * 3 + [True] * 9)
    with pytest.raises(Cancelled):
        steering(lm, prompt, metric, **PROMPTS, watch=Watch(cancelled=lambda: next(left)))
    assert fingerprint(lm) == before
