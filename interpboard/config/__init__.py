"""Settings and where they come from; where files are kept. Imports neither torch nor numpy."""

from interpboard.config.folders import config_file, engine_log, state_folder
from interpboard.config.settings import Configuration, Settings, batch_limit, read

__all__ = [
    "Configuration",
    "Settings",
    "batch_limit",
    "config_file",
    "engine_log",
    "read",
    "state_folder",
]
