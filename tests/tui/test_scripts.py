"""Text of every script: a strip reads as the text does, nothing in it acts, columns stay columns."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from interpboard.display import visible
from tests.tui.conftest import Boards
from tui.widgets.token_strip import wrap

TEXTS = (
    "日本 語の テキスト",
    "the 👩\u200d👩\u200d👧 of 🇫🇷 👍🏽",
    "قال مرحبا بالعالم",
    "שלום עולם טוב",
)
READS = {TEXTS[1]: "the 👩‿👩‿👧 of ⒻⓇ 👍³"}
ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize("text", TEXTS)
async def test_the_strip_reads_as_the_text_and_every_line_is_as_wide_as_the_screen(
    board: Boards, text: str
) -> None:
    async with board((80, 24), text=text) as b:
        strip = next(line for line in b.lines() if line.startswith("┃"))
        assert strip.strip("┃ ").replace("⁺", "").replace("⁻", "") == READS.get(text, text)
        for keys in ("1", "3", "5", "V"):
            await b.press(keys)
            for line in b.strips():
                drawn = "".join(piece for piece, _, _ in line)
                assert cell_len(drawn) == 80
                # In pieces or in one, as many cells: no terminal may join what we have counted apart.
                assert sum(map(cell_len, drawn)) == 80
                assert not {unicodedata.category(char) for char in drawn} & ACTING


async def test_right_to_left_columns_are_held_apart(board: Boards) -> None:
    async with board((80, 24), text=TEXTS[3]) as b:
        await b.press("3")
        heads = [line for line in b.lines() if "שלום" in line and "·עולם" in line]
        assert any("ˑ" in line[line.index("שלום") : line.index("·עולם")] for line in heads)


@given(st.lists(st.text(max_size=6), max_size=12), st.integers(4, 60))
@settings(max_examples=60)
def test_wrapped_tokens_are_as_wide_as_they_say_and_nothing_is_lost(
    tokens: list[str], width: int
) -> None:
    texts = [visible(token) for token in tokens]
    lines = wrap(texts, width)
    for line in lines:
        assert all(piece.x + cell_len(piece.text) <= width for piece in line)
    for at, text in enumerate(texts):
        assert "".join(p.text for line in lines for p in line if p.token == at) == text
