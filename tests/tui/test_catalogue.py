"""A new pane is a folder and a line: a slot that is added to the tuple is found everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from rich.text import Text
from textual.widget import Widget

import tui.app
from docs.hooks import keys as docs
from interpboard.registry import ANALYSES
from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tui import catalogue
from tui.catalogue import SLOTS
from tui.commands.command import Command, bindings
from tui.controllers.controllers import Controllers
from tui.slots.pane import Pane, Select
from tui.slots.spec import Place, Slot
from tui.testing.wait_until_idle import wait_until_idle
from tui.widgets.bars import Bar, Bars
from tui.words import top_list

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


def shout(controllers: Controllers) -> None:
    controllers.tell("Echo!")


KEYS = (Command("shout", "X", "X", "Shout", "Say it aloud", shout),)


class EchoPane(Pane):
    """The likeliest tokens as bars."""

    BINDINGS = bindings(KEYS)

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self.bars = Bars(self.refresh_readout, id="echo-bars")

    def body(self) -> Iterable[Widget]:
        return (self.bars,)

    def fill(self) -> None:
        result = self.data.result
        rows = top_list(result) if result is not None else []
        self.bars.show([Bar(f"echo{token}", "", share) for _, token, share in rows])

    def readout(self) -> Text:
        return Text(self.bars.bars[self.bars.cursor].label)

    def legend(self) -> Text:
        return Text("probabilities")


ECHO = Slot(
    "echo",
    "predictions",
    "pane",
    place=Place(9, "Echo", "what comes back", group="far right"),
    view=f"{__name__}:EchoPane",
    about=("What the model says, said once more.",),
    keys=KEYS,
)


@pytest.fixture
def with_echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[tui.app.InterpBoardApp]]:
    """The app as it is with one more line in the tuple."""
    monkeypatch.setattr(catalogue, "SLOTS", (*SLOTS, ECHO))
    monkeypatch.setattr(tui.app, "SLOTS", (*SLOTS, ECHO))
    monkeypatch.setattr(catalogue, "COMMANDS", catalogue.command_table())

    class App(tui.app.InterpBoardApp):
        CSS_PATH = Path(tui.app.__file__).with_name("interpboard.tcss")
        BINDINGS = bindings([each for each in catalogue.command_table() if "app" in each.where])

    yield App
    monkeypatch.undo()
    catalogue.use({})


async def test_a_slot_of_ones_own_is_shown_asked_helped_and_taken_away(
    with_echo: type[tui.app.InterpBoardApp], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERPBOARD_STATE", str(tmp_path))
    app = with_echo(engine_factory=FakeEngine)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("9")
        assert app.panes.focus_name == "echo"
        assert "━ 9 Echo" in b.screen  # the layout: in sight, in the place of Logits
        assert "6 Logits  into" not in b.screen
        assert "echo Paris" in b.screen  # the answer
        assert "X Shout" in b.lines()[-1]  # the footer
        await b.press("X")
        assert b.messages[-1] == "Echo!"
        await b.press("question_mark")
        assert "What the model says, said once more." in b.screen  # the help
        assert "Say it aloud" in b.screen
        await b.press("escape", "colon", *"shout")
        assert "Say it aloud" in b.screen  # the palette
        await b.press("escape", "Y")
        assert "Paris" in (tmp_path / "yank.txt").read_text()  # the export
        await b.press("e")
        assert "echo" in b.screen
        await b.press("escape", "z")
        assert "echo Paris" in b.screen  # alone on the screen


def test_its_keys_stand_in_the_docs(with_echo: type[tui.app.InterpBoardApp]) -> None:
    tables = docs.tables()
    assert "### Pane 9, Echo" in tables
    assert "| Say it aloud | `shout` |" in tables
    assert "Go to Echo: what comes back" in tables


def test_contributing_names_at_most_five_places_for_a_pane_and_all_are_there() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    steps = text.split("## Add a pane")[1].split("\n## ")[0].splitlines()
    numbered = [line for line in steps if line[:2] in {f"{at}." for at in range(1, 10)}]
    assert 1 <= len(numbered) <= 5


def test_every_slot_runs_an_analysis_that_there_is_and_shows_it_somewhere() -> None:
    names = [slot.name for slot in SLOTS]
    assert len(set(names)) == len(names)
    shown = {name for slot in SLOTS for name in slot.beside}
    for slot in SLOTS:
        assert slot.analysis in ANALYSES
        assert set(slot.beside) <= set(names)
        assert slot.view or slot.kind == "job" or slot.name in shown, slot.name
        if slot.view:
            assert issubclass(slot.load_view(), Widget)


def named_slots(path: Path) -> set[str]:
    """Slots other than its own that a module names; ``extra["tokens"]`` is an array of a result."""
    text = (
        path.read_text(encoding="utf-8")
        .replace('extra["tokens"]', "")
        .replace('"new_tokens": "tokens"', "")
    )
    return {slot.name for slot in SLOTS if f'"{slot.name}"' in text} - {path.parent.name}


def test_no_module_outside_the_folders_of_slots_names_one() -> None:
    root = Path(tui.app.__file__).parent
    # They ask particular analyses: which heads are chosen, what a row of the table is, how a lens is read.
    asking = (
        "controllers/head_sets.py", "controllers/prompt_table.py", "controllers/row_answers.py",
        "commands/reasons.py",
    )  # fmt: skip
    files = [path for path in root.rglob("*.py") if str(path.relative_to(root)) not in asking]
    outside = [path for path in files if path.parent.parent.name != "slots"]
    assert len(outside) > 80
    assert {path: names for path in outside if (names := named_slots(path))} == {}


def test_a_folder_names_few_slots_beside_its_own() -> None:
    root = Path(tui.app.__file__).parent / "slots"
    for path in root.glob("*/*.py"):
        own = {
            slot.name for slot in SLOTS if slot.view.startswith(f"tui.slots.{path.parent.name}.")
        }
        own |= {name for slot in SLOTS if slot.name in own for name in slot.beside}
        assert len(named_slots(path) - own) <= 2, (path, named_slots(path) - own)


def test_the_app_only_composes() -> None:
    source = Path(tui.app.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) < 200, "what acts is a controller, what draws is the frame"
    assert [base.__name__ for base in tui.app.InterpBoardApp.__bases__] == ["TerminalApp"]
    root = Path(tui.app.__file__).parent
    acting = [
        *root.glob("commands/*.py"),
        *root.glob("controllers/*.py"),
        *root.glob("slots/*/keys.py"),
    ]
    assert [path for path in acting if "isinstance(pane" in path.read_text(encoding="utf-8")] == []
    ignoring = [p for p in root.rglob("*.py") if "type: ignore" in p.read_text(encoding="utf-8")]
    assert {path.parent.name for path in ignoring} <= {"terminal"}  # of Textual's own types
