"""``python -m interpboard``."""

from interpboard.cli import run_as_script

run_as_script()
