"""The strings of all tokens as one message of the engine: few large pieces, so that they are quickly read."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec


class TokenStrings(msgspec.Struct, frozen=True, tag="token_strings"):
    """Answer to ``Vocabulary``: every token's text, by id.

    ``text`` is all of them in one string; ``ends`` says where each ends, in characters, as unsigned
    integers of four bytes, little-endian. 150,000 strings are read back in some milliseconds.
    """

    job: int
    text: str
    ends: bytes

    @classmethod
    def of(cls, job: int, strings: Sequence[str]) -> TokenStrings:
        """The message that carries ``strings``."""
        ends = list(accumulate(map(len, strings)))
        return cls(job, "".join(strings), struct.pack(f"<{len(ends)}I", *ends))

    @property
    def strings(self) -> list[str]:
        """One a token, in the order of ids."""
        ends = struct.unpack(f"<{len(self.ends) // 4}I", self.ends)
        return [self.text[start:end] for start, end in pairwise((0, *ends))]
