"""A list of rows says what each is and what is known of it, and of a sweep only what its folder holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from interpboard.errors import BadParameter
from interpboard.sweeps.aggregate import AggregateSettings, aggregate
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.listed_rows import list_rows
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.standing import read_standing, stop_sweep, told_standing
from interpboard.sweeps.stop_signal import handler_kept
from tests.sweeps.quick_rows import MODEL
from tests.sweeps.swept_folder import NUMBER, swept


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return swept(tmp_path_factory.mktemp("listed"), MODEL)


def test_rows_of_a_file_are_listed_with_their_reasons_and_nothing_is_computed(folder: Path) -> None:
    found = list_rows(folder.parent / "rows.jsonl")
    assert (len(found.rows), found.manifest, found.note) == (NUMBER, None, "")
    first, last = found.rows[0], found.rows[-1]
    assert (first.text, first.target, first.foil) == (
        "The capital of France 0 is",
        " Paris",
        " Rome",
    )
    assert (first.answer, first.metric, first.right) == (None, None, None)
    assert last.problem == "The row has no text."
    assert found.columns == ("row", "place", "text", "target", "foil", "size", "label", "subject")


def test_rows_of_a_sweep_have_answer_metric_and_the_reason_of_each_analysis(folder: Path) -> None:
    found = list_rows(folder)
    assert (found.rows[2].answer, found.rows[2].right) == (" Rome", False)
    assert (found.rows[4].metric, found.rows[4].tokens) == (14.0, 3)
    assert found.rows[3].failed == (("activation_patching", "The prompts differ in length."),)
    assert found.rows[3].problem == ""  # the other analyses have it
    assert found.rows[-1].problem == "The row has no text."
    source = found.rows[0].source
    assert source is not None
    assert (source.corrupted, source.subject) == ("The capital of Italy 0 is", "France")


@pytest.mark.parametrize(
    "where", ['label == "A"', "metric > 13 and right=true", "not label=A", "size<4 or size>8"]
)
def test_the_rows_that_fit_are_those_of_the_means(folder: Path, where: str) -> None:
    listed = [row for row in list_rows(folder).fitting(where) if not row.problem]
    means = aggregate(SweepFolder.open(folder), AggregateSettings(where=where))
    assert means.result("head_ablation").params["rows"] == len(listed)


def test_a_filter_of_a_column_that_is_nowhere_is_refused(folder: Path) -> None:
    with pytest.raises(BadParameter, match="No row has a column"):
        list_rows(folder).fitting("lable=A")


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_rows_whose_dataset_is_another_are_listed_and_say_that_they_cannot_be_opened(
    tmp_path: Path, change: str
) -> None:
    out = swept(tmp_path, MODEL)
    data = tmp_path / "rows.jsonl"
    if change == "gone":
        data.unlink()
    else:
        data.write_text(data.read_text() + '\n{"text": "one more"}')
    found = list_rows(out)
    assert "cannot be opened" in found.note
    assert found.rows[0].text == "The capital of France 0 is"
    assert all(row.source is None for row in found.rows)


def test_a_sweep_says_in_its_folder_how_far_it_is_and_how_it_ended(tmp_path: Path) -> None:
    folder = SweepFolder.open(swept(tmp_path, MODEL))
    heard: list[int] = []
    with told_standing(folder, lambda pace: heard.append(pace.rows)) as tell:
        pace = SweepPace(NUMBER, rows=3, failed=1, reasons={"no text": 1})
        tell(pace)
        standing = read_standing(folder.path)
        assert standing is not None
        assert standing.runs
        assert standing.pid == os.getpid()
    standing = read_standing(folder.path)
    assert standing is not None
    assert (standing.state, standing.rows, standing.failed, standing.runs) == ("done", 3, 1, False)
    assert heard == [3]


@pytest.mark.parametrize(
    ("ends", "state", "why"),
    [(KeyboardInterrupt(), "stopped", ""), (BadParameter("It is full."), "failed", "It is full.")],
)
def test_what_ends_a_sweep_is_in_its_standing(
    tmp_path: Path, ends: BaseException, state: str, why: str
) -> None:
    folder = SweepFolder.open(swept(tmp_path, MODEL))
    with pytest.raises(type(ends)), told_standing(folder, lambda _pace: None):
        raise ends
    standing = read_standing(folder.path)
    assert standing is not None
    assert (standing.state, standing.why) == (state, why)


def test_a_process_that_only_has_the_number_of_a_dead_sweep_is_never_signalled(
    tmp_path: Path,
) -> None:
    folder = SweepFolder.open(swept(tmp_path, MODEL))
    with told_standing(folder, lambda _pace: None):
        raw = (folder.path / "standing.json").read_bytes()
    (folder.path / "standing.json").write_bytes(
        raw
    )  # killed before it could say so: this is its number
    standing = read_standing(folder.path)
    assert standing is not None
    assert standing.runs
    with pytest.raises(BadParameter, match="No sweep writes"):
        stop_sweep(folder.path)


def test_a_standing_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "standing.json").write_text("{half")
    assert read_standing(tmp_path) is None


_SWEEPS = """
import signal, sys
from pathlib import Path
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.standing import told_standing
folder = SweepFolder.open(Path(sys.argv[1]))
ignored = sys.argv[2] == "ignored"  # as a shell starts what is to go on in the background
signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
with folder.alone(), told_standing(folder, lambda pace: None) as tell:
    print("begun", flush=True)
    sys.stdin.readline()
    print("done", flush=True)
