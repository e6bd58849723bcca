"""Measurements as lines of JSON: on standard output, and with ``--save`` in ``benchmarks/results``.

The first line says where and when: date, commit, versions, processor, threads, and the load as it began.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
VERSIONS = ("torch", "transformers", "transformer-lens", "nnsight", "captum", "interpboard")


def versions() -> dict[str, str]:
    """Of what is installed here and of Python, and the processor's name."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    found["python"] = ".".join(map(str, sys.version_info[:3]))
    found["cpu"] = _processor()
    return found


def add_save(parser: argparse.ArgumentParser, name: str) -> None:
    """``--save``, for the results of ``name``."""
    parser.add_argument("--save", action="store_true", help=f"write results/{name}.jsonl anew")


class Lines:
    """Lines of one benchmark, as they are measured; all of them in ``told``. ``add``: they follow those that
    were saved before."""

    def __init__(self, name: str, save: bool, *, add: bool = False, **about: Any) -> None:
        self.told: list[dict[str, Any]] = []
        self.path = RESULTS / f"{name}.jsonl" if save or add else None
        if self.path:
            self.path.parent.mkdir(exist_ok=True)
            if not add:
                self.path.write_text("", encoding="utf-8")
        self._write({"benchmark": name, "date": time.strftime("%Y-%m-%d"), "commit": commit(),
                     "cores": os.cpu_count(),
                     "load": round(os.getloadavg()[0], 2), "versions": versions(), **about})  # fmt: skip

    def say(self, line: dict[str, Any]) -> None:
        """One measurement."""
        self.told.append(line)
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                print(json.dumps(line), file=file)


def measured_where() -> str:
    """Date, commit, processor, cores and load, as a table says it that is printed now."""
    load = os.getloadavg()[0]
    cores = f"{os.cpu_count()} cores ({_processor()})"
    return f"{time.strftime('%Y-%m-%d')}, commit {commit() or 'unknown'}, {cores}, load {load:.1f}"


def commit() -> str:
    """The commit that is measured, with a plus where files differ from it; empty outside a clone, and where
    there is no git."""
    if shutil.which("git") is None:
        return ""
    here = Path(__file__).parent
    git = ["git", "describe", "--always", "--exclude=*", "--dirty=+"]
    done = subprocess.run(git, cwd=here, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return "unknown"
