"""What loading a model found that whoever reads a result of it must know, kept beside the model.

``load_model_and_tokenizer`` gives back transformers' own objects; ``LanguageModel.of`` asks here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

from torch import nn

from interpboard.registry.loading import LoadOptions
from interpboard.results import AdapterInfo


@dataclass(frozen=True)
class Loaded:
    """How a model was opened: ``notes`` for results, its name for a user, the ``folder`` of its weights, what
    was asked for, what its weights are packed in or were unpacked from, and its adapters."""

    notes: tuple[str, ...] = ()
    called: str = ""
    folder: Path | None = None
    options: LoadOptions = field(default_factory=LoadOptions)
    quantization: str = ""
    adapters: tuple[AdapterInfo, ...] = ()

    @property
    def is_its_files(self) -> bool:
        """Whether the model computes with the weights of its files, and with nothing else."""
        at_work = self.adapters and self.options.adapter_state != "off"
        return self.folder is not None and not (at_work or self.options.quantize)


_LOADED: WeakKeyDictionary[nn.Module, Loaded] = WeakKeyDictionary()


def remember(model: nn.Module, loaded: Loaded) -> None:
    """Keep ``loaded`` for as long as ``model`` lives."""
    _LOADED[model] = loaded


def was_loaded_here(model: nn.Module) -> bool:
    """Whether ``model`` came from ``load_model_and_tokenizer``."""
    return model in _LOADED


def loaded(model: nn.Module) -> Loaded:
    """How ``model`` was opened; nothing is known of one that was not loaded here."""
    return _LOADED.get(model, Loaded())


def loading_notes(model: nn.Module) -> tuple[str, ...]:
    """The notes on ``model``; empty for one that was not loaded here."""
    return loaded(model).notes
