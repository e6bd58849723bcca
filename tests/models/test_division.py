"""A model divided between memory and disk gives the numbers of the whole one; other divisions are refused."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interpboard.analyze import analyze
from interpboard.errors import BadDevice, BadParameter
from interpboard.models.division import device_of, division, held
from interpboard.models.language_model import LanguageModel, open_model
from tests.lm import TEXT
from tests.tiny import save_tiny

OTHER = "The Eiffel Tower is located on the city of"
ON_DISK: dict[str, dict[str, str]] = {
    "llama": {
        "model.embed_tokens": "disk", "model.layers.0": "cpu", "model.layers.1": "disk",
        "model.layers.2": "disk", "model.norm": "disk", "model.rotary_emb": "cpu", "lm_head": "disk",
    },
    "gpt2": {
        "transformer.wte": "cpu", "transformer.wpe": "cpu", "transformer.h.0": "disk",
        "transformer.h.1": "cpu", "transformer.h.2": "disk", "transformer.ln_f": "cpu", "lm_head": "cpu",
    },
}  # fmt: skip
ANALYSES: list[tuple[str, dict[str, Any]]] = [
    ("head_ablation", {}),
    ("activation_patching", {"corrupted": OTHER}),
    ("causal_trace", {"subject": [1, 2], "samples": 2}),
    ("path_patching", {"corrupted": OTHER}),
    ("attribution_patching", {"corrupted": OTHER}),
    ("circuit", {"corrupted": OTHER}),
    ("integrated_gradients", {"n_steps": 4}),
    ("lrp", {}),
    ("logit_lens", {}),
    ("direct_logit_attribution", {}),
    ("neurons", {}),
    ("head_scores", {"samples": 2}),
    ("attention", {}),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("divided")
    for family in ON_DISK:
        (where / family).mkdir()
        save_tiny(where / family, family)
    return where


@lru_cache(maxsize=4)
def opened(folder: Path, divided: bool) -> LanguageModel:
    pytest.importorskip("accelerate")
    return open_model(folder, device_map=ON_DISK[folder.name] if divided else None)


@pytest.mark.parametrize(("analysis", "params"), ANALYSES, ids=[name for name, _ in ANALYSES])
@pytest.mark.parametrize("family", ON_DISK)
def test_what_lies_on_disk_gives_the_same_numbers(
    family: str, analysis: str, params: dict[str, Any], folders: Path
) -> None:
    whole, divided = (
        analyze(opened(folders / family, on), TEXT, (analysis,), params={analysis: params}).results[
            0
        ]
        for on in (False, True)
    )
    np.testing.assert_allclose(divided.values, whole.values, rtol=1e-4, atol=1e-5)
    assert divided.made_by.path == whole.made_by.path


@pytest.mark.parametrize("family", ON_DISK)
def test_the_models_line_says_how_it_is_divided_and_what_was_not_looked_at(
    family: str, folders: Path
) -> None:
    lm = opened(folders / family, True)
    said = " ".join(lm.info.notes)
    count = sum(where == "disk" for where in ON_DISK[family].values())
    assert f"{count} on disk" in said
    assert "could not be looked at" in said
    assert json.loads(lm.info.options.device_map) == ON_DISK[family]
    assert lm.info.device == "cpu"
    same = opened(folders / family, False).info
    assert lm.info.weights.split(".")[0] == same.weights.split(".")[0], "the same files"


def test_a_weight_on_disk_is_read_where_its_module_computes(folders: Path) -> None:
    lm, whole = (opened(folders / "llama", on) for on in (True, False))
    divided, own = (m.model.lm_head for m in (lm, whole))
    assert divided.weight.is_meta
    weight = held(divided, "weight")
    assert weight is not None
    assert (weight == own.weight).all()
    assert held(divided, "bias") is None
    assert device_of(divided).type == "cpu"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("", "cpu=1GiB", ""), "Add --device-map"),
        (("", "", "out"), "Add --device-map"),
        (("nowhere.json", "", ""), "cannot be read"),
        (("{", "", ""), "cannot be read"),
        (("{}", "", ""), "names no modules"),
        (("auto", "a lot", ""), "no device with a size"),
        (("auto", "gpu=1GiB", ""), "no device with a size"),
        (("auto", "cpu=1", ""), "no device with a size"),
        (('{"": "moon"}', "", ""), "No device is called"),
        (('{"": "cuda:99"}', "", ""), "CUDA devices"),
        (('{"": 99}', "", ""), "CUDA devices"),
        (("auto", "99=1GiB", ""), "CUDA devices"),
    ],
)
def test_a_division_that_cannot_be_is_refused_in_a_line(
    asked: tuple[str, str, str], words: str
) -> None:
    pytest.importorskip("accelerate")
    with pytest.raises((BadParameter, BadDevice), match=words) as caught:
        division(*asked)
    assert "\n" not in str(caught.value)


def test_sizes_are_bytes() -> None:
    pytest.importorskip("accelerate")
    assert division("auto", "cpu=1.5GiB", "")["max_memory"] == {"cpu": 3 * 2**29}
    assert division("auto", "cpu=2 MB", "")["max_memory"] == {"cpu": 2_000_000}


def test_what_a_map_does_not_name_is_loaded_all_the_same(folders: Path) -> None:
    pytest.importorskip("accelerate")
    some = open_model(folders / "llama", device_map={"model.norm": "cpu"})
    found, expected = (
        analyze(lm, TEXT, ("logit_lens",)).results[0].values
        for lm in (some, opened(folders / "llama", False))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
