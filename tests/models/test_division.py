"""A model divided between memory and disk gives the numbers of the whole one; other divisions are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from interpboard.analyze import analyze
from interpboard.errors import (
    BadDevice,
    BadParameter,
    InterpBoardError,
    NotALanguageModel,
    Unaffordable,
)
from interpboard.models import memory
from interpboard.models.division import device_of, division, held
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.runs import room as room_for
from interpboard.runs import steps
from tests.lm import TEXT
from tests.models.folders import Weights, copied, edit_weights, logits, saved
from tests.models.test_adapters import lora, trained
from tests.models.test_quantised import agrees_with_plain_hooks, needs, wide
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


# What lies where is the family's; what is asked of it is not.
OF_BOTH = ("head_ablation", "circuit", "lrp", "logit_lens")
CASES = [
    (family, name, params)
    for family in ON_DISK
    for name, params in ANALYSES
    if family == "llama" or name in OF_BOTH
]


@pytest.mark.parametrize(
    ("family", "analysis", "params"), CASES, ids=[f"{family}-{name}" for family, name, _ in CASES]
)
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
def test_the_models_line_says_how_it_is_divided(family: str, folders: Path) -> None:
    lm = opened(folders / family, True)
    said = " ".join(lm.info.notes)
    count = sum(where == "disk" for where in ON_DISK[family].values())
    assert f"{count} on disk" in said
    assert "could not be looked at" not in said, "what lies on disk is read"
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
        (('{"": "meta"}', "", ""), "'meta' is not supported"),
        (('{"": "cpu", "model.layers.0": "disk"}', "", ""), "puts model.layers.0 on disk, and all"),
        (('{"a.b": "disk", "a": "cpu"}', "", ""), "puts a.b on disk, and a around it on cpu"),
        (("auto", "cpu=1GiB,cpu=2GiB", ""), "names cpu twice"),
        (("auto", "", __file__), "is no folder"),
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


@pytest.mark.parametrize("there", [{"lm_head": "cpu"}, {"": "cpu"}])
def test_a_name_that_is_no_module_is_not_passed_over(there: dict[str, str], folders: Path) -> None:
    pytest.importorskip("accelerate")
    with pytest.raises(BadParameter, match=r"names 'model\.blocks'.* It has model, lm_head"):
        open_model(folders / "llama", device_map={"model.blocks": "cpu", **there})


@pytest.mark.parametrize("how", ["named", "no room"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quantize": "4bit"}, "packed in 4bit cannot lie on disk"),
        ({"quantize": "int8"}, "packed in int8 cannot lie on disk"),
        ({"adapters": True, "adapter_state": "merged"}, "cannot be merged into weights on disk"),
    ],
)
def test_what_cannot_lie_on_disk_is_refused_in_a_line(
    options: dict[str, Any], words: str, how: str
) -> None:
    needs("accelerate", "peft", "bitsandbytes", "torchao")
    if how == "no room" and "4bit" in words:
        words = "Is --device-map right"  # said by bitsandbytes before anything is there
    asked = {**options, **({"adapters": lora()} if "adapters" in options else {})}
    folder = saved("llama") if "adapters" in options else wide()
    where: dict[str, Any] = (
        {"device_map": ON_DISK["llama"]}
        if how == "named"
        else {"device_map": "auto", "max_memory": "cpu=50KB"}
    )
    with pytest.raises(InterpBoardError, match=words) as caught:
        open_model(folder, "cpu", **where, **asked)
    assert "\n" not in str(caught.value)


def test_nothing_is_written_where_nobody_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no safetensors is written anew, for the disk to be read as it is wanted."""
    pytest.importorskip("accelerate")
    folder = copied("llama", tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    asked: dict[str, Any] = {"device_map": ON_DISK["llama"], "allow_pickle": True}
    with pytest.raises(BadParameter, match="--offload-folder FOLDER"):
        open_model(folder, "cpu", **asked)
    lm = open_model(folder, "cpu", offload_folder=str(tmp_path / "there"), **asked)
    assert not list(here.iterdir())
    assert list((tmp_path / "there").iterdir())
    whole = open_model(saved("llama"), "cpu")
    assert torch.allclose(logits(lm.model), logits(whole.model), atol=1e-5)


def test_a_nan_that_lies_on_disk_is_found(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    folder = copied("llama", tmp_path)

    def spoil(weights: Weights) -> None:
        weights["model.layers.1.self_attn.q_proj.weight"][3, 5] = torch.nan

    edit_weights(folder, spoil)
    with pytest.raises(NotALanguageModel, match=r"layers\.1\.self_attn\.q_proj\.weight, 1 is NaN"):
        open_model(folder, "cpu", device_map=ON_DISK["llama"])


@pytest.mark.parametrize("state", ["on", "off"])
def test_adapters_on_a_model_that_is_partly_on_disk_add_what_they_add(
    state: str, tmp_path: Path
) -> None:
    """PEFT would divide the model anew, and lose an adapter's numbers beside a weight on disk."""
    needs("accelerate", "peft")
    places = [lora(), trained(tmp_path / "second", str(saved("llama")), seed=2)]
    whole = open_model(saved("llama"), "cpu", adapters=places, adapter_state=state)
    lm = open_model(
        saved("llama"), "cpu", adapters=places, adapter_state=state, device_map=ON_DISK["llama"]
    )
    assert torch.allclose(logits(lm.model), logits(whole.model), atol=1e-5)
    assert lm.model.hf_device_map == ON_DISK["llama"]
    for name in ("head_ablation", "direct_logit_attribution", "grad_x_input"):
        found, expected = (analyze(m, TEXT, (name,)).results[0].values for m in (lm, whole))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    if state == "on":
        agrees_with_plain_hooks(lm)


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


def test_what_runs_at_once_suits_the_fullest_device(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows pass every layer: there must be room for them on each of its devices, and not only the first."""
    lm = open_model(folders / "llama", "cpu")
    room = {"cpu": 1 << 40, "cuda:1": 1 << 40, "cuda:2": 1 << 40}
    for module in (steps, memory):
        monkeypatch.setattr(module, "free_memory", lambda device: room[str(device)])

    def sizes(model: LanguageModel) -> tuple[int, ...]:
        whole = steps.StepSize(model, None)
        return whole.most, whole.most_reused, steps.rows_of_a_backward_pass(model, 8)

    ample = sizes(lm)
    for layer, where in ((1, "cuda:1"), (2, "cuda:2")):
        lm.anatomy.layers[layer]._hf_hook = SimpleNamespace(execution_device=where)  # type: ignore[assignment]
    divided = replace(lm)  # where it computes is looked at once
    assert [str(device) for device in divided.devices] == ["cpu", "cuda:1", "cuda:2"]
    assert sizes(divided) == ample
    room["cuda:2"] = 1 << 16
    assert steps.fullest_device(divided) == torch.device("cuda:2")
    assert all(less < more for less, more in zip(sizes(divided), ample, strict=True))
    with pytest.raises(Unaffordable, match="What one layer computes"):
        room_for.refuse_a_pass_without_room(divided, 10_000)
