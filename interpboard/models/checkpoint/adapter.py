"""Adapters put on a model as it is loaded: found, held against their files, and against what they say of it.

PEFT leaves what a file lacks as it was initialised, drops what has no place, and trusts that the base is
the one that the adapter was trained on. Here each tensor of the file must have its place and be there
afterwards, each that the adapter has must be in the file, and another base is said.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from interpboard.errors import BadAdapter, BadParameter, UnknownModel, UnsafeWeights
from interpboard.files import fingerprint
from interpboard.files.json_object import read_object
from interpboard.files.places import expanded
from interpboard.models.adapters import CHANGED_BASE, adapted_layers, refuse_changed_base
from interpboard.models.checkpoint import hub
from interpboard.models.checkpoint.foreign import foreign
from interpboard.models.checkpoint.headers import TensorHeader, read_headers
from interpboard.models.checkpoint.source import Source
from interpboard.models.division import device_of
from interpboard.models.libraries import require_library
from interpboard.models.packed import base_layer, is_packed
from interpboard.results import AdapterInfo

_OTHERS = "Was it trained on another model?"
_TASKS = (None, "CAUSAL_LM", "FEATURE_EXTRACTION")
_PLACES = "hf_device_map"
_MOVES = "_move_adapter_to_device_of_base_layer"
_OF_BASE = ("base_layer", "original_module")
_ALIKE = {torch.float32: 0.0, torch.float64: 0.0, torch.bfloat16: 2**-8, torch.float16: 2**-11}


def attach(
    model: Any, tokenizer: Any, source: Source, *, allow_pickle: bool, say: hub.Say
) -> tuple[Any, tuple[AdapterInfo, ...], tuple[str, ...]]:
    """``model`` with the adapters of ``source``, what they are, and notes.

    Raises ``BadAdapter``, ``UnknownModel``, ``UnsafeWeights``, ``MissingPackage``, ``BadParameter``.
    """
    places, state = source.options.adapters, source.options.adapter_state
    if state == "merged" and any(is_packed(module) for module in model.modules()):
        raise BadParameter(
            "Merging an adapter into packed weights rounds them a second time.",
            "Use --adapter-state on, or merge it into the weights before they are packed.",
        )
    folders = [find_adapter(place, allow_pickle, say) for place in places]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise BadParameter("An adapter is named twice.", "Name each once: its effect would double.")
    wrapped, infos, notes = model, [], []
    with _staying_divided(model):
        for number, (place, folder) in enumerate(zip(places, folders, strict=True)):
            say(f"putting on the adapter {place}")
            wrapped, info, said = _put_on(wrapped, f"adapter{number}", place, folder, source)
            infos.append(info)
            notes += said + _other_tokenizer(place, folder, tokenizer)
    names = [f"adapter{number}" for number in range(len(places))]
    with foreign("adapter", places[-1], folders[-1]):
        if state == "merged":
            inner = wrapped.merge_and_unload(safe_merge=True, adapter_names=names)
            if adapted_layers(inner):
                raise BadAdapter(f"{places[0]} cannot be merged.", "Use --adapter-state on.")
        else:
            inner = wrapped.get_base_model()
            wrapped.base_model.set_adapter(names)
            if state == "off":
                refuse_changed_base(wrapped, [m for _, m in adapted_layers(inner)])
                wrapped.base_model.disable_adapter_layers()
    if state == "merged" and model.dtype not in (torch.float32, torch.float64):
        notes.append(f"the adapter is merged in {str(model.dtype).removeprefix('torch.')}: rounded")
    for parameter in inner.parameters():
        parameter.requires_grad_(False)
    return inner, tuple(infos), tuple(dict.fromkeys(notes))


def _loaded(model: Any, name: str, folder: Path, config: Any) -> Any:
    """``model`` with the adapter in ``folder`` on it, of PEFT's class."""
    from peft import PeftModel

    first = not isinstance(model, PeftModel)
    if not any(parameter.is_meta for parameter in model.parameters()):
        if first:
            return PeftModel.from_pretrained(model, str(folder), name, config=config)
        model.load_adapter(str(folder), name)
        return model
    # PEFT moves an adapter to where the weight is: beside one on disk its numbers would be gone.
    if first:
        model = PeftModel(model, config, name, low_cpu_mem_usage=True)
    else:
        model.add_adapter(name, config, low_cpu_mem_usage=True)
    movers = [module for module in model.modules() if hasattr(module, _MOVES)]
    for module in movers:
        module.__dict__[_MOVES] = lambda *_args: None
    try:
        model.load_adapter(str(folder), name, low_cpu_mem_usage=True)
    finally:
        for module in movers:
            del module.__dict__[_MOVES]
    return model


