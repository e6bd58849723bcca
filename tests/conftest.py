"""Fixtures shared by all tests. Each test keeps its state in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Tiny models gain nothing from threads, and engines under test must not fight for the cores.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERPBOARD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("INTERPBOARD_CONFIG", str(tmp_path / "config.toml"))
