"""The embedded encoder–decoder: a small T5 that knows the demo's facts, and restates a fact that it reads.

A sentence without its end is answered from what it has learnt; a whole sentence is said again in other words,
with the answer that it was given, right or wrong: that one is fetched from the source by cross attention.
Importing this package must stay cheap.
"""

from pathlib import Path

T5_FOLDER = Path(__file__).parent / "weights"
"""Where the shipped weights, configuration and tokenizer lie."""

__all__ = ["T5_FOLDER"]
