"""What was chosen, paths and comments are shown and read as people write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from rich.cells import cell_len

from interpboard.errors import BadPrompt
from interpboard.registry.chosen_words import setting_words
from tests.tui.conftest import Boards
from tui.files.prompt_file import read_prompt_file
from tui.words import short_path


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("interventions", ["0.mlp=zero", '@4=" Rome"'], '0.mlp=zero, @4=" Rome"'),
        ("subject", (1, 2, 3), "1, 2, 3"),
        ("special_tokens", False, "no special tokens"),
        ("multiply_by_inputs", True, "multiply by inputs"),
        ("baseline", None, "no baseline"),
        ("noise", 0.1 + 0.2, "0.3"),
        ("options", {"a": [1], "b": "x"}, "a 1, b x"),
        ("text", "a\x1b[31m", "a␛[31m"),
    ],
)
def test_a_chosen_parameter_is_no_python(name: str, value: object, words: str) -> None:
    assert setting_words(name, value) == words


async def test_a_row_of_the_runs_uses_the_room_there_is(board: Boards) -> None:
    async with board((200, 60)) as b:
        await b.press("2", "space", "l", "space", "8")
        row = next(line for line in b.lines() if "What if" in line)
        assert "['" not in b.screen
        assert "What if " in row


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text("ab·日-.1", min_size=0, max_size=14), min_size=1, max_size=7),
    st.integers(8, 40),
)
def test_a_path_is_shortened_by_its_parts_and_its_end_stays(parts: list[str], width: int) -> None:
    name = "/".join(parts)
    short = short_path(name, width)
    assert cell_len(short) <= width
    if cell_len(name) <= width:
        assert short == name
    last = name.rstrip("/").rpartition("/")[2]
    if last and cell_len(last) <= width - 2:
        assert short.rstrip("/").endswith(last)


async def test_a_long_path_leaves_the_status_line_to_what_happens(board: Boards) -> None:
    path = "/home/someone/projects/interpretability/checkpoints/Llama-3.1-8B-Instruct"
    async with board((80, 24)) as b:
        model = b.app.state.model
        assert model is not None
        b.app.session.change(model=replace(model, info=structs.replace(model.info, name=path)))
        await b.press("f12")
        line = b.lines()[0]
        assert "Llama-3.1-8B-Instruct" in line
        assert line.endswith("engine: idle")


def test_comments_are_no_prompts_and_a_prompt_may_begin_with_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text(
        "# the first\nThe capital of\n# another\n#\n\\# Title\n#include <stdio.h>\n#\ttab\n"
    )
    assert read_prompt_file(file).texts == ("The capital of", "# Title", "#include <stdio.h>")
    file.write_text("# nothing\n\n#\n")
    with pytest.raises(BadPrompt):
        read_prompt_file(file)
