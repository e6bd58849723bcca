"""Controllers are asked without a screen: importing them brings no Textual, no torch and no numpy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tui.controllers

FOLDER = Path(tui.controllers.__file__).parent
MODULES = [
    f"tui.controllers.{path.stem}" for path in FOLDER.glob("*.py") if path.stem != "__init__"
]


def test_no_controller_imports_textual() -> None:
    names = ", ".join(MODULES)
    leaked = "sorted({name.split('.')[0] for name in sys.modules} & {'textual', 'torch', 'numpy'})"
    code = f"import sys, {names}; print({leaked})"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert ended.stdout.strip() == "[]"


def test_no_controller_names_the_app_or_is_given_all_controllers() -> None:
    """All of them together are for commands; ``on_demand`` and ``of_rows`` make them."""
    whole = {path.stem for path in FOLDER.glob("*.py") if "Controllers" in path.read_text("utf-8")}
    assert whole == {"controllers", "on_demand", "of_rows"}
    assert [p.stem for p in FOLDER.glob("*.py") if "tui.app" in p.read_text("utf-8")] == []