"""


@pytest.mark.parametrize(
    ("interrupts", "stop"),
    [
        ("heeded", lambda out, _pid: stop_sweep(out)),
        ("ignored", lambda out, _pid: stop_sweep(out)),
        ("heeded", lambda _out, pid: os.kill(pid, signal.SIGTERM)),
    ],
    ids=["at a terminal", "in the background", "by kill"],
)
def test_a_sweep_of_another_process_is_stopped_by_its_folder(
    tmp_path: Path, interrupts: str, stop: Callable[[Path, int], None]
) -> None:
    out = swept(tmp_path, MODEL)
    with subprocess.Popen(
        [sys.executable, "-c", _SWEEPS, str(out), interrupts],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        stop(out, process.pid)
        assert process.wait(30) != 0
    standing = read_standing(out)
    assert standing is not None
    assert (standing.state, standing.runs) == ("stopped", False)


def test_a_sweep_begun_with_interrupts_ignored_goes_on_when_the_terminal_sends_one(
    tmp_path: Path,
) -> None:
    out = swept(tmp_path, MODEL)
    with subprocess.Popen(
        [sys.executable, "-c", _SWEEPS, str(out), "ignored"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        standing = read_standing(out)
        assert standing is not None
        assert standing.signal == signal.SIGTERM
        assert standing.runs
        process.send_signal(signal.SIGINT)
        assert process.communicate("\n", 30)[0] == "done\n"
    assert process.returncode == 0


def test_a_sweep_that_no_signal_reaches_is_not_stopped_by_one(tmp_path: Path) -> None:
    folder = SweepFolder.open(swept(tmp_path, MODEL))
    refused: list[str] = []

    def beside() -> None:
        with folder.alone(), told_standing(folder, lambda _pace: None):
            with pytest.raises(BadParameter) as found:
                stop_sweep(folder.path)
            refused.append(str(found.value))

    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()
    assert f"a part of process {os.getpid()}" in refused[0]


def test_what_a_program_does_at_the_signal_is_its_own_again_behind_a_sweep(tmp_path: Path) -> None:
    folder = SweepFolder.open(swept(tmp_path, MODEL))
    before = signal.getsignal(signal.SIGTERM)
    with told_standing(folder, lambda _pace: None), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_library_does_at_the_signal_as_it_starts_does_not_stay() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with handler_kept():
        signal.signal(signal.SIGTERM, lambda *_: None)
    assert signal.getsignal(signal.SIGTERM) is before
