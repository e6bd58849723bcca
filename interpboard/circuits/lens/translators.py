"""Translators of the tuned lens: one affine map a layer, kept in a folder.

The folder is that of the authors' own library: ``config.json`` beside ``params.safetensors``, or the
``params.pt`` that they publish, which is a pickle and read only if allowed. Entry k, ``k.weight`` and
``k.bias``, belongs to the input of layer k: its stream h becomes h + weight · h + bias. What ours were made
from stands beside the parameters, in the metadata of the same file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from interpboard.errors import BadParameter, UnsafeWeights
from interpboard.files import atomic
from interpboard.files.fingerprint import FingerprintMatch, compare
from interpboard.models.fingerprints import Origin, check_origin
from interpboard.models.language_model import LanguageModel
from interpboard.runs.strip_places import source_layers
from interpboard.runs.tensor_files import read_tensors, save_tensors

PARAMS = "params.safetensors"
_PICKLE = "params.pt"
_CONFIG = "config.json"
_KIND = "linear_tuned_lens"


def translated(stream: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """``stream`` [pos, d_model] with what the affine map of a layer adds to it."""
    change = stream.to(weight) @ weight.T + bias
    return stream + change.to(stream)


@dataclass(frozen=True)
class Translators:
    """``weight`` [layer, d_model, d_model] and ``bias`` [layer, d_model], of an encoder–decoder's decoder.

    ``origin``: what they were made from. ``warnings``: what somebody who reads with them must know.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    origin: Origin = field(default_factory=Origin)
    warnings: tuple[str, ...] = ()

    @classmethod
    def identity(cls, lm: LanguageModel) -> Translators:
        """Those that change nothing: the tuned lens is the logit lens."""
        n_layers, d_model = lm.anatomy.n_layers - source_layers(lm), lm.anatomy.d_model
        weight = torch.zeros(n_layers, d_model, d_model, device=lm.device)
        bias = torch.zeros(n_layers, d_model, device=lm.device)
        return cls(weight, bias, Origin.of(lm.info))

    def translate(self, streams: torch.Tensor) -> torch.Tensor:
        """``streams`` [layer + 1, pos, d_model] translated; the last one is the final stream itself."""
        rows = list(map(translated, streams, self.weight, self.bias))
        return torch.stack([*rows, streams[-1]])

    def save(self, folder: str | Path) -> Path:
        """Write configuration and parameters into ``folder``, which is made if need be.

        Raises ``BadParameter`` where that cannot be done; each file stays as it was or is whole.
        """
        folder = Path(folder)
        prepare_folder(folder)
        tensors = {}
        for layer in range(len(self.weight)):
            tensors[f"{layer}.weight"] = self.weight[layer].detach().cpu().contiguous()
            tensors[f"{layer}.bias"] = self.bias[layer].detach().cpu().contiguous()
        config = {
            "base_model_name_or_path": self.origin.model,
            "d_model": self.weight.shape[-1],
            "num_hidden_layers": len(self.weight),
            "bias": True,
            "lens_type": _KIND,
        }
        save_tensors(folder / PARAMS, tensors, self.origin.metadata())
        try:
            atomic.write_text(folder / _CONFIG, json.dumps(config, indent=2) + "\n")
        except OSError as error:
            raise BadParameter(f"Cannot write {folder / _CONFIG}: {error.strerror}.") from error
        return folder


