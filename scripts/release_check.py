"""All of a release but publishing it: ``make release-check``.

Versions agree, the changelog names the version, nothing is uncommitted, the tag is free; source and wheel are
built, and the wheel is installed into an empty environment and used there, away from the checkout.
Prints a line a step and ends with exit code 1 at the first that does not hold.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
USED = (
    ("--version",),
    ("list",),
    ("analyze", "--text", "The capital of France is", "-a", "predictions", "-a", "head_ablation"),
)
LIGHT = "import sys, interpboard, tui.app; sys.exit('torch' in sys.modules)"


class NotReady(Exception):
    """What a release still lacks."""


def versions(root: Path = ROOT) -> dict[str, str]:
    """The version that each file states, by the file's name."""
    stated = {"pyproject.toml": _project(root)}
    for name, pattern in (
        ("interpboard/__init__.py", r'^__version__ = "(.+)"$'),
        ("CITATION.cff", r"^version: (.+)$"),
    ):
        match = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.MULTILINE)
        stated[name] = match[1] if match else "none"
    return stated


def check_versions(root: Path = ROOT) -> str:
    """The one version that all files state. Raises ``NotReady``."""
    stated = versions(root)
    if len(set(stated.values())) != 1:
        raise NotReady(", ".join(f"{name} says {version}" for name, version in stated.items()))
    return stated["pyproject.toml"]


def check_changelog(version: str, root: Path = ROOT) -> None:
    """Raise ``NotReady`` unless the newest section of the changelog is that of ``version``."""
    heads = re.findall(r"^## (.+)$", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    if not heads or not heads[0].startswith(version):
        newest = heads[0] if heads else "nothing"
        raise NotReady(f"CHANGELOG.md begins with “{newest}”: give it the head “{version} (date)”")


def check_repository(version: str) -> None:
    """Raise ``NotReady`` for uncommitted files, or where the tag is there already."""
    if left := _git("status", "--porcelain"):
        raise NotReady(f"not committed: {', '.join(line[3:] for line in left.splitlines()[:5])}")
    if _git("tag", "--list", f"v{version}"):
        raise NotReady(f"the tag v{version} is there already")


def build(folder: Path) -> Path:
    """Source and wheel in ``folder``; the wheel."""
    _run(sys.executable, "-m", "hatchling", "build", "--directory", str(folder))
    (wheel,) = folder.glob("*.whl")
    return wheel


def try_wheel(wheel: Path, folder: Path) -> Iterator[str]:
    """Install ``wheel`` into an empty environment in ``folder`` and use it there, a line a command."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    pinned = ("--constraint", str(ROOT / "constraints.txt"))
    _run(str(python), "-m", "pip", "install", "--quiet", str(wheel), *pinned)
    own = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    _run(str(python), "-c", LIGHT, cwd=folder, env=own)
    yield "imports no torch"
    for words in USED:
        _run(str(python), "-m", "interpboard", *words, cwd=folder, env=own)
        yield f"interpboard {' '.join(words)}"


def main() -> int:
    """Check, a line a step; 0 when all but publishing is done."""
    try:
        version = check_versions()
        print(f"version {version} everywhere")
        check_changelog(version)
        print("the changelog names it")
        check_repository(version)
        print(f"nothing uncommitted, no tag v{version} yet")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            wheel = build(folder)
            print(f"built {wheel.name}")
            for line in try_wheel(wheel, folder):
                print(f"the wheel alone: {line}")
    except NotReady as lacking:
        print(f"not ready: {lacking}", file=sys.stderr)
        return 1
    print(f"ready: docs/releasing.md says what is left for v{version}")
    return 0


def _project(root: Path) -> str:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


def _run(*words: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise NotReady(f"{' '.join(words[:4])} …: exit code {done.returncode}; {' / '.join(said)}")


if __name__ == "__main__":
    sys.exit(main())
