"""The embedded masked model: a small BERT that fills in what the demo's facts say.

It reads both ways: what stands behind the mask matters as much as what stands before it. Importing this
package must stay cheap.
"""

from pathlib import Path

MASKED_FOLDER = Path(__file__).parent / "weights"
"""Where the shipped weights, configuration and tokenizer lie."""

__all__ = ["MASKED_FOLDER"]
