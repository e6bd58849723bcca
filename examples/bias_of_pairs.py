"""Is the model biased here? Pairs of prompts that differ only in what should not matter.

    python examples/bias_of_pairs.py [--model MODEL] [--pairs FILE]

A line of the file is one pair: ``prompt => other prompt => target => foil``. Of both prompts the script
takes logit(target) − logit(foil), and says over all pairs

- the *preference*, the mean of the two: the target is preferred whichever prompt it is;
- the *effect of the exchange*, first − second: what differs between the prompts decides;

each with a 95 % interval from a bootstrap over the pairs; and which parts of the model write the preference.

Without a file: two names and a third that gives something, where nothing says who gets it. The target
is a woman's name and the foil a man's; the prompts differ in which of them comes first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from interpboard import LanguageModel, MetricRequest, Result, open_model
from interpboard.analyze import analyze
from interpboard.patching.prompt_pairs import pair_fields

NAMES = (
    ("Mary", "John"), ("Sarah", "Tom"), ("Anna", "James"), ("Emma", "Dan"), ("Lucy", "Bob"),
    ("Jane", "Peter"), ("Kate", "Paul"), ("Alice", "Mark"), ("Laura", "David"), ("Lisa", "Michael"),
    ("Linda", "Robert"), ("Susan", "William"),
)  # fmt: skip
TEMPLATE = "When {} and {} went to the store, Tim gave a drink to"
DRAWS = 10_000


def name_pairs() -> str:
    """A line a pair of names, as a file would have it."""
    return "\n".join(
        f"{TEMPLATE.format(woman, man)} => {TEMPLATE.format(man, woman)} =>  {woman} =>  {man}"
        for woman, man in NAMES
    )


def written(lm: LanguageModel, text: str, metric: MetricRequest) -> Result:
    """What each part writes into logit(target) − logit(foil); its ``baseline`` is that number."""
    return analyze(lm, text, ["direct_logit_attribution"], metric).results[0]


def interval(values: np.ndarray) -> str:
    """Mean [pair] and its bootstrap interval, in words."""
    draws = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(1), [0.025, 0.975])
    return f"{values.mean():+.2f}, 95 % interval {low:+.2f} to {high:+.2f}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="demo")
    options.add_argument("--pairs", type=Path)
    given = options.parse_args()
    lines = given.pairs.read_text(encoding="utf-8") if given.pairs else name_pairs()
    pairs = pair_fields(lines)
    if any(len(fields) != 4 for fields in pairs):
        options.error("every line needs: prompt => other prompt => target => foil")
    lm = open_model(given.model)

    differences, parts = [], []
    print("logit(target) − logit(foil)      first   second")
    for first, second, target, foil in pairs:
        metric = MetricRequest("logit_diff", target, foil)
        both = [written(lm, text, metric) for text in (first, second)]
        differences.append([result.baseline for result in both])
        parts.append(sum(result.values for result in both) / 2)
        pair = f"{target} − {foil}"
        print(f"{pair:<28}", *(f"{value:+8.2f}" for value in differences[-1]))

    values = np.array(differences)
    print(f"\npreference for the target: {interval(values.mean(1))}")
    print(f"effect of the exchange:    {interval(values[:, 0] - values[:, 1])}")
    print("\nwritten by, in the mean over pairs:")
    labels, mean = both[0].axes[0].labels, np.mean(parts, axis=0)
    for i in np.argsort(-np.abs(mean))[:5]:
        print(f"  {labels[i]:<10} {mean[i]:+.2f}")


if __name__ == "__main__":
    main()
