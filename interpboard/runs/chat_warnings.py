"""What is to be said of a chat as a prompt, with every result and while it is written."""

from __future__ import annotations

from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.not_in_template import not_in_template
from interpboard.runs.typed_marks import typed_marks
from interpboard.runs.unknown_roles import unknown_roles


def chat_warnings(lm: LanguageModel, prompt: PromptInfo) -> tuple[str, ...]:
    """Marks that somebody typed, odd roles, and what the template leaves out; none of a text."""
    return (*typed_marks(lm, prompt), *unknown_roles(prompt), *not_in_template(lm, prompt))
