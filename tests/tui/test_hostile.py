"""Hostile text in every pane and screen: shown as pictures, and every line as wide as the screen."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from rich.cells import cell_len

from tests.tui import answers_vocabulary as vocabulary
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tests.tui.test_painting import Watched
from tui.testing.wait_until_idle import wait_until_idle

HOSTILE = (
    "[/INST]", "\x1b[31mred", "\x07\x08", "\u202eevil\u2066", "日本語", "🙂", "👨\u200d👩\u200d👧", "[bold]",
    "\r\n", "e\u0301\u0301\u0301\u0301", "\x9b2J", "☂\ufe0f", "\u200b", "\ufeff", "\u0301", "<script>",
    "x" * 5000,
)  # fmt: skip
PANES = "1234567"
SCREENS = (
    ("question_mark", "escape"), ("colon", "escape"), ("f", "escape"), ("t", "escape"), ("e", "escape"),
    ("i", "escape"), ("C", "escape"), ("A", "escape"), ("W", "escape"), ("V", "escape"),
    ("L", "escape"), ("8", "q"), ("4", "d", "escape"),
    ("1", "w", "escape"), ("o", "escape"), ("p", "escape"),
)  # fmt: skip


class Worst(FakeEngine):
    """A tokenizer, a vocabulary and messages of the worst kind."""

    def __init__(self, listener: object) -> None:
        super().__init__(listener)  # type: ignore[arg-type]
        self.tokens = lambda text: HOSTILE


def check(b: Board, where: object) -> None:
    """Nothing on the screen acts in a terminal, and no line is longer or shorter than it."""
    for strip in b.strips():
        line = "".join(segment.text for segment in strip)
        assert cell_len(line) == b.app.size.width, (where, line)
        for char in line:
            category = unicodedata.category(char)
            assert category not in ("Cc", "Cf", "Cs", "Zl", "Zp"), (where, line)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)], ids=lambda size: str(size[0]))
async def test_every_pane_and_screen_shows_it_harmlessly_and_aligned(
    board: Boards, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "VOCABULARY", (" Paris", *HOSTILE[:11]))
    text = "".join(HOSTILE[:8])
    async with board(size, engine=Worst, text=text) as b:
        watched = Watched(b.app)
        await b.press("1", "g", "s")
        for pane in PANES:
            for key in (pane, "j", "l", "v") if pane not in "12" else (pane, "j", "l"):
                await b.press(key)
                check(b, (pane, key))
            watched.check()
        for opening, *leaving in SCREENS:
            await b.press(opening)
            check(b, opening)
            for key in leaving:
                await b.press(key)
                check(b, (opening, key))
        assert b.app.state.question.text == text


@pytest.mark.parametrize("token", [HOSTILE[-1], "日" * 3000], ids=["long", "wide"])
async def test_a_token_of_thousands_of_cells_leaves_numbers_and_status_in_sight(
    board: Boards, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (" Paris", token, *vocabulary.VOCABULARY[2:])
    monkeypatch.setattr(vocabulary, "VOCABULARY", words)

    class Long(FakeEngine):
        def __init__(self, listener: object) -> None:
            super().__init__(listener)  # type: ignore[arg-type]
            self.tokens = lambda text: (token, " is", token)

    async with board((80, 24), engine=Long) as b:
        b.app.session.set_question(replace(b.app.state.question, target=token))
        await wait_until_idle(b.app)
        assert "engine: idle" in b.lines()[0]
        for pane in b.app.panes.views:
            await b.press(str(pane.slot.place.number), "k")
            check(b, pane.slot.name)
            shown = b.readout(pane.slot.name)
            assert cell_len(shown) < 120, (pane.slot.name, shown[:200])
