"""Translators of the tuned lens: one affine map a layer, kept in a folder.

The folder is that of the authors' own library: ``config.json`` beside ``params.safetensors``, or the
``params.pt`` that they publish, which is a pickle and read only if allowed. Entry k, ``k.weight`` and
``k.bias``, belongs to the input of layer k: its stream h becomes h + weight · h + bias.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from interpboard.errors import BadParameter, UnsafeWeights
from interpboard.models.language_model import LanguageModel

PARAMS = "params.safetensors"
_PICKLE = "params.pt"
_CONFIG = "config.json"
_KIND = "linear_tuned_lens"


@dataclass(frozen=True)
class Translators:
    """``weight`` [layer, d_model, d_model] and ``bias`` [layer, d_model]; ``model``: whose they are."""

    weight: torch.Tensor
    bias: torch.Tensor
    model: str

    @classmethod
    def identity(cls, lm: LanguageModel) -> Translators:
        """Those that change nothing: the tuned lens is the logit lens."""
        n_layers, d_model = lm.anatomy.n_layers, lm.anatomy.d_model
        weight = torch.zeros(n_layers, d_model, d_model, device=lm.device)
        return cls(weight, torch.zeros(n_layers, d_model, device=lm.device), lm.info.name)

    def translated(self, layer: int, stream: torch.Tensor) -> torch.Tensor:
        """``stream`` [pos, d_model], the input of ``layer``, as the final stream would hold it."""
        weight, bias = self.weight[layer], self.bias[layer]
        change = stream.to(weight) @ weight.T + bias
        return stream + change.to(stream)

    def translate(self, streams: torch.Tensor) -> torch.Tensor:
        """``streams`` [layer + 1, pos, d_model] translated; the last one is the final stream itself."""
        rows = [self.translated(layer, streams[layer]) for layer in range(len(self.weight))]
        return torch.stack([*rows, streams[-1]])

    def save(self, folder: str | Path) -> Path:
        """Write configuration and parameters into ``folder``, which is made if need be."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {}
        for layer in range(len(self.weight)):
            tensors[f"{layer}.weight"] = self.weight[layer].detach().cpu().contiguous()
            tensors[f"{layer}.bias"] = self.bias[layer].detach().cpu().contiguous()
        save_whole(folder / PARAMS, tensors)
        config = {
            "base_model_name_or_path": self.model,
            "d_model": self.weight.shape[-1],
            "num_hidden_layers": len(self.weight),
            "bias": True,
            "lens_type": _KIND,
        }
        (folder / _CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        return folder


def save_whole(
    path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write safetensors so that ``path`` is always a whole file, also if the machine stops meanwhile.

    Raises ``BadParameter`` where it cannot be written.
    """
    beside = path.with_name(path.name + ".part")
    try:
        save_file(tensors, beside, metadata=metadata)
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise BadParameter(f"Cannot write {path}: {error}.", "Name another place.") from error


def load_translators(
    lm: LanguageModel, folder: str | Path, *, allow_pickle: bool = False
) -> Translators:
    """The translators in ``folder``, on the model's device.

    Raises ``BadParameter`` for a folder that holds none or those of a model of another size,
    ``UnsafeWeights`` for ``params.pt`` unless ``allow_pickle`` (even then nothing but tensors is read).
    """
    folder = Path(folder)
    config = _config(folder)
    found = (config.get("num_hidden_layers"), config.get("d_model"))
    wanted = (lm.anatomy.n_layers, lm.anatomy.d_model)
    if found != wanted:
        raise BadParameter(
            f"The lens in {folder} is for {found[0]} layers of width {found[1]}, "
            f"this model has {wanted[0]} of width {wanted[1]}.",
            "Use the lens of this model.",
        )
    if config.get("lens_type", _KIND) != _KIND:
        raise BadParameter(f"The lens in {folder} is a {config['lens_type']}, not a {_KIND}.")
    tensors = _tensors(folder, allow_pickle)
    weight, bias = [], []
    for layer in range(wanted[0]):
        part = tensors.get(f"{layer}.weight")
        if part is None or part.shape != (wanted[1], wanted[1]):
            raise BadParameter(f"The lens in {folder} has no translator for layer {layer}.")
        weight.append(part.float())
        bias.append(tensors.get(f"{layer}.bias", torch.zeros(wanted[1])).float())
    name = str(config.get("base_model_name_or_path", ""))
    return Translators(torch.stack(weight).to(lm.device), torch.stack(bias).to(lm.device), name)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadParameter(
            f"There is no tuned lens in {folder}: {_CONFIG} cannot be read.",
            "Train one with interpboard tune-lens.",
        ) from error
    except ValueError as error:
        raise BadParameter(f"{folder / _CONFIG} is damaged: {error}.") from error
    if not isinstance(config, dict):
        raise BadParameter(f"{folder / _CONFIG} describes no tuned lens.")
    return config


def _tensors(folder: Path, allow_pickle: bool) -> dict[str, torch.Tensor]:
    if (folder / PARAMS).is_file():
        try:
            return load_file(folder / PARAMS)
        except SafetensorError as error:
            raise BadParameter(f"{folder / PARAMS} is damaged: {error}.") from error
    pickle = folder / _PICKLE
    if not pickle.is_file():
        raise BadParameter(f"There is neither {PARAMS} nor {_PICKLE} in {folder}.")
    if not allow_pickle:
        raise UnsafeWeights(
            f"{pickle} is a pickle, which can run code.",
            "If you trust it: --param allow_pickle=true.",
        )
    try:
        state = torch.load(pickle, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise BadParameter(f"{pickle} does not hold tensors alone, or is damaged.") from error
    return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}
