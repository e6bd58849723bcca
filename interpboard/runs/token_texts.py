"""A token's own text: what it adds to a text, a label where it has none, its bytes where it is those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from interpboard.display import visible

_T = TypeVar("_T")
REPLACEMENT = "\ufffd"
_SHOWN = 24  # tokens in a message; of more, the first and the last
_LONGEST = 60  # characters of one


def token_text(tokenizer: Any, token_id: int) -> str:
    """The text of one token, leading space included.

    Half a character as ``\\xNN``; ``#50300`` for an id that the tokenizer has no text for.
    """
    return of_token(tokenizer, token_id, _token_text)


def token_texts(tokenizer: Any, token_ids: Sequence[int]) -> list[str]:
    """``token_text`` of each; each is decoded once as long as there is the tokenizer."""
    known = known_of(tokenizer)
    missing = [i for i in dict.fromkeys(token_ids) if (_token_text, i) not in known]
    for token_id, text in zip(missing, texts_at_once(tokenizer, missing), strict=True):
        known[_token_text, token_id] = text
    return [known[_token_text, token_id] for token_id in token_ids]


def texts_at_once(tokenizer: Any, token_ids: Sequence[int]) -> list[str]:
    """The same, none remembered for it: 150,000 calls of transformers' own would take many seconds."""
    kind = type(tokenizer)
    if not issubclass(kind, PreTrainedTokenizerFast) or any(
        getattr(kind, name) is not getattr(PreTrainedTokenizerFast, name)
        for name in ("decode", "_decode")
    ):
        return [token_text(tokenizer, token) for token in token_ids]
    # One by one, since many at once are decoded in threads, of which each fork would then be warned.
    decode, within = tokenizer.backend_tokenizer.decode, range(len(tokenizer))
    anchor = anchor_of(tokenizer)
    before = _decoded(tokenizer, [anchor])
    strings = []
    for token in token_ids:
        both = decode([anchor, token], skip_special_tokens=False) if token in within else ""
        text = both[len(before) :] if both.startswith(before) else REPLACEMENT
        plain = text and REPLACEMENT not in text
        strings.append(text if plain else token_text(tokenizer, token))
    return strings


def of_token(tokenizer: Any, token_id: int, make: Callable[[Any, int], _T]) -> _T:
    """What ``make`` gives for a token, asked once as long as the tokenizer gets no more tokens."""
    return of_tokens(tokenizer, (token_id,), make)[0]


def _token_text(tokenizer: Any, token_id: int) -> str:
    text = text_of(tokenizer, (token_id,))
    if REPLACEMENT in text:
        data = token_bytes(tokenizer, token_id)
        text = text if data is None else data.decode(errors="backslashreplace")
    return text or f"#{token_id}"


def of_tokens(tokenizer: Any, token_ids: Sequence[int], make: Callable[[Any, int], _T]) -> list[_T]:
    """``of_token`` of each."""
    known = known_of(tokenizer)
    for token_id in token_ids:
        if (make, token_id) not in known:
            known[make, token_id] = make(tokenizer, token_id)
    return [known[make, token_id] for token_id in token_ids]


def shown_alone(tokenizer: Any, token_ids: Sequence[int]) -> list[str]:
    """``token_text`` of each."""
    return of_tokens(tokenizer, token_ids, _token_text)


def added_by_each(tokenizer: Any, token_ids: Sequence[int]) -> list[str]:
    """``text_of`` of each alone."""
    return of_tokens(tokenizer, token_ids, _added)


def text_of(tokenizer: Any, ids: Sequence[int]) -> str:
    """What ``ids`` add to a text that they stand in, leading space included."""
    return of_token(tokenizer, ids[0], _added) if len(ids) == 1 else _added(tokenizer, *ids)


def _added(tokenizer: Any, *ids: int) -> str:
    # Decoded behind another token, since some decoders strip the first one's space.
    anchor = anchor_of(tokenizer)
    before = _decoded(tokenizer, [anchor])
    both = _decoded(tokenizer, [anchor, *ids])
    return both[len(before) :] if both.startswith(before) else _decoded(tokenizer, list(ids))


def text_behind(tokenizer: Any, before: Sequence[int], ids: Sequence[int]) -> str:
    """What ``ids`` add to the text of ``before``, half characters completed by them included."""
    start, both = (_decoded(tokenizer, [*before, *more]) for more in ((), ids))
    return both[len(start) :] if both.startswith(start) else text_of(tokenizer, ids)


def token_bytes(tokenizer: Any, token_id: int) -> bytes | None:
    """The bytes of a token of bytes: of sentencepiece's ``<0xE6>``, and of byte-level vocabularies."""
    raw = tokenizer.convert_ids_to_tokens(token_id)
    if not isinstance(raw, str):
        return None
    if raw.startswith("<0x") and raw.endswith(">"):
        return bytes((int(raw[3:-1], 16),))
    known = _byte_of()
    return bytes(known[char] for char in raw) if all(char in known for char in raw) else None


def show_tokens(tokens: Sequence[str]) -> str:
    """Tokens side by side for a message: ``'The' ' Eiffel'``. Of very many, both ends."""
    shown = [f"'{shortened(token)}'" for token in tokens[: _SHOWN + 1]]
    if len(tokens) <= _SHOWN:
        return " ".join(shown)
    ends = (shown[: _SHOWN // 2], tokens[-_SHOWN // 4 :])
    left_out = len(tokens) - sum(map(len, ends))
    last = " ".join(f"'{shortened(token)}'" for token in ends[1])
    return f"{' '.join(ends[0])} … {left_out} more … {last}"


def shortened(text: str) -> str:
    """``text`` for a message: harmless, and of a long one its beginning."""
    return visible(text) if len(text) <= _LONGEST else f"{visible(text[:_LONGEST])}…"


@lru_cache(maxsize=8)
def anchor_of(tokenizer: Any) -> int:
    """A token of plain text, to decode others behind."""
    ids = tokenizer("a", add_special_tokens=False)["input_ids"]
    return int(ids[-1]) if ids else 0


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    try:
        return str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))
    except (TypeError, KeyError, IndexError, OverflowError):  # slow ones, of an id they do not have
        return ""


def known_of(tokenizer: Any) -> dict[tuple[Any, Any], Any]:
    """What was asked of its tokens before, by who asked and of what; nothing where it has got more tokens
    since."""
    size = len(tokenizer)
    before = _known.get(tokenizer)
    if before is None or before[0] != size:
        _known[tokenizer] = before = size, {}
    return before[1]


_known: WeakKeyDictionary[Any, tuple[int, dict[tuple[Any, Any], Any]]] = WeakKeyDictionary()


@lru_cache(maxsize=1)
def _byte_of() -> dict[str, int]:
    return {char: byte for byte, char in bytes_to_unicode().items()}
