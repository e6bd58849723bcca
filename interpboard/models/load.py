"""Loading any language model: the demo, a local folder, or a name on the model hub.

A folder is read in the order of what can be wrong with it: its configuration, the headers of its weights,
its tokenizer, then the names and shapes that the configuration asks for beside those in the files, and
only then the weights themselves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
)

from interpboard.errors import NotALanguageModel, UnknownModel
from interpboard.files.json_object import read_object, refuse_lfs_pointer
from interpboard.files.places import expanded
from interpboard.models import demo
from interpboard.models.checkpoint import hub
from interpboard.models.checkpoint.account import refuse_adapter
from interpboard.models.checkpoint.config_file import CONFIG, read_config
from interpboard.models.checkpoint.foreign import foreign
from interpboard.models.checkpoint.notes import remember
from interpboard.models.checkpoint.steps import Checkpoint
from interpboard.models.encoder import predicts_masked_tokens
from interpboard.models.finite_weights import NOT_LOOKED_AT, check_finite
from interpboard.models.placement import choose_device, choose_dtype, move

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_TOKENIZER_SETTINGS = "tokenizer_config.json"
_NAME_AT_MOST = 255  # characters of a file's name, and more than the hub allows

StageReport = Callable[[str, float], None]


class Source(NamedTuple):
    """A folder to load, what to call it, and a note on how it was found, empty if there is none."""

    folder: Path
    name: str
    note: str = ""


def load_model_and_tokenizer(
    name_or_path: str | Path = "demo",
    device: str = "auto",
    dtype: str = "auto",
    device_map: str | dict[str, Any] | None = None,
    trust_remote_code: bool = False,
    *,
    allow_pickle: bool = False,
    ignore_unused_weights: bool = False,
    check_weights: bool = True,
    on_stage: StageReport | None = None,
) -> tuple[Any, Any]:
    """A Hugging Face language model, in evaluation mode, and its fast tokenizer.

    A causal one, or an encoder that predicts masked tokens (BERT), for attribution only.

    ``name_or_path``: ``"demo"``, a folder that ``save_pretrained`` wrote, or a name on the hub, which is
    fetched only if the hub's cache lacks something of it.
    ``device``: ``auto`` (cuda, else mps, else cpu) or a torch device. ``dtype``: ``auto`` (bfloat16
    on a GPU that has it, else float32) or one of float64, float32, float16, bfloat16. ``device_map``
    spreads a model over devices, as in transformers (needs accelerate); ``device`` is then ignored.
    Weights must be safetensors unless ``allow_pickle``: a pickle can run code.
    Every tensor of the files must have its place in the model; ``ignore_unused_weights`` goes on without
    those that have none, and results then say so. ``check_weights``: every weight is looked at for NaN and
    infinity. ``on_stage(words, fraction)`` hears how far it is.

    Raises ``UnknownModel``, ``NotALanguageModel``, ``UnsafeWeights``, ``BadDevice`` or ``OutOfMemory``.
    """
    say = on_stage or (lambda _stage, _fraction: None)
    source = _source(str(name_or_path), allow_pickle, trust_remote_code, lambda s: say(s, 0.2))
    chosen_device = choose_device(device)
    chosen_dtype = choose_dtype(dtype, chosen_device)
    say("reading configuration", 0.3)
    raw = read_config(source.folder)
    config = _config(source, trust_remote_code)
    kind = _kind(source, config)
    checkpoint = Checkpoint.read(source.folder, source.name, raw, allow_pickle=allow_pickle)
    say("loading tokenizer", 0.4)
    tokenizer = _tokenizer(source, trust_remote_code)
    say("comparing configuration and weights", 0.45)
    checkpoint.compare(kind, config, chosen_dtype, trust_remote_code, ignore_unused_weights)
    say("loading weights", 0.5)
    options: dict[str, Any] = {"device_map": device_map} if device_map is not None else {}
    if not allow_pickle:
        options["use_safetensors"] = True
    with foreign("weights", source.name, source.folder):
        model, report = kind.from_pretrained(
            str(source.folder),
            config=config,
            dtype=chosen_dtype,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
            **options,
        )
    notes = checkpoint.check_loaded(model, report, ignore_unused_weights)
    model.config._commit_hash = hub.revision_of(source.folder)
    model.name_or_path = model.config.name_or_path = source.name  # not the folder of the cache
    if device_map is None:
        say(f"moving to {chosen_device}", 0.8)
        model = move(model, chosen_device)
    model.eval()
    if check_weights:
        say("looking at every weight", 0.85)
        notes += check_finite(model, source.name)
    else:
        notes += (NOT_LOOKED_AT,)
    notes = (source.note, _own_code(source, trust_remote_code), *notes)
    remember(model, tuple(note for note in notes if note))
    return model, tokenizer


def _source(name: str, allow_pickle: bool, own_code: bool, say: hub.Say) -> Source:
    if name == "demo":
        return Source(demo.FOLDER, str(demo.FOLDER))
    if any(len(part) > _NAME_AT_MOST for part in name.split("/")) or "\0" in name:
        raise UnknownModel(
            f"A text of {len(name)} characters is no model name.",
            "Use demo, a folder, or owner/name.",
        )
    path = expanded(name)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
        # The list fails where the folder may not be read; a pipe would be read for ever.
        has_config = is_folder and CONFIG in os.listdir(path) and (path / CONFIG).is_file()
    except OSError as error:
        raise UnknownModel(f"Cannot look into {name[:80]}: {error.strerror}.") from error
    if is_folder:
        if not has_config:
            refuse_adapter(path)
            raise NotALanguageModel(
                f"The folder {name} holds no config.json.",
                "Give a folder saved by save_pretrained.",
            )
        return Source(path, name)
    if is_file:
        raise UnknownModel(f"{name} is a file.", "Give the folder that holds config.json.")
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise UnknownModel(f"There is no folder {name}.", "Check the path.")
    if not _HUB_NAME.fullmatch(name):
        raise UnknownModel(f"{name!r} is no model name.", "Use demo, a folder, or owner/name.")
    folder, note = hub.snapshot(name, allow_pickle=allow_pickle, own_code=own_code, say=say)
    return Source(folder, name, note)


def _config(source: Source, trust: bool) -> Any:
    with foreign("configuration", source.name, source.folder):
        config = AutoConfig.from_pretrained(str(source.folder), trust_remote_code=trust)
        is_encoder_decoder = bool(getattr(config, "is_encoder_decoder", False))
        for part in {id(c): c for c in (config, config.get_text_config())}.values():
            part.return_dict = True  # how a model hands its logits over, not what they are
    if is_encoder_decoder:
        raise NotALanguageModel(
            f"{source.name} is an encoder-decoder ({config.model_type}).",
            "Choose a decoder-only model.",
        )
    return config


def _kind(source: Source, config: Any) -> Any:
    """The family of classes that opens ``config``."""
    fills_masks = predicts_masked_tokens(config)
    known = MODEL_FOR_MASKED_LM_MAPPING if fills_masks else MODEL_FOR_CAUSAL_LM_MAPPING
    if type(config) not in known and not getattr(config, "auto_map", None):
        raise NotALanguageModel(
            f"{source.name} is not a causal language model that transformers knows "
            f"({config.model_type}).",
            "Choose a decoder model, or upgrade transformers.",
        )
    return AutoModelForMaskedLM if fills_masks else AutoModelForCausalLM


def _tokenizer(source: Source, trust: bool) -> Any:
    for file in ("tokenizer.json", _TOKENIZER_SETTINGS, "tokenizer.model"):
        if (source.folder / file).is_file():
            refuse_lfs_pointer(source.folder / file)
    with foreign("tokenizer", source.name, source.folder):
        tokenizer = AutoTokenizer.from_pretrained(str(source.folder), trust_remote_code=trust)
        is_fast = bool(tokenizer.is_fast)
        # With no files to read, some tokenizer classes come up empty instead of failing.
        ids = tokenizer("a", add_special_tokens=False)["input_ids"]
        _try(tokenizer)
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


def _own_code(source: Source, trust: bool) -> str:
    """A note where the tokenizer has code of its own and transformers' own was used in its place."""
    path = source.folder / _TOKENIZER_SETTINGS
    own = read_object(path).get("auto_map") if path.is_file() and not trust else None
    return "the tokenizer has code of its own, which was not run" if own else ""


def _try(tokenizer: Any) -> None:
    """Use it as a prompt will: what a damaged file breaks shows here."""
    ids = tokenizer("The Eiffel Tower, 東京 1889")["input_ids"]
    tokenizer.decode(ids)
    tokenizer.convert_ids_to_tokens(ids)
    _ = (len(tokenizer), list(tokenizer.all_special_ids), tokenizer.all_special_tokens)
    if not isinstance(tokenizer.model_max_length, (int, float)):
        raise TypeError(f"model_max_length is {tokenizer.model_max_length!r}, not a number")
