"""Measures the demo model on combinations that training never showed.

    python -m interpboard.models.demo.evaluate [--samples N] [--folder DIR]

reads the saved weights and prints one figure per behaviour. The model card quotes this table.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from . import DEMO_FOLDER
from .corpus import agreement, induction, ioi, recall, years
from .measuring import BehaviourScore, MeasuredModel, score_table

EXAMPLE_PROMPTS = (
    "The Eiffel Tower is located in the city of",
    "The Eiffel Tower is located in",
    "The Eiffel Tower is located in Paris,",
    "The capital of France is",
    "When Mary and John went to the store, John gave a drink to",
    "The keys to the cabinet",
    "The war lasted from 1743 to 17",
)


class Evaluator(MeasuredModel):
    """The demo model, one method per behaviour."""

    FOLDER = DEMO_FOLDER

    def first_token(self, text: str) -> int:
        """The id of the first token of an answer."""
        return self.tokenizer(text).input_ids[0]

    @torch.inference_mode()
    def last_logits(self, prompts: Sequence[str]) -> Tensor:
        """Logits of the token after each prompt, (prompts, vocabulary).

        Padding stands on the right, where causal attention keeps it from mattering.
        """
        rows = []
        for begin in range(0, len(prompts), 64):
            ids = [self.tokenizer(text).input_ids for text in prompts[begin : begin + 64]]
            longest = max(map(len, ids))
            padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
            last = torch.tensor([len(row) - 1 for row in ids])
            hidden = self.model.transformer(padded.to(self.model.device)).last_hidden_state
            rows.append(self.model.lm_head(hidden[torch.arange(len(ids)), last]).cpu())
        return torch.cat(rows)

    def facts(self, samples: int | None = None) -> BehaviourScore:
        """Top-1 on the first token of the answer, each fact in the phrasing held out for it."""
        probes = list(recall.held_out_examples())
        if samples is not None and samples < len(probes):
            probes = self._rng().sample(probes, samples)
        top = self.last_logits([probe.prompt for probe in probes]).argmax(-1)
        total: Counter[str] = Counter(probe.relation for probe in probes)
        right: Counter[str] = Counter()
        for probe, token in zip(probes, top.tolist(), strict=True):
            right[probe.relation] += token == self.first_token(probe.answer)
        details = {name: right[name] / count for name, count in total.items()}
        value = right.total() / len(probes)
        return BehaviourScore("facts, held-out phrasing: top-1", value, 0.95, len(probes), details)

    def ioi(self, samples: int) -> BehaviourScore:
        """Share of prompts whose logit of the indirect object exceeds that of the subject."""
        probes = list(ioi.held_out_examples(self._rng(), samples))
        logits = self.last_logits([probe.prompt for probe in probes])
        receivers = torch.tensor([self.first_token(probe.indirect_object) for probe in probes])
        subjects = torch.tensor([self.first_token(probe.subject) for probe in probes])
        rows = torch.arange(len(probes))
        difference = logits[rows, receivers] - logits[rows, subjects]
        details = {"mean logit difference": difference.mean().item()}
        details["top-1 is the indirect object"] = (
            (logits.argmax(-1) == receivers).float().mean().item()
        )
        for order in ("ABBA", "BABA"):
            chosen = torch.tensor([probe.order == order for probe in probes])
            details[f"logit difference > 0, {order}"] = (
                (difference[chosen] > 0).float().mean().item()
            )
        value = (difference > 0).float().mean().item()
        return BehaviourScore(
            "IOI, unseen name pairs: logit diff > 0", value, 0.95, samples, details
        )

    @torch.inference_mode()
    def induction(self, samples: int, context: int = 256) -> BehaviourScore:
        """Top-1 over the second occurrence of random tokens, its first token aside."""
        right = count = 0
        vocabulary = len(self.tokenizer)
        for probe in induction.held_out_examples(self._rng(), vocabulary, samples, context):
            ids = torch.tensor([probe.ids])
            logits = self.model(ids.to(self.model.device)).logits[0, -probe.half : -1]
            top = logits.argmax(-1).cpu()
            right += int((top == ids[0, -probe.half + 1 :]).sum())
            count += probe.half - 1
        return BehaviourScore("induction, random tokens: top-1", right / count, 0.90, samples)

    def agreement(self, samples: int) -> BehaviourScore:
        """Share of prompts that prefer the right form of the verb over the wrong one."""
        probes = list(agreement.held_out_examples(self._rng(), samples))
        logits = self.last_logits([probe.prompt for probe in probes])
        right = torch.tensor([self.first_token(probe.right) for probe in probes])
        wrong = torch.tensor([self.first_token(probe.wrong) for probe in probes])
        rows = torch.arange(len(probes))
        ahead = logits[rows, right] > logits[rows, wrong]
        value = ahead.float().mean().item()
        return BehaviourScore("agreement, unseen nouns: right verb first", value, 0.95, samples)

    def years(self, samples: int) -> BehaviourScore:
        """Mean share of the two-digit tokens' probability that lies on later years."""
        numbers = torch.tensor([self.first_token(f"{n:02d}") for n in range(100)])
        probes = list(years.held_out_examples(self._rng(), samples))
        probabilities = self.last_logits([p.prompt for p in probes]).softmax(-1)[:, numbers]
        starts = torch.tensor([probe.start for probe in probes])
        later = torch.arange(100)[None, :] > starts[:, None]
        mass = (probabilities * later).sum(-1) / probabilities.sum(-1)
        details = {
            "lowest share": mass.min().item(),
            "probability of any two digits": probabilities.sum(-1).mean().item(),
        }
        value = mass.mean().item()
        return BehaviourScore("greater-than, unseen years: mass", value, 0.90, samples, details)

    def all_figures(self, samples: int) -> list[BehaviourScore]:
        """Every behaviour, each on `samples` examples (facts: on all of them)."""
        return [
            self.facts(),
            self.ioi(samples),
            self.induction(max(1, samples // 4)),
            self.agreement(samples),
            self.years(samples),
        ]

    def top_tokens(self, prompt: str, count: int = 3) -> list[tuple[str, float]]:
        """The most probable next tokens of a prompt with their probabilities."""
        top = self.last_logits([prompt]).softmax(-1)[0].topk(count)
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return [(self.tokenizer.decode([token]), value) for token, value in pairs]


def main() -> None:
    """Print the table and a few well-known prompts."""
    parser = argparse.ArgumentParser(description="Measure the demo model's behaviours.")
    parser.add_argument("--samples", type=int, default=1000, help="examples per behaviour")
    parser.add_argument("--folder", type=Path, default=DEMO_FOLDER, help="where the model lies")
    arguments = parser.parse_args()
    evaluator = Evaluator.load(arguments.folder)
    print(score_table(evaluator.all_figures(arguments.samples)))
    print()
    for prompt in EXAMPLE_PROMPTS:
        tops = ", ".join(f"{token!r} {p:.3f}" for token, p in evaluator.top_tokens(prompt))
        print(f"{prompt!r} -> {tops}")


if __name__ == "__main__":
    main()
