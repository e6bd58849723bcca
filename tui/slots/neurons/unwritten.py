"""Neurons that write nothing into the answer, an encoder's: by how active they are in the source. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import words

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import PromptInfo, Result


LEGEND = "largest activation in the source; writes no logits itself"


def unwritten(result: Result | None, layer: int | None) -> bool:
    """Whether the neurons of ``layer`` have a peak in the source, and no contribution."""
    if result is None or layer is None or "peak" not in result.extra:
        return False
    peaks = result.extra["peak"].values
    if not 0 <= layer < len(peaks):
        return False
    known = peaks[layer] == peaks[layer]
    written = result.values[layer] == result.values[layer]
    return bool(known.any() and not written.any())


def shown_values(result: Result, layer: int | None) -> np.ndarray:
    """What neurons are listed by [layer, neuron]: their contributions; in ``layer``, if it is such a one,
    their peaks, and in no other."""
    if not unwritten(result, layer):
        return result.values
    import numpy as np

    peaks = result.extra["peak"].values
    return np.where(np.arange(len(peaks))[:, None] == layer, peaks, np.nan)


def most_active(result: Result | None, layer: int | None) -> tuple[int, int] | None:
    """The neuron of ``layer``, if it is such a one, whose peak is largest in size."""
    if result is None or layer is None or not unwritten(result, layer):
        return None
    sizes = abs(result.extra["peak"].values[layer])
    sizes[sizes != sizes] = -1.0
    return layer, int(sizes.argmax())


def peak_words(result: Result, prompt: PromptInfo | None, neuron: tuple[int, int]) -> str:
    """``activation 2.31 at 3 ·Tower``."""
    at = int(result.extra["peak_at"].values[neuron])
    token = words.token(prompt.tokens[at]) if prompt is not None and at >= 0 else ""
    value = words.unsigned(float(result.extra["peak"].values[neuron]), 2)
    return f"activation {value} at {at} {token}".rstrip()
