"""Which configurations are of encoder–decoders, and which of those read a text."""

from __future__ import annotations

from typing import Any

from interpboard.errors import NotALanguageModel

_OTHER_INPUTS = ("audio", "speech", "vision", "image", "mel_bins", "feat_extract")


def reads_two_strips(config: Any) -> bool:
    """Whether a configuration is of a model that reads a source and a prefix of its target."""
    return bool(getattr(config, "is_encoder_decoder", False))


def reads_text(config: Any) -> bool:
    """Whether the source of such a model is a text: no part of it hears or sees, and nothing says how."""
    names = [*vars(config), config.model_type]
    return not any(other in name for name in names for other in _OTHER_INPUTS)


def refuse_other_inputs(config: Any, name: str) -> None:
    """Raise ``NotALanguageModel`` for an encoder–decoder whose source is sound or a picture."""
    if reads_two_strips(config) and not reads_text(config):
        raise NotALanguageModel(
            f"{name} is an encoder–decoder whose encoder reads no text ({config.model_type}).",
            "Choose one from text to text: T5, BART, Marian.",
        )


def refuse_labels(config: Any, name: str, gives_labels: bool) -> None:
    """Raise ``NotALanguageModel`` for an encoder–decoder whose head gives labels."""
    if gives_labels:
        raise NotALanguageModel(
            f"{name} is an encoder–decoder that gives labels ({config.model_type}): those that write a text "
            "are looked into here."
        )
