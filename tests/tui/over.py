"""What every screen of a slot over the panes does with the keys that all of them have."""

from __future__ import annotations

from pathlib import Path

from tests.tui.conftest import Board
from tui.dialogs.export import ExportScreen
from tui.dialogs.help import HelpScreen
from tui.slots.screen import SlotScreen


async def press_what_all_have(
    b: Board, yanked: Path, key: str, *, markdown: str, code: str,
    before_x: tuple[str, ...] = (), opens: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Help, export, yanks, cancel and leaving, on the screen that ``key`` opened and closes.

    ``markdown`` and ``code`` stand in what ``Y`` and ``c`` copy; ``before_x`` is pressed before ``x``.
    ``opens``: where no key opens it but the palette, with ``key`` empty.
    """

    async def press(*keys: str) -> None:
        await b.press(*keys)
        await b.pilot.pause()

    screen = b.app.screen
    assert isinstance(screen, SlotScreen)
    await press("question_mark")
    assert isinstance(b.app.screen, HelpScreen)
    await press("escape")
    assert b.app.screen is screen
    await press("e")
    assert isinstance(b.app.screen, ExportScreen)
    await press("escape", "y")
    assert yanked.read_text().strip() == screen.readout().plain.strip()
    await press("Y")
    assert markdown in yanked.read_text()
    await press("c")
    assert code in yanked.read_text()
    await press(*before_x, "x")
    assert b.app.screen is screen
    assert "Nothing is running" in b.messages[-1]
    for leave in filter(None, ("q", "escape", "backspace", key)):
        await b.press(leave)
        assert not isinstance(b.app.screen, type(screen))
        await press(*(opens or (key,)))
        assert isinstance(b.app.screen, type(screen))
