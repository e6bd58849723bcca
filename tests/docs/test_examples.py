"""The notebooks run from the first cell to the last, on the demo model; every script is run by a page."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from interpboard import Document, Result
from tests.docs.blocks import PAGES, ROOT, blocks, commands

EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return found


def run_cell(source: str, names: dict[str, Any], where: str) -> Any:
    """Run a cell; its last line, if an expression, is what a notebook would show."""
    body = ast.parse(source)
    last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, where, "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), where, "eval"), names)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_its_first_cell_to_its_last(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    shown: list[Any] = []
    for cell in cells(notebook):
        if cell["cell_type"] == "code":
            value = run_cell("".join(cell["source"]), names, f"{notebook.name}, {cell['id']}")
            shown.append(value)
            if isinstance(value, Result | Document):
                assert "<section" in value._repr_html_()
    figures = [value for value in shown if isinstance(value, Figure)]
    assert figures[0]._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs_and_its_cells_have_names(notebook: Path) -> None:
    found = cells(notebook)
    assert len({cell["id"] for cell in found}) == len(found)
    for cell in found:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_every_script_is_run_on_a_page() -> None:
    run = {
        words[1]
        for page in PAGES
        for block in blocks(page)
        if block.language == "bash" and not block.not_run
        for words in commands(block.body)
        if words[0] == "python" and words[1] != "-m"
    }
    assert run == {f"examples/{script.name}" for script in EXAMPLES.glob("*.py")}
