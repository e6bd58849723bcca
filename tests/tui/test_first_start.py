"""The hint of the first start of all: five lines, once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tui.conftest import Board
from tests.tui.fake import FakeEngine
from tests.tui.terminal import FAKE, Terminal
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle
from tui.widgets.first_hint import first_start, hint_lines

AWAY = "puts these lines away for good"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
async def test_it_stands_whole_above_the_panes_until_escape(size: tuple[int, int]) -> None:
    app = InterpBoardApp(engine_factory=FakeEngine, hint=True)
    async with app.run_test(size=size) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        assert len(hint_lines()) == 5
        for line in hint_lines():
            assert f" {line}" in b.lines()
        await b.press("3", "j", "2")
        assert AWAY in b.screen
        assert app.panes.focus_name == "heads"
        await b.press("z", "escape")
        assert AWAY not in b.screen
        assert app.panes.focus_name == "heads"
        await b.press("escape")


def test_the_first_start_is_the_first_of_all_and_only_it(tmp_path: Path) -> None:
    assert first_start()
    assert not first_start()
    kept = Path(os.environ["INTERPBOARD_STATE"]) / "hint-seen"
    assert kept.stat().st_mode & 0o077 == 0


def test_where_nothing_can_be_kept_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INTERPBOARD_STATE", str(tmp_path / "file"))
    assert not first_start()


def test_the_program_shows_it_at_its_first_start_and_never_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HINT", "1")
    shown = []
    small, large = (60, 20), (80, 24)
    starts = [(["--resume"], large), ([], small), ([], large), ([], large)]
    for words, size in starts:
        app = Terminal(FAKE, *words, size=size)
        try:
            app.until("Eiffel", "Help")
            app.press("q")
            app.wait()
            shown.append(AWAY.encode() in app.output)
        finally:
            app.close()
    assert shown == [False, False, True, False], "not where there are no rows for it, then once"
