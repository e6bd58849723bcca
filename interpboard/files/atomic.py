"""The one writer: a file is replaced whole, or stays as it was.

What is new is written beside the old file under a short name of its own, brought to the disk, and then takes
the old one's place in one step. So a full disk, an interrupt or a machine that stops in the middle costs what
was being written and never what was there. A link stays a link, the mode of a file that exists is kept, and
pipes and devices, which have no half, are written straight.

Everything raises ``OSError`` and nothing else where a path cannot be written; callers say it in the words of
what they write.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE = 0o600  # for the eyes of the user alone, whatever the umask


def write_text(path: str | Path, text: str, *, mode: int | None = None) -> None:
    """``text`` as UTF-8, its line ends as they are, as the whole of ``path``."""
    write_bytes(path, text.encode("utf-8"), mode=mode)


def write_bytes(path: str | Path, data: bytes, *, mode: int | None = None) -> None:
    """``data`` as the whole of ``path``. ``mode`` as in ``replacing``."""
    if _is_stream(path):
        _pour(path, data)
        return
    with replacing(path, mode=mode) as beside:
        beside.write_bytes(data)


@contextmanager
def replacing(path: str | Path, *, mode: int | None = None) -> Iterator[Path]:
    """The path of an empty file in the same folder, which takes the place of ``path`` when the block ends.

    ``mode``: of the new file in any case; None keeps that of the file that is there, or follows the umask.
    If the block raises, nothing is left behind. Raises ``OSError``, also for a folder, a pipe or a device.
    """
    target = _target(path)
    beside = _made_beside(target, mode)
    try:
        kept = stat.S_IMODE(beside.stat().st_mode)
        yield beside
        beside.chmod(kept)  # some writers make the file anew
        _to_disk(beside)
        os.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # the file is whole in any case; some folders cannot be brought to disk
        _to_disk(target.parent)


def try_place(path: str | Path) -> None:
    """Raise the ``OSError`` that writing ``path`` would raise now, before work is put into it."""
    if _is_stream(path):
        if not may_write(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return
    _made_beside(_target(path), None).unlink()


def open_private(path: str | os.PathLike[str], flags: int) -> int:
    """An ``opener`` for ``open``: a file that is made is the user's alone, and so is one that is there."""
    handle = os.open(path, flags, PRIVATE)
    tighten(handle)
    return handle


def tighten(path: int | str | os.PathLike[str]) -> None:
    """Take from others what they may do with a file or folder of ours; what is not ours is left alone."""
    with suppress(OSError):  # another's file, a file system without modes, or gone meanwhile
        found = os.stat(path)
        wide = stat.S_IMODE(found.st_mode) & 0o077
        regular = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
        if wide and regular and found.st_uid == os.geteuid():
            os.chmod(path, stat.S_IMODE(found.st_mode) & 0o700)


def may_write(path: str | Path) -> bool:
    """Whether this process may change the file, or make files in the folder."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _target(path: str | Path) -> Path:
    """The file behind a link, which need not exist."""
    try:
        target = Path(os.path.realpath(path))
        found = target.stat()
    except (FileNotFoundError, NotADirectoryError):  # the second is said by whoever writes there
        return target
    except ValueError as error:  # a NUL, or half a character
        raise OSError(errno.EINVAL, f"this is no file name ({error})", str(path)) from None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no file", str(path))
    if not may_write(target):  # it could be replaced, but somebody has made it read-only
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return target


def _made_beside(target: Path, mode: int | None) -> Path:
    """A new empty file in the folder of ``target``; its name is short, however long that of the target is."""
    if len(os.fsencode(target.name)) > _longest_name(target.parent):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(target))
    beside = target.parent / f".interpboard-{os.urandom(8).hex()}.part"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    try:
        if mode is None:
            with suppress(FileNotFoundError):
                mode = stat.S_IMODE(target.stat().st_mode) & 0o777
        if mode is not None:
            os.chmod(beside, mode)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    return beside


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, AttributeError, ValueError):  # the folder is missing, or this is Windows
        return 255


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # it has no disk to go to
            raise
    finally:
        os.close(handle)


def _is_stream(path: str | Path) -> bool:
    """A pipe, a device, or one of this process's own streams under another name."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    if stat.S_ISREG(found.st_mode):
        streams = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")
        return os.path.abspath(path).startswith(streams)
    return not stat.S_ISDIR(found.st_mode)


def _pour(path: str | Path, data: bytes) -> None:
    """Behind what is there: where standard output is a file, another may have written to it before."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
