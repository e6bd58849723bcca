"""Makes the named behaviours from the demo corpus, so that they can be made again for another demo model.

    python -m interpboard.circuits.discovery.behaviours.make

Prompts are held-out combinations where the corpus has them. A pair is kept if the demo tokenizer gives
both prompts the same length and every answer is one token.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from transformers import AutoTokenizer

from interpboard.circuits.discovery.behaviours import BEHAVIOURS_FOLDER
from interpboard.files import atomic
from interpboard.models.demo import DEMO_FOLDER as DEMO
from interpboard.models.demo.corpus import agreement, ioi, recall, words, years
from interpboard.models.demo.facts import RELATIONS

COUNT = 40
SEED = 40_000

PairRecord = dict[str, Any]


def ioi_pairs(rng: random.Random) -> Iterator[PairRecord]:
    """The second mention of the giver becomes a third name: then either of the first two may receive."""
    for probe in ioi.held_out_examples(rng, 10**6):
        before, giver, after = probe.prompt.rpartition(probe.subject)
        third = rng.choice([name for name in words.NAMES if name not in probe.prompt])
        yield _pair(probe.prompt, f"{before} {third}{after}", probe.indirect_object, giver)


def induction_pairs(rng: random.Random) -> Iterator[PairRecord]:
    """Random words with ``a b`` and ``c d`` among them, then ``a`` again; corrupted, a and c swap."""
    pool = sorted({*words.OBJECTS, *words.PLACES, *words.ADJECTIVES})
    while True:
        chosen = rng.sample(pool, rng.choice((8, 10, 12)))
        a, c = sorted(rng.sample(range(0, len(chosen) - 1, 2), 2), key=lambda _: rng.random())
        other = list(chosen)
        other[a], other[c] = other[c], other[a]
        clean, corrupted = (" ".join([*row, chosen[a]]) for row in (chosen, other))
        yield _pair("The " + clean, "The " + corrupted, f" {chosen[a + 1]}", f" {chosen[c + 1]}")


def facts_pairs(rng: random.Random) -> Iterator[PairRecord]:
    """Two subjects of one relation in the phrasing that training never showed for the first."""
    while True:
        relation = rng.choice(RELATIONS)
        fact, other = rng.sample(list(relation.facts), 2)
        phrasing = relation.phrasings[recall.held_out_phrasing(relation, fact)]
        clean, corrupted = (recall.prompt_for(phrasing, one) for one in (fact, other))
        yield _pair(clean, corrupted, f" {fact.answer}", f" {other.answer}")


def agreement_pairs(rng: random.Random) -> Iterator[PairRecord]:
    """The head noun changes its number; the distractor stays."""
    number = {form: other for pair in words.NOUNS for form, other in (pair, pair[::-1])}
    for probe in agreement.held_out_examples(rng, 10**6):
        the, head, *rest = probe.prompt.split(" ")
        yield _pair(probe.prompt, " ".join([the, number[head], *rest]), probe.right, probe.wrong)


def greater_than_pairs(rng: random.Random) -> Iterator[PairRecord]:
    """Corrupted, the event begins in year 01, after which any year may follow (Hanna et al. 2023)."""
    for probe in years.held_out_examples(rng, 10**6):
        start = f"{probe.start:02d}"
        before, _, after = probe.prompt.partition(start + " ")
        later = [f"{year:02d}" for year in range(probe.start + 1, 100)]
        earlier = [f"{year:02d}" for year in range(2, probe.start + 1)]
        yield _pair(probe.prompt, f"{before}01 {after}", later, earlier)


MAKERS: dict[str, tuple[str, str, Callable[[random.Random], Iterator[PairRecord]]]] = {
    "ioi": ("the name that is not repeated receives", "logit_diff", ioi_pairs),
    "induction": ("what followed a word follows it again", "logit_diff", induction_pairs),
    "facts": ("the answer belongs to the subject", "logit_diff", facts_pairs),
    "agreement": ("the verb agrees with the head noun", "logit_diff", agreement_pairs),
    "greater_than": ("an event ends after it began", "prob_diff", greater_than_pairs),
}


def file_text(name: str, tokenizer: Any) -> str:
    """The JSON of one behaviour."""
    description, measure, make = MAKERS[name]
    pairs = (pair for pair in make(random.Random(SEED)) if _fits(tokenizer, pair))
    whole = {
        "name": name,
        "description": description,
        "measure": measure,
        "examples": list(islice(pairs, COUNT)),
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the files."""
    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    for name in MAKERS:
        atomic.write_text(BEHAVIOURS_FOLDER / f"{name}.json", file_text(name, tokenizer))


def _pair(clean: str, corrupted: str, target: str | list[str], foil: str | list[str]) -> PairRecord:
    return {"clean": clean, "corrupted": corrupted, "target": target, "foil": foil}


def _fits(tokenizer: Any, pair: PairRecord) -> bool:
    if pair["target"] == pair["foil"] or pair["clean"] == pair["corrupted"]:
        return False
    clean, corrupted = (tokenizer(pair[key])["input_ids"] for key in ("clean", "corrupted"))
    answers = [pair["target"], pair["foil"]]
    flat = [a for answer in answers for a in ([answer] if isinstance(answer, str) else answer)]
    return len(clean) == len(corrupted) and all(
        len(tokenizer(answer)["input_ids"]) == 1 for answer in flat
    )


if __name__ == "__main__":
    main()
