"""Loading: what works, and the one line that each kind of bad input gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from interpboard.errors import BadDevice, NotALanguageModel, UnknownModel, UnsafeWeights
from interpboard.models.language_model import open_model
from interpboard.models.load import load_model_and_tokenizer
from interpboard.models.placement import choose_dtype, narrow_dtype
from tests.tiny import save_tiny, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama")


def test_a_local_folder_loads_with_the_weights_it_holds(folder: Path) -> None:
    stages: list[tuple[str, float]] = []
    model, tokenizer = load_model_and_tokenizer(
        folder, device="cpu", on_stage=lambda *stage: stages.append(stage)
    )
    for (name, value), (_, expected) in zip(
        sorted(model.state_dict().items()),
        sorted(tiny_model("llama").state_dict().items()),
        strict=True,
    ):
        assert torch.equal(value, expected), name
    assert not model.training
    assert tokenizer.decode(tokenizer("The Eiffel Tower")["input_ids"]) == "The Eiffel Tower"
    assert [fraction for _, fraction in stages] == sorted(fraction for _, fraction in stages)


def test_open_model_describes_what_it_opened(folder: Path) -> None:
    lm = open_model(folder, dtype="float64")
    assert (lm.info.family, lm.info.layers, lm.info.heads) == ("llama", 3, 4)
    assert (lm.info.dtype, lm.info.device) == ("float64", "cpu")
    assert lm.memory_bytes == 8 * lm.parameters


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/model", "a/b/c"])
def test_a_path_that_is_not_there_is_said_to_be_missing(name: str) -> None:
    with pytest.raises(UnknownModel, match="There is no folder"):
        load_model_and_tokenizer(name)


def test_a_hub_name_that_cannot_be_fetched_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UnknownModel) as caught:
        load_model_and_tokenizer("nobody/has-this-model")
    assert "could not be fetched" in caught.value.message
    assert "local folder" in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_name_that_cannot_be_a_model_is_refused() -> None:
    with pytest.raises(UnknownModel, match="is no model name"):
        load_model_and_tokenizer("not a model!")


def test_a_folder_without_a_model_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotALanguageModel, match=r"no config\.json"):
        load_model_and_tokenizer(tmp_path)


def test_a_folder_without_tokenizer_says_so(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    with pytest.raises(NotALanguageModel, match="tokenizer"):
        load_model_and_tokenizer(tmp_path)


def test_a_folder_without_weights_says_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(UnknownModel, match="holds no weights"):
        load_model_and_tokenizer(tmp_path)


def test_a_checkpoint_that_lacks_weights_is_refused_instead_of_filled_at_random(
    folder: Path, tmp_path: Path
) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(NotALanguageModel, match="lacks 1 of the weights"):
        load_model_and_tokenizer(tmp_path)


def test_pickled_weights_are_refused_unless_allowed(tmp_path: Path) -> None:
    model = tiny_model()
    model.config.architectures = ["GPT2LMHeadModel"]
    model.config.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(UnsafeWeights, match="not safetensors"):
        load_model_and_tokenizer(tmp_path)
    loaded, _ = load_model_and_tokenizer(tmp_path, allow_pickle=True)
    assert torch.equal(loaded.transformer.wte.weight, model.transformer.wte.weight)


def test_a_model_with_code_of_its_own_is_refused(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "homemade"
    config["auto_map"] = {
        "AutoConfig": "homemade.HomeConfig",
        "AutoModelForCausalLM": "homemade.HomeModel",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "homemade.py").write_text("raise SystemExit('this must not run')\n")
    with pytest.raises(UnsafeWeights, match="code of its own"):
        load_model_and_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("model_type", "words"), [("vit", "not a causal language model"), ("whisper", "reads no text")]
)
def test_what_is_no_decoder_is_refused(tmp_path: Path, model_type: str, words: str) -> None:
    config = {"model_type": model_type, "is_encoder_decoder": model_type == "whisper"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"")
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(NotALanguageModel, match=words):
        load_model_and_tokenizer(tmp_path)


@pytest.mark.parametrize("content", ["{", '{"hidden_size": 3}', "[]"])
def test_a_damaged_config_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises((NotALanguageModel, UnknownModel)) as caught:
        load_model_and_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_one_line(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(NotALanguageModel) as caught:
        load_model_and_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", ["cuda:99", "tpu9", "meta", "nonsense"])
def test_a_device_that_is_not_there_is_refused(folder: Path, device: str) -> None:
    with pytest.raises(BadDevice):
        load_model_and_tokenizer(folder, device=device)


def test_number_formats_go_by_their_usual_names() -> None:
    cpu = torch.device("cpu")
    assert choose_dtype("auto", cpu) == torch.float32
    assert choose_dtype("bf16", cpu) == choose_dtype("torch.bfloat16", cpu) == torch.bfloat16
    with pytest.raises(BadDevice, match="float12"):
        choose_dtype("float12", cpu)


def test_a_gpu_that_only_pretends_to_have_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or asked[-1] == torch.device("cuda:1")

    @contextmanager
    def on(device: torch.device) -> Iterator[None]:
        asked.append(device)
        yield

    monkeypatch.setattr(torch.cuda, "device", on)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    # Of two cards the one that is asked for is looked at.
    assert choose_dtype("auto", torch.device("cuda:0")) == torch.float32
    assert choose_dtype("auto", torch.device("cuda:1")) == torch.bfloat16
    assert choose_dtype("bf16", torch.device("cuda:0")) == torch.bfloat16


@pytest.mark.parametrize(
    ("held", "said"),
    [("F32", "float32"), ("F16", "float16"), ("BF16", ""), ("packed", "")],
)
def test_a_format_that_nobody_chose_says_where_it_rounds_the_checkpoint(
    held: str, said: str
) -> None:
    numbers = {held: 1000, "I64": 1}
    chosen, note = narrow_dtype(torch.bfloat16, torch.device("cuda"), numbers)
    assert chosen == torch.bfloat16
    assert bool(note) == bool(said)
    assert f"--dtype {said}" in note or not said
    assert narrow_dtype(torch.float32, torch.device("cuda"), numbers) == (torch.float32, "")
