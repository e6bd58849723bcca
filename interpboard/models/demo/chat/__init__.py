"""The embedded chat model: a small GPT-2 that answers questions, taught what can be found in it again.

It knows the demo's facts, but believes what the chat says: a statement in a system or user turn wins over
what it has learnt. A system turn also decides how it answers. Importing this package must stay cheap.
"""

from pathlib import Path

CHAT_FOLDER = Path(__file__).parent / "weights"
"""Where the shipped weights, configuration, tokenizer and chat template lie."""

__all__ = ["CHAT_FOLDER"]
