"""Causal classes of transformers that are in none of its lists: a configuration may name them itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import transformers

from interpboard.errors import NotALanguageModel


@dataclass(frozen=True)
class NamedClass:
    """One of them, opened as transformers' own families of classes are."""

    model_class: Any

    def from_config(self, config: Any, **options: Any) -> Any:
        """A model of ``config`` without weights of a file."""
        options.pop("trust_remote_code", None)  # it is transformers' own code
        return self.model_class._from_config(config, **options)

    def from_pretrained(self, folder: str, **options: Any) -> Any:
        """The model in ``folder``."""
        options.pop("trust_remote_code", None)
        return self.model_class.from_pretrained(folder, **options)


def named_class(config: Any, source: str) -> NamedClass:
    """The causal class that ``config`` names and that is made of such a configuration (emu3's text model).

    Raises ``NotALanguageModel`` where there is none, naming the ``source``."""
    for name in getattr(config, "architectures", None) or []:
        found = getattr(transformers, name, None) if name.endswith("ForCausalLM") else None
        if found is not None and found.config_class is type(config):
            return NamedClass(found)
    raise NotALanguageModel(
        f"{source} is not a causal language model that transformers knows ({config.model_type}).",
        "Choose a decoder model, or upgrade transformers.",
    )
