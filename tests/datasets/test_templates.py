"""Rows of templates: slots in every combination, in pairs, or from a table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from interpboard.datasets.columns import read_columns
from interpboard.datasets.dataset import open_dataset
from interpboard.datasets.rows import DatasetRow
from interpboard.errors import BadParameter


def rows(path: Path) -> list[DatasetRow]:
    return list(open_dataset([path]).rows())


def test_templates_are_filled_by_product_or_in_pairs(tmp_path: Path) -> None:
    path = tmp_path / "ioi.toml"
    head = 'text = "{A} and {B}; {B} gave it to"\ntarget = " {A}"\nfoil = " {B}"\n'
    slots = '[slots]\nA = ["Mary", "John", "Tom"]\nB = ["John", "Mary", "Tom"]\n'
    path.write_text(f'{head}distinct = ["A", "B"]\n{slots}', encoding="utf-8")
    found = rows(path)
    assert len(found) == 6
    assert (found[0].text, found[0].target, found[0].foil) == (
        "Mary and John; John gave it to", " Mary", " John",
    )  # fmt: skip
    assert found[0].other == {"A": "Mary", "B": "John"}
    path.write_text(f'{head}combine = "pair"\n{slots}', encoding="utf-8")
    assert [row.target for row in rows(path)] == [" Mary", " John", " Tom"]


def test_a_template_is_filled_from_a_table_too_with_every_combination_of_its_slots(
    tmp_path: Path,
) -> None:
    path, table = tmp_path / "capitals.toml", tmp_path / "capitals.csv"
    table.write_text("country,capital,label\nFrance,Paris,west\nPoland,,east\nItaly,Rome,south\n")
    head = 'text = "{Say}: the capital of {country} is"\ntarget = " {capital}"\nfoil = " Oslo"\n'
    path.write_text(f'{head}table = "capitals.csv"\n[slots]\nSay = ["Well", "{{Hm}}"]\n')
    found = rows(path)
    assert [row.number for row in found] == list(range(6))
    assert [row.text for row in found if not row.problem] == [
        "Well: the capital of France is", "Well: the capital of Italy is",
        "{Hm}: the capital of France is", "{Hm}: the capital of Italy is",
    ]  # fmt: skip
    assert (found[2].target, found[2].foil, found[2].label) == (" Rome", " Oslo", "south")
    assert found[2].other == {"Say": "Well", "country": "Italy", "capital": "Rome"}
    assert found[1].problem == "has nothing for {capital}"
    assert found[1].place == "capitals.csv:3"
    before = open_dataset([path]).fingerprint()
    table.write_text(table.read_text().replace("Rome", "Roma"))
    assert open_dataset([path]).fingerprint() != before  # a sweep of it does not go on
    path.write_text('text = "{country} is"\ntable = "capitals.csv"\n')  # no slots of its own
    assert [row.text for row in rows(path)] == ["France is", "Poland is", "Italy is"]
    path.write_text(
        'text = "{country} is"\ntable = "capitals.csv"\n[slots]\ncountry = ["Norway"]\n'
    )
    assert rows(path)[0].problem == "has a column 'country', which is a slot too"
    with pytest.raises(BadParameter, match="says itself what its columns are"):
        list(open_dataset([path], read_columns("text=country")).rows())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('text = "a {b}"\ntable = "nowhere.csv"', "nowhere.csv"),
        ('text = "a {b}"\ntable = "lines.txt"', "without columns"),
        ('text = "a {b}"\ntable = "a.toml"', "without columns"),
        ('text = "a {b}"\ntable = 3', "no name of a file"),
        ('text = "a {b}"\ntable = "t.csv"', "b"),
        ('text = "a {x}"', "has no slots"),
        ('text = "a {x}"\n[slots]\ny = ["1"]', r"no values for \{x\}"),
        ('text = "a {x}"\n[slots]\nx = [1]', "no list of texts"),
        ('text = "a"\nfoo = 1\n[slots]\nx = ["1"]', "has 'foo'"),
        ('text = "a {x}{y}"\ncombine = "pair"\n[slots]\nx = ["1"]\ny = ["1", "2"]', "1, 2 values"),
        ("text = ", "no TOML"),
    ],
)
def test_a_template_file_that_says_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text, encoding="utf-8")
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    with pytest.raises(BadParameter, match=said):
        rows(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('text = "{A} is"\n[slots]\nA = ["x"]\nB = ["1", "2"]\n', "'B' is no slot of '{A} is'"),
        ('text = ["{A} {B}", "{A}"]\n[slots]\nA = ["x"]\nB = ["1", "2"]\n', "'B' is no slot of '{A}'"),
        ('text = "{A} is"\n[slots]\nA = ["x", "y", "x"]\n', "slot 'A' has 'x' twice"),
        (
            'text = ["{template} a", "{template} b"]\n[slots]\ntemplate = ["x"]\n',
            "template says which of several texts",
        ),
    ],
)  # fmt: skip
def test_a_row_is_made_once_and_no_slot_takes_the_number_of_its_text(
    tmp_path: Path, content: str, said: str
) -> None:
    """The same row twice would be counted twice, and its interval be too narrow."""
    path = tmp_path / "rows.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadParameter, match=re.escape(said)):
        open_dataset([path]).require_columns()


def test_a_slot_may_be_kept_beside_the_text_where_slots_are_paired(tmp_path: Path) -> None:
    path = tmp_path / "rows.toml"
    slots = '[slots]\nA = ["Mary", "Mary"]\nkind = ["f", "f"]\n'
    path.write_text(f'text = "{{A}} is"\ncombine = "pair"\n{slots}', encoding="utf-8")
    assert [(row.text, row.other["kind"]) for row in rows(path)] == [("Mary is", "f")] * 2
