"""What is copied, and what is written where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interpboard.results import Document
from tests.tui.controllers.plain import Spoken, session
from tests.tui.stand_ins import OpenedScreens
from tui.controllers.export import Export
from tui.dialogs.export import Choice
from tui.session.session import Session

SEEN = ("predictions", "tokens", "heads", "mlp_ablation")


class Taken:
    """An export of what a session has, with the pane ``active`` active."""

    def __init__(self, own: Session, active: str, folder: str = "") -> None:
        self.copied, self.told, self.screens = list[str](), Spoken(), OpenedScreens()
        self.drawn: list[str] = []
        self.export = Export(
            own, self.screens, slot=lambda: own.slots[active], shown=lambda state: state,
            readout=lambda: "L2 H4", draw=self._draw, osc52=self.copied.append, folder=folder,
            tell=self.told,
        )  # fmt: skip

    def _draw(self, name: str, then: Callable[[str], None]) -> None:
        self.drawn.append(name)
        then("<svg/>")


@pytest.fixture(autouse=True)
def _no_tmux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)


async def test_the_readout_the_pane_and_its_code_are_copied() -> None:
    async with session(in_sight=SEEN) as own:
        taken = Taken(own, "heads")
        await taken.export.yank()
        await taken.export.yank_pane()
        await taken.export.code()
        readout, page, code = taken.copied
        assert readout == "L2 H4"
        assert "head_ablation" in page or "head ablation" in page.lower()
        assert "interpboard" in code
        assert all("written to" in line for line in taken.told)


async def test_where_there_is_nothing_that_is_said_and_nothing_is_copied() -> None:
    async with session() as own:
        taken = Taken(own, "heads")
        await taken.export.yank_pane()
        await taken.export.code()
        assert taken.copied == []
        assert taken.told == ["Nothing to copy yet.", "There is no result to make again yet."]


async def test_one_pane_or_everything_is_written_whole(tmp_path: Path) -> None:
    async with session(in_sight=SEEN) as own:
        taken = Taken(own, "heads")
        for scope in ("heads", "all"):
            taken.export.choose_format()
            taken.screens.answer(Choice("json", scope, tmp_path / f"{scope}.json"))
        one, every = (Document.load(tmp_path / f"{scope}.json") for scope in ("heads", "all"))
        names = [result.analysis for result in one.results]
        assert names[0] == own.state.slots["heads"].result.analysis
        assert {result.analysis for result in every.results} > set(names)
        assert [line.split(":")[0] for line in taken.told] == ["Written", "Written"]


async def test_a_picture_is_drawn_of_the_scope_that_was_chosen(tmp_path: Path) -> None:
    async with session(in_sight=SEEN) as own:
        taken = Taken(own, "heads")
        taken.export.choose_format()
        taken.screens.answer(Choice("svg", "all", tmp_path / "all.svg"))
        assert taken.drawn == ["all"]
        assert (tmp_path / "all.svg").read_text() == "<svg/>"


async def test_a_question_that_is_left_and_a_place_that_takes_no_file_write_nothing(
    tmp_path: Path,
) -> None:
    async with session(in_sight=SEEN) as own:
        taken = Taken(own, "heads")
        taken.export.choose_format()
        taken.screens.answer(None)
        assert taken.told == []
        (tmp_path / "file").write_text("")
        taken.export.choose_format()
        taken.screens.answer(Choice("md", "heads", tmp_path / "file" / "x.md"))
        assert len(taken.told) == 1
        assert taken.told[0].startswith("Cannot write ")


async def test_a_pane_without_a_result_is_not_exported(tmp_path: Path) -> None:
    async with session() as own:
        taken = Taken(own, "heads")
        taken.export.choose_format()
        taken.screens.answer(Choice("md", "heads", tmp_path / "x.md"))
        assert taken.told == ["There is no result to export yet."]
        assert list(tmp_path.glob("*.md")) == []
