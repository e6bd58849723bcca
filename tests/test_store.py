"""The store of runs: what is written is whole, what is damaged is set aside, what fails is said."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from interpboard.errors import StoreProblem
from interpboard.results import Document, layer_axis
from interpboard.store import Store
from tests import sample
from tests.cli.process import ROOT

ASK = {"text": "x", "target": None}


def one(value: float = 0.5, text: str | None = None) -> Document:
    document = sample.document(sample.result("head_ablation", (layer_axis(1),), [value]))
    if text is None:
        return document
    prompt = msgspec.structs.replace(document.prompt, text=text)
    return msgspec.structs.replace(document, prompt=prompt)


def test_every_result_comes_back_as_it_was(tmp_path: Path) -> None:
    store = Store()
    for number, result in enumerate(sample.hostile().results + sample.full().results):
        document = sample.document(result)
        id = store.add(document, "heads", ASK, float(number))
        assert store.document(id).to_json() == document.to_json()
    assert store.path == tmp_path / "state" / "runs.sqlite"


def test_runs_are_listed_newest_first_with_what_was_asked() -> None:
    store = Store()
    for number in range(3):
        store.add(one(number), "heads", ASK | {"position": number}, 100.0 + number)
    runs = store.runs()
    assert [run.made_at for run in runs] == [102.0, 101.0, 100.0]
    assert [run.ask["position"] for run in runs] == [2, 1, 0]
    first = runs[0]
    assert (first.slot, first.analysis, first.metric) == ("heads", "head_ablation", "logit")
    assert [run.id for run in store.runs(limit=1)] == [first.id]


def test_the_same_result_again_is_one_run_with_a_new_time() -> None:
    store = Store()
    first, other = store.add(one(1), "heads", ASK, 1.0), store.add(one(2), "heads", ASK, 2.0)
    slower = one(1)
    slower = msgspec.structs.replace(
        slower, results=(msgspec.structs.replace(slower.results[0], elapsed_s=9.0),)
    )
    assert store.add(slower, "heads", ASK, 3.0) == first
    assert [(run.id, run.made_at) for run in store.runs()] == [(first, 3.0), (other, 2.0)]


def test_the_oldest_go_when_there_are_too_many() -> None:
    store = Store(keep=2)
    ids = [store.add(one(number), "heads", ASK, float(number)) for number in range(4)]
    assert [run.id for run in store.runs()] == [ids[3], ids[2]]
    with pytest.raises(StoreProblem, match="no longer in the store"):
        store.document(ids[0])


def test_what_a_killed_app_was_writing_is_not_there_and_all_before_it_is() -> None:
    store = Store()
    store.add(one(1), "heads", ASK, 1.0)
    code = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size = 1')\n"  # so that pages reach the file at once
        "database.execute('BEGIN')\n"
        "for i in range(200):\n"
        "    database.execute('INSERT INTO runs SELECT NULL, randomblob(16), 2, model, prompt,'\n"
        "      'analysis, metric, target, foil, params, 0, slot, ask, randomblob(5000), weights FROM runs '\n"
        "      'LIMIT 1')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    before = store.path.stat().st_size
    subprocess.run([sys.executable, "-c", code, str(store.path)], check=False)
    assert store.path.stat().st_size > before  # it had begun to write
    assert [run.made_at for run in store.runs()] == [1.0]
    assert store.notice == ""


def test_a_full_disk_is_said_and_what_was_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    store.add(one(1), "heads", ASK, 1.0)
    connect = sqlite3.connect

    def small(*args: object, **options: object) -> sqlite3.Connection:
        database = connect(*args, **options)  # type: ignore[call-overload]
        database.execute("PRAGMA max_page_count = 8")
        return database  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", small)
    big = sample.document(
        sample.result("x", (layer_axis(9000),), np.random.default_rng(0).random(9000))
    )
    with pytest.raises(StoreProblem, match="The disk is full"):
        store.add(big, "heads", ASK, 2.0)
    assert [run.made_at for run in store.runs()] == [1.0]
    assert store.notice == ""


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreProblem, match="Cannot write"):
        Store(tmp_path / "file" / "runs.sqlite").runs()
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(StoreProblem, match="Cannot write"):
        Store(tmp_path / "folder.sqlite").runs()


def test_another_app_that_is_writing_is_waited_for_and_then_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("interpboard.store.runs.WAIT_S", 0.01)
    store = Store()
    store.add(one(1), "heads", ASK, 1.0)
    with sqlite3.connect(store.path) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreProblem, match="in use by another program"):
            store.add(one(2), "heads", ASK, 2.0)
    store.add(one(2), "heads", ASK, 2.0)
    assert len(store.runs()) == 2


def test_a_store_of_a_newer_version_is_left_alone() -> None:
    store = Store()
    store.add(one(1), "heads", ASK, 1.0)
    with sqlite3.connect(store.path) as database:
        database.execute("PRAGMA user_version = 99")
    raw = store.path.read_bytes()
    with pytest.raises(StoreProblem, match="newer interpboard"):
        store.add(one(2), "heads", ASK, 2.0)
    assert store.path.read_bytes() == raw


def test_what_is_remembered_is_recalled_also_in_a_file_that_had_no_place_for_it() -> None:
    store = Store()
    store.add(sample.document(sample.ablation()), "heads", {}, 1.0)
    with closing(sqlite3.connect(store.path)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    assert "desk" not in tables
    assert store.recall("held") is None
    store.remember("held", {"items": [["2.4=zero", False]]})
    store.remember("held", {"items": [['@4=" at"', True]]})
    assert Store().recall("held") == {"items": [['@4=" at"', True]]}
    assert Store().recall("other") is None
    assert len(store.runs()) == 1


def test_a_store_of_the_first_version_opens_with_its_runs_and_takes_new_ones() -> None:
    new = Store()
    new.add(one(1), "heads", ASK, 1.0)
    with closing(sqlite3.connect(new.path)) as database, database:
        database.execute("ALTER TABLE runs DROP COLUMN weights")
        database.execute("PRAGMA user_version = 1")
    store = Store()
    (run,) = store.runs()
    assert (run.made_at, run.weights) == (1.0, "")
    model = msgspec.structs.replace(one().model, weights="numbers:a.b")
    other = store.add(msgspec.structs.replace(one(1), model=model), "heads", ASK, 2.0)
    newest, _ = store.runs()  # the same numbers of other weights are another run
    assert (newest.id, newest.weights) == (other, "numbers:a.b")
    assert store.notice == ""


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_store_and_its_folder_are_for_the_user_alone_also_where_they_were_not() -> None:
    before = os.umask(0o022)
    try:
        store = Store()
        store.add(one(1), "heads", ASK, 1.0)
        assert (mode(store.path.parent), mode(store.path)) == (0o700, 0o600)
        store.path.chmod(0o644)
        with sqlite3.connect(store.path) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE runs SET slot = 'x'")
            journal = Path(f"{store.path}-journal")
            assert journal.exists()
        Store().runs()
        assert mode(store.path) == 0o600
        with sqlite3.connect(store.path) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE runs SET slot = 'y'")
            assert mode(journal) == 0o600
    finally:
        os.umask(before)


def test_the_store_imports_no_torch() -> None:
    code = "import sys, interpboard.store; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert found.stdout.strip() == b"False"
