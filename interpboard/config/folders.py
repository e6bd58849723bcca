"""Where things are kept. XDG folders on Linux, the platform's own elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_APP = "interpboard"


def config_file() -> Path:
    """The configuration file, there or not; ``INTERPBOARD_CONFIG`` overrides."""
    chosen = os.environ.get("INTERPBOARD_CONFIG")
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_config_path(_APP, appauthor=False) / "config.toml"


def state_folder() -> Path:
    """Logs and saved results; ``INTERPBOARD_STATE`` overrides. Created when first asked for."""
    chosen = os.environ.get("INTERPBOARD_STATE")
    folder = Path(chosen) if chosen else platformdirs.user_state_path(_APP, appauthor=False)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def engine_log() -> Path:
    """The engine's log: its standard error, and whatever libraries print. One a process."""
    return state_folder() / f"engine-{os.getpid()}.log"
