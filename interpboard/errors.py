"""Every error a user can meet, each with what was wrong and what to do about it.

An ``InterpBoardError`` is the user's to solve: it prints as one line, exits with code 2 and shows no
traceback unless ``--debug`` asks for it. Anything else that escapes is a fault of ours (exit code 1).
"""

from __future__ import annotations

import re

_QUOTED_MOST, _LINE_MOST = 80, 1500
_LONG_QUOTE = re.compile(rf"'[^']{{{_QUOTED_MOST + 1},}}'|\"[^\"]{{{_QUOTED_MOST + 1},}}\"")


def bounded(text: str) -> str:
    """``text`` for a line: what it quotes cut behind 80 characters, the whole in the middle, with ``…``."""
    text = _LONG_QUOTE.sub(lambda quote: f"{quote[0][: _QUOTED_MOST + 1]}…{quote[0][-1]}", text)
    if len(text) <= _LINE_MOST:
        return text
    behind = _LINE_MOST // 3
    return f"{text[: _LINE_MOST - behind]} … {text[-behind:]}"


class InterpBoardError(Exception):
    """What was wrong (``message``) and what to do (``remedy``), in one line together.

    As text it is ``bounded``, whatever it quotes; ``message`` and ``remedy`` are whole.
    """

    kind = "error"
    passing = False
    """Whether the same may be done another time, on this machine as it is then."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{bounded(self.message)} {bounded(self.remedy)}".strip()


class UnknownModel(InterpBoardError):
    """No such folder, no such model on the hub, or no network to look."""

    kind = "unknown_model"


class NotALanguageModel(InterpBoardError):
    """The model loads, but predicts no next token or has no layers that can be found."""

    kind = "not_a_language_model"


class UnsafeWeights(InterpBoardError):
    """Weights that are not safetensors, or a model that wants to run its own code."""

    kind = "unsafe_weights"


class BadAdapter(InterpBoardError):
    """An adapter that does not fit the model that it is put on, or that cannot be looked into."""

    kind = "bad_adapter"


class BadDevice(InterpBoardError):
    """A device or number format that this machine does not have."""

    kind = "bad_device"


class BadPrompt(InterpBoardError):
    """Empty, or longer than the model's context."""

    kind = "bad_prompt"


class BadTarget(InterpBoardError):
    """A target or foil that is not one token of the vocabulary."""

    kind = "bad_target"


class BadPosition(InterpBoardError):
    """A position outside the prompt."""

    kind = "bad_position"


class BadParameter(InterpBoardError):
    """An unknown analysis, metric or parameter, or a value out of range."""

    kind = "bad_parameter"


class Unsupported(InterpBoardError):
    """Something this model cannot do, said by name."""

    kind = "unsupported"


class NotFinite(InterpBoardError):
    """A run whose numbers leave what the model's number format holds: nothing can be said of it."""

    kind = "not_finite"


class OutOfMemory(InterpBoardError):
    """Even the smallest batch did not fit."""

    kind = "out_of_memory"
    passing = True


class Unaffordable(InterpBoardError):
    """What was asked for needs more memory than there is; nothing of it was begun."""

    kind = "unaffordable"
    passing = True


class BadResultFile(InterpBoardError):
    """A file that holds no result of this program, or a damaged one."""

    kind = "bad_result_file"

    def about(self, path: object) -> BadResultFile:
        """The same with the name of the file in front, once."""
        if str(path) in self.message:
            return self
        return BadResultFile(f"{path}: {self.message}", self.remedy)


class BadConfig(InterpBoardError):
    """A configuration file or variable with an unknown name or a wrong value."""

    kind = "bad_config"


class MissingPackage(InterpBoardError):
    """A package that only some views need is not installed."""

    kind = "missing_package"
    passing = True


class StoreProblem(InterpBoardError):
    """Saved results that cannot be written or read: a full disk, no permission, damaged bytes."""

    kind = "store"


class EngineLost(InterpBoardError):
    """The engine process ended in the middle of a job."""

    kind = "engine_lost"


class WorkerLost(InterpBoardError):
    """A process that shares the rows of a sweep failed, or there is no room for one."""

    kind = "worker_lost"


class Cancelled(Exception):
    """A job was cancelled; raised at the next step after the request."""
