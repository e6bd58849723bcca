"""The GPU benchmark runs, and its values are right, where there is no GPU: on tiny sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.gpu import Tasks, missing
from benchmarks.gpu_tasks import tasks
from tests.forks import program

NAMED = {"card", "commit", "date", "load"}
WORKER = """
import json, os, sys, time
names, first = sys.argv[1].split(","), int(sys.argv[2])
for at, name in list(enumerate(names))[first:]:
    print(json.dumps({"begins": at, "of": len(names), "task": name}), flush=True)
    print("a library says something")
    if name == "hangs":
        time.sleep(600)
    if name == "dies":
        os._exit(3)
    print(json.dumps({"task": name}), flush=True)
    print(json.dumps({"ended": at, "failed": ["values"] if name == "wrong" else []}), flush=True)
"""


def done(
    names: str, *, seconds: float = 60.0, longest: float = 60.0, overtime: float = 60.0
) -> tuple[list[str], list[dict[str, Any]]]:
    """What failed, and the lines, of a process that does tasks of these names."""
    lines: list[dict[str, Any]] = []

    def command(first: int) -> Sequence[str]:
        return [sys.executable, "-c", WORKER, names, str(first)]

    return Tasks(command, lines.append, seconds, longest, overtime).run(), lines


def test_its_dry_run_measures_everything_and_finds_nothing_wrong() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--dry-run", "--commit", "this one"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    assert lines[-1]["failed"] == []
    measured = [line for line in lines if "task" in line]
    names = [line["task"] for line in measured]
    assert {"values", "head grid", "estimates", "cancel", "lens", "causal trace"} <= set(names)
    assert "integrated gradients" in names
    assert names[: names.count("values")] == ["values"] * names.count("values")  # before any time
    assert all(line.keys() >= NAMED for line in measured)
    assert {line["commit"] for line in measured} == {"this one"}


def test_a_process_that_begins_anew_does_the_tasks_that_are_left() -> None:
    last = len(tasks(quick=False, dry=True, profiles=None)) - 1
    ended = subprocess.run(
        program("benchmarks.gpu_tasks", "--dry-run", "--first", str(last)),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    lines = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert [line["begins"] for line in lines if "begins" in line] == [last]
    assert lines[-1]["failed"] == []


def test_a_task_that_hangs_dies_or_is_wrong_loses_no_line_of_the_others() -> None:
    failed, lines = done("first,hangs,second,dies,wrong,third", longest=3.0)
    assert failed == ["hangs", "dies", "values"]
    found = {line["task"]: line.get("error") for line in lines if "task" in line}
    assert list(found) == ["first", "hangs", "second", "dies", "wrong", "third"]
    assert "had not ended" in str(found["hangs"])
    assert found["dies"] == "its process ended with 3"
    assert {found[name] for name in ("first", "second", "wrong", "third")} == {None}


def test_it_is_over_when_its_time_is_and_says_what_was_not_done() -> None:
    failed, lines = done("first,hangs,second", seconds=1.0, overtime=1.0)
    assert failed == ["hangs", "tasks that were not done"]
    assert lines[-1]["skipped"] == 1
    failed, lines = done("first", seconds=0.0)
    assert failed == ["tasks that were not done"]
    assert "task" not in lines[-1]


def test_a_process_that_does_not_begin_is_said_and_not_begun_again_and_again() -> None:
    lines: list[dict[str, Any]] = []
    broken = [sys.executable, "-c", "raise SystemExit(5)"]
    assert Tasks(lambda _first: broken, lines.append, 60.0, 60.0).run()
    assert [line.get("error") for line in lines] == ["its process ended with 5", None]


def test_what_is_missing_is_named_with_what_to_do_in_one_line() -> None:
    assert missing(("json",)) == ""
    said = missing(("json", "not_there", "nor_this"))
    assert "Not installed here: not_there nor_this." in said
    assert "--no-index --find-links wheels not_there nor_this" in said
    assert "\n" not in said
