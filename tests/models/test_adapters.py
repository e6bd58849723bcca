"""Adapters of PEFT: on, off or merged, held against their files and against the base they are put on."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from interpboard.analyze import analyze
from interpboard.errors import BadAdapter, BadParameter, InterpBoardError, UnknownModel, Unsupported
from interpboard.files.fingerprint import FingerprintMatch, compare
from interpboard.models.adapters import without_adapters
from interpboard.models.language_model import LanguageModel, open_model
from interpboard.models.load import load_model_and_tokenizer
from interpboard.models.plain_linear import plain_linear
from interpboard.results import MetricRequest
from tests.lm import TEXT
from tests.models.folders import edit_json, logits, saved
from tests.models.test_quantised import agrees_with_plain_hooks, needs, wide
from tests.tiny import save_tiny, tiny_model

WEIGHTS = "adapter_model.safetensors"


def trained(folder: Path, base: str, seed: int = 1, family: str = "llama", **config: Any) -> Path:
    """An adapter in ``folder``, saved by PEFT, whose matrices are not what they began as."""
    needs("peft")
    import peft

    targets = ["q_proj", "o_proj", "down_proj"] if family == "llama" else ["c_attn", "c_proj"]
    asked = peft.LoraConfig(r=4, task_type="CAUSAL_LM", target_modules=targets, **config)
    wrapped = peft.get_peft_model(tiny_model(family), asked)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    edit_json(folder / "adapter_config.json", base_model_name_or_path=base)
    return folder


@lru_cache(maxsize=4)
def lora(family: str = "llama") -> Path:
    """A LoRA adapter of the tiny model of ``family``, made once; copy it before it is changed."""
    return trained(Path(mkdtemp()) / "lora", str(saved(family)), family=family)


def by_hand(family: str = "llama") -> torch.Tensor:
    """Logits with B·A times its scale (alpha over rank) added to the weights by hand."""
    model, made = tiny_model(family), load_file(lora(family) / WEIGHTS)
    about = json.loads((lora(family) / "adapter_config.json").read_text())
    scale = about["lora_alpha"] / about["r"]
    with torch.no_grad():
        for name, a in made.items():
            if name.endswith("lora_A.weight"):
                b = made[name.replace("lora_A", "lora_B")]
                path = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                added = scale * b @ a
                weight = model.get_submodule(path).weight
                weight += added.T if about["fan_in_fan_out"] else added
    return logits(model)


def changed(tmp_path: Path, edit: Any = None, **config: Any) -> Path:
    """A copy of the adapter with other weights or another configuration."""
    folder = Path(shutil.copytree(lora(), tmp_path / "changed"))
    if edit is not None:
        weights = load_file(folder / WEIGHTS)
        save_file(edit(weights) or weights, folder / WEIGHTS, {"format": "pt"})
    if config:
        edit_json(folder / "adapter_config.json", **config)
    return folder


def refused(base: Path | str, kind: type[InterpBoardError] = BadAdapter, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        open_model(base, "cpu", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_an_adapter_on_or_merged_adds_what_its_matrices_say_and_off_adds_nothing(
    family: str,
) -> None:
    plain, base = by_hand(family), logits(tiny_model(family))
    assert not torch.allclose(plain, base, atol=0.05)
    for state, expected in (("on", plain), ("merged", plain), ("off", base)):
        lm = open_model(saved(family), "cpu", adapters=lora(family), adapter_state=state)
        assert torch.allclose(logits(lm.model), expected, atol=1e-4), state
        (adapter,) = lm.info.adapters
        assert (adapter.name, adapter.kind) == (str(lora(family)), "lora of rank 4")
        assert lm.info.options.adapter_state == state
        assert not any("adapter" in note for note in lm.info.notes)


def test_edits_of_an_adapted_model_are_what_plain_hooked_forwards_give() -> None:
    lm = open_model(saved("llama"), "cpu", adapters=lora())
    agrees_with_plain_hooks(lm)
    assert lm.verified.path == "replay"


def test_an_adapter_on_packed_weights_is_what_plain_hooked_forwards_give(tmp_path: Path) -> None:
    needs("peft", "bitsandbytes", "accelerate")
    import peft
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(wide())
    asked = peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    peft.get_peft_model(model, asked).save_pretrained(tmp_path / "wide-lora")
    on, off = (
        open_model(wide(), "cpu", adapters=tmp_path / "wide-lora", adapter_state=s, quantize="4bit")
        for s in ("on", "off")
    )
    agrees_with_plain_hooks(on)
    assert not torch.allclose(logits(on.model), logits(off.model), atol=0.01)
    assert "21 of 22 matrices are packed" in " ".join(on.info.notes)
    said = refused(
        wide(),
        BadParameter,
        adapters=tmp_path / "wide-lora",
        adapter_state="merged",
        quantize="4bit",
    )
    assert "rounds them a second time" in said


def test_the_weight_of_an_adapted_map_holds_what_the_adapter_adds() -> None:
    on = open_model(saved("llama"), "cpu", adapters=lora())
    merged = open_model(saved("llama"), "cpu", adapters=lora(), adapter_state="merged")
    for one, other in zip(on.anatomy.out_proj, merged.anatomy.out_proj, strict=True):
        first, second = plain_linear(one), plain_linear(other)
        assert first is not None
        assert second is not None
        assert torch.allclose(first[0], second[0], atol=1e-5)


def test_two_adapters_are_at_work_together(tmp_path: Path) -> None:
    second = trained(tmp_path / "second", str(saved("llama")), seed=7)
    base = logits(tiny_model("llama"))
    first, other, both = (
        logits(open_model(saved("llama"), "cpu", adapters=chosen, adapter_state="merged").model)
        for chosen in ((lora(),), (second,), (lora(), second))
    )
    together = open_model(saved("llama"), "cpu", adapters=(lora(), second))
    assert len(together.info.adapters) == 2
    assert torch.allclose(logits(together.model), both, atol=1e-4)
    assert not any(torch.allclose(both, x, atol=0.01) for x in (base, first, other))
    assert "named twice" in refused(saved("llama"), BadParameter, adapters=(lora(), lora()))


def test_a_folder_with_an_adapter_opens_its_base_with_it() -> None:
    lm = open_model(lora(), "cpu")
    assert torch.allclose(logits(lm.model), by_hand(), atol=1e-4)
    assert lm.info.name == str(saved("llama"))
    assert lm.info.options.adapters == (str(lora()),)
    assert any("opened as the base that the adapter" in note for note in lm.info.notes)
    assert torch.allclose(
        logits(open_model(lora(), "cpu", adapter_state="off").model), logits(tiny_model("llama"))
    )


@pytest.mark.parametrize("base", [None, "/nowhere/at/all", "gone"])
def test_an_adapter_whose_base_is_not_found_asks_for_it_in_a_line(
    base: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = changed(tmp_path, base_model_name_or_path=base)
    said = refused(folder, UnknownModel)
    assert f"--model BASE --adapter {folder}" in said
    assert base is None or base in said
    lm = open_model(saved("llama"), "cpu", adapters=folder)
    (note,) = [note for note in lm.info.notes if "adapter" in note]
    assert "does not say of which model" in note or f"says that it is of {base}" in note


def test_an_adapter_given_twice_or_to_another_family_is_said_to_be_so() -> None:
    assert "is named twice" in refused(lora(), BadParameter, adapters=lora())
    assert "Was it trained on another model?" in refused("demo", InterpBoardError, adapters=lora())


def test_modules_that_an_adapter_saved_whole_are_used_and_off_is_the_base(tmp_path: Path) -> None:
    folder = trained(tmp_path / "whole", str(saved("llama")), modules_to_save=["lm_head"])
    on, off = (
        open_model(saved("llama"), "cpu", adapters=folder, adapter_state=state)
        for state in ("on", "off")
    )
    head = load_file(folder / WEIGHTS)["base_model.model.lm_head.weight"]
    assert not torch.allclose(head, tiny_model("llama").lm_head.weight)
    hidden = torch.randn(3, 32)
    assert torch.allclose(on.anatomy.unembedding(hidden), hidden @ head.T, atol=1e-5)
    assert torch.allclose(logits(off.model), logits(tiny_model("llama")), atol=1e-5)
    agrees_with_plain_hooks(on)


def test_an_adapter_that_changes_the_base_cannot_be_off(tmp_path: Path) -> None:
    folder = trained(tmp_path / "embedding", str(saved("llama")))
    embedding = torch.randn(420, 32)
    weights = load_file(folder / WEIGHTS)
    save_file(weights | {"base_model.model.model.embed_tokens.weight": embedding}, folder / WEIGHTS)
    lm = open_model(saved("llama"), "cpu", adapters=folder)
    assert torch.equal(lm.anatomy.embedding.weight, embedding)  # type: ignore[arg-type]
    assert any("in the place of the base's own" in note for note in lm.info.notes)
    said = refused(saved("llama"), Unsupported, adapters=folder, adapter_state="off")
    assert "cannot be switched off" in said


def test_an_untrained_adapter_and_another_tokenizer_are_said(tmp_path: Path) -> None:
    folder = changed(tmp_path, lambda w: {n: t * 0 if "lora_B" in n else t for n, t in w.items()})
    other = save_tiny(tmp_path / "other", "gpt2")
    about = json.loads((other / "tokenizer.json").read_text())
    about["model"]["merges"] = about["model"]["merges"][:-1]
    (folder / "tokenizer.json").write_text(json.dumps(about))
    notes = open_model(saved("llama"), "cpu", adapters=folder).info.notes
    assert any("is untrained: it adds nothing" in note for note in notes)
    assert any("brings another tokenizer, which is not used" in note for note in notes)


def test_what_was_made_from_the_base_is_told_from_what_an_adapter_makes_of_it() -> None:
    base = open_model(saved("llama"), "cpu").info.weights
    marks = {
        state: open_model(saved("llama"), "cpu", adapters=lora(), adapter_state=state).info.weights
        for state in ("on", "off", "merged")
    }
    assert compare(base, marks["off"]) is FingerprintMatch.same
    assert compare(base, marks["on"]) is FingerprintMatch.other
    assert compare(base, marks["merged"]) is FingerprintMatch.other


def test_a_model_can_be_run_without_its_adapter_and_is_left_as_it_was() -> None:
    lm = open_model(saved("llama"), "cpu", adapters=lora())
    grads = [parameter.requires_grad for parameter in lm.model.parameters()]
    with without_adapters(lm.model):
        assert torch.allclose(logits(lm.model), logits(tiny_model("llama")), atol=1e-5)
    assert torch.allclose(logits(lm.model), by_hand(), atol=1e-4)
    assert [parameter.requires_grad for parameter in lm.model.parameters()] == grads
    with (
        pytest.raises(BadParameter, match="no adapter at work"),
        without_adapters(tiny_model("llama")),
    ):
        pass


def test_what_if_the_adapter_were_off_is_the_base_model() -> None:
    lm, base = open_model(saved("llama"), "cpu", adapters=lora()), open_model(saved("llama"), "cpu")
    target = {"target": "#37"}

    def asked(lm: LanguageModel, interventions: str) -> Any:
        params = {"what_if": {"interventions": interventions}}
        (result,) = analyze(lm, TEXT, ["what_if"], MetricRequest(**target), params).results
        return result

    def level(lm: LanguageModel, interventions: str = "0.0=zero") -> float:
        return float(asked(lm, interventions).values[0])

    off = asked(lm, "adapter=off")
    assert off.values[0] == pytest.approx(level(lm), abs=1e-4)
    assert off.values[1] == pytest.approx(level(base), abs=1e-4)
    assert abs(off.values[1] - off.values[0]) > 0.01
    plain = analyze(base, TEXT, ["logit_lens"], MetricRequest(**target)).results[0]
    np.testing.assert_allclose(off.extra["lens"].values[1], plain.values, atol=1e-4)
    both = asked(lm, "adapter=off; 1.2=zero")
    alone = both.extra["alone"].values
    assert both.values[1] == pytest.approx(asked(base, "1.2=zero").values[1], abs=1e-4)
    assert alone[0] == pytest.approx(off.values[1] - off.values[0], abs=1e-4)
    assert alone[1] == pytest.approx(asked(lm, "1.2=zero").extra["effect"].values, abs=1e-4)
    assert torch.allclose(logits(lm.model), by_hand(), atol=1e-4)  # it is on again
    for other, words in (
        (base, "no adapter at work"),
        (open_model(saved("llama"), "cpu", adapters=lora(), adapter_state="merged"), "no adapter"),
    ):
        with pytest.raises(BadParameter, match=words):
            asked(other, "adapter=off")
    with pytest.raises(BadParameter, match="can only be off"):
        asked(lm, "adapter=on")
    params = {"edited_direct_attribution": {"interventions": "adapter=off"}}
    with pytest.raises(Unsupported, match="Ask for it with what_if"):
        analyze(lm, TEXT, ["edited_direct_attribution"], MetricRequest(**target), params)


def test_a_model_that_peft_wrapped_is_still_taken_as_it_is() -> None:
    needs("peft")
    from peft import PeftModel

    model, tokenizer = load_model_and_tokenizer(saved("llama"), "cpu")
    lm = LanguageModel.of(PeftModel.from_pretrained(model, str(lora())).eval(), tokenizer)
    assert torch.allclose(logits(lm.model), by_hand(), atol=1e-4)
    assert lm.info.notes == ("with the adapter default",)


def test_an_adapter_of_the_hub_opens_from_the_cache_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--me--lora"
    shutil.copytree(lora(), repository / "snapshots" / commit)
    for name in ("main", "v2"):
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / name).write_text(commit)
    for place in ("me/lora", "me/lora@v2"):
        lm = open_model(saved("llama"), "cpu", adapters=place)
        assert torch.allclose(logits(lm.model), by_hand(), atol=1e-4)
        assert [adapter.name for adapter in lm.info.adapters] == [place]
    given_as_model = open_model("me/lora", "cpu")
    assert torch.allclose(logits(given_as_model.model), by_hand(), atol=1e-4)
    assert given_as_model.info.options.adapters == ("me/lora",)
    assert "me/lora@v3" in refused(saved("llama"), UnknownModel, adapters="me/lora@v3")
    assert "me/none" in refused(saved("llama"), UnknownModel, adapters="me/none")
