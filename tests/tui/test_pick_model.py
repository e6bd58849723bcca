"""Opening a model: what the picker finds on the disk, and that a load that fails changes nothing."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from interpboard.config import Settings
from tests.tui.conftest import Boards
from tui.dialogs.pick_model import PickModelScreen, count
from tui.files.checkpoints import FoundModel, parameters
from tui.files.models import Room, demo, hub_cache, in_folder, shelf
from tui.testing.wait_until_idle import wait_until_idle


def weights(path: Path, *shapes: tuple[int, ...]) -> None:
    """A safetensors file with empty tensors; only its header is true."""
    tensors = {
        f"t{at}": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
        for at, shape in enumerate(shapes)
    }
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def model(folder: Path, family: object = "llama") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two good models, one twice written, one without weights, one damaged, and things that are none."""
    root = tmp_path / "models"
    weights(model(root / "big") / "model-00001-of-00002.safetensors", (1000, 1000), (7,))
    weights(root / "big" / "model-00002-of-00002.safetensors", (500, 1000))
    weights(root / "big" / "consolidated.safetensors", (1500, 1000))
    weights(model(root / "owner" / "small", "gpt2") / "model.safetensors", (10, 10))
    (model(root / "pickled", "opt") / "pytorch_model.bin").write_bytes(b"x")
    (model(root / "torn") / "model.safetensors").write_bytes(b"\xff" * 20)
    model(root / "list", ["no"])
    (root / "notes").mkdir()
    (root / "notes" / "config.json").write_text("{")
    return root


def test_folders_say_family_and_size_and_what_cannot_be_opened(folders: Path) -> None:
    found = {Path(one.name).name: one for one in in_folder(folders)}
    assert set(found) == {"big", "small", "pickled", "torn"}
    assert (found["big"].family, found["big"].parameters) == ("llama", 1_500_007)
    assert (found["small"].family, found["small"].parameters) == ("gpt2", 100)
    assert found["pickled"].problem == "no safetensors"
    assert found["torn"].problem == "damaged weights"
    assert in_folder(folders / "nowhere") == []


def test_the_demo_counts_the_parameters_that_its_file_holds() -> None:
    from safetensors import safe_open

    from interpboard.models.demo import DEMO_FOLDER

    with safe_open(str(DEMO_FOLDER / "model.safetensors"), framework="np") as file:
        whole = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118
    assert parameters([DEMO_FOLDER / "model.safetensors"]) == demo().parameters == whole


def test_the_hubs_cache_is_read_where_its_programs_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub_cache({"HF_HUB_CACHE": "/a"}) == Path("/a")
    assert hub_cache({"HF_HOME": "/a"}) == Path("/a/hub")
    assert hub_cache({"XDG_CACHE_HOME": "/a"}) == Path("/a/huggingface/hub")
    place = tmp_path / "models--owner--name"
    weights(model(place / "snapshots" / "new", "qwen2") / "model.safetensors", (3, 3))
    model(place / "snapshots" / "a-first", "old")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("new")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = shelf(["owner/name", "gone"], [], "cpu", "float32").models
    assert [one.name for one in found] == [
        "demo",
        "owner/name",
        "gone",
        "demo-chat",
        "demo-t5",
        "demo-bert",
    ]
    assert found[1] == FoundModel("owner/name", "hub cache", "qwen2", 9, dtype="float32")


def test_room_is_judged_by_the_bytes_of_the_number_format() -> None:
    size = FoundModel("a", "", parameters=10)
    assert [Room(free, 4).fits(size) for free in (50, 49, 40, 39, None)] == [
        "fits", "tight", "tight", "too large", "",
    ]  # fmt: skip
    assert Room(20, 2).fits(size) == "tight"
    assert Room(1, 2).fits(FoundModel("unknown", "")) == ""
    assert [count(number) for number in (0, 999, 3_788_288, 7_240_000_000)] == [
        "", "999", "3.79 M", "7.24 B",
    ]  # fmt: skip


async def test_the_picker_lists_narrows_and_takes_a_typed_name(
    board: Boards, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(folders / "nowhere"))
    monkeypatch.chdir(folders / "notes")
    async with board((80, 24), settings=Settings(model_folders=(str(folders),))) as b:
        await b.press("o")
        assert isinstance(b.app.screen, PickModelScreen)
        lines = b.lines()
        assert any("▸ demo" in line and "built in" in line and "in use" in line for line in lines)
        assert any("models/big" in line and "llama" in line and "6 MiB" in line for line in lines)
        assert any("torn" in line and "damaged" in line for line in lines)
        await b.write("SMALL")
        assert "models/big" not in b.screen
        assert "100 parameters" in b.screen
        await b.press("ctrl+u")
        await b.write("other")
        assert "Enter opens other, from a folder or the hub" in b.screen
        b.engine.paused = True
        await b.press("enter")
        assert "other: waiting" in b.lines()[0]
        assert "x cancels" in b.lines()[0]
        b.engine.listener("model", _loading("loading weights", 0.5))
        await b.pilot.pause(0.3)
        assert "other: loading weights  50%" in b.lines()[0]
        before = len(b.engine.requests)
        await b.press("escape")
        assert not b.engine.busy_slots
        assert b.lines()[0].startswith(" demo")
        assert "idle" in b.lines()[0]
        b.engine.release()
        await wait_until_idle(b.app)
        assert len(b.engine.requests) == before
        await b.press("r")
        assert len(b.engine.requests) > before
        b.engine.paused = True
        await b.press("o")
        await b.write("other")
        await b.press("enter")
        b.engine.die()
        await b.pilot.pause()
        assert "engine died loading other: killed by signal 9" in b.lines()[0]
        b.engine.release()
        await wait_until_idle(b.app)
        assert b.app.state.model is not None
        assert b.app.state.model.info.name == "demo"
        assert "·Paris" in b.screen


async def test_a_first_model_that_fails_can_be_tried_again_and_another_opened(
    board: Boards,
) -> None:
    async with board((80, 24), settings=Settings(model="nosuch")) as b:
        assert "no model" in b.lines()[0]
        await b.press("r")
        assert len(b.messages) == 2
        assert "no model" in b.lines()[0]
        await b.press("o")
        await b.write("other")
        await b.press("enter")
        assert b.lines()[0].startswith(" other")
        assert "·Paris" in b.screen


def _loading(stage: str, fraction: float) -> object:
    from interpboard.engine import protocol

    return protocol.Loading(0, stage, fraction)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_every_row_says_its_memory_and_whether_it_fits_at_every_width(
    board: Boards, folders: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(folders / "nowhere"))
    async with board(size, settings=Settings(model_folders=(str(folders),))) as b:
        await b.press("o")
        screen = b.app.screen
        assert isinstance(screen, PickModelScreen)
        await screen.settled()
        await b.press("down", "up")
        rows = [line for line in b.lines() if re.search(r"demo|big|small", line)]
        sized = [line for line in rows if re.search(r"MiB +(fits|tight|in use|too large)", line)]
        assert len(sized) >= 4
        assert any("…" not in line and "free" in line for line in b.lines())
