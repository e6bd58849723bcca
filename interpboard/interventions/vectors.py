"""Vectors of the stream in files: steering directions, with the model that they were made from."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch

from interpboard.config import in_state_folder, state_folder
from interpboard.errors import BadParameter
from interpboard.files.atomic import PRIVATE, try_place
from interpboard.files.places import expanded
from interpboard.models.fingerprints import Origin, check_origin
from interpboard.models.language_model import LanguageModel
from interpboard.runs.tensor_files import read_tensors, save_tensors

READ_AT = "resid_post"
_NAME = "vector"
_PARTS = {
    "resid_post": "behind", "mlp_out": "at the MLP of", "attn_out": "at the attention of", "": "at",
}  # fmt: skip
_DAMAGE = (
    ValueError, TypeError, EOFError, BadZipFile, MemoryError, RecursionError, SyntaxError, TokenError,
)  # fmt: skip


def save_vector(
    path: str | Path,
    vector: torch.Tensor,
    layer: int,
    origin: Origin | None = None,
    *,
    site: str = READ_AT,
) -> Path:
    """Write ``vector`` [d_model] and the ``layer`` and the ``site`` it was read at as safetensors, making the
    folder.

    ``origin``: the model it was made from, kept beside it. Raises ``BadParameter`` where that cannot be done;
    a file that was there stays then.
    """
    path = prepare_place(path)
    about = {"layer": str(layer), "site": site, **(origin.metadata() if origin is not None else {})}
    mode = PRIVATE if in_state_folder(path) else None
    save_tensors(path, {_NAME: vector.detach().cpu().contiguous()}, about, mode=mode)
    return path


def prepare_place(path: str | Path) -> Path:
    """``path``, whose folder is made, tried before work is put into it. Raises ``BadParameter``."""
    path = Path(path)
    try:
        if in_state_folder(path):
            state_folder()
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        try_place(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadParameter(f"Cannot write the vector to {path}: {why}.") from error
    return path


class Vector(NamedTuple):
    """``values`` [d_model], what they were made from, and what somebody who uses them must know. ``layer``,
    ``site``: where they were read; None, and empty, where the file does not say."""

    values: torch.Tensor
    origin: Origin
    warnings: tuple[str, ...]
    layer: int | None = None
    site: str = ""

    def elsewhere(
        self, lm: LanguageModel, path: str | Path, layer: int, site: str
    ) -> tuple[str, ...]:
        """What is to be said where they are added at ``site`` of ``layer``; nothing where they were read."""
        if self.layer is None or (self.layer, self.site or site) == (layer, site):
            return ()
        read, added = (
            f"{_PARTS.get(where, where)} layer {lm.anatomy.layer_names[number]}"
            for number, where in ((self.layer, self.site), (layer, site))
        )
        return (f"The vector in {path} was read {read} and is added {added}.",)


def read_vector(lm: LanguageModel, path: str | Path) -> Vector:
    """The one vector [d_model] of a safetensors or ``.npy`` file.

    Raises ``BadParameter`` for anything else, and for a vector made from other weights.
    """
    path = expanded(path)
    metadata: dict[str, str] = {}
    if path.suffix == ".npy":
        tensors = [_of_numpy(path)]
    else:
        named, metadata = read_tensors(path)
        tensors = list(named.values())
    d_model = lm.anatomy.d_model
    if len(tensors) != 1 or tensors[0].shape != (d_model,):
        found = " and ".join(str(tuple(tensor.shape)) for tensor in tensors[:3]) or "nothing"
        raise BadParameter(
            f"{path} has shape {found}.", f"A steering vector has one axis of {d_model}."
        )
    vector = tensors[0]
    if not vector.is_floating_point() or not bool(vector.isfinite().all()):
        raise BadParameter(f"{path} holds no vector of finite numbers.")
    origin = Origin.read(metadata)
    remedy = f"Make the vector anew, or use {origin.model or 'the model it is of'}."
    warnings = check_origin(lm.info, origin, f"The vector in {path}", remedy)
    numbers = {str(number): number for number in range(lm.anatomy.n_layers)}
    layer = numbers.get(metadata.get("layer", ""))
    return Vector(vector, origin, warnings, layer, metadata.get("site", ""))


def _of_numpy(path: Path) -> torch.Tensor:
    try:
        array = np.load(path, allow_pickle=False)
        return torch.from_numpy(
            np.asarray(array, dtype=np.float64 if array.dtype == float else np.float32)
        )
    except OSError as error:
        raise BadParameter(f"Cannot read {path}: {error.strerror or error}.") from error
    except (*_DAMAGE, AttributeError) as error:
        raise BadParameter(
            f"{path} holds no vector: {error}.", "Give a .npy or .safetensors file."
        ) from error
