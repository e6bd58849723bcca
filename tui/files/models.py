"""Models on this machine: what lies in folders and in the hub's cache, and what of it would fit where.

Blocks, so call it off the loop. What a folder holds is for ``checkpoints`` to say.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from interpboard.display import spoken_bytes
from interpboard.files.places import expanded
from tui.files.checkpoints import ADAPTER_FILE, FoundModel, gguf_files, look

_MOST = 500  # folders looked into below one
SIZES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
_PACKED = {
    "4bit": 9 / 16,
    "8bit": 1.0,
    "int8": 1.0,
}  # bytes a weight of a linear map, with its scale
_LEAVE_S = 3.0


@dataclass(frozen=True)
class Room:
    """Free memory in bytes where models are loaded (None: unknown), and bytes a parameter takes."""

    free: int | None
    parameter: int = 4
    on: str = ""

    def fits(self, model: FoundModel) -> str:
        """``fits``, ``tight`` or ``too large``; empty where it cannot be known."""
        return self.takes(model.size or model.parameters * self.parameter)

    def takes(self, need: int) -> str:
        """The same of ``need`` bytes."""
        if self.free is None or not need:
            return ""
        if need <= 0.8 * self.free:  # runs need room for activations too
            return "fits"
        return "tight" if need <= self.free else "too large"


def need(model: FoundModel | None, dtype: str, quantize: str = "") -> int:
    """Bytes that the parameters of ``model`` take in ``dtype``, or at least where they are packed as
    ``quantize`` says (embeddings are not); 0: not known."""
    if model is None:
        return 0
    if model.size:  # packed in the files, and kept so
        return model.size
    return round(model.parameters * (_PACKED[quantize] if quantize else SIZES[dtype]))


_ANSWERS = {"fits": "yes", "tight": "tight", "too large": "no"}


def what_fits(model: FoundModel, room: Room) -> str:
    """``float32 no, bfloat16 yes, 4-bit yes``: what of ``model`` would fit there; empty: not known."""
    if model.size:
        ways = [("as packed", model.size)]
    else:
        ways = [(dtype, need(model, dtype)) for dtype in ("float32", "bfloat16")]
        if not model.packed:  # what is packed already is not packed anew
            ways.append(("4-bit", need(model, "float32", "4bit")))
    answers = [f"{way} {_ANSWERS[answer]}" for way, size in ways if (answer := room.takes(size))]
    return ", ".join(answers)


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
    return _built_in("demo")


def demo_chat() -> FoundModel:
    """The chat model that comes with it."""
    return _built_in("demo-chat", "chat")


def demo_t5() -> FoundModel:
    """The encoder–decoder that comes with it."""
    return _built_in("demo-t5", "restating")


def demo_bert() -> FoundModel:
    """The masked model that comes with it."""
    return _built_in("demo-bert", "masked")


def _built_in(name: str, *below: str) -> FoundModel:
    folder = Path(str(files("interpboard"))).joinpath("models", "demo", *below, "weights")
    return look(folder, name, "built in") or FoundModel(name, "built in")


def named_folder(name: str) -> FoundModel | None:
    """The model in the folder that ``name`` is; None if it is none."""
    return look(expanded(name), name, "folder")


def in_folder(folder: Path) -> list[FoundModel]:
    """Models in ``folder``, or one or two below it, by name."""
    found = []
    for place in _places(folder):
        if any((place / name).is_file() for name in ("config.json", ADAPTER_FILE)):
            model = look(place, str(place), "folder")
            if model is not None:
                found.append(model)
        found += gguf_files(place, "folder")
    return sorted(found, key=lambda model: (model.name.lower(), model.gguf_file))


def in_hub_cache(cache: Path) -> list[FoundModel]:
    """Models that the hub's own programs have fetched, by name."""
    found = []
    for place in _listed(cache):
        if place.name.startswith("models--"):
            name = place.name.removeprefix("models--").replace("--", "/")
            model = look(_snapshot(place), name, "hub cache")
            if model is not None:
                found.append(model)
    return sorted(found, key=lambda model: model.name.lower())


def hub_cache(environment: Mapping[str, str] | None = None) -> Path:
    """Where the hub's programs keep models."""
    variables = os.environ if environment is None else environment
    if variables.get("HF_HUB_CACHE"):
        return expanded(variables["HF_HUB_CACHE"])
    home = (
        variables.get("HF_HOME")
        or Path(variables.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    )
    return expanded(home) / "hub"


def rooms(device: str, dtype: str) -> tuple[Room, ...]:
    """The room on ``device`` (``cpu``, ``cuda:0``) for parameters of ``dtype``, then that elsewhere here."""
    size = SIZES.get(dtype, 4)
    gpus = [Room(free, size, f"cuda:{at}") for at, free in enumerate(_free_on_gpus())]
    every = [_of_the_host(device, size), *gpus]
    used = "cuda:0" if device == "cuda" else device
    here = [own for own in gpus if own.on == used] or every[:1]
    if device.startswith("cuda") and here[0].on != used:  # nobody says what is free there
        here = [Room(None, size, device)]
    return (here[0], *(own for own in every if own not in here))


def room(device: str, dtype: str) -> Room:
    """The room on ``device`` (``cpu``, ``cuda:0``) for parameters of ``dtype``."""
    return rooms(device, dtype)[0]


def _of_the_host(device: str, size: int) -> Room:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:  # not Linux
        return Room(None, size)
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return Room(found[0] if found else None, size, "" if device == "auto" else "cpu")


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


def _free_on_gpus() -> list[int]:
    """Free bytes of each GPU, by nvidia-smi; none where there is no such program."""
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(
            command, capture_output=True, text=True, timeout=_LEAVE_S, check=True
        )
        return [int(line) << 20 for line in listing.stdout.splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []


@dataclass(frozen=True)
class Shelf:
    """Everything the picker offers, and the room for it."""

    models: tuple[FoundModel, ...] = ()
    room: Room = field(default_factory=lambda: Room(None))
    others: tuple[Room, ...] = ()


def shelf(recent: Iterable[str], folders: Iterable[str], device: str, dtype: str) -> Shelf:
    """The demo, recent ones, the chat demo, those in ``folders``, here and in the hub's cache; each once."""
    places = [*(expanded(folder) for folder in folders), Path(os.curdir)]
    local = [model for place in places for model in in_folder(Path(os.path.abspath(place)))]
    known = [demo(), demo_chat(), demo_t5(), demo_bert(), *local, *in_hub_cache(hub_cache())]
    by_name = {model.name: model for model in reversed(known) if not model.gguf_file}
    used = []
    for name in recent:
        model = by_name.get(name) or look(expanded(name), name, "recent")
        used.append(model or FoundModel(name, "recent"))
    listed = {(model.name, model.gguf_file): model for model in [known[0], *used, *known[1:]]}
    here, *others = rooms(device, dtype)
    return Shelf(tuple(listed.values()), here, tuple(others))
