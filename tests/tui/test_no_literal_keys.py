"""What the app says names commands, never their keys: keys can be rebound, and a text would not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from interpboard.config import Settings
from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tui import catalogue
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle

ROOT = Path(__file__).parents[2]
# The app's own texts, and those of the library that it shows: hints, words of results, refusals.
SHOWN = ("tui", "interpboard/registry", "interpboard/results", "interpboard/errors.py")

FIELD = "a text field has it: its letters are text, and what takes and leaves it is not rebound"
ROWS = "a box with a field in it moves by keys that are not text"
# (file, key): why that key may stand in that file's texts. What is not here comes through ``{key:id}``.
FIXED = {
    ("tui/app.py", "Ctrl+q"): "quits always, also where q was given to something else",
    **{
        (f"tui/dialogs/{file}.py", key): FIELD
        for file in ("chat", "corrupted", "export", "find", "job", "jump", "line_input", "note", "parameters",
                     "sweep")
        for key in ("Enter", "Esc")
    },
    ("tui/dialogs/pick_model.py", "Enter"): FIELD,
    ("tui/slots/lens/spec.py", "Enter"): "said in the box that asks for the text to train on: " + FIELD,
    ("tui/slots/steering/direction.py", "Enter"): FIELD,
    ("tui/slots/steering/direction.py", "Esc"): FIELD,
    **{
        (file, key): ROWS
        for file in ("tui/dialogs/job.py", "tui/dialogs/sweep.py", "tui/slots/steering/direction.py")
        for key in ("Tab", "↑", "↓")
    },
    ("tui/dialogs/export.py", "Tab"): ROWS,
    ("tui/dialogs/export.py", "↑"): ROWS,
    ("tui/dialogs/export.py", "↓"): ROWS,
    ("tui/dialogs/note.py", "Tab"): ROWS,
    ("tui/dialogs/find.py", "↑"): ROWS,
    ("tui/dialogs/find.py", "↓"): ROWS,
    ("tui/dialogs/jump.py", "↓"): ROWS,
}  # fmt: skip

_NAMED = (
    r"Enter|Space|Esc|Tab|Bksp|Backspace|PgUp|PgDn|Ins|Del|Ctrl\+\w|Shift\+\w+"
    r"|F(?:[1-9]|1[0-2])|[↑↓](?= [a-z↑↓])"
)
_ONE = r"[/?=.<>\[\]$!]|[b-zB-HJ-Z]"  # a, A and I are words
LITERAL = (
    re.compile(rf"(?<![\w{{+])(?P<key>{_NAMED})(?![\w+])"),  # Enter finds one
    re.compile(rf"(?<![\w\S])(?P<key>{_ONE}) (?!previous)[a-z]+s\b"),  # z shows it whole
    re.compile(rf"(?:^|  )(?P<key>{_ONE}) (?=[a-z]+\b)"),  # Space off/on  d remove
    re.compile(r"\b(?:[Pp]ress|[Tt]ype|[Hh]it) (?P<key>[^\s\w{]|[a-zA-Z])(?=[\s.,;:]|$)"),
    re.compile(r"[`“‘](?P<key>[^\s\w]|[a-zA-Z])[`”’]"),
    re.compile(r"(?<=[a-z] )\((?P<key>[b-zB-HJ-Z/?;=.])\)"),  # Runs (r)
    re.compile(r"^(?P<key>[A-Z0-9]) [A-Z][a-z]+$"),  # a screen's name with the key that opens it
    re.compile(r"(?<![\w:])(?P<key>h j k l|j k)\b"),
    re.compile(r"(?<=[.:] )(?P<key>:) and "),
    re.compile(r"\b(?:with|by) (?P<key>space|enter|escape|tab)\b"),
)  # fmt: skip


def literal_keys(text: str) -> list[str]:
    """The keys that ``text`` names itself."""
    text = re.sub(r"\{key:\w+\}", "{}", text)
    return [found["key"] for pattern in LITERAL for found in pattern.finditer(text)]


def said(path: Path) -> Iterator[tuple[int, str]]:
    """What a module says to people: its literals without docstrings, style sheets and tables of commands."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent.add(node.value)  # a docstring
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Command":
            silent |= {*node.args[:3]}  # its id and keys: where they are defined
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {getattr(target, "id", "") for target in targets}
            if names & {"DEFAULT_CSS", "BINDINGS", "_NAMED"} and node.value is not None:
                silent |= set(ast.walk(node.value))
        elif isinstance(node, ast.JoinedStr):  # what stands in braces is a number or a name
            silent |= set(node.values)
    for node in ast.walk(tree):
        if node in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            pieces = (
                each.value if isinstance(each, ast.Constant) else "{}" for each in node.values
            )
            yield node.lineno, "".join(map(str, pieces))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def modules() -> list[Path]:
    """Every module whose texts the app shows."""
    places = [ROOT / place for place in SHOWN]
    return [
        file for place in places for file in (place.rglob("*.py") if place.is_dir() else [place])
    ]


