"""What is exported of Heads is what the pane shows: the MLPs' column and the letters, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interpboard.results import Document
from tests.tui.conftest import Board, Boards
from tui.slots.heads.parts import mlp_effects
from tui.slots.heads.view import HeadsPane


async def exported(b: Board, folder: Path, kind: str, downs: int) -> str:
    path = folder / f"heads.{kind}"
    await b.press("2", "e", *(["down"] * downs))
    field = b.app.screen.query_one("Input")
    field.value = str(path)  # type: ignore[attr-defined]
    await b.press("enter")
    return path.read_text(encoding="utf-8")


async def test_markdown_has_the_mlps_and_the_types_and_no_what_if(
    board: Boards, tmp_path: Path
) -> None:
    async with board((120, 40)) as b:
        text = await exported(b, tmp_path, "md", 0)
        shown = b.app.query_one(HeadsPane).grid.data
        assert shown is not None
        assert re.search(r"\| layer / head \|.*\| `MLP` \|", text)
        rows = re.findall(r"^\| `\d+` \|(.*)\|$", text, re.MULTILINE)
        assert len(rows) == len(shown.rows)
        for row, line in enumerate(rows):
            cells = [cell.strip() for cell in line.split("|")]
            numbers = [float(cell.split()[0]) for cell in cells]
            np.testing.assert_allclose(numbers, shown.values[row], rtol=1e-3)
            letters = {at: cell.split()[1] for at, cell in enumerate(cells) if " " in cell}
            assert letters == {c: x for (r, c), x in (shown.badges or {}).items() if r == row}
        assert "Types: p previous token, i induction." in text
        assert "what" not in text.lower()
        assert text.count("\n## ") == 1


@pytest.mark.parametrize(("kind", "downs"), [("html", 3), ("json", 2), ("csv", 1)])
async def test_the_other_formats_have_them_too(
    board: Boards, tmp_path: Path, kind: str, downs: int
) -> None:
    async with board((120, 40)) as b:
        text = await exported(b, tmp_path, kind, downs)
        effects = mlp_effects(b.app.state)
        assert effects is not None
        assert "what_if" not in text
        assert "induction" in text
        if kind == "json":
            (result,) = Document.from_json(text).results
            np.testing.assert_array_equal(result.extra["mlp"].values, effects)
            assert result.extra["type"].values[2, 4] == "induction"
            assert result.values.shape[1] == b.engine.heads  # the heads' own axis is as it was
        elif kind == "html":
            assert ">MLP" in text
            assert "types: p previous token, i induction" in text
        else:
            assert text.count(",mlp,") == len(effects)


async def test_what_is_copied_is_what_is_exported(
    board: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []

    async def keep(text: str, _: object) -> str:
        copied.append(text)
        return "copied"

    monkeypatch.setattr("tui.terminal.clipboard.copy", keep)
    async with board((120, 40)) as b:
        text = await exported(b, tmp_path, "md", 0)
        await b.press("Y")
        assert copied == [text]


async def test_mlps_of_another_prompt_are_never_beside_the_heads_of_this_one(
    board: Boards,
) -> None:
    async with board((80, 24)) as b:
        await b.press("2")
        state = b.app.state
        assert mlp_effects(state) is not None
        mlps = state.slots["mlp_ablation"]
        assert mlps.request is not None
        other = replace(
            mlps.request, question=replace(mlps.request.question, text="Another prompt")
        )
        assert mlp_effects(state.with_slot("mlp_ablation", request=other)) is None
        mean = replace(mlps.request, params={"interventions": "0.mlp=mean"})
        assert mlp_effects(state.with_slot("mlp_ablation", request=mean)) is None
        pane = b.app.query_one(HeadsPane)
        pane.show(state.with_slot("mlp_ablation", request=other))
        await b.pilot.pause()
        grid = pane.grid.data
        assert grid is not None
        assert np.isnan(grid.values[:, -1]).all()


async def test_the_rows_of_a_trace_say_where_in_the_layer_they_are(board: Boards) -> None:
    async with board((80, 24)) as b:
        await b.press("g", "l", "s", "4")
        assert re.search(r"out 0 .*\n.*out 1 .*\n.*out 2 ", b.screen)
        assert b.readout("trace").startswith("out ")
        await b.press("v")
        assert re.search(r"MLP 0 .*\n.*MLP 1 ", b.screen)
        await b.press("v")
        assert re.search(r"attn 0 .*\n.*attn 1 ", b.screen)
        await b.press("v", "d")
        field = b.app.screen.query("Input").first()
        field.value = "The Louvre Tower is located in the city of"  # type: ignore[attr-defined]
        await b.press("enter")
        await b.press("4")
        assert re.search(r"in 0 .*\n.*in 1 ", b.screen), b.screen
