"""Make the pictures of this folder: the app on the demo model, through the real engine.

    python screenshots/make.py

Each picture is a size, a prompt and the keys that lead to it. Needs no display: the SVGs are drawn
from the screen's own cells.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """A file name, the terminal's size, and the keys that were pressed."""

    name: str
    size: tuple[int, int]
    keys: tuple[str, ...] = ()
    text: str | None = None


PICTURES = (
    Picture("overview-120x40", (120, 40), ("3", "k", "k")),
    Picture("overview-200x60", (200, 60), ("2",)),
    Picture("tokens-80x24", (80, 24), ("1", "g", "l")),
    Picture("heads-80x24", (80, 24), ("2",)),
    Picture("lens-80x24", (80, 24), ("3", "k", "k", "k")),
    Picture("next-80x24", (80, 24), ("4", "j")),
    Picture("difference-120x40", (120, 40), ("f", "space", *"Rome", "enter", "2")),
    Picture("light-120x40", (120, 40), ("ctrl+t", "3")),
    Picture("help-120x40", (120, 40), ("2", "question_mark")),
    Picture("palette-80x24", (80, 24), ("colon",)),
    Picture("export-80x24", (80, 24), ("2", "e")),
)


async def make(picture: Picture) -> None:
    """Run the app, press the keys, write the SVG."""
    from tui.app import InterpBoardApp

    app = InterpBoardApp(text=picture.text)
    async with app.run_test(size=picture.size, notifications=True) as pilot:
        await app.settled()
        missing = [name for name, slot in app.state.slots.items() if slot.result is None]
        if missing:
            raise SystemExit(f"{picture.name}: no result for {', '.join(missing)}")
        for key in picture.keys:
            await pilot.press(key)
        await app.settled()
        svg = app.export_screenshot(title="InterpBoard")
    (FOLDER / f"{picture.name}.svg").write_text(tidy(svg), encoding="utf-8")
    print(picture.name)


def tidy(svg: str) -> str:
    """Spaces kept by every viewer, and the same names each time, so that changes can be read."""
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
    return re.sub(r"terminal-\d+", "terminal", svg)


async def main() -> None:
    """Make them all, one after the other."""
    for picture in PICTURES:
        await make(picture)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as state:
        os.environ["INTERPBOARD_STATE"] = os.environ["HOME"] = state
        os.environ.pop("NO_COLOR", None)
        os.chdir(state)  # the export's proposed name is of a neutral place
        asyncio.run(main())
