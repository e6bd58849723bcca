"""``python -m interpboard``."""

from interpboard.cli.main import run_as_script

run_as_script()
