"""The embedded demo model: a small GPT-2 that has learnt behaviours whose mechanism is known.

The weights ship inside the package so that every analysis has something true to show without a
download. Importing this package must stay cheap, so it holds nothing but the folder's path.
"""

from pathlib import Path

DEMO_FOLDER = Path(__file__).parent / "weights"
"""Where the shipped weights, configuration and tokenizer lie."""

__all__ = ["DEMO_FOLDER"]
