"""What the app keeps is for the user alone, also where it was not; where it can keep nothing, it says so."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from interpboard import config
from interpboard.config import folders, in_state_folder, state_folder
from interpboard.engine.process import EngineProcess
from interpboard.errors import StoreProblem
from interpboard.interventions.steering import save_vector
from interpboard.store import Store
from tests import sample
from tests.files.disk import read_only_folder
from tui.files.prompt_book import PromptBook
from tui.terminal import clipboard


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """The widest there is: whatever is private is so by itself."""
    before = os.umask(0)
    folders._close_to_others.cache_clear()
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def everything(folder: Path) -> None:
    """Write all that is kept in the state folder."""
    Store().add(sample.document(sample.ablation()), "heads", {}, 1.0)
    book = PromptBook()
    book.add("a prompt")
    book.save(folder / "prompts.jsonl")
    await clipboard.copy("copied", lambda _text: None)
    save_vector(folder / "vectors" / "v.safetensors", torch.ones(3), 0)
    process = await EngineProcess.spawn(["true"], config.engine_log())
    await process.process.wait()


async def test_every_file_of_the_state_folder_is_the_users_alone(tmp_path: Path) -> None:
    folder = state_folder()
    await everything(folder)
    kept = sorted(folder.rglob("*"))
    assert {path.name for path in kept} >= {
        "runs.sqlite", "prompts.jsonl", "yank.txt", "vectors", "v.safetensors",
    }  # fmt: skip
    assert any(path.name.startswith("engine-") for path in kept)
    assert mode(folder) == 0o700
    for path in kept:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


async def test_what_an_earlier_version_left_open_is_closed_at_the_start(tmp_path: Path) -> None:
    folder = config.state_path()
    (folder / "vectors").mkdir(parents=True)
    names = ("runs.sqlite", "runs.sqlite-journal", "runs-damaged-1.sqlite", "prompts.jsonl",
             "yank.txt", "engine-7.log", "vectors/a.safetensors")  # fmt: skip
    for name in names:
        (folder / name).write_text("")
    assert mode(folder) == 0o777
    state_folder()
    assert [mode(folder / name) for name in names] == [0o600] * len(names)
    assert (mode(folder), mode(folder / "vectors")) == (0o700, 0o700)


def test_a_folder_that_is_not_ours_alone_keeps_its_mode_and_its_other_files() -> None:
    folder = config.state_path()
    folder.mkdir()
    (folder / "theirs.txt").write_text("")
    (folder / "prompts.jsonl").write_text("")
    (folder / "yank.txt").symlink_to(folder / "theirs.txt")
    state_folder()
    assert (mode(folder), mode(folder / "theirs.txt")) == (0o777, 0o666)
    assert mode(folder / "prompts.jsonl") == 0o600


def test_what_is_meant_to_be_shared_follows_the_umask(tmp_path: Path) -> None:
    os.umask(0o022)
    shared = tmp_path / "shared"
    shared.mkdir()
    save_vector(shared / "v.safetensors", torch.ones(3), 0)
    sample.full().save(shared / "a.json")
    assert {mode(path) for path in shared.iterdir()} == {0o644}
    assert not in_state_folder(shared / "v.safetensors")


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none", "/dev/null/x", "a\0b"])
def test_a_state_folder_that_cannot_be_made_is_said_and_the_log_is_elsewhere(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    where = place if place.startswith("/") else f"{tmp_path}/{place}"
    monkeypatch.setattr(folders, "state_path", lambda: Path(where))
    monkeypatch.setattr("interpboard.store.runs.state_path", lambda: Path(where))
    folders._log_elsewhere.cache_clear()
    with pytest.raises(StoreProblem, match="Cannot make the folder"):
        state_folder()
    log = config.engine_log()
    assert log.is_file()
    assert mode(log) == 0o600
    log.unlink()
    folders._log_elsewhere.cache_clear()
    with pytest.raises(StoreProblem):
        Store().runs()


def test_a_state_folder_that_is_read_only_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with read_only_folder() as home:
        for place, words in ((home / "state", "Cannot make"), (home, "Cannot write in")):
            monkeypatch.setenv("INTERPBOARD_STATE", str(place))
            with pytest.raises(StoreProblem, match=words):
                state_folder()
            with pytest.raises(StoreProblem):
                Store().runs()
        assert [path.name for path in home.iterdir()] == ["kept"]


def test_where_nothing_at_all_can_be_written_the_log_goes_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("")
    folders._log_elsewhere.cache_clear()
    monkeypatch.setattr("tempfile.mkstemp", _no_room)
    assert config.engine_log() == Path(os.devnull)
    folders._log_elsewhere.cache_clear()


def _no_room(**_options: str) -> None:
    raise OSError(28, "No space left on device")
