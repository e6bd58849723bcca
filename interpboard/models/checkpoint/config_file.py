"""``config.json`` looked at before transformers sees it: what no language model has is said at once.

transformers builds what a configuration says, however absurd: ten million layers take it minutes, and
a head of another kind is left out without a word. Here each such entry is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from interpboard.errors import NotALanguageModel, UnsafeWeights
from interpboard.files.json_object import read_object
from interpboard.models.label_head import CLASSIFIERS
from interpboard.models.sentence_encoder import takes_pooling

CONFIG = "config.json"
_HEADS = (
    "ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForMaskedLM", "ForPreTraining",
    "DoubleHeadsModel", "GenerationDecoder", "ModelWithLMHead", "MTModel", *CLASSIFIERS,
)  # fmt: skip
# The names that families have for the same three sizes.
_SIZES: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "attention heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "dimensions": ("hidden_size", "n_embd", "d_model", "dim"),
    "tokens": ("vocab_size",),
}
_OWN_WEIGHTS = "transformers_weights"


def read_config(folder: Path, pooling: str = "") -> dict[str, Any]:
    """The configuration in ``folder``, checked; ``pooling``: asked for, of an encoder without a head.

    Raises ``NotALanguageModel`` where it says what no language model has, ``UnknownModel`` for a file that
    cannot be read, ``UnsafeWeights`` if it wants its weights from elsewhere.
    """
    path = folder / CONFIG
    config = read_object(path)
    for name, value in _values(config):
        if isinstance(value, float) and math.isnan(value):
            raise NotALanguageModel(f"{path}: {name} is no number (NaN).", "Correct it.")
    text = config.get("text_config")
    for what, names in _SIZES.items():
        for holder in (config, text if isinstance(text, dict) else {}):
            for name in names:
                if name in holder:
                    _check_size(path, name, what, holder[name])
    _check_kinds(path, config)
    _check_head(folder, config, pooling)
    return config


def layers_of_config(config: Mapping[str, Any]) -> int:
    """How many layers a configuration says; 0 if it says nothing."""
    text = config.get("text_config")
    for holder in (text if isinstance(text, dict) else {}, config):
        for name in _SIZES["layers"]:
            if type(holder.get(name)) is int:
                return int(holder[name])
    return 0


def _values(node: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every value that is no list or object, with its path."""
    if depth > 50:
        raise NotALanguageModel(f"{CONFIG} nests deeper than a configuration does.")
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _values(value, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value, name, depth + 1)
    else:
        yield name, node


def _check_size(path: Path, name: str, what: str, value: Any) -> None:
    if value is None or isinstance(value, (list, dict)):  # families with a list a layer
        if name in ("hidden_size", "n_embd", "vocab_size"):
            raise NotALanguageModel(f"{path}: {name} is {_shown(value)}, not a number of {what}.")
        return
    if type(value) is not int or value < 1:
        raise NotALanguageModel(f"{path}: {name} is {_shown(value)}, not a number of {what}.")


def _check_kinds(path: Path, config: Mapping[str, Any]) -> None:
    architectures = config.get("architectures")
    if architectures is not None and not (
        isinstance(architectures, list) and all(isinstance(name, str) for name in architectures)
    ):
        raise NotALanguageModel(
            f"{path}: architectures is {_shown(architectures)}, not a list of class names."
        )
    for name in ("quantization_config", "auto_map", "text_config", "rope_scaling"):
        if config.get(name) is not None and not isinstance(config[name], dict):
            raise NotALanguageModel(f"{path}: {name} is {_shown(config[name])}, not an object.")
    if config.get(_OWN_WEIGHTS) not in (None, "model.safetensors", "model.safetensors.index.json"):
        raise UnsafeWeights(
            f"{path} wants its weights from {_shown(config[_OWN_WEIGHTS])}.",
            "They belong in model.safetensors.",
        )


def _check_head(folder: Path, config: Mapping[str, Any], pooling: str) -> None:
    names = config.get("architectures") or []
    own_code = config.get("auto_map") or {}
    if not names or any(name.endswith(_HEADS) for name in names):
        return
    if takes_pooling(folder, config, pooling):
        return
    if "AutoModelForCausalLM" in own_code or "AutoModelForMaskedLM" in own_code:
        return
    raise NotALanguageModel(
        f"{folder} is a {', '.join(name[:60] for name in names[:3])}, which has no language-model head that "
        "is known here, and gives no labels.",
        "Choose one whose architectures end in ForCausalLM, ForMaskedLM or ForSequenceClassification, or an "
        "encoder without a head, whose tokens --pooling makes one vector of.",
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