def prepare_folder(folder: Path) -> None:
    """Make ``folder`` where it is missing, and try whether files can be written. Raises ``BadParameter``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # the second: a name that none can have
        why = getattr(error, "strerror", None) or error
        raise BadParameter(f"Cannot make the folder {folder}: {why}.") from error
    try:
        atomic.try_place(folder / PARAMS)
    except OSError as error:
        raise BadParameter(f"Cannot write {folder / PARAMS}: {error.strerror}.") from error


def about_to_replace(lm: LanguageModel, folder: Path, origin: Origin) -> tuple[str, ...]:
    """Warnings about the lens that ``folder`` holds, if any, before another one takes its place.

    Raises ``BadParameter`` for one of another model: two models' lenses do not share a folder.
    """
    if not (folder / PARAMS).is_file():
        return ()
    _, metadata = read_tensors(folder / PARAMS)
    before = Origin.read(metadata)
    if compare(before.weights, lm.info.weights) is FingerprintMatch.other:
        raise BadParameter(
            f"{folder} holds a finished lens of other weights.",
            "Name another folder, or delete it.",
        )
    if compare(before.text, origin.text) is FingerprintMatch.other:
        return (f"{folder} held a lens that was trained on another text: this one replaces it.",)
    return ()


def load_translators(
    lm: LanguageModel, folder: str | Path, *, allow_pickle: bool = False
) -> Translators:
    """The translators in ``folder``, on the model's device.

    Raises ``BadParameter`` for a folder that holds none, or those of a model of another size or of other
    weights; ``UnsafeWeights`` for ``params.pt`` unless ``allow_pickle`` (even then nothing but tensors is
    read). Those that do not say which weights they are of come with a warning.
    """
    folder = Path(folder)
    config = _config(folder)
    found = (config.get("num_hidden_layers"), config.get("d_model"))
    wanted = (lm.anatomy.n_layers - source_layers(lm), lm.anatomy.d_model)
    if found != wanted:
        raise BadParameter(
            f"The lens in {folder} is for {found[0]!r:.20} layers of width {found[1]!r:.20}, "
            f"this model has {wanted[0]} of width {wanted[1]}.",
            "Use the lens of this model.",
        )
    kind = config.get("lens_type", _KIND)
    if kind != _KIND:
        raise BadParameter(f"The lens in {folder} is a {kind!r:.60}, not a {_KIND}.")
    tensors, metadata = _tensors(folder, allow_pickle)
    shapes = {"weight": (wanted[1], wanted[1]), "bias": (wanted[1],)}
    parts: dict[str, list[torch.Tensor]] = {"weight": [], "bias": []}
    for layer in range(wanted[0]):
        tensors.setdefault(f"{layer}.bias", torch.zeros(wanted[1]))
        for name, shape in shapes.items():
            part = tensors.get(f"{layer}.{name}")
            if part is None or part.shape != shape or not part.is_floating_point():
                raise BadParameter(f"The lens in {folder} has no translator for layer {layer}.")
            if not part.isfinite().all():
                raise BadParameter(f"The lens in {folder} is not finite at layer {layer}.")
            parts[name].append(part.float())
    known = {name: value for name, value in metadata.items() if value}
    origin = Origin.read({"model": config.get("base_model_name_or_path") or "", **known})
    remedy = f"Train it anew, or use {origin.model or 'the model it is of'}."
    warnings = check_origin(lm.info, origin, f"The lens in {folder}", remedy)
    weight, bias = (torch.stack(parts[name]).to(lm.device) for name in shapes)
    return Translators(weight, bias, origin, warnings)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadParameter(
            f"There is no tuned lens in {folder}: {_CONFIG} cannot be read.",
            "Train one with interpboard tune-lens.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadParameter(f"{folder / _CONFIG} is damaged: {error}.") from error
    if not isinstance(config, dict):
        raise BadParameter(f"{folder / _CONFIG} describes no tuned lens.")
    return config


def _tensors(folder: Path, allow_pickle: bool) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    if (folder / PARAMS).is_file():
        return read_tensors(folder / PARAMS)
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
    except Exception as error:
        raise BadParameter(f"{pickle} does not hold tensors alone, or is damaged.") from error
    if not isinstance(state, dict):
        raise BadParameter(f"{pickle} holds no tensors by name.")
    tensors = {str(name): part for name, part in state.items() if isinstance(part, torch.Tensor)}
    return tensors, {}
