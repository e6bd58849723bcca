"""The tokenizer of a checkpoint: read, and used once as a prompt will use it."""

from __future__ import annotations

from typing import Any

from transformers import AutoTokenizer

from interpboard.errors import NotALanguageModel
from interpboard.files.json_object import read_object, refuse_lfs_pointer
from interpboard.models.checkpoint.foreign import foreign
from interpboard.models.checkpoint.source import Source

_SETTINGS = "tokenizer_config.json"


def read_tokenizer(source: Source, trust: bool) -> Any:
    """The fast tokenizer of ``source``. Raises ``NotALanguageModel``."""
    for file in ("tokenizer.json", _SETTINGS, "tokenizer.model"):
        if (source.tokenizer / file).is_file():
            refuse_lfs_pointer(source.tokenizer / file)
    with foreign("tokenizer", source.name, source.tokenizer):
        tokenizer = AutoTokenizer.from_pretrained(
            str(source.tokenizer), trust_remote_code=trust, **source.gguf_argument
        )
        is_fast = bool(tokenizer.is_fast)
        # With no files to read, some tokenizer classes come up empty instead of failing.
        ids = tokenizer("a", add_special_tokens=False)["input_ids"]
        _use_once(tokenizer)
    if not is_fast:
        raise NotALanguageModel(
            f"{source.name} has no fast tokenizer.", "It needs a tokenizer.json beside its weights."
        )
    if not ids:
        raise NotALanguageModel(
            f"{source.name} holds no tokenizer: what loads has {len(tokenizer)} tokens and reads "
            "nothing.",
            "Save one there with tokenizer.save_pretrained.",
        )
    return tokenizer


def own_code_note(source: Source, trust: bool) -> str:
    """A note where the tokenizer has code of its own and transformers' own was used in its place."""
    path = source.tokenizer / _SETTINGS
    mapped = read_object(path).get("auto_map") if path.is_file() and not trust else None
    return "the tokenizer has code of its own, which was not run" if mapped else ""


def _use_once(tokenizer: Any) -> None:
    """Use it as a prompt will: what a damaged file breaks shows here."""
    ids = tokenizer("The Eiffel Tower, 東京 1889")["input_ids"]
    tokenizer.decode(ids)
    tokenizer.convert_ids_to_tokens(ids)
    _ = (len(tokenizer), list(tokenizer.all_special_ids), tokenizer.all_special_tokens)
    if not isinstance(tokenizer.model_max_length, (int, float)):
        raise TypeError(f"model_max_length is {tokenizer.model_max_length!r}, not a number")
