"""A text far above the context is refused by its beginning; whether a text is too long stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Regex, normalizers
from transformers import PreTrainedTokenizerFast

from interpboard.errors import BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.results import Chat, Message
from interpboard.runs.chat import prompt_of
from interpboard.runs.prompt import make_prompt
from interpboard.runs.too_long import refuse_far_too_long
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.sweep import sweep
from tests.lm import tiny_lm
from tests.models.test_text_pairs import opened
from tests.runs.test_chat import chat_lm
from tests.strips import strips_lm
from tests.tiny import tiny_tokenizer

BOOK = "The city of Paris is far. " * 80_000  # 2 MB
MODELS: dict[str, tuple[Callable[[], LanguageModel], str | Chat]] = {
    "text": (tiny_lm, BOOK),
    "chat": (chat_lm, Chat((Message("user", BOOK),))),
    "pair": (lambda: opened("bert"), f"a ||| {BOOK}"),
    "source": (lambda: strips_lm("bart", torch.float64), f"{BOOK} ||| a"),
    "prefix": (lambda: strips_lm("bart", torch.float64), f"a ||| {BOOK}"),
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many characters the tokenizers are given, each time."""
    found: list[int] = []
    real: Callable[..., Any] = PreTrainedTokenizerFast._encode_plus

    def encode_plus(self: Any, text: Any, *args: Any, **options: Any) -> Any:
        found.append(len(text))
        return real(self, text, *args, **options)

    monkeypatch.setattr(PreTrainedTokenizerFast, "_encode_plus", encode_plus)
    return found


@pytest.mark.parametrize("kind", MODELS)
def test_a_book_is_not_tokenised_to_be_refused(kind: str, read: list[int]) -> None:
    make, text = MODELS[kind]
    lm = make()
    assert lm.anatomy.context is not None
    read.clear()
    with pytest.raises(BadPrompt, match=r"is too long: its first 65,536 of .* characters have"):
        prompt_of(lm, text)
    assert 0 < sum(read) < len(BOOK) / 10


def test_a_row_that_is_a_book_has_that_as_its_reason(tmp_path: Path, read: list[int]) -> None:
    data = tmp_path / "rows.txt"
    data.write_text(f"Rome is the\n{BOOK}\nMary gave the\n", encoding="utf-8")
    sweep(tiny_lm(), data, ["logit_lens"], tmp_path / "out")
    found = {own.row: own.error for own in SweepFolder.open(tmp_path / "out").results()}
    assert (found[0], found[2]) == ("", "")
    assert found[1].startswith("The prompt is too long: its first 65,536 of")
    assert max(read) == 65_536


def test_what_is_little_above_the_context_is_counted() -> None:
    lm = tiny_lm()
    text = " the" * ((lm.anatomy.context or 0) + 1)
    tokens = len(lm.tokenizer(text)["input_ids"])
    with pytest.raises(BadPrompt, match=rf"has {tokens} tokens, the model's context is"):
        make_prompt(lm, text)


def test_what_a_tokenizer_takes_away_makes_no_text_too_long() -> None:
    """Many spaces are one to a tokenizer that folds them: the text is read on until it is known."""
    backend = tiny_tokenizer().backend_tokenizer
    backend.normalizer = normalizers.Replace(Regex(" +"), " ")
    folding = PreTrainedTokenizerFast(tokenizer_object=backend)
    spaces = "a" + " " * 200_000
    refuse_far_too_long(folding, spaces + "a", 64)
    with pytest.raises(BadPrompt, match=r"first 262,144 of 2,[0-9,]* characters"):
        refuse_far_too_long(folding, spaces + BOOK, 64)
