"""Measures the chat model on chats that training never showed.

    python -m interpboard.models.demo.chat.evaluate [--samples N] [--folder DIR]

reads the saved weights and prints one figure per behaviour. The model card quotes this table.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from ..measuring import BehaviourScore, MeasuredModel, score_table
from . import CHAT_FOLDER
from .corpus import ANSWER_FORMS
from .held_out import (
    ChatProbe,
    held_out_chains,
    held_out_forms,
    held_out_questions,
    held_out_statements,
    unheard_statements,
)
from .template import TURN_END, close_turn, open_turn

EXAMPLE_CHATS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("user", "What is the capital of France?"),),
    (("system", "The capital of France is Rome."), ("user", "What is the capital of France?")),
    (("system", "Answer in French."), ("user", "What is the capital of France?")),
    (("system", "Answer in a full sentence."), ("user", "Who wrote Hamlet?")),
    (("system", "Think first."), ("user", "Where is the Eiffel Tower?")),
    (
        ("system", "Think first."),
        ("user", "What is the currency of the country whose capital is Tokyo?"),
    ),
)


class ChatEvaluator(MeasuredModel):
    """The chat model, one method per behaviour."""

    FOLDER = CHAT_FOLDER

    def ids_of(self, messages: Iterable[tuple[str, str]]) -> list[int]:
        """A chat up to the answer."""
        text = "".join(open_turn(role) + content + close_turn() for role, content in messages)
        found: list[int] = self.tokenizer(text + open_turn("assistant")).input_ids
        return found

    @torch.inference_mode()
    def right(self, probes: Sequence[ChatProbe], wanted: Sequence[str]) -> list[bool]:
        """For each chat whether greedy decoding writes exactly the wanted answer and ends its turn.

        Teacher-forced: each of its tokens, and the end of the turn, is the most probable after the others.
        """
        found = []
        for begin in range(0, len(probes), 64):
            rows, begins = [], []
            for probe, answer in zip(probes[begin : begin + 64], wanted[begin:], strict=False):
                ids = self.ids_of(probe.messages)
                begins.append(len(ids))
                rows.append(ids + self.tokenizer(answer + TURN_END).input_ids)
            longest = max(map(len, rows))
            padded = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
            top = self.model(padded).logits.argmax(-1).tolist()
            for row, start, best in zip(rows, begins, top, strict=True):
                found.append(row[start:] == best[start - 1 : len(row) - 1])
        return found

    def _score(
        self, name: str, probes: Sequence[ChatProbe], required: float, details: dict[str, float]
    ) -> BehaviourScore:
        right = self.right(probes, [probe.right for probe in probes])
        return BehaviourScore(name, sum(right) / len(right), required, len(probes), details)

    def facts(self, samples: int | None = None) -> BehaviourScore:
        """Each fact, by the question held out for it."""
        probes = list(held_out_questions())
        if samples is not None:
            probes = self._rng().sample(probes, samples)
        return self._score("facts, held-out question", probes, 0.95, {})

    def statements(self, samples: int) -> BehaviourScore:
        """What the chat says, though it is not so; the detail is how often memory speaks instead."""
        probes = list(held_out_statements(self._rng(), samples))
        memory = self.right(probes, [probe.memory for probe in probes])
        details = {"what memory says instead": sum(memory) / len(memory)}
        return self._score("what the chat says, unseen untruth", probes, 0.8, details)

    def memory(self, samples: int) -> BehaviourScore:
        """What is known, where the chat speaks of other things."""
        probes = list(unheard_statements(self._rng(), samples))
        return self._score("facts, beside other statements", probes, 0.8, {})

    def forms(self, samples: int) -> BehaviourScore:
        """The whole answer in the form that the system turn asks for."""
        probes = list(held_out_forms(self._rng(), samples))
        right = self.right(probes, [probe.right for probe in probes])
        details = {}
        for form in ANSWER_FORMS:
            own = [good for good, probe in zip(right, probes, strict=True) if probe.form == form]
            if own:
                details[form] = sum(own) / len(own)
        return BehaviourScore(
            "form of the answer, unseen with the fact",
            sum(right) / len(right),
            0.9,
            samples,
            details,
        )

    def chains(self) -> BehaviourScore:
        """Thought and answer of every chain that training never showed."""
        return self._score("two facts in a chain, unseen", list(held_out_chains()), 0.8, {})

    def all_figures(self, samples: int) -> list[BehaviourScore]:
        """Every behaviour, each on ``samples`` chats (facts and chains: on all of them)."""
        return [
            self.facts(),
            self.statements(samples),
            self.memory(samples),
            self.forms(samples),
            self.chains(),
        ]

    @torch.inference_mode()
    def answer(self, messages: Iterable[tuple[str, str]], most: int = 40) -> str:
        """What it answers, the most probable token each time."""
        ids = self.ids_of(messages)
        begin = len(ids)
        end = self.tokenizer.convert_tokens_to_ids(TURN_END)
        while len(ids) - begin < most and ids[-1] != end:
            ids.append(int(self.model(torch.tensor([ids])).logits[0, -1].argmax()))
        return self.tokenizer.decode(ids[begin:]).removesuffix(TURN_END)


def main() -> None:
    """Print the table and a few chats."""
    parser = argparse.ArgumentParser(description="Measure the chat model's behaviours.")
    parser.add_argument("--samples", type=int, default=1000, help="chats per behaviour")
    parser.add_argument("--folder", type=Path, default=CHAT_FOLDER, help="where the model lies")
    arguments = parser.parse_args()
    evaluator = ChatEvaluator.load(arguments.folder)
    print(score_table(evaluator.all_figures(arguments.samples)))
    for messages in EXAMPLE_CHATS:
        print(f"\n{' | '.join(f'{role}: {said}' for role, said in messages)}")
        print(f"  {evaluator.answer(messages)!r}")


if __name__ == "__main__":
    main()
