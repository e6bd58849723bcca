"""Where things are kept. XDG folders on Linux, the platform's own elsewhere.

What is in the state folder is the user's alone: prompts, results, logs. The folder is made for nobody else
(0700) and its files too (0600); what an earlier version left open is closed when the folder is first asked
for. A folder that somebody named and that holds other things as well keeps its own mode.
"""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

import platformdirs

from interpboard.errors import StoreProblem
from interpboard.files.atomic import may_write, tighten
from interpboard.files.places import expanded

_APP = "interpboard"
# What we keep in the state folder; the folder of vectors with all that is in it.
_OURS = (
    "runs*.sqlite*",
    "prompts.jsonl*",
    "yank.txt*",
    "hint-seen",
    "engine-*.log",
    ".interpboard-*.part",
)
_VECTORS = "vectors"


def config_file() -> Path:
    """The configuration file, there or not; ``INTERPBOARD_CONFIG`` overrides."""
    chosen = os.environ.get("INTERPBOARD_CONFIG")
    if chosen:
        return expanded(chosen)
    return platformdirs.user_config_path(_APP, appauthor=False) / "config.toml"


def state_path() -> Path:
    """Where logs and saved results belong, there or not; ``INTERPBOARD_STATE`` overrides."""
    chosen = os.environ.get("INTERPBOARD_STATE")
    return Path(chosen) if chosen else platformdirs.user_state_path(_APP, appauthor=False)


def state_folder() -> Path:
    """The folder of logs and saved results, made when first asked for, and closed to others.

    Raises ``StoreProblem`` where it cannot be made, or nothing can be written in it.
    """
    folder = state_path()
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise StoreProblem(
            f"Cannot make the folder {folder}: {why}.",
            "Set INTERPBOARD_STATE to one that can be written.",
        ) from error
    if not may_write(folder):
        raise StoreProblem(
            f"Cannot write in the folder {folder}.",
            "Set INTERPBOARD_STATE to one that can be written.",
        )
    _close_to_others(folder)
    return folder


def in_state_folder(path: Path) -> bool:
    """Whether ``path`` is kept for the user alone."""
    return os.path.abspath(state_path()) in map(str, Path(os.path.abspath(path)).parents)


def engine_log() -> Path:
    """The engine's log: its standard error, and whatever libraries print. One a process.

    Where there is no state folder it is a private file for as long as the machine keeps those.
    """
    try:
        return state_folder() / f"engine-{os.getpid()}.log"
    except StoreProblem:
        return _log_elsewhere()


@lru_cache(maxsize=1)
def _log_elsewhere() -> Path:
    import tempfile

    try:
        handle, name = tempfile.mkstemp(prefix="interpboard-engine-", suffix=".log")
    except OSError:  # nowhere at all: what the engine says is lost, and it runs
        return Path(os.devnull)
    os.close(handle)
    return Path(name)


@lru_cache(maxsize=8)  # once a folder and process
def _close_to_others(folder: Path) -> None:
    try:
        entries = list(folder.iterdir())
        sticky = bool(folder.stat().st_mode & stat.S_ISVTX)
    except OSError:  # whoever writes there says so
        return
    ours = [entry for entry in entries if _is_ours(entry)]
    if not sticky and len(ours) == len(entries):
        tighten(folder)
    for entry in ours:
        if not entry.is_symlink():
            tighten(entry)
        if entry.name == _VECTORS and entry.is_dir():
            for vector in entry.glob("*.safetensors"):
                tighten(vector)


def _is_ours(entry: Path) -> bool:
    return entry.name == _VECTORS or any(fnmatch(entry.name, pattern) for pattern in _OURS)
