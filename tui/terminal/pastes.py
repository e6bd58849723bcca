"""What a paste brings is text, whatever it is made of.

Textual takes an escape sequence inside a bracketed paste for keys: the paste ends there, and what is left of
it is typed, a command a letter. tmux pastes such a sequence as it is. So the sign that begins one is left out
of what is pasted; as a control character it would be left out later anyhow.
"""

from __future__ import annotations

_BEGIN, _END, _ESCAPE = "\x1b[200~", "\x1b[201~", "\x1b"


class Pastes:
    """What the terminal sends, piece by piece, without escape signs inside pastes."""

    def __init__(self) -> None:
        self._inside = False
        self._before = ""  # the end of what was sent on, where a mark may have begun
        self._kept = ""  # of a paste: what may be the beginning of its end

    def __call__(self, data: str) -> str:
        """``data`` as it is to be parsed. Outside a paste nothing is held back."""
        sent = ""
        while data:
            if self._inside:
                text, end, data = (self._kept + data).partition(_END)
                self._kept = "" if end else _beginning(text, _END)
                sent += text.removesuffix(self._kept).replace(_ESCAPE, "") + end
                self._inside = not end
                continue
            seen = self._before + data
            at = seen.find(_BEGIN)
            if at < 0:
                self._before = _beginning(seen, _BEGIN)
                return sent + data
            behind = at + len(_BEGIN) - len(self._before)
            sent, data = sent + data[:behind], data[behind:]
            self._before, self._inside = "", True
        return sent


def _beginning(text: str, mark: str) -> str:
    """The end of ``text`` with which ``mark`` may begin."""
    return next((mark[:n] for n in range(len(mark) - 1, 0, -1) if text.endswith(mark[:n])), "")
