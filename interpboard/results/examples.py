"""Max-activating examples of neurons: one safetensors file, read without a model, a neuron at a time.

For each layer the file has ``L.activation`` [neuron, rank], highest first; ``L.context``
[neuron, rank, around], token ids around the peak, −1 beyond its window; ``L.place`` [neuron, rank, 2],
the number of the text's file and of the peak's token in it; ``L.positive`` [neuron], at how many tokens
the activation was above 0. Ranks that no text has filled are −inf. The metadata says the rest, as JSON under
one key: safetensors writes several keys in any order, and the same examples are to be the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open

from interpboard.errors import BadParameter, BadResultFile

SCHEMA = "interpboard-examples/1"
KEY = "examples"
OUTSIDE = -1


class ExamplesInfo(msgspec.Struct, frozen=True):
    """What a file of examples is of. ``at``: where its collection stopped, None when it is finished.

    ``weights``, ``tokenizer``, ``text``: fingerprints, empty in files of before they were kept.
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


class Example(msgspec.Struct, frozen=True):
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
    examples: tuple[Example, ...]


class ExamplesFile:
    """A file that ``interpboard max-activating`` wrote, finished or not.

    Raises ``BadResultFile`` for one that cannot be read or is of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.warnings: tuple[str, ...] = ()  # of whoever goes on with it
        try:
            with safe_open(self.path, framework="np") as file:
                metadata = file.metadata() or {}
        except (OSError, SafetensorError) as error:
            what = getattr(error, "strerror", None) or error
            raise BadResultFile(f"Cannot read {path}: {what}.") from error
        try:
            said = msgspec.json.decode(metadata.get(KEY, "{}"), type=ExamplesMetadata)
        except msgspec.DecodeError as error:
            raise BadResultFile(f"{path} holds no max-activating examples.") from error
        self.info, self.vocabulary = said.about, said.vocabulary
        if self.info.schema != SCHEMA:
            raise BadResultFile(f"{path} is of another version: {self.info.schema}.")

    @property
    def finished(self) -> bool:
        """Whether the whole corpus was read."""
        return self.info.at is None

    def peaks(self, layer: int) -> np.ndarray:
        """The highest activation [neuron] of each neuron of ``layer``."""
        return np.asarray(self._of(layer, "activation")[:, 0])

    def positive(self, layer: int) -> np.ndarray:
        """At what share [neuron] of the tokens each neuron of ``layer`` was above 0."""
        return np.asarray(self._of(layer, "positive")[:]) / max(1, self.info.tokens)

    def neuron(self, layer: int, neuron: int) -> NeuronExamples:
        """The examples of one neuron. Raises ``BadParameter`` for one that is not in the file."""
        activation = self._of(layer, "activation")
        count = activation.get_shape()[0]
        if not 0 <= neuron < count:
            raise BadParameter(f"Neuron {neuron} does not exist.", f"Layer {layer} has {count}.")
        values = np.asarray(activation[neuron])
        context = np.asarray(self._of(layer, "context")[neuron])
        place = np.asarray(self._of(layer, "place")[neuron])
        positive = int(np.asarray(self._of(layer, "positive")[neuron : neuron + 1])[0])
        found = [
            self._example(*of) for of in zip(values, context, place, strict=True) if of[0] > -np.inf
        ]
        info = self.info
        return NeuronExamples(
            model=info.model,
            corpus=info.corpus,
            layer=layer,
            neuron=neuron,
            tokens=info.tokens,
            positive=positive / max(1, info.tokens),
            finished=self.finished,
            examples=tuple(found),
        )

    def _example(self, activation: float, context: np.ndarray, place: np.ndarray) -> Example:
        inside = context != OUTSIDE
        return Example(
            activation=float(activation),
            file=self.info.files[int(place[0])][0],
            position=int(place[1]),
            tokens=tuple(self.vocabulary[int(i)] for i in context[inside]),
            peak=int(inside[: self.info.before].sum()),
        )

    def _of(self, layer: int, name: str) -> Any:
        if layer not in self.info.layers:
            raise BadParameter(
                f"Layer {layer} is not in {self.path}.",
                f"It has {', '.join(map(str, self.info.layers))}.",
            )
        with safe_open(self.path, framework="np") as file:
            return file.get_slice(f"{layer}.{name}")


def neuron_named(name: str) -> tuple[int, int]:
    """Layer and number of ``"2.117"``. Raises ``BadParameter``."""
    layer, _, index = name.partition(".")
    if not (layer.isascii() and layer.isdigit() and index.isascii() and index.isdigit()):
        raise BadParameter(f"{name!r} names no neuron.", "Write it as layer.neuron, e.g. 2.117.")
    return int(layer), int(index)
