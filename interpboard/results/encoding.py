"""Two encodings of the same structs: JSON for people and files, msgpack for the engine's pipe.

JSON has arrays as nested lists and NaN as null; msgpack has them as dtype, shape and raw bytes (0.1 ms
where lists take 3 ms).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from interpboard.errors import BadResultFile
from interpboard.files import atomic
from interpboard.results.arrays import text_array

SCHEMA = "interpboard/1"

_T = TypeVar("_T")


def pack(message: Any) -> bytes:
    """``message`` (a struct) as msgpack, arrays as raw bytes."""
    return _PACK.encode(message)


def unpack(raw: bytes, kind: type[_T] | Any) -> _T:
    """What ``pack`` wrote, decoded and checked as ``kind``."""
    return msgspec.msgpack.decode(raw, type=kind, dec_hook=_from_bytes)


def json_of(struct: Any, indent: int | None) -> str:
    """``struct`` as JSON text. NaN and infinities are null."""
    raw = _JSON.encode(struct)
    return (raw if indent is None else msgspec.json.format(raw, indent=indent)).decode()


def from_json(text: str | bytes, kind: type[_T]) -> _T:
    """The ``kind`` that ``json_of`` wrote. Raises ``BadResultFile`` for anything else.

    Whatever a later version adds to the schema has a default, so that a file of any version so far
    is read as it stands; a file of a version to come is refused by its number.
    """
    try:
        named = msgspec.json.decode(text, type=_Named)
        if named.schema != SCHEMA:
            raise BadResultFile(
                f"The result has schema {named.schema!r}, this program reads {SCHEMA!r}.",
                "Upgrade interpboard.",
            )
        return msgspec.json.decode(text, type=kind, dec_hook=_from_lists)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise BadResultFile(
            f"This is not a result of interpboard: {error}.", "Was the file cut short?"
        ) from error


def read_file(path: str | Path) -> bytes:
    """The bytes of a saved result. Raises ``BadResultFile``."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadResultFile(f"Cannot read {path}: {error.strerror}.") from error


def write_file(path: str | Path, text: str) -> Path:
    """``text`` as the whole of ``path``, which is returned. Raises ``BadResultFile``: the old file stays."""
    try:
        atomic.write_text(path, text)
    except OSError as error:
        raise BadResultFile(f"Cannot write {path}: {error.strerror}.") from error
    return Path(path)


class _Named(msgspec.Struct):
    schema: str


def _to_lists(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value)} has no place in a result")


def _from_lists(kind: type, value: Any) -> Any:
    if kind is not np.ndarray:
        raise NotImplementedError(f"{kind} has no place in a result")
    array = np.array(value)
    if array.dtype.kind == "U":
        texts = text_array(value)
        if not all(isinstance(text, str) for text in texts.flat):
            raise ValueError("texts and numbers in one array")
        return texts
    if array.dtype == object:  # numbers with null among them
        array = np.array(value, dtype=np.float64)
    return array


def _to_bytes(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        text = value.dtype == object
        data = value.ravel().tolist() if text else value.tobytes()
        return {"dtype": "text" if text else value.dtype.str, "shape": value.shape, "data": data}
    return _to_lists(value)


def _from_bytes(kind: type, value: Any) -> Any:
    if kind is not np.ndarray:
        raise NotImplementedError(f"{kind} has no place in a message")
    shape = tuple(value["shape"])
    array: np.ndarray
    if value["dtype"] == "text":
        array = text_array(value["data"])
    else:
        array = np.frombuffer(value["data"], dtype=np.dtype(value["dtype"]))
    if math.prod(shape) != array.size:
        raise ValueError(f"{array.size} values for shape {shape}")
    return array.reshape(shape)


_JSON = msgspec.json.Encoder(enc_hook=_to_lists)
_PACK = msgspec.msgpack.Encoder(enc_hook=_to_bytes)
