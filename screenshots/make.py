"""Make the pictures of this folder: the app on the demo model, through the real engine.

    python screenshots/make.py [NAME]...

Each picture is a size, a prompt and the keys that lead to it. Needs no display: the SVGs are drawn
from the screen's own cells.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
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
    swept: tuple[str, ...] = ()  # analyses of a sweep that is open


_SUBJECT = ("1", "g", "l", "s", "l", "s")
PICTURES = (
    # One exploration: why does the model say Paris, and where does it know that from?
    Picture("overview-120x40", (120, 40), (*_SUBJECT, "3", "G", "$", "k")),
    Picture("overview-200x60", (200, 60), (*_SUBJECT, "2")),
    Picture("tokens-80x24", (80, 24), ("1", "g", "l")),
    Picture("heads-80x24", (80, 24), ("2",)),
    Picture("attention-80x24", (80, 24), ("2", "enter")),
    Picture("before-120x40", (120, 40), ("2",)),
    Picture("what-if-120x40", (120, 40), ("2", "space", "h", "space", "h", "space")),
    Picture("trace-80x24", (80, 24), (*_SUBJECT, "4", "l")),
    Picture("lens-80x24", (80, 24), ("3", "k", "k")),
    Picture("logits-80x24", (80, 24), ("6",)),
    Picture("neurons-80x24", (80, 24), ("7",)),
    Picture("circuit-120x40", (120, 40), ("C", "j", "enter")),
    Picture("methods-120x40", (120, 40), ("V",)),
    Picture(
        "steering-80x24",
        (80, 24),
        ("A", "enter", *"The Colosseum is located in the city of", "enter", "space"),
    ),
    Picture("difference-120x40", (120, 40), ("f", *" Rome", "enter", "2")),
    Picture(
        "means-120x40",
        (120, 40),
        ("m", "2"),
        swept=(
            "integrated_gradients",
            "head_ablation",
            "logit_lens",
            "activation_patching",
            "direct_logit_attribution",
        ),
    ),
    Picture("runs-80x24", (80, 24), ("8",)),
    # Beside it.
    Picture("light-120x40", (120, 40), ("ctrl+t", "3")),
    Picture("help-120x40", (120, 40), ("2", "question_mark")),
    Picture("palette-80x24", (80, 24), ("colon",)),
    Picture("export-80x24", (80, 24), ("2", "e")),
)


def _sweep(analyses: tuple[str, ...]) -> str:
    """The folder of a sweep over the rows of the demo's names."""
    asked = [word for name in analyses for word in ("-a", name)]
    words = ["sweep", "ioi", *asked, "--metric", "logit_diff", "--model", "demo", "--output", "ioi"]
    command = [sys.executable, "-m", "interpboard", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return "ioi"


async def make(picture: Picture) -> None:
    """Run the app, press the keys, write the SVG."""
    from tui.app import InterpBoardApp
    from tui.testing.wait_until_idle import wait_until_idle

    dataset = _sweep(picture.swept) if picture.swept else ""
    app = InterpBoardApp(text=picture.text, dataset=dataset)
    async with app.run_test(size=picture.size, notifications=True) as pilot:
        await wait_until_idle(app)
        for key in picture.keys:
            await pilot.press("space" if key == " " else key)
            await wait_until_idle(app)
        if app.state.engine.log or app.state.slots["tokens"].result is None:
            raise SystemExit(f"{picture.name}: the engine did not answer")
        svg = app.export_screenshot(title="InterpBoard")
    (FOLDER / f"{picture.name}.svg").write_text(tidy(svg), encoding="utf-8")
    print(picture.name)


def tidy(svg: str) -> str:
    """Spaces kept by every viewer, and the same names each time, so that changes can be read."""
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
    return re.sub(r"terminal-\d+", "terminal", svg)


async def main(names: list[str]) -> None:
    """Make the named ones, or all, one after the other."""
    for picture in PICTURES:
        if not names or picture.name in names:
            await make(picture)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as state:
        os.environ["INTERPBOARD_STATE"] = os.environ["HOME"] = state
        os.environ.pop("NO_COLOR", None)
        os.chdir(state)  # the export's proposed name is of a neutral place
        asyncio.run(main(sys.argv[1:]))
