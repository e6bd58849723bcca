"""Results: labelled arrays with everything needed to make them again. Schema ``interpboard/1``.

A *document* is one model, one prompt and the results computed on them; it is what
``interpboard analyze --format json`` prints and what the engine sends to the screen. Text, markdown,
CSV and HTML are views of it. Nothing here imports torch.

Two encodings of the same structs: JSON for people and files (arrays as nested lists, NaN as null) and
msgpack for the engine's pipe (arrays as dtype, shape and raw bytes: 0.1 ms where lists take 3 ms).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from interpboard.errors import BadResultFile

SCHEMA = "interpboard/1"

T = TypeVar("T")


class Axis(msgspec.Struct, frozen=True):
    """One dimension of an array: its name (``layer``, ``head``, ``token``) and a label per entry."""

    name: str
    labels: tuple[str, ...]


class LabelledArray(msgspec.Struct, frozen=True, eq=False):
    """``values`` has one dimension per axis, in order. Numbers, or strings as ``text_array`` makes."""

    axes: tuple[Axis, ...]
    values: np.ndarray

    def __post_init__(self) -> None:
        _put_in_shape(self)


class TokenRef(msgspec.Struct, frozen=True):
    """A token of the vocabulary: its id and its text, leading space included."""

    id: int
    token: str


class MetricRequest(msgspec.Struct, frozen=True):
    """The metric asked for. ``target=None``: the model's own top token. Position −1: the last."""

    name: str = "logit"
    target: str | None = None
    foil: str | None = None
    position: int = -1


class MetricInfo(msgspec.Struct, frozen=True):
    """The number that was explained, at one position (counted from 0) of the prompt."""

    name: str
    position: int
    target: TokenRef | None = None
    foil: TokenRef | None = None


class MadeBy(msgspec.Struct, frozen=True):
    """Versions, seed and the engine path (``replay`` or ``hooks``; ``autograd`` for gradients)."""

    interpboard: str
    torch: str
    transformers: str
    seed: int = 0
    path: str = "hooks"


class ModelInfo(msgspec.Struct, frozen=True):
    """What was looked at."""

    name: str
    revision: str | None
    family: str
    layers: int
    heads: int
    dtype: str
    device: str


class PromptInfo(msgspec.Struct, frozen=True):
    """The prompt as the model saw it. ``tokens`` are texts, leading spaces included."""

    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]


class Result(msgspec.Struct, frozen=True, eq=False):
    """One analysis of one prompt. ``values`` follow ``axes``; ``extra`` holds further named arrays.

    ``baseline`` is the metric of the clean run. What the values mean, and their sign, is said by the
    registry (``interpboard.analyses``) under the name ``analysis``.
    """

    analysis: str
    params: dict[str, Any]
    metric: MetricInfo
    baseline: float | None
    axes: tuple[Axis, ...]
    values: np.ndarray
    extra: dict[str, LabelledArray]
    elapsed_s: float
    made_by: MadeBy
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _put_in_shape(self)

    def axis(self, name: str) -> Axis:
        """The axis called ``name``."""
        for axis in self.axes:
            if axis.name == name:
                return axis
        raise KeyError(name)


class Document(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One model, one prompt, and the results computed on them."""

    schema: str = SCHEMA
    model: ModelInfo
    prompt: PromptInfo
    results: tuple[Result, ...]

    def result(self, analysis: str) -> Result:
        """The first result of ``analysis``."""
        for result in self.results:
            if result.analysis == analysis:
                return result
        raise KeyError(analysis)

    def to_json(self, indent: int | None = 2) -> str:
        """The document as JSON text. NaN and infinities are null."""
        raw = _JSON.encode(self)
        return (raw if indent is None else msgspec.json.format(raw, indent=indent)).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Document:
        """The document that ``to_json`` wrote. Raises ``BadResultFile`` for anything else."""
        try:
            document = msgspec.json.decode(text, type=cls, dec_hook=_from_lists)
        except (msgspec.MsgspecError, ValueError, UnicodeError) as error:
            raise BadResultFile(
                f"This is not a result of interpboard: {error}.", "Was the file cut short?"
            ) from error
        if document.schema != SCHEMA:
            raise BadResultFile(
                f"The result has schema {document.schema!r}, this program reads {SCHEMA!r}.",
                "Upgrade interpboard.",
            )
        return document

    def save(self, path: str | Path) -> Path:
        """Write the JSON to ``path`` and return it."""
        path = Path(path)
        path.write_text(self.to_json() + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Document:
        """Read what ``save`` wrote."""
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise BadResultFile(f"Cannot read {path}: {error.strerror}.") from error
        return cls.from_json(text)


def pack(message: Any) -> bytes:
    """``message`` (a struct) as msgpack, arrays as raw bytes."""
    return _PACK.encode(message)


def unpack(raw: bytes, kind: type[T] | Any) -> T:
    """What ``pack`` wrote, decoded and checked as ``kind``."""
    return msgspec.msgpack.decode(raw, type=kind, dec_hook=_from_bytes)


def layer_axis(n_layers: int, embed: bool = False) -> Axis:
    """``layer`` labelled 0 … n−1, with ``embed`` in front for the lens."""
    labels = tuple(str(i) for i in range(n_layers))
    return Axis("layer", ("embed", *labels) if embed else labels)


def token_axis(tokens: tuple[str, ...]) -> Axis:
    """``token`` labelled by the prompt's tokens."""
    return Axis("token", tokens)


def text_array(values: Any) -> np.ndarray:
    """Nested lists of strings as an array of objects: numpy's own string type drops a final NUL."""
    return np.array(values, dtype=object)


def _put_in_shape(array: LabelledArray | Result) -> None:
    expected = tuple(len(axis.labels) for axis in array.axes)
    if array.values.shape == expected:
        return
    if array.values.size == 0 and 0 in expected:  # nested lists lose the other sizes
        msgspec.structs.force_setattr(array, "values", array.values.reshape(expected))
        return
    names = ", ".join(axis.name for axis in array.axes)
    raise ValueError(f"values have shape {array.values.shape}, axes ({names}) say {expected}")


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
        return text_array(value)
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
