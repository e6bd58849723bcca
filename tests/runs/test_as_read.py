"""A strip of tokens reads as the text does: a character over several tokens stands there once."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from interpboard.results import PromptInfo
from interpboard.results.tokens import CONTINUED, as_read
from interpboard.runs.encoded import encode
from interpboard.runs.half_characters import shown_tokens
from interpboard.runs.spans import spans_of
from tests import tokenizers

TEXTS = {
    "CJK": "日本語のテキスト",
    "emoji": "a 😀 b",
    "family": "the 👩\u200d👩\u200d👧 family",
    "flag": "in 🇫🇷 now",
    "tone": "ok 👍🏽!",
    "Arabic": "قال مرحبا",
    "Hebrew": "שלום עולם",
    "accents": "naïve café",
    "said of parts": "half [1/3] of x[2/3]",
}
AS_SHOWN = {
    "family": "the 👩‿👩‿👧 family",
    "flag": "in ⒻⓇ now",
    "tone": "ok 👍³!",
}


def prompt(tokenizer: object, text: str) -> PromptInfo:
    encoded = encode(tokenizer, text, False)
    spans = spans_of(tokenizer, text, encoded)
    return PromptInfo(text, shown_tokens(tokenizer, encoded.ids), encoded.ids, spans)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("kind", ["byte level", "llama"])
def test_the_strip_without_its_marks_is_the_text(name: str, kind: str) -> None:
    text = TEXTS[name]
    own = prompt(tokenizers.tokenizer_of(kind), text)
    shown = as_read(own)
    assert len(shown) == len(own.tokens)
    assert all(cell_len(each) > 0 for each in shown)  # every token can be pointed at
    assert "".join(shown).replace(CONTINUED, "").strip() == AS_SHOWN.get(name, text)
    spread = sum("/" in token for token in own.tokens) - 2 * (name == "said of parts")
    assert "".join(shown).count(CONTINUED) == sum(
        1 for token in own.tokens if any(f"[{n}/" in token for n in range(2, 5)) and spread > 0
    )


def test_a_prompt_without_spans_shows_its_tokens() -> None:
    own = PromptInfo("x", ("日[1/3]", " a\n"), (1, 2))
    assert as_read(own) == ("日[1/3]", " a⏎")
