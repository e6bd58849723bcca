"""The circuit's screen: behaviours, sizes by [ and ], diagram and faithfulness, nothing computed twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from interpboard.config import Settings
from interpboard.results import Result
from interpboard.visualization.diagrams import dot, drawing_of, mermaid
from tests.tui.conftest import Board, Boards
from tui.dialogs.export import ExportScreen
from tui.dialogs.help import HelpScreen
from tui.dialogs.line_input import LineInputScreen
from tui.slots.circuit.view import FILE, SHOWN_BEHAVIOURS, CircuitScreen
from tui.testing.wait_until_idle import wait_until_idle

SIZES = ((80, 24), (120, 40), (200, 60))


def _asked(b: Board) -> list[dict[str, object]]:
    return [r.params for r in b.engine.requests if r.analysis == "circuit"]


def size_words(circuit: Result, size: int) -> str:
    """What the screen says of the circuit of ``size`` edges."""
    series = {name: circuit.extra[name].values for name in ("size", "faithfulness", "completeness")}
    at = list(series["size"]).index(size)
    shares = [f"{name} {100 * series[name][at]:.1f}%" for name in ("faithfulness", "completeness")]
    return "  ".join([f"{size} of {series['size'][-1]} edges", *shares])


async def press(b: Board, *keys: str) -> CircuitScreen:
    await b.press(*keys)
    await b.pilot.pause()
    assert isinstance(b.app.screen, CircuitScreen)
    return b.app.screen


def test_the_behaviours_listed_are_those_there_are() -> None:
    from interpboard.circuits.discovery import behaviours

    assert SHOWN_BEHAVIOURS == behaviours.BEHAVIOURS


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_screen_of_a_circuit(board: Boards, size: tuple[int, int]) -> None:
    async with board(size) as b:
        await press(b, "C", "enter")
        b.matches(f"circuit-{size[0]}x{size[1]}")


async def test_nothing_is_computed_until_enter_finds_the_behaviour_under_the_cursor(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await press(b, "C", "j")
        assert not _asked(b)
        assert "Enter finds the circuit" in b.screen
        await press(b, "enter")
        assert _asked(b) == [{"behavior": "induction"}]
        assert "C Circuit  induction" in b.lines()[0]
        await b.press("q")
        await press(b, "C")
        assert len(_asked(b)) == 1
        assert b.app.screen.chosen == "induction"  # type: ignore[attr-defined]


async def test_brackets_redraw_diagram_and_faithfulness_and_compute_nothing(board: Boards) -> None:
    async with board((120, 40)) as b:
        screen = await press(b, "C", "enter")
        assert screen.of is not None
        found = screen.of.extra
        sizes, faithful = found["size"].values, found["faithfulness"].values
        whole, chosen = sizes[-1], int(found["circuit_size"].values)
        assert size_words(screen.of, chosen) in b.screen
        before, large = len(b.engine.requests), b.screen
        await press(b, "left_square_bracket")
        smaller = sizes[list(sizes).index(chosen) - 1]
        assert size_words(screen.of, smaller) in b.screen
        assert b.screen.count("[H") < large.count("[H")
        weakest = sorted(abs(screen.of.values))[-smaller]
        assert f"|score| ≥ {weakest:.3f}" in b.screen
        await press(b, *("left_square_bracket",) * 3)
        assert f"0 of {whole} edges  faithfulness {faithful[0]:.0f}%" in b.screen
        assert "No edge leads" in b.screen
        await press(b, *("right_square_bracket",) * 9)
        assert size_words(screen.of, whole) in b.screen
        assert "are drawn" in b.screen
        assert len(b.engine.requests) == before


async def test_a_pair_of_prompts_is_a_behaviour_of_its_own(board: Boards) -> None:
    async with board((80, 24)) as b:
        await press(b, "C", "G", "enter")
        assert not _asked(b)
        assert "Write the corrupted prompt first" in b.messages[-1]
        await b.press("d", "ctrl+u")
        await b.write(" The Eiffel Tower is located in the town of".strip())
        await b.press("enter")
        await press(b, "enter")
        assert len(_asked(b)) == 1
        assert str(_asked(b)[0]["corrupted"]).endswith("town of")
        assert "against “" in b.lines()[0]
        clean, corrupted = (b.result("circuit").extra[run].values for run in ("clean", "corrupted"))
        runs = f"clean {clean:.2f}, corrupted {corrupted:.2f}".replace("-", "−")
        assert f"logit ·Paris: {runs}" in b.screen


DATASET = "The capital of France is => The capital of Italy is | Paris | Rome\n"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.txt"
    file.write_text(DATASET)
    return file


async def choose(b: Board, path: Path | str) -> None:
    await b.press("f", "ctrl+u")
    await b.write(str(path))
    await b.press("enter")
    await b.pilot.pause()


async def test_screen_of_a_circuit_of_own_prompts(board: Boards, pairs: Path) -> None:
    async with board((80, 24)) as b:
        await press(b, "C")
        await choose(b, pairs)
        b.matches("circuit-own-80x24")


async def test_own_prompts_are_a_behaviour_and_the_copied_lines_name_their_file(
    board: Boards, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with board((80, 24)) as b:
        await b.press("C", "P")
        await b.write("method=eap")
        await b.press("enter", *"jjjjj", "enter")
        assert isinstance(b.app.screen, LineInputScreen)  # no file is chosen yet
        assert not _asked(b)
        await b.write(str(pairs))
        await b.press("enter")
        assert _asked(b) == [{"method": "eap", "dataset": str(pairs)}]
        assert "C Circuit  pairs.txt" in b.lines()[0]
        assert "own prompts   pairs.txt" in b.screen
        await press(b, "c")
        lines = (tmp_path / "state" / "yank.txt").read_text()
        assert f"{{'circuit': {{'dataset': '{pairs}', 'method': 'eap'}}}}" in lines
        assert f"--param circuit.dataset={pairs}" in lines
        await press(b, "g", "enter")
        assert _asked(b)[-1] == {"method": "eap", "behavior": "ioi"}
        await press(b, *"jjjjj", "enter")  # the file is remembered
        assert _asked(b)[-1] == {"method": "eap", "dataset": str(pairs)}
        await b.press("q")
        screen = await press(b, "C")
        assert screen.chosen == FILE
        assert len(_asked(b)) == 3


async def test_a_file_that_cannot_be_read_is_one_line_and_changes_nothing(
    board: Boards, tmp_path: Path
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\x81\x9c")
    (tmp_path / "empty").write_text("\n")
    async with board((80, 24)) as b:
        await press(b, "C")
        for name, said in (
            ("missing", "Cannot read"), ("binary", "not UTF-8"), ("empty", "holds no prompt"),
        ):  # fmt: skip
            await choose(b, tmp_path / name)
            assert said in b.messages[-1]
            assert "\n" not in b.messages[-1]
        assert not _asked(b)
        assert not b.app.state.dataset


async def test_a_saved_circuit_of_own_prompts_reopens_with_its_file(
    board: Boards, pairs: Path
) -> None:
    async with board((80, 24)) as b:
        await press(b, "C")
        await choose(b, pairs)
        await b.press("q", "8")
        b.app.session.change(dataset="")
        await b.app.screen.settled()  # type: ignore[attr-defined]
        await b.pilot.press("enter")
        await wait_until_idle(b.app)
        await b.pilot.pause()
        screen = b.app.screen
        assert isinstance(screen, CircuitScreen)
        assert screen.chosen == FILE
        assert not b.app.session.slots["circuit"].stale(b.app.state)
        assert b.app.state.dataset == str(pairs)


async def test_keys_of_the_screen(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with board((80, 24)) as b:
        yanked = tmp_path / "state" / "yank.txt"
        screen = await press(b, "C", "enter", "y")
        circuit = b.result("circuit")
        chosen = int(circuit.extra["circuit_size"].values)
        assert yanked.read_text().startswith(size_words(circuit, chosen))
        await press(b, "Y")
        assert "embed>0.0.v" in yanked.read_text()
        await press(b, "c")
        assert "{'circuit': {'behavior': 'ioi'}}" in yanked.read_text()
        await press(b, "z")
        assert screen.has_class("-whole")
        assert "greater than" not in "".join(b.lines()[1:20])
        await press(b, "J", "K", "q")
        assert not screen.has_class("-whole")
        await b.press("e")
        assert isinstance(b.app.screen, ExportScreen)
        await b.press("escape", "question_mark")
        assert isinstance(b.app.screen, HelpScreen)
        await b.press("q", "x")
        assert "Nothing is running." in b.messages[-1]
        await b.press("q")
        assert b.app.focused is b.app.panes.of("tokens").view


@pytest.mark.parametrize(("ups", "suffix"), [(2, "dot"), (1, "mmd")])
async def test_the_diagram_of_the_size_on_the_screen_is_written_for_other_tools(
    board: Boards, tmp_path: Path, ups: int, suffix: str
) -> None:
    async with board((80, 24), settings=Settings(export_folder=str(tmp_path))) as b:
        screen = await press(b, "C", "enter", "left_square_bracket")
        await b.press("e", "tab", *["up"] * ups)  # everything has one circuit
        assert "the circuit" in b.screen
        await b.press("enter")
        text = (tmp_path / f"interpboard-demo-circuit.{suffix}").read_text()
        assert screen.of is not None
        drawn = {"dot": dot, "mmd": mermaid}[suffix]
        assert text == drawn(drawing_of(screen.of, size=6))
        assert text != drawn(drawing_of(screen.of))


async def test_only_a_circuit_is_a_diagram(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("e")
        assert "markdown" in b.screen
        assert "DOT" not in b.screen
        await b.press("escape")
        await press(b, "C")
        await b.press("e")  # nothing is found yet
        assert "DOT" not in b.screen
        await b.press("escape", "enter", "q", "8")
        await b.app.screen.settled()  # type: ignore[attr-defined]
        await b.press("e")
        assert "this run (circuit)" in b.screen
        assert "DOT" in b.screen
        assert "Mermaid" in b.screen


async def test_how_the_circuit_is_searched_for_is_set_and_kept(board: Boards) -> None:
    async with board((80, 24)) as b:
        await press(b, "C", "j")
        await b.press("P", *"method=eap", "space", *"keep=0.9", "enter")
        assert not _asked(b)
        assert "Enter finds the circuit" in b.screen
        await press(b, "enter")
        assert _asked(b) == [{"method": "eap", "keep": 0.9, "behavior": "induction"}]
        await b.press("P", "ctrl+u", *"keep=2", "enter")
        assert "at most 1, not 2" in b.screen
        await b.press("escape")
        await press(b, "k", "enter")
        assert _asked(b)[-1] == {"method": "eap", "keep": 0.9, "behavior": "ioi"}


async def test_while_it_runs_the_screen_says_so_and_x_cancels(board: Boards) -> None:
    async with board((80, 24)) as b:
        await press(b, "C")
        b.engine.paused = True
        await b.press("enter")
        b.engine.progress("circuit", 3, 12)
        await b.pilot.pause(0.3)
        assert "circuit  25%" in b.lines()[0]
        assert "x Cancel" in b.lines()[-1]
        await b.press("x")
        b.engine.paused = False
        await wait_until_idle(b.app)
        assert "engine: idle" in b.lines()[0]


async def test_a_saved_circuit_reopens_and_resume_goes_to_the_panes(board: Boards) -> None:
    async with board((80, 24)) as b:
        await press(b, "C", "enter")
        await b.press("q")
        before = len(b.engine.requests)
        await b.press("8")
        await b.app.screen.settled()  # type: ignore[attr-defined]
        await b.pilot.press("enter")
        await wait_until_idle(b.app)
        await b.pilot.pause()
        assert isinstance(b.app.screen, CircuitScreen)
        circuit = b.result("circuit")
        assert size_words(circuit, int(circuit.extra["circuit_size"].values)) in b.screen
        assert len(b.engine.requests) == before
