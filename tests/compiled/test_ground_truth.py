"""Every analysis finds what was compiled and nothing else; the table in the documentation says what it found.

``UPDATE_DOCS=1`` writes ``docs/ground-truth.json`` anew from what is measured.
"""

from __future__ import annotations

import json
import os
from functools import cache

import pytest

from docs.hooks import ground_truth
from tests.compiled.findings import ROWS, Finding, stated
from tests.compiled.programs import TRUTHS

CASES = [(program, row) for program in TRUTHS for row in ROWS if stated(row, program) is not None]


@cache
def measured(program: str, row: str) -> Finding:
    """One cell of the table, run once."""
    return ROWS[row].find(program)


@pytest.mark.parametrize(("program", "row"), CASES)
def test_an_analysis_finds_what_was_compiled_and_nothing_else(program: str, row: str) -> None:
    finding = measured(program, row)
    assert finding.names == stated(row, program)
    assert finding.dead < 1e-12


def test_the_table_in_the_documentation_is_what_the_tests_measure() -> None:
    table: dict[str, dict[str, dict[str, object]]] = {program: {} for program in TRUTHS}
    for program, row in CASES:
        finding = measured(program, row)
        table[program][ROWS[row].title] = {"found": list(finding.names), "else": finding.in_words}
    if os.environ.get("UPDATE_DOCS"):
        text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
        ground_truth.FILE.write_text(text, encoding="utf-8")
    assert ground_truth.read() == table


def test_the_page_has_a_table_of_each_program_with_a_row_an_analysis() -> None:
    page = ground_truth.tables()
    for program in TRUTHS:
        assert f"### {program}\n" in page
    assert page.count("\n| head ablation |") == len(TRUTHS)
    assert "| head ablation | `0.1` `1.2` | exactly 0 |" in page
