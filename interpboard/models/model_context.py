"""What the public classes are: a model and its tokenizer, held for the functions."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from interpboard.models.language_model import LanguageModel


class ModelContext:
    """Holds a model and its tokenizer; usable as a context manager. Nothing stays on the model.

    While the context is open the model is in evaluation mode, and afterwards as it was.

    Raises ``NotALanguageModel`` if the model cannot be looked into.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.lm = LanguageModel.of(model, tokenizer)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(self.lm.evaluating())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
