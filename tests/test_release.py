"""What a release checks of the checkout holds at every commit, and each check can fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import interpboard
from scripts.release_check import ROOT, NotReady, check_changelog, check_versions

FILES = ("pyproject.toml", "interpboard/__init__.py", "CITATION.cff", "CHANGELOG.md")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that state a version, to be changed."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_file_states_the_same_version() -> None:
    assert check_versions() == interpboard.__version__


@pytest.mark.parametrize("name", FILES[:3])
def test_a_file_that_states_another_version_is_named(name: str, checkout: Path) -> None:
    path = checkout / name
    path.write_text(path.read_text("utf-8").replace(interpboard.__version__, "9.9.9", 1), "utf-8")
    with pytest.raises(NotReady, match=f"{name} says 9.9.9"):
        check_versions(checkout)


def test_a_changelog_whose_newest_section_is_another_is_not_ready(checkout: Path) -> None:
    with pytest.raises(NotReady, match=r"Unreleased"):
        check_changelog("9.9.9", checkout)
    path = checkout / "CHANGELOG.md"
    path.write_text("# Changelog\n\n## 9.9.9 (2027-01-01)\n\n- x\n", encoding="utf-8")
    check_changelog("9.9.9", checkout)
