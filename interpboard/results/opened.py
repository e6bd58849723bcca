"""How a model was opened, in words for the line that says which model it is."""

from __future__ import annotations

from pathlib import Path

from interpboard.results.info import ModelInfo

_COMMIT = 10  # characters of it


def opened_as(model: ModelInfo) -> tuple[str, ...]:
    """What its name, family and number format do not say: packed weights, adapters, where it came from."""
    options = model.options
    words = [model.quantization] if model.quantization else []
    if options.gguf_file:
        words.append(options.gguf_file)
    if options.subfolder:
        words.append(f"in {options.subfolder}")
    if options.revision:
        words.append(f"revision {options.revision[:_COMMIT]}")
    words += [f"adapter {name} ({options.adapter_state})" for name in _adapter_names(model)]
    if model.parts:
        words.append("parts named by the user")
    return tuple(words)


def _adapter_names(model: ModelInfo) -> list[str]:
    """A folder's own name, unless another adapter's folder is called so too."""
    names = [adapter.name for adapter in model.adapters]
    short = [Path(name).name if Path(name).is_absolute() else name for name in names]
    return [one if short.count(one) == 1 else name for one, name in zip(short, names, strict=True)]
