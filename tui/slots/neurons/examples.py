"""Max-activating examples of a neuron from a saved file, or why there are none. No engine, no torch."""

from __future__ import annotations

import shlex
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.display import visible
from interpboard.errors import InterpBoardError

if TYPE_CHECKING:
    from interpboard.results import ModelInfo
    from interpboard.results.examples import ExamplesFile, NeuronExamples

OUT = "examples.safetensors"
ONE_TEXT = "Max-activating examples go over one text, and this model reads two."


def found(path: str, model: ModelInfo, neuron: tuple[int, int]) -> NeuronExamples | str:
    """The examples of ``neuron`` in the file, or in words why there are none.

    They are the model's if they are of its weights; where that is not known, if they are of its name.
    """
    from interpboard.files.fingerprint import FingerprintMatch, compare

    try:
        file = _opened(path, _changed_at(path))
        match = compare(file.info.weights, model.weights)
        if match is FingerprintMatch.other and file.info.model == model.name:
            return f"Examples of other weights than {model.name} has now. They are in {path}."
        if match is FingerprintMatch.other or (
            match is FingerprintMatch.unknown and file.info.model != model.name
        ):
            return f"Examples of another model: {file.info.model}. They are in {path}."
        return file.neuron(*neuron)
    except InterpBoardError as error:
        return str(error)


def making(model: str) -> str:
    """The command that makes a file of examples for ``model``."""
    return f"interpboard max-activating -m {shlex.quote(model)} --corpus TEXT --out {OUT}"


def how_to_have(model: ModelInfo, collects: str, opens: str) -> tuple[str, ...]:
    """What is said where there is no file; ``collects`` and ``opens`` are the keys that do so."""
    if model.layer_names:
        return (ONE_TEXT,)
    return (
        f"{collects} finds max-activating examples in a text",
        f"{opens} opens a file of them; this makes one, too:",
        visible(making(model.name)),
    )


@lru_cache(maxsize=1)
def _opened(path: str, _changed: int) -> ExamplesFile:
    from interpboard.results.examples import ExamplesFile

    return ExamplesFile(path)


def _changed_at(path: str) -> int:
    """A file that is still being collected is read anew after each of its checkpoints."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0  # opening it says why
