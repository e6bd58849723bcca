"""The picker says what lies in a folder and what would fit, and opens it as is typed behind its name."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.config import Settings
from interpboard.engine.protocol import Failed, Load
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.models.language_model import open_model
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from interpboard.registry.loading import given as given_options
from interpboard.results import ModelInfo
from tests.tui.conftest import Boards
from tests.tui.test_pick_model import model, weights
from tui.controllers.models import opened_again
from tui.files import models as models_module
from tui.files.checkpoints import FoundModel, gguf_files
from tui.files.models import Room, in_folder, rooms, what_fits
from tui.files.opening import read_opening


def adapter(folder: Path, base: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": base})
    )
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return folder


def _text(words: str) -> bytes:
    return struct.pack("<Q", len(words)) + words.encode()


def gguf(path: Path, shape: tuple[int, ...], kind: int) -> None:
    """The head of a GGUF file: a family, a list of tokens, and one tensor."""
    pairs = [
        _text("general.architecture") + struct.pack("<I", 8) + _text("llama"),
        _text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + _text("one") + _text("two"),
        _text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 2) + b"\0" * 8,
        _text("llama.block_count") + struct.pack("<II", 4, 3),
    ]
    tensor = _text("w") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(pairs))
    path.write_bytes(head + b"".join(pairs) + tensor)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A packed checkpoint, an adapter, a GGUF file, and one of each that is damaged."""
    root = tmp_path / "models"
    weights(model(root / "gptq") / "model.safetensors", (100, 100))
    about = {"model_type": "llama", "quantization_config": {"quant_method": "gptq", "bits": 4}}
    (root / "gptq" / "config.json").write_text(json.dumps(about))
    adapter(root / "mine", "owner/base")
    adapter(root / "nameless", None)
    (root / "packed").mkdir()
    gguf(root / "packed" / "small.gguf", (300, 20), 12)
    (root / "packed" / "torn.gguf").write_bytes(b"GGUF\3")
    return root


def test_adapters_packed_checkpoints_and_gguf_files_say_what_they_are(folders: Path) -> None:
    found = {(Path(one.name).name, one.gguf_file): one for one in in_folder(folders)}
    assert found["gptq", ""].is_what == "gptq 4-bit"
    assert found["gptq", ""].size == (folders / "gptq" / "model.safetensors").stat().st_size
    assert found["mine", ""].is_what == "adapter of owner/base"
    assert "does not name" in found["nameless", ""].is_what
    small = found["packed", "small.gguf"]
    assert (small.family, small.parameters, small.is_what) == ("llama", 6000, "GGUF Q4_K")
    assert found["packed", "torn.gguf"].problem == "damaged GGUF"


