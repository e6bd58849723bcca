"""The fingerprints of a loaded model and its tokenizer; what was made from other weights is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from torch import nn

from interpboard.errors import BadParameter
from interpboard.files import fingerprint
from interpboard.files.fingerprint import FingerprintMatch, Sampled
from interpboard.files.places import expanded
from interpboard.models.adapters import adapters_are_off, base_name, names_of_adapters
from interpboard.models.packed import inner_tensors, is_wrapper
from interpboard.results import ModelInfo

_INDEX = "model.safetensors.index.json"
_ALL = 4096  # numbers: of a tensor that has no more, every one is taken
_MOST = 1 << 18  # of any other with more rows than that: experts in one tensor, packed formats


@dataclass(frozen=True)
class Origin:
    """What an artefact was made from: the model's name, and fingerprints, empty where none were kept."""

    model: str = ""
    weights: str = ""
    tokenizer: str = ""
    text: str = ""

    @classmethod
    def of(cls, info: ModelInfo, text: str = "") -> Origin:
        """An artefact that is made now."""
        return cls(info.name, info.weights, info.tokenizer, text)

    @classmethod
    def read(cls, metadata: Mapping[str, Any]) -> Origin:
        """What ``metadata`` of a file says."""
        return cls(**{name: str(metadata.get(name, "")) for name in cls.__dataclass_fields__})

    def metadata(self) -> dict[str, str]:
        """As a file keeps it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def weights_of(model: nn.Module) -> str:
    """``numbers:…`` of a model in memory; empty where some of it is elsewhere or in a form of its own.

    Of each parameter and each buffer that a checkpoint holds: numbers of every row and every column, of
    tensors with more than 262,144 rows of as many, at equal distances.
    """
    taken, float16 = [], False
    for name, tensor in _tensors(model):
        if tensor.is_meta:
            return ""
        float16 = float16 or tensor.dtype == torch.float16
        try:
            taken.append(_sampled(name, tensor))
        except (RuntimeError, NotImplementedError, TypeError):  # a quantised class of tensor
            return ""
    return fingerprint.of_numbers(taken, float16=float16)


def tokenizer_of(tokenizer: Any) -> str:
    """Of what turns text into tokens; empty for a tokenizer without a backend that can be written down."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    return fingerprint.of_tokenizer(backend.to_str()) if hasattr(backend, "to_str") else ""


def files_of(model: Any, source: str | Path) -> str:
    """``files:…`` of the checkpoint that ``model`` was opened from; empty where it is not safetensors.

    ``source``: the folder, or the name on the hub whose files are in its cache.
    """
    try:
        return fingerprint.of_files(_weight_files(model, source))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return ""  # it was loaded all the same: its numbers have to say which it is


def _weight_files(model: Any, source: str | Path) -> list[Path]:
    folder = expanded(source)
    names = ["model.safetensors", _INDEX]
    found = {name: _file(model, folder, str(source), name) for name in names}
    single, index = (found[name] for name in names)
    if single is None and index is not None:
        shards = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        paths = [_file(model, folder, str(source), name) for name in shards]
        return [path for path in paths if path is not None]
    return [single] if single is not None else []


def _file(model: Any, folder: Path, source: str, name: str) -> Path | None:
    """A file of the checkpoint in its folder, or in the hub's cache; None if it is not there."""
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    revision = getattr(model.config, "_commit_hash", None)
    cached = try_to_load_from_cache(source, name, revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def check_origin(info: ModelInfo, origin: Origin, what: str, remedy: str) -> tuple[str, ...]:
    """Warnings about ``what``, which was made from ``origin`` and is to be used with the model ``info``.

    ``what`` begins a sentence: "The lens in lens". Raises ``BadParameter`` if it is of other weights.
    """
    match = fingerprint.compare(origin.weights, info.weights)
    if match is FingerprintMatch.other:
        raise BadParameter(f"{what} is of {_whose(info.name, origin)}.", remedy)
    warnings = []
    if match is FingerprintMatch.unknown:
        known = f", only that it is of {origin.model}" if origin.model else ""
        why = "cannot be compared" if origin.weights else f"are not said{known}"
        warnings.append(f"{what} may be of another model: the weights it was made from {why}.")
    if fingerprint.compare(origin.tokenizer, info.tokenizer) is FingerprintMatch.other:
        warnings.append(f"{what} was made with another tokenizer than the model has now.")
    return tuple(warnings)


def check_resumed(now: Origin, before: Origin, what: str, remedy: str) -> tuple[str, ...]:
    """Warnings about going on with what was begun from ``before``, with what there is ``now``.

    ``what`` begins a sentence: "lens holds a training". Raises ``BadParameter`` unless weights, tokenizer and
    text are the same, as far as they are known.
    """
    words = {
        "weights": f"of {_whose(now.model, before)}",
        "tokenizer": "made with another tokenizer than the model has now",
        "text": "of another text than there is now",
    }
    unknown = []
    for name, other in words.items():
        match = fingerprint.compare(getattr(before, name), getattr(now, name))
        if match is FingerprintMatch.other:
            raise BadParameter(f"{what} {other}.", remedy)
        unknown += [name] if match is FingerprintMatch.unknown else []
    if not unknown:
        return ()
    if before.model not in ("", now.model):  # nothing better is known than the name
        raise BadParameter(f"{what} of the model {before.model}, this is {now.model}.", remedy)
    return (f"{what} that do not say of which {' and '.join(unknown)}: taken to be of these.",)


def _whose(name: str, origin: Origin) -> str:
    """The other model in words: another one, or the one called ``name`` before its weights changed."""
    if origin.model in ("", name):
        return f"other weights than {name} has now"
    return f"{origin.model}, and {name} has other weights"


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters, what packed ones consist of, and buffers that a checkpoint holds.

    Where all adapters are off it is the base model by its own names: nothing of them is computed with.
    """
    without = names_of_adapters(model) if adapters_are_off(model) else ()
    for name, tensor in _all_tensors(model):
        if not name.startswith(without):
            yield (base_name(name) if without else name), tensor


def _all_tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, parameter in model.named_parameters():
        if not is_wrapper(parameter):
            yield name, parameter.data
    yield from inner_tensors(model)
    for prefix, module in model.named_modules():
        for name, buffer in module.named_buffers(recurse=False):
            if name not in module._non_persistent_buffers_set:
                yield f"{prefix}.{name}", buffer


@torch.no_grad()
def _sampled(name: str, tensor: torch.Tensor) -> Sampled:
    values = tensor.detach()
    if values.is_complex():
        values = torch.view_as_real(values)
    kind = f"{tensor.dtype}"
    if values.is_floating_point() and values.element_size() > 1:
        kind = "float"
    if values.numel() > _ALL and values.dim() > 1:
        values = values.flatten(0, -2)
        rows, columns = values.shape
        steps = max(rows, columns)
        at = torch.arange(min(steps, _MOST), device=values.device)
        at = at * steps // len(at)
        values = values[at % rows, at % columns]
    values = values.to(torch.bfloat16) if kind == "float" else values
    values = values.contiguous().reshape(-1).view(torch.uint8)
    return Sampled(name, tuple(tensor.shape), kind, values.cpu().numpy().tobytes())