@contextmanager
def _staying_divided(model: Any) -> Iterator[None]:
    """While open, PEFT does not see that ``model`` is divided: it would divide it anew, as it sees fit, and
    fails where a layer is on disk. The adapters are afterwards where the maps they add to compute."""
    places = model.__dict__.pop(_PLACES, None)
    try:
        yield
    finally:
        if places is not None:
            setattr(model, _PLACES, places)
    for _, module in adapted_layers(model) if places is not None else ():
        where = device_of(base_layer(module))
        for name, part in module.named_children():
            if name not in _OF_BASE:
                part.to(where)


def find_adapter(place: str, allow_pickle: bool, say: hub.Say) -> Path:
    """The folder of an adapter: a folder, or a name on the hub. Raises ``UnknownModel``."""
    path = expanded(place)
    if path.is_dir():
        folder = path
    elif place.startswith(("/", ".", "~")) or place.partition("@")[0].count("/") != 1:
        raise UnknownModel(f"There is no folder {place} with an adapter.", "Check --adapter.")
    else:
        name, _, revision = place.partition("@")
        folder, _ = hub.snapshot(hub.HubFiles(name, revision, allow_pickle=allow_pickle), say)
    if not (folder / hub.ADAPTER_CONFIG).is_file():
        raise UnknownModel(
            f"{place} holds no {hub.ADAPTER_CONFIG}.", "Give an adapter saved by PEFT."
        )
    if not (folder / hub.ADAPTER_WEIGHTS).is_file() and not (
        allow_pickle and (folder / "adapter_model.bin").is_file()
    ):
        if (folder / "adapter_model.bin").is_file():
            raise UnsafeWeights(
                f"The weights of the adapter {place} are a pickle, which can run code.",
                "Convert them, or allow it with --allow-pickle.",
            )
        raise UnknownModel(f"{place} holds no {hub.ADAPTER_WEIGHTS}.", "It holds no weights.")
    return folder


