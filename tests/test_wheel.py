"""What a user gets: the wheel alone runs the command, and every file of the packages is in it."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALSO = {"IPython"}  # used in a notebook, which has it


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and unpacked as an installer does it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, *words: str, cwd: Path) -> str:
    """Python with the wheel's package in front of everything else."""
    own = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=own, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_runs_from_the_wheel(site: Path, tmp_path: Path) -> None:
    text = "The Eiffel Tower is located in the city of"
    asked = ("-m", "interpboard", "analyze", "--text", text, "-a", "predictions")
    page = tmp_path / "page.html"
    run(site, *asked, "--output", str(page), cwd=tmp_path)
    assert "<style>" in page.read_text()
    assert "Paris" in page.read_text()
    app = Path(run(site, "-c", "import tui.app; print(tui.app.__file__)", cwd=tmp_path).strip())
    style = app.with_name("interpboard.tcss")
    assert style.is_relative_to(site)
    assert style.is_file()


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(site: Path) -> None:
    there = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    there = {name for name in there if "__pycache__" not in name}  # made as they are imported
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "interpboard", "tui"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if names.returncode:
        pytest.skip("not a checkout")
    metadata = {name for name in there if ".dist-info/" in name}
    assert there - metadata == set(names.stdout.split())
    assert any(name.endswith("licenses/LICENSE") for name in metadata)
    assert "interpboard/py.typed" in there  # type checkers look for it


def test_whatever_is_imported_is_asked_for(site: Path) -> None:
    (metadata,) = site.glob("*.dist-info/METADATA")
    asked = {
        _plain(re.split(r"[\s<>=!~;\[(]", line.partition(":")[2].strip())[0])
        for line in metadata.read_text().splitlines()
        if line.startswith("Requires-Dist:") and not re.search("extra == .(test|docs)", line)
    }
    owners = importlib.metadata.packages_distributions()
    for module, where in _imported():
        if module not in {*sys.stdlib_module_names, "interpboard", "tui", *ALSO}:
            brought_by = owners.get(module, (module,))  # one that is not installed: by its own name
            owned = {_plain(name) for name in brought_by}
            assert owned & asked, f"{where} imports {module}, which no dependency brings"


def _imported() -> Iterator[tuple[str, Path]]:
    """Top-level names of what the packages import, and where."""
    for package in ("interpboard", "tui"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from ((alias.name.split(".")[0], path) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.split(".")[0], path


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
