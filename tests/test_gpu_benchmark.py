"""The GPU benchmark runs, and its values are right, where there is no GPU: on tiny sizes."""

from __future__ import annotations

import json
import subprocess

from tests.forks import program


def test_its_dry_run_measures_everything_and_finds_nothing_wrong() -> None:
    ended = subprocess.run(
        program("benchmarks.gpu", "--dry-run"),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    assert lines[-1]["failed"] == []
    tasks = {line["task"] for line in lines if "task" in line}
    assert {"values", "head grid", "estimates", "cancel", "lens", "causal trace"} <= tasks
    assert "integrated gradients" in tasks
