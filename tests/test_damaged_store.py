"""A store that is damaged, foreign or too large: what can be read stays, the rest is set aside and said."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from interpboard.errors import StoreProblem
from interpboard.results import Document, layer_axis
from interpboard.store import Store
from tests import sample

ASK = {"text": "x", "target": None}


def one(value: float = 0.5, text: str | None = None) -> Document:
    document = sample.document(sample.result("head_ablation", (layer_axis(1),), [value]))
    if text is None:
        return document
    prompt = msgspec.structs.replace(document.prompt, text=text)
    return msgspec.structs.replace(document, prompt=prompt)


@pytest.mark.parametrize(
    ("damage", "seed"),
    [("text", 0), ("foreign", 0), ("no table", 0), *(("middle", seed) for seed in range(8))],
)
def test_a_damaged_store_is_set_aside_and_a_new_one_begun(damage: str, seed: int) -> None:
    store = Store()
    for number in range(30):
        store.add(one(number), "heads", ASK, float(number))
    if damage == "text":
        store.path.write_text("this is no database, but it is long enough to look at " * 100)
    elif damage == "middle":
        raw = bytearray(store.path.read_bytes())
        raw[2000:] = np.random.default_rng(seed).bytes(len(raw) - 2000)
        store.path.write_bytes(raw)
    else:
        with sqlite3.connect(store.path) as database:
            database.execute("DROP TABLE runs")
            if damage == "foreign":
                database.execute("CREATE TABLE runs (x)")
    raw = store.path.read_bytes()
    id = store.add(one(7), "heads", ASK, 1.0)
    assert store.document(id).results[0].values[0] == 7
    aside = store.path.with_name("runs-damaged-1.sqlite")
    assert aside.read_bytes() == raw
    assert str(aside) in store.notice


def test_one_damaged_run_is_said_and_the_others_stay() -> None:
    store = Store()
    bad, good = store.add(one(1), "heads", ASK, 1.0), store.add(one(2), "heads", ASK, 2.0)
    with sqlite3.connect(store.path) as database:
        database.execute("UPDATE runs SET document = x'00', ask = '[' WHERE id = ?", (bad,))
    with pytest.raises(StoreProblem, match="cannot be read"):
        store.document(bad)
    assert store.document(good).results[0].values[0] == 2
    assert [run.ask for run in store.runs()] == [ASK, {}]


def damaged_page(path: Path, number: int) -> None:
    """Page ``number`` of the file, counted from 1, is overwritten."""
    raw = bytearray(path.read_bytes())
    raw[(number - 1) * 4096 : number * 4096] = b"\xa5" * 4096
    path.write_bytes(raw)


def test_each_damaged_page_costs_the_rows_that_lie_on_it_and_no_other(tmp_path: Path) -> None:
    """Every page of the file in turn, but the first, which says what all others are."""
    store = Store()
    values = {}
    for number in range(12):
        store.add(one(number), "heads", ASK | {"position": number}, float(number))
    big = np.random.default_rng(0).random(3000)  # over pages of its own
    store.add(sample.document(sample.result("x", (layer_axis(3000),), big)), "heads", ASK, 99.0)
    store.remember("held", {"items": []})
    values = {run.id: store.document(run.id).to_json() for run in store.runs()}
    whole = store.path.read_bytes()
    lost = 0
    for page in range(2, len(whole) // 4096 + 1):
        place = tmp_path / f"page-{page}" / "runs.sqlite"
        place.parent.mkdir()
        place.write_bytes(whole)
        damaged_page(place, page)
        again = Store(place)
        runs = again.runs()
        read = {}
        for run in runs:
            with contextlib.suppress(StoreProblem):  # a page of its values, noticed only now
                read[run.id] = again.document(run.id).to_json()
        assert read.items() <= values.items()
        new = again.add(one(7.5), "heads", ASK, 100.0)
        left = {run.id for run in again.runs()} - {new}
        assert left >= read.keys()
        assert len(left - read.keys()) <= 1  # one whose values SQLite reads, and they are damaged
        if again.notice:
            assert f"{len(left)}" in again.notice
            assert list(place.parent.glob("runs-damaged-1.sqlite"))
        else:
            assert left == values.keys()  # nothing is kept on that page
        lost += len(values) - len(read)
    assert (
        0 < lost < 5 * len(values)
    )  # most pages cost a run or none, the table's first all of them


def test_the_notice_says_how_many_runs_were_read_of_how_many(tmp_path: Path) -> None:
    store = Store()
    for number in range(200):
        store.add(one(number), "heads", ASK, float(number))
    store.remember("held", {"items": [1]})
    with sqlite3.connect(store.path) as database:
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'runs'"
        ).fetchone()
    raw = store.path.read_bytes()
    # A leaf of the table: the first page that begins as one does and holds rows, not the root itself.
    leaf = next(
        page for page, place in enumerate(range(0, len(raw), 4096), 1)
        if raw[place] == 13 and page != root and b"head_ablation" in raw[place : place + 4096]
    )  # fmt: skip
    damaged_page(store.path, leaf)
    runs = store.runs()
    assert 150 < len(runs) < 200
    assert f"{len(runs)} of 200 runs could be read" in store.notice
    assert store.recall("held") == {"items": [1]}
    assert store.document(runs[0].id).results[0].values[0] == runs[0].made_at


def test_two_apps_that_meet_the_same_damage_make_one_new_store() -> None:
    first, second = Store(), Store()
    first.add(one(1), "heads", ASK, 1.0)
    first.path.write_text("no database " * 1000)
    first.add(one(2), "heads", ASK, 2.0)
    second.add(one(3), "heads", ASK, 3.0)
    assert second.notice == ""
    assert [run.made_at for run in first.runs()] == [3.0, 2.0]
    assert len(list(first.path.parent.glob("runs-damaged*"))) == 1


def test_a_few_bytes_that_would_fill_the_memory_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store()
    id = store.add(one(1), "heads", ASK, 1.0)
    bomb = zlib.compress(b"\0" * (1 << 24), 9)
    with sqlite3.connect(store.path) as database:
        database.execute("UPDATE runs SET document = ? WHERE id = ?", (bomb, id))
    monkeypatch.setattr("interpboard.store.rows.LARGEST", 1 << 20)
    with pytest.raises(StoreProblem, match="would become more than 1 MiB"):
        store.document(id)
    large = sample.document(sample.result("x", (layer_axis(1 << 18),), np.zeros(1 << 18)))
    with pytest.raises(StoreProblem, match="too large for the store"):
        store.add(large, "heads", ASK, 2.0)


def test_a_damaged_store_of_the_first_version_gives_its_rows_back() -> None:
    store = Store()
    ids = [store.add(one(number), "heads", ASK, float(number)) for number in range(3)]
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute("ALTER TABLE runs DROP COLUMN weights")
        database.execute("PRAGMA user_version = 1")
        database.execute("UPDATE runs SET model = x'ff' WHERE id = ?", (ids[1],))
    assert [run.id for run in Store().runs()] == [ids[2], ids[0]]


@pytest.mark.parametrize("value", [b"\xff", 5, 2.5])
@pytest.mark.parametrize("column", ["model", "prompt", "ask", "params", "made_at", "document"])
def test_a_row_of_wrong_kinds_is_left_out_or_refused_in_words(column: str, value: object) -> None:
    store = Store()
    bad, good = store.add(one(1), "heads", ASK, 1.0), store.add(one(2), "heads", ASK, 2.0)
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute(f"UPDATE runs SET {column} = ? WHERE id = ?", (value, bad))
    for run in store.runs():
        if run.id == bad:
            with contextlib.suppress(StoreProblem):
                store.document(bad)
    assert store.document(good).results[0].values[0] == 2
