"""Behind which layer does each answer stay on top? The logit lens over many prompts.

python examples/when_answers_appear.py [--model MODEL] [PROMPT ...]
"""

from __future__ import annotations

import argparse

from interpboard import open_model
from interpboard.analyze import analyze

PROMPTS = (
    "The Eiffel Tower is located in the city of",
    "The capital of Italy is",
    "When Mary and John went to the store, John gave a drink to",
    "The keys to the cabinet",
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="demo")
    options.add_argument("prompts", nargs="*", default=PROMPTS)
    given = options.parse_args()
    lm = open_model(given.model)
    for text in given.prompts:
        lens = analyze(lm, text, ["logit_lens"]).results[0]
        probability = lens.values[:, -1]
        first = int(lens.extra["convergence"].values[-1])
        where = "the embedding" if first < 0 else f"layer {first}"
        print(f"{text!r}\n  {lens.metric.target.token!r} on top from {where} on;", end=" ")
        print("probability", *(f"{p:.0%}" for p in probability))


if __name__ == "__main__":
    main()