def test_no_text_of_the_app_names_a_key_that_can_be_rebound() -> None:
    found, used = [], set()
    for path in modules():
        name = path.relative_to(ROOT).as_posix()
        for line, text in said(path):
            for key in literal_keys(text):
                if (name, key) in FIXED:
                    used.add((name, key))
                else:
                    found.append(f"{name}:{line}: {key!r} in {text!r}")
    assert not found, "\n".join(found)
    assert not set(FIXED) - used, "no text needs these any more"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Space off/on  {} add", "Space"),
        ("h adds a set of heads", "h"),
        ("{} off/on  d remove", "d"),
        ("It took {} along: r runs what was lost.", "r"),
        ("q closes, j k scroll", "q"),
        ("an older question: Enter runs this one", "Enter"),
        ("Ctrl+o another prompt (⏎)", "Ctrl+o"),
        ("scale; v sorts by size", "v"),
        ("No pane shows this analysis: z shows it whole.", "z"),
        ("Press / to search.", "/"),
        ("`x` cancels it", "x"),
        ("Cancel what runs (x)", "x"),
        ("C Circuit", "C"),
        ("Pin two runs with space first.", "space"),
        ("none is open. : and “{}” opens one.", ":"),
    ],
)
def test_the_scan_sees_each_way_to_name_a_key(text: str, key: str) -> None:
    assert key in literal_keys(text)


@pytest.mark.parametrize(
    "text",
    [
        "a prompt a line; B − A: smaller in B",
        "token, d duplicate token, i induction",
        "{key:run} runs, {key:cancel} cancels",
        "L2 H3 of layer 2",
        "A vector added to the residual stream",
    ],
)
def test_the_scan_leaves_what_is_no_key_alone(text: str) -> None:
    assert not literal_keys(text)


async def test_boxes_and_screens_obey_rebound_keys_and_show_them() -> None:
    chosen = {"what_if_add": "f6", "what_if_drop": "!", "what_if_leave": "f7", "help_leave": "f8"}
    chosen |= {"down": "|", "log_leave": "f9", "circuit": "f10", "circuit_find": "f5"}
    app = InterpBoardApp(settings=Settings(keys=chosen), engine_factory=FakeEngine)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await wait_until_idle(app)
            b = Board(app, pilot)
            await b.press("2", "g", "space", "i")
            assert "Space off/on  F6 add  ! remove" in b.screen
            assert "F7 closes" in b.screen
            await b.press("d")
            assert "No interventions." not in b.screen
            await b.press("exclamation_mark")
            assert "No interventions." in b.screen
            await b.press("q")
            assert len(app.screen_stack) == 2
            await b.press("f7", "question_mark")
            assert "F8 closes, | k scroll" in b.screen
            before = b.screen
            await b.press("j")
            assert b.screen == before
            await b.press("vertical_line")
            assert b.screen != before
            await b.press("f8", "L")
            assert "r runs again  F9 closes  | k scroll" in b.screen
            await b.press("f9", "f10")
            assert "F10 Circuit" in b.screen
            assert "F5 finds the circuit" in b.screen
    finally:
        catalogue.use({})
