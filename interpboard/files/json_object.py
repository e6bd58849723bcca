"""One JSON object from a file that somebody else wrote: bounded, and damaged ones named in a line.

A model's folder comes from anywhere. Its JSON may be a pointer of Git LFS, end in the middle, nest ten
thousand brackets deep, or hold a list where an object belongs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from interpboard.errors import NotALanguageModel, UnknownModel

_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_AT_MOST = 1024  # bytes; Git LFS's own limit for a pointer
_JSON_AT_MOST = 256 * 2**20  # bytes: an index of a million tensors is a third of it


def refuse_lfs_pointer(path: Path) -> None:
    """Raise ``UnknownModel`` if ``path`` is what Git LFS leaves in place of a file not downloaded."""
    try:
        size = path.stat().st_size
        if size > _LFS_AT_MOST:
            return
        with path.open("rb") as file:
            start = file.read(len(_LFS))
    except OSError as error:
        raise UnknownModel(f"Cannot read {path}: {error.strerror}.") from error
    if start == _LFS:
        raise UnknownModel(
            f"{path} is a Git LFS pointer of {size} bytes, what it points to was not downloaded.",
            "Fetch it with: git lfs pull",
        )


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``.

    Raises ``UnknownModel`` for a file that cannot be read or is a Git LFS pointer, ``NotALanguageModel``
    for one that holds no JSON object.
    """
    refuse_lfs_pointer(path)
    try:
        if path.stat().st_size > _JSON_AT_MOST:
            raise NotALanguageModel(f"{path} is larger than any such file ({_JSON_AT_MOST} bytes).")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise UnknownModel(f"Cannot read {path}: {error.strerror}.") from error
    except RecursionError:
        raise NotALanguageModel(f"{path} nests too deeply to be read.") from None
    except ValueError as error:  # no UTF-8, or no JSON
        reason = " ".join(str(error).split())[:120].rstrip(".")
        raise NotALanguageModel(f"{path} is not JSON: {reason}.", "Is it damaged?") from None
    if not isinstance(found, dict):
        what = {list: "a list", str: "a text", type(None): "null"}.get(type(found), "a number")
        raise NotALanguageModel(f"{path} holds {what} where a JSON object belongs.")
    return found