@given(data=st.binary(max_size=80))
@settings(max_examples=40, deadline=None)
def test_a_gguf_file_of_anything_is_damaged_or_read(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.gguf").write_bytes(b"GGUF" + data)
    (found,) = gguf_files(folder, "folder")
    assert found.problem == "damaged GGUF" or found.parameters >= 0


def test_what_would_fit_is_said_by_the_way_it_is_opened() -> None:
    seven = FoundModel("a", "", parameters=7 * 10**9)
    assert what_fits(seven, Room(20 * 10**9)) == "float32 no, bfloat16 yes, 4-bit yes"
    assert what_fits(seven, Room(29 * 10**9)) == "float32 tight, bfloat16 yes, 4-bit yes"
    packed = FoundModel("b", "", parameters=10**9, packed="gptq 4-bit", size=4 * 10**9)
    assert what_fits(packed, Room(3 * 10**9)) == "as packed no"
    unpacked = FoundModel("c", "", parameters=10**9, packed="GGUF Q4_K")
    assert what_fits(unpacked, Room(3 * 10**9)) == "float32 no, bfloat16 yes"
    assert what_fits(FoundModel("d", ""), Room(10)) == ""


def test_the_memory_of_every_gpu_is_listed_beside_that_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(models_module, "_free_on_gpus", lambda: [10, 20])
    assert [room.on for room in rooms("cuda:1", "bfloat16")] == ["cuda:1", "cpu", "cuda:0"]
    assert rooms("cuda", "bfloat16")[0].free == 10
    monkeypatch.setattr(models_module, "_free_on_gpus", list)
    assert len(rooms("cpu", "float32")) == 1
    assert rooms("cuda", "float32")[0].free is None


def test_options_are_read_from_what_is_typed_behind_the_name() -> None:
    assert read_opening("") == ("", NOTHING_ASKED)
    assert read_opening(" --dtype bfloat16 --quantize 4bit --adapter a --adapter=b") == (
        "bfloat16", LoadOptions(quantize="4bit", adapters=("a", "b")),
    )  # fmt: skip
    for wrong in (" --dtype half", " --quantize 3bit", " --colour red", " --dtype float32 more"):
        with pytest.raises(BadParameter):
            read_opening(wrong)


def test_a_session_opens_its_model_again_as_it_was() -> None:
    own = LoadOptions(quantize="4bit")
    info = ModelInfo("mine", None, "llama", 2, 2, "bfloat16", "cpu", options=own)
    assert opened_again(info, Settings(), NOTHING_ASKED) == ("mine", "bfloat16", own)
    now = LoadOptions(quantize="int8")
    said = opened_again(info, Settings(model="mine", dtype="float32"), now)
    assert said == ("mine", "float32", now)
    assert opened_again(info, Settings(model="other"), now)[2] == own


async def test_the_picker_opens_with_the_options_that_were_typed(
    board: Boards, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(folders / "nowhere"))
    monkeypatch.chdir(folders.parent)
    async with board((80, 24), settings=Settings(model_folders=(str(folders),))) as b:
        loads: list[tuple[str, dict[str, Any]]] = []
        load = b.engine.load

        def heard(name: str, **options: Any) -> int:
            loads.append((name, options))
            return load(name, **options)

        monkeypatch.setattr(b.engine, "load", heard)
        await b.press("o")
        assert "adapter" in b.screen
        assert "float32 yes, bfloat16 yes, 4-bit yes" in b.screen  # of the demo, the first row
        await b.write("small.gguf")
        assert "6 k parameters, GGUF Q4_K" in b.screen
        assert "with --gguf-file small.gguf" in b.screen
        await b.press("ctrl+u")
        await b.write("other --quantize 3bit")
        assert "--quantize takes no '3bit'" in b.screen
        await b.press("enter")
        assert loads == []
        await b.press("ctrl+u")
        await b.write("other --dtype bfloat16 --quantize 4bit")
        assert "with --dtype bfloat16 --quantize 4bit" in b.screen
        await b.press("enter")
    assert [name for name, _options in loads] == ["other"]
    assert loads[0][1]["dtype"] == "bfloat16"
    assert loads[0][1]["options"] == LoadOptions(quantize="4bit")


def refusal_of(request: Load) -> Failed:
    """What the loader itself says."""
    with pytest.raises(InterpBoardError) as caught:
        open_model(request.model, "cpu", request.dtype, **given_options(request.options))
    return Failed(0, "load", caught.value.message, caught.value.remedy or "")


MISTAKES = {  # typed behind a name: what the engine's own loader says of it
    "revision": ("demo --revision nosuch", "no --revision"),
    "device map": ("demo --device-map nowhere.json", "cannot be read"),
    "a device": ("""demo --device-map '{"":"cuda:7"}'""", "is not there"),
    "adapter": ("demo --adapter /nowhere/mine", "/nowhere/mine"),
    "quantisation": ("demo --quantize int8", "demo"),
    "a name": ("owner/nosuch --dtype bfloat16", "owner/nosuch"),
}


async def test_what_cannot_be_opened_so_is_said_in_a_line_and_there_again_as_it_was_typed(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    async with board((80, 24), settings=Settings(model_folders=())) as b:
        canned = b.engine.event_of
        for mistake, (typed, says) in MISTAKES.items():
            monkeypatch.setattr(
                b.engine,
                "event_of",
                lambda asked: refusal_of(asked) if isinstance(asked, Load) else canned(asked),
            )
            await b.press("o", "ctrl+u")
            await b.write(typed)
            await b.press("enter")
            assert says in b.messages[-1], mistake
            assert "\n" not in b.messages[-1]
            assert b.lines()[0].startswith(" demo · cpu"), "the model that was there still is"
            await b.press("o")
            assert typed in b.screen, mistake
            await b.press("ctrl+u")
            monkeypatch.setattr(b.engine, "event_of", canned)
            await b.write("demo")
            await b.press("enter", "o")
            assert typed not in b.screen, mistake
            await b.press("escape")
