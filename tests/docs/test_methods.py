"""The page of methods has a section for every registered analysis, and each section all its parts."""

from __future__ import annotations

import re

import pytest

from interpboard.registry import ANALYSES
from interpboard.registry.metric_names import METRICS
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
_HEADING = re.compile(r"^#{2,3} (?P<title>[^{\n]+?)(?: \{ #(?P<name>\w+) \})?$", re.MULTILINE)


def sections() -> dict[str, tuple[str, str]]:
    """(title, text) of every section with a name of its own."""
    found = list(_HEADING.finditer(PAGE))
    ends = [match.start() for match in found[1:]] + [len(PAGE)]
    return {
        match["name"]: (match["title"], PAGE[match.end() : end])
        for match, end in zip(found, ends, strict=True)
        if match["name"]
    }


def test_there_is_a_section_for_every_analysis_and_for_nothing_else() -> None:
    assert set(sections()) == {"metrics", *ANALYSES}


@pytest.mark.parametrize("name", ANALYSES)
def test_a_section_has_formula_sign_source_and_pitfalls(name: str) -> None:
    title, text = sections()[name]
    assert title == ANALYSES[name].title
    assert re.search(r"^```text\n.+?^```$", text, re.DOTALL | re.MULTILINE)
    for part in ("Sign", "Source", "Pitfalls"):
        assert re.search(rf"^- \*\*{part}\*\*: \S", text, re.MULTILINE), part


def test_every_metric_has_its_formula() -> None:
    assert re.findall(r"^(\w+)  ", sections()["metrics"][1], re.MULTILINE) == list(METRICS)
