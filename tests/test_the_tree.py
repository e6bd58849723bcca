"""The tree itself: public names mean one thing, files are short, no ten lines of the product stand twice."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCT = ("interpboard", "tui")
EVERYTHING = (*PRODUCT, "tests", "benchmarks", "scripts", "docs", "examples", "screenshots")
LONGEST = 320
ALIKE = 10

# Names of one meaning that several modules define, each for its own subject.
ENTRY = {"main"}  # of a program
TABLES = {"KEYS", "OPENER", "TABLE"}  # a slot's keys, the key that opens it, a subject's analyses
CORPUS = {"held_out_examples", "training_example"}  # of each part of the demo model's corpus
# The same drawing as text, for print and for the mouse; some go by the name of the analysis that they draw.
DRAWINGS = {
    "activation_flow", "attention_pattern", "bars", "causal_trace", "circuit", "comparison", "figure_of",
    "forest",
    "grid", "head_grid", "label_axes", "lens", "lines", "new_figure", "put_title", "strongest",
    "token_heatmap",
    "wrapped",
}  # fmt: skip
FORMATS = {"csv_text", "fragment", "html", "json_text", "markdown", "text"}  # of what is written
SHARED = ENTRY | TABLES | CORPUS | DRAWINGS | FORMATS
# Names that mean two things still, and files that are too long still: none may join them.
TWO_MEANINGS: set[str] = set()
LONG_STILL: set[str] = set()


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def public_names(source: str) -> Iterator[str]:
    """What a module defines at its top level: functions, classes, constants and types."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def repeated(sources: dict[str, str]) -> dict[str, list[str]]:
    where = defaultdict(list)
    for module, source in sources.items():
        for name in dict.fromkeys(public_names(source)):
            if not name.startswith("_"):
                where[name].append(module)
    return {name: found for name, found in where.items() if len(found) > 1}


def blocks_alike(sources: dict[str, str], size: int = ALIKE) -> list[str]:
    """Places of ``size`` lines that stand twice: blank lines, imports and indents do not count."""
    seen: dict[tuple[str, ...], tuple[str, int]] = {}
    found, last = [], ("", -size)
    for module, source in sources.items():
        skipped = {
            line
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        lines = [
            (number, line.strip())
            for number, line in enumerate(source.splitlines(), 1)
            if line.strip() and number not in skipped
        ]
        for at in range(len(lines) - size + 1):
            block = tuple(text for _, text in lines[at : at + size])
            first = seen.setdefault(block, (module, at))
            apart = first[0] != module or at - first[1] >= size
            if apart and (last[0] != module or at - last[1] >= size):
                found.append(f"{module}:{lines[at][0]} is as {first[0]}: {block[0]}")
                last = (module, at)
    return found


def product() -> dict[str, str]:
    return {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8") for p in modules(*PRODUCT)}


def test_a_public_name_is_defined_in_one_module() -> None:
    again = {
        name: found
        for name, found in repeated(product()).items()
        if name not in SHARED | TWO_MEANINGS
    }
    assert not again, "\n".join(f"{name}: {', '.join(found)}" for name, found in again.items())


def test_what_is_allowed_to_recur_does() -> None:
    assert set(repeated(product())) >= SHARED


def test_a_name_that_recurs_is_found() -> None:
    sources = {"a": "def run(): ...\nLIMIT = 1\n_own = 2", "b": "class run: ...\n_own: int = 3"}
    assert repeated(sources) == {"run": ["a", "b"]}


@pytest.mark.parametrize("folder", [*PRODUCT, "tests", "benchmarks", "scripts"])
def test_no_file_is_longer_than_a_reader_can_hold(folder: str) -> None:
    lengths = {
        str(p.relative_to(ROOT)): len(p.read_text(encoding="utf-8").splitlines())
        for p in modules(folder)
    }
    assert {
        path: length
        for path, length in lengths.items()
        if length > LONGEST and path not in LONG_STILL
    } == {}


def test_no_ten_lines_of_the_product_stand_twice() -> None:
    assert blocks_alike(product()) == []


def test_lines_that_stand_twice_are_found() -> None:
    block = "\n".join(f"x{n} = {n}" for n in range(10))
    assert len(blocks_alike({"a": block, "b": f"import os\n\n{block}"})) == 1
    assert blocks_alike({"a": block, "b": block.replace("x5", "y")}) == []
