"""Settings and where they come from; where files are kept. Imports neither torch nor numpy."""

from interpboard.config.folders import (
    config_file,
    engine_log,
    in_state_folder,
    state_folder,
    state_path,
)
from interpboard.config.settings import (
    DEFAULT_TEXT,
    Configuration,
    Settings,
    batch_limit,
    memory_limit,
    read_settings,
)

__all__ = [
    "DEFAULT_TEXT",
    "Configuration",
    "Settings",
    "batch_limit",
    "config_file",
    "engine_log",
    "in_state_folder",
    "memory_limit",
    "read_settings",
    "state_folder",
    "state_path",
]
