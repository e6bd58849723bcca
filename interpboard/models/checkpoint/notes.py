"""What loading a model found that whoever reads a result of it must know, kept beside the model.

``load_model_and_tokenizer`` gives back transformers' own objects; ``LanguageModel.of`` asks here.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from torch import nn

_NOTES: WeakKeyDictionary[nn.Module, tuple[str, ...]] = WeakKeyDictionary()


def remember(model: nn.Module, notes: tuple[str, ...]) -> None:
    """Keep ``notes`` for as long as ``model`` lives."""
    _NOTES[model] = notes


def was_loaded_here(model: nn.Module) -> bool:
    """Whether ``model`` came from ``load_model_and_tokenizer``."""
    return model in _NOTES


def loading_notes(model: nn.Module) -> tuple[str, ...]:
    """The notes on ``model``; empty for one that was not loaded here."""
    return _NOTES.get(model, ())
