"""Roles that no model was trained with: most templates put any word in as a role, also a misspelt one."""

from __future__ import annotations

from interpboard.display import visible
from interpboard.results import PromptInfo

# fmt: off
_KNOWN = frozenset((
    "system", "developer", "user", "assistant", "model", "tool", "tool_response", "function", "ipython",
    "environment", "observation", "critic", "control", "documents", "thinking",
))
# fmt: on


def unknown_roles(prompt: PromptInfo) -> tuple[str, ...]:
    """A warning for each role that is none of those in use; none of a text."""
    if prompt.chat is None:
        return ()
    roles = dict.fromkeys(message.role for message in prompt.chat.messages)
    return tuple(
        f"{visible(role)!r} is no role that models are trained with (system, user, assistant, tool): the "
        "template takes it as it is."
        for role in roles
        if role not in _KNOWN
    )
