"""Max-activating examples of neurons: one safetensors file, read without a model, a neuron at a time.

For each layer the file has ``L.activation`` [neuron, rank], highest first; ``L.context``
[neuron, rank, around], token ids around the peak, −1 beyond its window; ``L.place`` [neuron, rank, 2],
the number of the text's file and of the peak's token in it; ``L.positive`` [neuron], at how many tokens
the activation was above 0. Ranks that no text has filled are −inf. The metadata says the rest, as JSON under
one key: safetensors writes several keys in any order, and the same examples are to be the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open

from interpboard.errors import BadParameter, BadResultFile

EXAMPLES_SCHEMA = "interpboard-examples/1"
KEY = "examples"
OUTSIDE = -1
_PARTS = ("activation", "context", "place", "positive")


class ExamplesInfo(msgspec.Struct, frozen=True):
    """What a file of examples is of. ``at``: where its collection stopped, None when it is finished.

    ``weights``, ``tokenizer``, ``text``: fingerprints, empty in files of older programs.
    """

    schema: str
    model: str
    dtype: str
    corpus: str
    files: tuple[tuple[str, int], ...]  # name and bytes
    layers: tuple[int, ...]
    top_k: int
    length: int
    batch: int
    before: int
    after: int
    tokens: int = 0
    at: dict[str, Any] | None = None
    made_by: dict[str, str] = {}
    weights: str = ""
    tokenizer: str = ""
    text: str = ""


class ExamplesMetadata(msgspec.Struct, frozen=True):
    """What a file says beside its tensors. ``vocabulary``: the texts of the tokens that were seen."""

    about: ExamplesInfo
    vocabulary: dict[int, str]


class NeuronExample(msgspec.Struct, frozen=True):
    """One peak: ``tokens[peak]`` is where the neuron was most active in a window of text."""

    activation: float
    file: str
    position: int  # of the peak's token in the file
    tokens: tuple[str, ...]
    peak: int


class NeuronExamples(msgspec.Struct, frozen=True):
    """The examples of one neuron, the most active first. ``positive``: share of tokens above 0."""

    model: str
    corpus: str
    layer: int
    neuron: int
    tokens: int
    positive: float
    finished: bool
    examples: tuple[NeuronExample, ...]


class ExamplesFile:
    """A file that ``interpboard max-activating`` wrote, finished or not.

    Raises ``BadResultFile`` for one that cannot be read, is damaged or is of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.warnings: tuple[str, ...] = ()  # of whoever goes on with it
        with self._opened() as file:
            metadata = self._said(file.metadata() or {})
            self.info, self.vocabulary = metadata.about, metadata.vocabulary
            _check_info(self.info)
            # The number of neurons of each layer.
            self._widths = {layer: _width(file, layer, self.info) for layer in self.info.layers}

    @property
    def finished(self) -> bool:
        """Whether the whole corpus was read."""
        return self.info.at is None

    def peaks(self, layer: int) -> np.ndarray:
        """The highest activation [neuron] of each neuron of ``layer``."""
        with self._opened() as file:
            return np.asarray(file.get_slice(self._name(layer, "activation"))[:, 0])

    def positive(self, layer: int) -> np.ndarray:
        """At what share [neuron] of the tokens each neuron of ``layer`` was above 0."""
        with self._opened() as file:
            count = np.asarray(file.get_slice(self._name(layer, "positive"))[:])
        return count / max(1, self.info.tokens)

    def neuron(self, layer: int, neuron: int) -> NeuronExamples:
        """The examples of one neuron. Raises ``BadParameter`` for one that is not in the file."""
        self._name(layer, "activation")
        if not 0 <= neuron < self._widths[layer]:
            raise BadParameter(
                f"Neuron {neuron} does not exist.", f"Layer {layer} has {self._widths[layer]}."
            )
        with self._opened() as file:
            one = slice(neuron, neuron + 1)
            values, context, place, positive = (
                np.asarray(file.get_slice(self._name(layer, name))[one])[0] for name in _PARTS
            )
            ranks = zip(values, context, place, strict=True)
            found = [self._example(*of) for of in ranks if of[0] > -np.inf]
        info = self.info
        return NeuronExamples(
            model=info.model,
            corpus=info.corpus,
            layer=layer,
            neuron=neuron,
            tokens=info.tokens,
            positive=int(positive) / max(1, info.tokens),
            finished=self.finished,
            examples=tuple(found),
        )

    def _example(self, activation: float, context: np.ndarray, place: np.ndarray) -> NeuronExample:
        inside = context != OUTSIDE
        number, position = (int(value) for value in place)
        tokens = tuple(self.vocabulary[int(i)] for i in context[inside])
        peak = int(inside[: self.info.before].sum())
        if not (0 <= number < len(self.info.files) and position >= 0 and peak < len(tokens)):
            raise ValueError("a peak lies outside the text")
        return NeuronExample(float(activation), self.info.files[number][0], position, tokens, peak)

    def _name(self, layer: int, part: str) -> str:
        if layer not in self.info.layers:
            raise BadParameter(
                f"Layer {layer} is not in {self.path}.",
                f"It has {', '.join(map(str, self.info.layers))}.",
            )
        return f"{layer}.{part}"

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The file; whatever is wrong with it is said by its name."""
        try:
            with safe_open(self.path, framework="np") as file:
                yield file
        except FileNotFoundError as error:
            raise BadResultFile(f"Cannot read {self.path}: there is no such file.") from error
        except OSError as error:
            raise BadResultFile(f"Cannot read {self.path}: {error.strerror or error}.") from error
        except SafetensorError as error:
            raise BadResultFile(f"Cannot read {self.path}: {error}.") from error
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise BadResultFile(
                f"{self.path} is damaged: {error}.", "Collect the examples anew."
            ) from error

    def _said(self, metadata: dict[str, str]) -> ExamplesMetadata:
        try:
            header = msgspec.json.decode(metadata.get(KEY, "{}"), type=ExamplesMetadata)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BadResultFile(f"{self.path} holds no max-activating examples.") from error
        if header.about.schema != EXAMPLES_SCHEMA:
            raise BadResultFile(f"{self.path} is of another version: {header.about.schema}.")
        return header


def _check_info(info: ExamplesInfo) -> None:
    """Raises ``ValueError`` for what no collection has."""
    sizes = (info.top_k, info.length, info.batch)
    if not info.layers or min(info.layers) < 0 or min(sizes) < 1:
        raise ValueError("it has no layers, or sizes below 1")
    if min(info.before, info.after, info.tokens) < 0 or any(size < 0 for _, size in info.files):
        raise ValueError("it has sizes below 0")


def _width(file: Any, layer: int, info: ExamplesInfo) -> int:
    """Neurons of ``layer``. Raises ``ValueError`` for tensors of another shape or kind than they say."""
    parts = {name: file.get_slice(f"{layer}.{name}") for name in _PARTS}
    shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
    width = shapes["positive"][0] if shapes["positive"] else 0
    around = info.before + 1 + info.after
    wanted = {
        "activation": (width, info.top_k),
        "context": (width, info.top_k, around),
        "place": (width, info.top_k, 2),
        "positive": (width,),
    }
    kinds = {name: part.get_dtype() for name, part in parts.items()}
    fits = kinds.pop("activation") in ("F32", "F64") and set(kinds.values()) <= {"I32", "I64"}
    if shapes != wanted or not fits:
        raise ValueError(f"the tensors of layer {layer} are not what the file says of them")
    return int(width)


def neuron_named(name: str) -> tuple[int, int]:
    """Layer and number of ``"2.117"``. Raises ``BadParameter``."""
    layer, _, index = name.partition(".")
    if not (layer.isascii() and layer.isdigit() and index.isascii() and index.isdigit()):
        raise BadParameter(f"{name!r} names no neuron.", "Write it as layer.neuron, e.g. 2.117.")
    return int(layer), int(index)
