"""Private names of Textual's are used in one folder, each is listed, and each is still there."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from pathlib import Path

import textual
from rich.console import Console
from rich.style import Style
from textual._xterm_parser import XTermParser
from textual.events import Mount
from textual.message_pump import MessagePump
from textual.widgets import Input

import tui
from tests.tui.conftest import Boards
from tui.terminal.private_names import PRIVATE_NAMES, PrivateName

ROOT = Path(tui.__file__).parent
FOLDER = ROOT / "terminal"
LISTED = {known.name for known in PRIVATE_NAMES}
OURS_AS_WELL = {"_size"}  # names that classes of ours give their own


def foreign(path: Path) -> set[str]:
    """Private names that a file reads from what is not ``self``, or imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _of_self(node)
    }
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not _of_self(node) and _private(node.attr):
            found.add(node.attr)
        if isinstance(node, ast.ImportFrom) and any(map(_private, (node.module or "").split("."))):
            found |= {alias.name for alias in node.names}
    return found - own | {name for name in found & own if name in LISTED}


def _of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_no_file_outside_the_folder_reads_a_private_name_of_another() -> None:
    for path in ROOT.rglob("*.py"):
        if not path.is_relative_to(FOLDER):
            assert not foreign(path) - {"_exit", "_replace"}, f"{path}: use tui/terminal"


def test_no_class_outside_the_folder_overrides_what_is_private_in_textual() -> None:
    for info in pkgutil.walk_packages(tui.__path__, "tui."):
        module = importlib.import_module(info.name)
        for name, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ != info.name or not issubclass(cls, MessagePump):
                continue
            if info.name.startswith("tui.terminal."):
                continue
            foreign_bases = [base for base in cls.__mro__ if base.__module__.startswith("textual.")]
            taken = {own for own in vars(cls) if _private(own)}
            taken &= {own for base in foreign_bases for own in vars(base)} - GENERATED
            assert not taken, f"{info.name}.{name} overrides {sorted(taken)} of Textual's"


GENERATED = {
    "_merged_bindings", "_css_type_name", "_css_type_names", "_reactives", "_decorated_handlers",
    "_inherit_css", "_inherit_bindings", "_inherit_component_classes", "_css_bases", "_computes",
}  # fmt: skip


def test_every_private_name_in_the_folder_is_listed_and_every_listed_one_is_used() -> None:
    used = set().union(*(foreign(path) for path in FOLDER.glob("*.py")))
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))
    assert used - {"_exit"} <= LISTED, f"say why in private_names.py: {sorted(used - LISTED)}"
    for known in PRIVATE_NAMES:
        assert text.count(known.name) > 1, f"{known.name} is listed, and nothing uses it"


async def test_what_is_used_of_textual_is_still_there(board: Boards) -> None:
    async with board((80, 24), settle=False) as b:
        screen = b.app.screen
        of_app = (b.app, screen, screen._compositor, b.app.query_one(Input))
        instances = (*of_app, XTermParser(), Mount(), Style(), Console())
        for known in PRIVATE_NAMES:
            assert _is_there(known, instances), (
                f"textual {textual.__version__} has no {known.owner} {known.name} any more: "
                f"tui/terminal needs it for this: {known.why}"
            )


def _is_there(known: PrivateName, instances: Sequence[object]) -> bool:
    """Of the class, or else of its instances."""
    module, _, owner = known.owner.partition(":")
    home = importlib.import_module(module)
    found = home if not owner else getattr(home, owner)
    return hasattr(found, known.name) or hasattr(
        next(each for each in instances if isinstance(each, found)), known.name
    )
