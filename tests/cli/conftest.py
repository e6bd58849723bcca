"""What stands in for the app, the computation and the engine while the command line is tested."""

from __future__ import annotations

import importlib
import os
import sys
import types
from typing import Any

import pytest

from interpboard.cli import analyze_command as cli_analyze
from interpboard.cli import commands as cli_commands
from interpboard.cli import narration, opening
from interpboard.results import Document
from tests import sample
from tests.cli.process import ENVIRONMENT


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(opening, "is_interactive", lambda: False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for the computation; what it was asked for, and what it answers."""
    seen: dict[str, Any] = {"answer": sample.full}

    def compute(*args: Any, debug: bool, swap: Any = None) -> Document:
        seen["args"], seen["debug"], seen["swap"] = args, debug, swap
        answer: Document = seen["answer"]()
        return answer

    monkeypatch.setattr(cli_commands, "compute", compute)
    monkeypatch.setattr(cli_analyze, "compute", compute)
    return seen


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stands in for the app; what it was asked to open."""
    calls: list[dict[str, Any]] = []

    def run(settings: Any, **options: Any) -> int:
        calls.append({"settings": settings, **options})
        return 7

    app = types.ModuleType("tui.run")
    app.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tui.run", app)
    monkeypatch.setattr(opening, "is_interactive", lambda: True)
    return calls


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Modules in the place of those that import torch."""
    importlib.import_module("interpboard.runs.watch")  # the real one, whichever test is the first
    seen: dict[str, Any] = {"noise": lambda: None}

    def open_model(name: str, **options: Any) -> str:
        options.pop("on_stage")("loading weights", 0.5)
        seen["model"] = (name, options)
        return "lm"

    def analyze(lm: str, text: str, *, watch: Any, on_start: Any, **options: Any) -> Document:
        seen["run"] = (lm, text, options)
        seen["noise"]()
        on_start("head_ablation")
        watch.step(1, 2)
        return sample.full()

    for name, function in (("models.language_model", open_model), ("analyze", analyze)):
        module = types.ModuleType(f"interpboard.{name}")
        setattr(module, function.__name__, function)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in narration.QUIET:
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    return seen
