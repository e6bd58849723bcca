"""Whatever is pasted arrives as one text, and nothing of it is typed."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from textual import events
from textual._xterm_parser import XTermParser

from tui.terminal.pastes import Pastes

BEGIN, END = "\x1b[200~", "\x1b[201~"


def parsed(sent: str, pieces: int) -> list[tuple[str, str]]:
    """What the app hears of ``sent``, which arrives in pieces of so many characters."""
    parser, pastes, heard = XTermParser(), Pastes(), list[tuple[str, str]]()
    for at in range(0, len(sent), pieces):
        text = pastes(sent[at : at + pieces])
        for event in parser.feed(text) if text else ():
            if isinstance(event, events.Key):
                heard.append(("key", event.key))
            elif isinstance(event, events.Paste):
                heard.append(("paste", event.text))
    return heard


@given(
    st.lists(
        st.sampled_from(["a", "r", "\n", "\x1b", "\x1b[31m", "\x1b[A", "[20", "\x1b[20", "\x07"])
    ),
    st.integers(1, 40),
)
@example(["\x1b[31m", "r", "a"], 1)
@example(["\x1b[20", "\x1b[20"], 3)
def test_a_paste_with_escape_sequences_is_one_paste_and_no_key(
    parts: list[str], pieces: int
) -> None:
    text = "x" + "".join(parts)
    heard = parsed(f"y{BEGIN}{text}{END}\x1b[Bz", pieces)
    assert heard == [
        ("key", "y"), ("paste", text.replace("\x1b", "")), ("key", "down"), ("key", "z"),
    ]  # fmt: skip


@given(st.text("ab\x1b[20~1", max_size=30), st.integers(1, 7))
def test_what_is_typed_is_sent_on_at_once_and_unchanged(typed: str, pieces: int) -> None:
    if BEGIN in typed:
        return
    pastes = Pastes()
    for at in range(0, len(typed), pieces):
        piece = typed[at : at + pieces]
        assert pastes(piece) == piece
