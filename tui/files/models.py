"""Models on this machine: what lies in folders and in the hub's cache, how large, and does it fit.

Reads configurations and the headers of weight files, nothing else; blocks, so call it off the loop.
"""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from interpboard.display import spoken_bytes
from interpboard.files.places import expanded

_MOST = 500  # folders looked into below one
SIZES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
_LONGEST_HEADER = 100_000_000  # what the format allows
_LEAVE_S = 3.0


@dataclass(frozen=True)
class FoundModel:
    """A model: the name that opens it, where it lies, its family, how many parameters (0: unknown)."""

    name: str
    where: str
    family: str = ""
    parameters: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Room:
    """Free memory in bytes where models are loaded (None: unknown), and bytes a parameter takes."""

    free: int | None
    parameter: int = 4
    on: str = ""

    def fits(self, model: FoundModel) -> str:
        """``fits``, ``tight`` or ``too large``; empty where it cannot be known."""
        if self.free is None or not model.parameters:
            return ""
        need = model.parameters * self.parameter
        if need <= 0.8 * self.free:  # runs need room for activations too
            return "fits"
        return "tight" if need <= self.free else "too large"


def need(model: FoundModel | None, dtype: str) -> int:
    """Bytes that the parameters of ``model`` take in ``dtype``; 0: not known."""
    return model.parameters * SIZES[dtype] if model is not None else 0


def room_said(model: FoundModel | None, room: Room) -> str:
    """What a model needs in each number format, beside the memory that is free."""
    free = "the free memory is not known"
    if room.free is not None:
        free = f"{spoken_bytes(room.free)} are free{f' on {room.on}' if room.on else ''}"
    if model is None or not model.parameters:
        return f"What it needs is not known; {free}."
    sizes = [f"{spoken_bytes(need(model, dtype))} in {dtype}" for dtype in ("float32", "bfloat16")]
    return f"It needs {', '.join(sizes)}; {free}."


def demo() -> FoundModel:
    """The model that comes with the program."""
    folder = Path(str(files("interpboard"))) / "models" / "demo" / "weights"
    return _look(folder, "demo", "built in") or FoundModel("demo", "built in")


def named_folder(name: str) -> FoundModel | None:
    """The model in the folder that ``name`` is; None if it is none."""
    return _look(expanded(name), name, "folder")


def in_folder(folder: Path) -> list[FoundModel]:
    """Models in ``folder``, or one or two below it, by name."""
    found = []
    for place in _places(folder):
        if (place / "config.json").is_file():
            model = _look(place, str(place), "folder")
            if model is not None:
                found.append(model)
    return sorted(found, key=lambda model: model.name.lower())


def in_hub_cache(cache: Path) -> list[FoundModel]:
    """Models that the hub's own programs have fetched, by name."""
    found = []
    for place in _listed(cache):
        if place.name.startswith("models--"):
            name = place.name.removeprefix("models--").replace("--", "/")
            model = _look(_snapshot(place), name, "hub cache")
            if model is not None:
                found.append(model)
    return sorted(found, key=lambda model: model.name.lower())


def hub_cache(environment: Mapping[str, str] | None = None) -> Path:
    """Where the hub's programs keep models."""
    own = os.environ if environment is None else environment
    if own.get("HF_HUB_CACHE"):
        return expanded(own["HF_HUB_CACHE"])
    home = own.get("HF_HOME") or Path(own.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return expanded(home) / "hub"


def room(device: str, dtype: str) -> Room:
    """The room on ``device`` (``cpu``, ``cuda:0``) for parameters of ``dtype``."""
    size = SIZES.get(dtype, 4)
    if device.startswith("cuda"):
        return Room(_free_on_gpu(device), size, device)
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # not Linux
        return Room(None, size)
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return Room(found[0] if found else None, size, "" if device == "auto" else device)


def parameters(weights: Iterable[Path]) -> int:
    """Numbers in safetensors files, from their headers alone. Raises ``OSError``, ``ValueError``."""
    total = 0
    for path in weights:
        with path.open("rb") as file:
            size = struct.unpack("<Q", file.read(8))[0] if path.stat().st_size >= 8 else 0
            if not 0 < size <= _LONGEST_HEADER:
                raise ValueError(f"{path.name} is no safetensors file")
            header = json.loads(file.read(size))
        if not isinstance(header, dict):
            raise ValueError(f"{path.name} is no safetensors file")  # noqa: TRY004 - bad data
        tensors = (about for name, about in header.items() if name != "__metadata__")
        total += sum(math.prod(about["shape"]) for about in tensors)
    return total


def _look(folder: Path | None, name: str, where: str) -> FoundModel | None:
    """The model in ``folder``; None if its configuration is not one of a model."""
    if folder is None:
        return None
    try:
        config: Any = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    family = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(family, str):
        return None
    # Some folders hold the same weights twice, under another program's names too.
    every = sorted(folder.glob("*.safetensors"))
    weights = [path for path in every if path.name.startswith("model")] or every
    if not weights:
        return FoundModel(name, where, family, problem="no safetensors")
    try:
        return FoundModel(name, where, family, parameters(weights))
    except (OSError, ValueError, KeyError, TypeError):
        return FoundModel(name, where, family, problem="damaged weights")


def _snapshot(place: Path) -> Path | None:
    """The folder of the revision in use."""
    try:
        return place / "snapshots" / (place / "refs" / "main").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return next(iter(_listed(place / "snapshots")), None)


def _places(folder: Path) -> Iterator[Path]:
    yield folder
    looked = 0
    for child in _listed(folder):
        for place in (child, *_listed(child)):
            yield place
            looked += 1
            if looked >= _MOST:
                return


def _listed(folder: Path) -> list[Path]:
    """The folders in ``folder``; none if it cannot be read."""
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_dir())
    except OSError:
        return []


def _free_on_gpu(device: str) -> int | None:
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=_LEAVE_S, check=True)
        number = int(device.partition(":")[2] or 0)
        return int(said.stdout.splitlines()[number]) << 20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


@dataclass(frozen=True)
class Shelf:
    """Everything the picker offers, and the room for it."""

    models: tuple[FoundModel, ...] = ()
    room: Room = field(default_factory=lambda: Room(None))


def shelf(recent: Iterable[str], folders: Iterable[str], device: str, dtype: str) -> Shelf:
    """The demo, recent ones, those in ``folders`` and here, those in the hub's cache; each once."""
    places = [*(expanded(folder) for folder in folders), Path(os.curdir)]
    local = [model for place in places for model in in_folder(Path(os.path.abspath(place)))]
    known = [demo(), *local, *in_hub_cache(hub_cache())]
    by_name = {model.name: model for model in reversed(known)}
    used = []
    for name in recent:
        model = by_name.get(name) or _look(expanded(name), name, "recent")
        used.append(model or FoundModel(name, "recent"))
    listed = {model.name: model for model in [known[0], *used, *known[1:]]}
    return Shelf(tuple(listed.values()), room(device, dtype))
