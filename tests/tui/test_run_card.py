"""Below the list of runs stands what the run under the cursor is; its page is a key away."""

from __future__ import annotations

from rich.cells import cell_len

from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.terminal import made_line, strongest_line
from tests.tui.conftest import Board, Boards
from tests.tui.recorded import MARK, RecordedEngine
from tui.dialogs.run_card import CARD_LINES, CARD_WIDTH, run_card
from tui.dialogs.runs import RunsScreen
from tui.testing.wait_until_idle import wait_until_idle


def below_the_list(b: Board) -> str:
    at = next(at for at, line in enumerate(b.lines()) if at > 1 and line.startswith("──"))
    return "\n".join(b.lines()[at:])


async def test_each_run_says_what_it_is_in_few_lines_and_its_page_turns_to_the_next(
    board: Boards,
) -> None:
    async with board((120, 40), engine=RecordedEngine) as b:
        await b.press(*MARK)
        store = b.app.controllers.saver.store
        await b.press("8")
        screen = b.app.screen
        assert isinstance(screen, RunsScreen)
        runs = screen.list.runs
        said = set()
        for run in runs:
            await wait_until_idle(b.app)
            assert screen.list.run == run
            result = store.document(run.id).results[0]
            page = PageStyle(200, True, False)
            card = below_the_list(b)
            strongest = strongest_line(result, page).split("; ")[0]
            assert f"prompt: {run.prompt}" in card
            assert made_line(result, page)[:60] in card
            assert strongest[:60] in card
            said.add(card.split("\n")[1])
            await b.press("j")
        assert len(said) == len(runs)
        await b.press("g", "z")
        assert "path replay" in b.lines()[1]  # the head of a page
        assert not b.lines()[-3].startswith("──")
        first = b.screen
        await b.press("j")
        assert screen.list.run == runs[1]
        assert b.screen != first
        await b.press("z")
        assert "newest first" in b.lines()[0]
        assert f"prompt: {runs[1].prompt}" in below_the_list(b)


async def test_no_line_of_it_is_wider_than_a_move_may_cost(board: Boards) -> None:
    async with board((80, 24), text="a very long prompt " * 40) as b:
        store = b.app.controllers.saver.store
        for run in store.runs():
            lines = run_card(store.document(run.id), PageStyle(300, True, False)).plain.split("\n")
            assert len(lines) <= CARD_LINES
            assert max(map(cell_len, lines)) <= CARD_WIDTH
