"""Taking away: files of a pane or of everything, pictures, copies, and the lines that make them again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.widgets import Input

from interpboard.config import Settings
from interpboard.results import Document
from tests.tui.conftest import Boards
from tui.dialogs.export import ExportScreen
from tui.files import export as exporting


async def test_export_shows_the_name_and_writes_the_file(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with board() as b:
        for downs, suffix in enumerate(("md", "csv", "json", "html", "svg")):
            await b.press("2", "e", *["down"] * downs, "tab")
            assert isinstance(b.app.screen, ExportScreen)
            path = tmp_path / f"interpboard-demo-all.{suffix}"
            assert b.app.screen.query_one(Input).value == str(path)
            await b.press("enter")
            await b.pilot.pause()
            text = path.read_text()
            assert b.messages[-1] == f"Written: {path}"
            if suffix == "json":
                written = [result.analysis for result in Document.from_json(text).results]
                assert written == [
                    "integrated_gradients", "predictions", "head_ablation",
                    "logit_lens", "direct_logit_attribution",
                ]  # fmt: skip
                json.loads(text)
            elif suffix == "svg":
                assert "<svg" in text
                assert "everything" not in text  # the question is gone
            else:
                assert "Paris" in text


async def test_export_of_one_pane_holds_that_pane_only(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with board() as b:
        await b.press("3", "e", "down", "down", "enter")
        (result,) = Document.load(tmp_path / "interpboard-demo-lens.json").results
        assert result.analysis == "logit_lens"


@pytest.mark.parametrize(
    ("keys", "written"),
    [
        ("7", ["neurons", "neurons"]),
        ("2", ["head_ablation"]),  # with the MLPs and the types in it
        (
            ("6", "space", "2", "space", "6"),
            ["direct_logit_attribution", "edited_direct_attribution"],
        ),
    ],
)
async def test_an_export_holds_what_stands_beside_the_pane_too(
    board: Boards, tmp_path: Path, keys: Sequence[str], written: list[str]
) -> None:
    async with board((80, 24), settings=Settings(export_folder=str(tmp_path))) as b:
        await b.press(*keys, "e", "down", "down", "enter")
        (path,) = tmp_path.glob("*.json")
        assert [result.analysis for result in Document.load(path).results] == written


async def test_everything_holds_the_screens_over_the_panes_too(
    board: Boards, tmp_path: Path
) -> None:
    async with board((80, 24), settings=Settings(export_folder=str(tmp_path))) as b:
        await b.press("V", "q", "e", "tab", "down", "down", "enter")
        (path,) = tmp_path.glob("*-all.json")
        written = [result.analysis for result in Document.load(path).results]
        assert written[-1] == "compare_attributions"


async def test_a_picture_of_one_pane_holds_that_pane_only(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with board() as b:
        await b.press("3", "e", "up", "enter")
        await b.pilot.pause()
        text = (tmp_path / "interpboard-demo-lens.svg").read_text().replace("&#160;", " ")
        assert "entropy 0.15" in text
        assert "helps" not in text
        assert "engine: idle" not in text


async def test_exports_go_where_the_settings_say_and_never_over_a_file_unasked(
    board: Boards, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    taken = folder / "mine.md"
    taken.write_text("mine")
    async with board(settings=Settings(export_folder=str(folder))) as b:
        await b.press("2", "e", "enter")
        assert (folder / "interpboard-demo-heads.md").exists()
        await b.press("e")
        assert b.app.screen.query_one(Input).value.endswith("interpboard-demo-heads-2.md")
        await b.press("ctrl+u")
        await b.write(str(taken))
        await b.press("enter")
        assert isinstance(b.app.screen, ExportScreen)
        assert "mine.md exists: Enter again writes over it" in b.screen
        assert taken.read_text() == "mine"
        await b.press("enter")
        assert taken.read_text().startswith("# InterpBoard")
        assert sorted(path.name for path in folder.iterdir()) == [
            "interpboard-demo-heads.md",
            "mine.md",
        ]


async def test_a_write_that_fails_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.md"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        exporting.write_export(path, "half\udcff")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.md"]


async def test_the_copied_lines_make_the_pane_again(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with board((80, 24)) as b:
        await b.press("2", "a", "t")
        await b.write(" Rome")
        await b.press("enter", "c")
        text = (tmp_path / "state" / "yank.txt").read_text()
        assert "MetricRequest('logit', target=' Rome')" in text
        assert "{'head_ablation': {'ablation': 'mean', 'preview': True}, 'what_if': {" in text
        line = text.strip().splitlines()[-1]
        assert line.startswith("# interpboard analyze --model demo ")
        assert "--param head_ablation.ablation=mean" in line
        compile(text, "lines", "exec")


async def test_export_to_an_impossible_place_is_a_message(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("e", "ctrl+u")
        await b.write("/nowhere/at.md")
        await b.press("enter")
        assert b.messages[0].startswith("Cannot write /nowhere/at.md")


async def test_yank_writes_a_file_and_says_where(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    async with board() as b:
        await b.press("2", "y")
        path = tmp_path / "state" / "yank.txt"
        assert path.read_text().startswith("L2 H4  −4.210")
        assert str(path) in b.messages[-1]
        await b.press("Y")
        text = path.read_text()
        assert text.startswith("# InterpBoard: `demo`")
        assert "## Head ablation" in text
        assert "| `MLP` |" in text
        assert "## What if" not in text