def _put_on(
    model: Any, name: str, place: str, folder: Path, source: Source
) -> tuple[Any, AdapterInfo, list[str]]:
    require_library("adapters", f"The adapter {place}")
    from peft import PeftConfig
    from peft.utils import get_peft_model_state_dict

    about = read_object(folder / hub.ADAPTER_CONFIG)
    _refuse_other_kinds(place, about)
    file = folder / hub.ADAPTER_WEIGHTS
    headers = read_headers((file,)) if file.is_file() else {}
    with foreign("adapter", place, folder, _OTHERS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is looked at below
        config = PeftConfig.from_pretrained(str(folder))
        if config.is_prompt_learning:
            raise BadAdapter(
                f"The adapter {place} ({config.peft_type}) puts learned vectors around the model.",
                "Only adapters inside the model (LoRA and its kin) can be looked into.",
            )
        model = _loaded(model, name, folder, config)
        state = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    whole = model.state_dict()
    over = [key for key in headers if key not in state and key in whole]
    if headers:
        _account(place, headers, state, over)
        _prove(place, file, headers, state | {key: whole[key] for key in over})
    notes = _other_base(place, about, source)
    if over:
        setattr(model.get_base_model(), CHANGED_BASE, True)
        notes.append(f"the adapter {place} puts {_some(over)} in the place of the base's own")
    grown = [value for key, value in state.items() if "lora_B" in key or "lora_embedding_B" in key]
    if grown and not any(bool(value.any()) for value in grown):
        notes.append(f"the adapter {place} is untrained: it adds nothing")
    kind = str(about.get("peft_type", "")).lower()
    rank = f" of rank {about['r']}" if isinstance(about.get("r"), int) else ""
    base = about.get("base_model_name_or_path") or ""
    weights = fingerprint.of_files([file]) if file.is_file() else ""
    return model, AdapterInfo(place, f"{kind}{rank}", str(base), weights), notes


def _refuse_other_kinds(place: str, about: dict[str, Any]) -> None:
    if not isinstance(about.get("peft_type"), str):
        raise BadAdapter(f"{place} does not say what kind of adapter it is.", "Is it of PEFT?")
    if about.get("task_type") not in _TASKS:
        raise BadAdapter(
            f"The adapter {place} is for {about['task_type']}, not for predicting tokens.",
            "Choose one for CAUSAL_LM.",
        )


def _account(
    place: str, headers: dict[str, TensorHeader], state: dict[str, Any], over: list[str]
) -> None:
    """Raise ``BadAdapter`` unless file and adapter have the same tensors, of the same shapes."""
    missing = sorted(set(state) - set(headers))
    unused = sorted(set(headers) - set(state) - set(over))
    if missing:
        raise BadAdapter(
            f"The adapter {place} lacks {_some(missing)}, which would stay as initialised.",
            "Is its adapter_config.json of these weights?",
        )
    if unused:
        raise BadAdapter(
            f"The adapter {place} holds {_some(unused)}, for which this model has no place.",
            _OTHERS,
        )
    for key, value in state.items():
        if tuple(value.shape) != headers[key].shape:
            raise BadAdapter(
                f"The adapter {place}: {key} is {list(headers[key].shape)}, here {list(value.shape)}.",
                _OTHERS,
            )


def _prove(
    place: str, file: Path, headers: dict[str, TensorHeader], state: dict[str, torch.Tensor]
) -> None:
    """Raise ``BadAdapter`` unless the model now holds what is in the file, and all of it is finite."""
    with safe_open(file, framework="pt") as opened:
        for key in headers:
            wanted, there = opened.get_tensor(key), state[key].detach()
            if not bool(torch.isfinite(wanted.float()).all()):
                raise BadAdapter(
                    f"The adapter {place}: {key} holds NaN or infinity.", "Is it damaged?"
                )
            wanted = wanted.to(there.device)
            rounding = max(_ALIKE.get(there.dtype, 0.0), _ALIKE.get(wanted.dtype, 0.0))
            off = (there.double() - wanted.double()).abs() > rounding * wanted.double().abs()
            if there.shape != wanted.shape or bool(off.any()):
                raise BadAdapter(f"The adapter {place}: {key} was not loaded as it is in the file.")


def _other_base(place: str, about: dict[str, Any], source: Source) -> list[str]:
    """What is to be said where the adapter names another base than the one it is put on."""
    base, revision = about.get("base_model_name_or_path"), about.get("revision")
    if not base:
        return [f"the adapter {place} does not say of which model it is"]
    called = {source.called, source.name, str(source.folder)}
    same = base in called or _resolved(str(base)) == source.folder.resolve()
    if not same:
        return [f"the adapter {place} says that it is of {base}; it is put on {source.called}"]
    if revision and source.options.revision and revision != source.options.revision:
        return [
            f"the adapter {place} is of revision {revision}; it is put on {source.options.revision}"
        ]
    return []


def _resolved(base: str) -> Path | None:
    path = expanded(base)
    return path.resolve() if re.search(r"[/\\]", base) and path.is_dir() else None


def _other_tokenizer(place: str, folder: Path, tokenizer: Any) -> list[str]:
    file = folder / "tokenizer.json"
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or not file.is_file():
        return []
    from tokenizers import Tokenizer

    with foreign("tokenizer", place, folder):
        brought = Tokenizer.from_file(str(file)).to_str()
    same = fingerprint.of_tokenizer(brought) == fingerprint.of_tokenizer(backend.to_str())
    return [] if same else [f"the adapter {place} brings another tokenizer, which is not used"]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(name[:90] for name in names[:2]) + more
