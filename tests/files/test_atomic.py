"""The one writer: a file is replaced whole or stays as it was, and nothing is left beside it."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from interpboard.files import atomic
from interpboard.files.places import expanded
from tests.files.disk import full_disk, read_only_folder

LONG = "é" * 127 + "x"  # 255 bytes: the longest name that file systems take


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def umask() -> Iterator[int]:
    """As most people have it, whatever the machine that tests has."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_mode(
    tmp_path: Path, umask: int
) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    atomic.write_text(new, "a\r\nb\n")
    assert new.read_bytes() == b"a\r\nb\n"
    assert mode(new) == 0o666 & ~umask
    old.write_text("old")
    old.chmod(0o604)
    atomic.write_bytes(old, b"new")
    assert (old.read_bytes(), mode(old)) == (b"new", 0o604)
    atomic.write_bytes(old, b"own", mode=atomic.PRIVATE)
    assert mode(old) == 0o600
    assert names(tmp_path) == ["new", "old"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with full_disk(), pytest.raises(OSError, match=r"\S"):
        atomic.write_bytes(path, b"x" * 1000)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_an_interrupt_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def interrupted(data: Path) -> None:
        data.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic.replacing(path) as beside:
        interrupted(beside)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_link_stays_a_link_also_one_to_nothing_yet(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("real", "missing"):
        link = tmp_path / f"link-{name}"
        link.symlink_to(tmp_path / "there" / name)
    (tmp_path / "there" / "real").write_text("old")
    for name in ("real", "missing"):
        link = tmp_path / f"link-{name}"
        atomic.write_text(link, "new")
        assert link.is_symlink()
        assert (tmp_path / "there" / name).read_text() == "new"
    assert names(tmp_path / "there") == ["missing", "real"]


@pytest.mark.parametrize("name", [LONG, "x" * 255, "x" * 254, "name with\nline end"])
def test_any_legal_name_can_be_written(name: str, tmp_path: Path) -> None:
    atomic.try_place(tmp_path / name)
    assert names(tmp_path) == []
    atomic.write_text(tmp_path / name, "a")
    atomic.write_text(tmp_path / name, "b")
    assert (tmp_path / name).read_text() == "b"
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    "name", [LONG + "x", "no/such/folder", "file/below", "folder", "\0", "\ud800", "loop", ""]
)
def test_what_cannot_be_a_file_is_an_oserror_before_and_while_writing(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = names(tmp_path)
    path = f"{tmp_path}/{name}"
    with pytest.raises(OSError, match=r"\S"):
        atomic.write_text(path, "new")
    with pytest.raises(OSError, match=r"\S"):
        atomic.try_place(path)
    assert names(tmp_path) == before


def test_pipes_and_devices_are_written_straight(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    atomic.try_place(pipe)
    atomic.write_text(pipe, "through")
    reader.join(10)
    assert heard == [b"through"]
    atomic.write_text(os.devnull, "gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_text("/dev/full", "x")


def test_a_stream_of_our_own_that_is_a_file_keeps_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before ")
    with path.open("a") as log:
        atomic.write_text(f"/dev/fd/{log.fileno()}", "after")
    assert path.read_text() == "before after"


def test_a_block_that_makes_the_file_anew_keeps_the_mode(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "a"
    with atomic.replacing(path, mode=atomic.PRIVATE) as beside:
        beside.unlink()
        beside.write_text("anew")
    assert mode(path) == 0o600


def test_what_is_opened_privately_is_nobody_elses_also_if_it_was(
    tmp_path: Path, umask: int
) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_text("old\n")
    old.chmod(0o666)
    for path in (new, old):
        with open(path, "a", opener=atomic.open_private) as file:
            file.write("more\n")
        assert mode(path) == 0o600
    assert old.read_text() == "old\nmore\n"


def test_a_folder_or_a_file_that_is_read_only_stays_as_it_is() -> None:
    with read_only_folder() as folder:
        for name in ("new", "kept"):
            with pytest.raises(PermissionError):
                atomic.try_place(folder / name)
            with pytest.raises(PermissionError):
                atomic.write_text(folder / name, "new")
        assert names(folder) == ["kept"]
        assert (folder / "kept").read_text() == "old"


def test_a_file_that_was_made_read_only_in_ones_own_folder_stays_as_it_is() -> None:
    with read_only_folder() as folder:
        os.chmod(folder, 0o755)  # the owner may
        with pytest.raises(PermissionError):
            atomic.write_text(folder / "kept", "new")
        assert (folder / "kept").read_text() == "old"
        atomic.write_text(folder / "other", "new")
        assert names(folder) == ["kept", "other"]


def test_a_path_with_the_home_of_nobody_is_taken_as_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/a") == Path("/home/me/a")
    assert expanded("~no-such-user-here/a") == Path("~no-such-user-here/a")
