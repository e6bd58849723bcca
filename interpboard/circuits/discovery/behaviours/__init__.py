"""Named behaviours of the demo model, as data: JSON files of prompts made by ``make``.

| name | clean prompt | corrupted prompt | measure |
|---|---|---|---|
| ``ioi`` | When Mary and John …, John gave a drink to | … Tom gave a drink to | receiver − giver |
| ``induction`` | random words in which one stands again at the end | it stood before another | next − other |
| ``facts`` | The capital of France is | The capital of Italy is | Paris − Rome |
| ``agreement`` | The keys to the cabinet | The key to the cabinet | are − is |
| ``greater_than`` | The war lasted from 1743 to 17 | … from 1701 to 17 | later − earlier years |
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpboard.circuits.discovery.examples import Example, read_examples
from interpboard.errors import BadParameter

BEHAVIOURS = ("ioi", "induction", "facts", "agreement", "greater_than")
BEHAVIOURS_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Behaviour:
    """A named dataset and how it is measured (``cases.measured``)."""

    name: str
    description: str
    measure: str
    examples: tuple[Example, ...]


def load_behaviour(name: str) -> Behaviour:
    """The behaviour called ``name``; raises ``BadParameter`` with the names there are."""
    if name not in BEHAVIOURS:
        raise BadParameter(
            f"There is no behaviour {name!r}.", f"There are: {', '.join(BEHAVIOURS)}."
        )
    raw: Any = json.loads((BEHAVIOURS_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    examples = tuple(read_examples(raw["examples"]))
    return Behaviour(raw["name"], raw["description"], raw["measure"], examples)
