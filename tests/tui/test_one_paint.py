"""The prompt and the panes change in one paint: none shows a prompt above numbers of another as its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual._compositor import Compositor
from textual.app import App
from textual.geometry import Size
from textual.screen import Screen

from tests.tui.conftest import Board, Boards
from tests.tui.test_kept_cells import told
from tests.tui.test_painting import Watched
from tui.files.prompt_file import read_prompt_file
from tui.terminal.behind import Over

OLD, NEW = "The Colosseum is located in the city of", "Berlin is the capital of"


class Paints(Watched):
    """Every paint of the app, as lines."""

    def __init__(self, b: Board) -> None:
        self.seen: list[list[str]] = []
        super().__init__(b.app)

    def display(self, screen: object, update: object) -> None:
        super().display(screen, update)
        self.seen.append(["".join(row).rstrip() for row in self.emulator.texts])


def prompt_of(lines: list[str]) -> str:
    return lines[1].partition("›")[2].strip()


def first_token_of(lines: list[str]) -> str:
    """The first word of the text in Tokens, which is the first line in its frame."""
    at = next(at for at, line in enumerate(lines) if "1 Tokens  " in line)
    return lines[at + 1].strip("┃ ").split()[0]


async def step(b: Board) -> None:
    await b.press("greater_than_sign")


async def list_of_prompts(b: Board) -> None:
    await b.press("H")
    await b.write("Berlin")
    await b.press("enter")


async def table(b: Board) -> None:
    await b.press("colon")
    await b.write("Prompt table")
    await b.press("enter")
    await b.press("j", "enter")


WAYS = [step, list_of_prompts, table]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_no_paint_has_the_new_prompt_above_unlabelled_numbers_of_the_old(
    board: Boards, tmp_path: Path, way: Callable[..., object]
) -> None:
    path = tmp_path / "two.txt"
    path.write_text(f"{OLD}\n{NEW}\n")
    async with board((120, 40), OLD) as b:
        prompts = b.app.controllers.prompts
        prompts.file = read_prompt_file(path)
        prompts.at_text(OLD)
        prompts.ran(NEW)
        await told(b)
        assert b.screen.count("previous prompt") == 0
        b.engine.paused = True
        paints = Paints(b)
        await way(b)  # type: ignore[misc]
        await told(b)
        of_new = [lines for lines in paints.seen if prompt_of(lines) == NEW]
        assert of_new
        for lines in of_new:
            if "1 Tokens  " in "\n".join(lines):
                assert "\n".join(lines).count("previous prompt") >= 5, "\n".join(lines)


async def test_no_paint_has_a_reopened_prompt_above_the_panes_of_another(board: Boards) -> None:
    async with board((120, 40), OLD) as b:
        b.app.prompt.show(NEW)
        await b.press("r")
        await told(b)
        await b.press("8", "G")
        paints = Paints(b)
        await b.press("enter")
        await told(b)
        assert prompt_of(paints.seen[-1]) == OLD
        for lines in paints.seen:
            if "1 Tokens  " in "\n".join(lines):
                assert first_token_of(lines) == prompt_of(lines).split()[0], "\n".join(lines)


@pytest.mark.parametrize("key", ["colon", "question_mark"])
async def test_a_box_is_laid_out_and_painted_once_as_it_opens_and_the_panes_once_as_it_is_left(
    board: Boards, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    done: list[str] = []

    def counted(cls: type, name: str) -> None:
        own = getattr(cls, name)

        def call(self: object, *args: object, **options: object) -> object:
            if not args or isinstance(args[0], Screen | Size):
                done.append(name)
            return own(self, *args, **options)

        monkeypatch.setattr(cls, name, call)

    async with board((120, 40)) as b:
        counted(Compositor, "render_full_update")
        counted(Screen, "_screen_resized")
        counted(App, "update_styles")
        await b.press(key)
        assert isinstance(b.app.screen, Over)
        assert b.app.screen.has_class("-medium", "-tall")
        assert done == ["render_full_update"]
        await b.press("escape")
        assert b.app.screen is b.app.base
        assert done == ["render_full_update"] * 2
