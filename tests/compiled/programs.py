"""The compiled programs, each with prompts and with what is true of it, worked out by hand.

Read a program beside the prompt: ``abcda``, and the first token ``<s>`` at position 0, so that the ``a``s
are at positions 1 and 5. Every answer has a logit of 8, every other token one of 0, unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.compiled.language import (
    LETTERS,
    REST,
    TOKENS,
    Head,
    Look,
    Move,
    Program,
    Step,
    of_tokens,
    one_back,
    to_tokens,
)

N = len(TOKENS)
ANY_LETTER = of_tokens(LETTERS)
TO_THE_TOKEN_BEFORE = (Look("position", "position", one_back),)
# The same token, but not at the same place.
TO_ITS_LIKE = (Look("token", "token"), Look("position", "position", weight=-1.0), REST)

INDUCTION = Program(
    "induction",
    n_layers=2,
    n_heads=4,
    spaces={"previous": N},
    heads={
        "0.1": Head(TO_THE_TOKEN_BEFORE, Move("token", "previous")),
        "1.2": Head((Look("token", "previous"), REST), Move("token", "answer")),
    },
)

# What stood two behind this token's last place. 1.1 does nothing but write the key of 2.3.
CHAIN = Program(
    "chain",
    n_layers=3,
    n_heads=4,
    spaces={"previous": N, "second": N},
    heads={
        "0.0": Head(TO_THE_TOKEN_BEFORE, Move("token", "previous")),
        "1.1": Head(TO_THE_TOKEN_BEFORE, Move("previous", "second")),
        "2.3": Head((Look("token", "second"), REST), Move("token", "answer")),
    },
)

# Of the letters in front of ``:`` the one that is not repeated (indirect objects, without the sentence).
MOVER = Program(
    "mover",
    n_layers=3,
    n_heads=4,
    spaces={"repeated": N, "inhibited": N},
    heads={
        "0.2": Head(TO_ITS_LIKE, Move("token", "repeated")),
        "1.0": Head(
            (Look("token", "repeated", of_tokens(":")), REST), Move("repeated", "inhibited")
        ),
        "2.3": Head(
            (
                Look(
                    "token", "token", lambda n, m: of_tokens(":")(n, m) * to_tokens(LETTERS)(n, m)
                ),
                Look("inhibited", "token", weight=-1.0),
                REST,
            ),
            Move("token", "answer"),
        ),
    },
)

# ``+`` if more than 5 in 16 of the tokens are repetitions, else ``-``.
TALLY = Program(
    "tally",
    n_layers=2,
    n_heads=4,
    spaces={"seen": 1, "share": 1},
    heads={
        "0.2": Head(TO_ITS_LIKE, Move("token", "seen", ANY_LETTER)),
        "1.1": Head((), Move("seen", "share")),
    },
    mlps={1: Step("share", at=5 / 16, width=1 / 16, slope=512.0, yes="+", no="-")},
)

# ``+`` if the last token stood before, else ``-``. Small enough to try every set of its 13 edges.
REPEAT = Program(
    "repeat",
    n_layers=1,
    n_heads=2,
    spaces={"seen": 1},
    heads={"0.0": Head(TO_ITS_LIKE, Move("token", "seen", ANY_LETTER))},
    mlps={0: Step("seen", at=0.5, width=0.5, slope=64.0, yes="+", no="-")},
    n_positions=12,
)


@dataclass(frozen=True)
class Truth:
    """What is true of a program on its prompt.

    ``other``: a prompt with another token at every place that is read. ``changed``: the prompt with one
    token changed so that the answer is lost. ``edges``: those that carry the difference to ``other``.
    ``ablated``: effect of zeroing each head. ``shown``: from which layer on the lens has the answer.
    ``types``: of heads that have one. ``direct``: logits written straight into the answer.
    ``restored``: recovered by each head's z in the run of ``changed``; ``inside``: by its queries, keys,
    values or pattern alone; ``way``: by the stream before (layer, position). ``read``: effect of taking
    away each token, ``<s>`` first. ``moved``: the position of the token that is moved to the answer, where
    one is.
    """

    program: Program
    prompt: str
    other: str
    changed: str
    target: str
    foil: str | None
    edges: tuple[str, ...]
    ablated: dict[str, float]
    shown: int
    types: dict[str, str]
    direct: dict[str, float]
    restored: dict[str, float]
    inside: dict[str, float]
    way: dict[tuple[int, int], float]
    read: tuple[float, ...]
    moved: int | None = None

    @property
    def heads(self) -> tuple[str, ...]:
        """The program's heads by name."""
        return tuple(self.program.heads)


TRUTHS = {
    truth.program.name: truth
    for truth in (
        Truth(
            INDUCTION,
            prompt="abcda",
            other="efghi",
            changed="ebcda",
            target="b",
            foil=None,
            edges=("embed>0.1.v", "embed>1.2.q", "0.1>1.2.k", "embed>1.2.v", "1.2>output"),
            ablated={"0.1": -8, "1.2": -8},
            shown=1,
            types={"0.1": "previous_token", "1.2": "induction"},
            direct={"L1 H2": 8},
            restored={"0.1": 1, "1.2": 1},
            inside={"0.1.v": 1, "1.2.k": 1, "1.2.pattern": 1},
            # The a at 1 becomes the key at 2, which holds the b.
            way={(0, 1): 1, (1, 2): 1},
            read=(0, 8, 8, 0, 0, 8),
            moved=2,
        ),
        Truth(
            CHAIN,
            prompt="abcda",
            other="efghi",
            changed="ebcda",
            target="c",
            foil=None,
            edges=(
                "embed>0.0.v", "0.0>1.1.v", "embed>2.3.q", "1.1>2.3.k", "embed>2.3.v", "2.3>output",
            ),
            ablated={"0.0": -8, "1.1": -8, "2.3": -8},
            shown=2,
            # Two behind is no type of its own, but here 2.3 looks at the answer and copies it.
            types={"0.0": "previous_token", "1.1": "previous_token", "2.3": "name_mover"},
            direct={"L2 H3": 8},
            restored={"0.0": 1, "1.1": 1, "2.3": 1},
            inside={"0.0.v": 1, "1.1.v": 1, "2.3.k": 1, "2.3.pattern": 1},
            way={(0, 1): 1, (1, 2): 1, (2, 3): 1},
            read=(0, 8, 0, 8, 0, 8),
            moved=3,
        ),
        Truth(
            MOVER,
            prompt="abb:",
            other="cde:",
            changed="abc:",
            target="a",
            foil="b",
            edges=(
                "embed>0.2.q", "embed>0.2.k", "embed>0.2.v", "0.2>1.0.k", "0.2>1.0.v",
                "1.0>2.3.q", "embed>2.3.k", "embed>2.3.v", "2.3>output",
            ),
            # Without inhibition 2.3 looks at a, b and b alike: (8 − 16) / 3 instead of 8.
            ablated={"0.2": -32 / 3, "1.0": -32 / 3, "2.3": -8},
            shown=2,
            types={"0.2": "duplicate_token", "2.3": "name_mover"},
            direct={"L2 H3": 8},
            # b inhibited among a, b and c: 2.3 looks at a and c, half of what there was.
            restored={"0.2": 0.5, "1.0": 0.5, "2.3": 1},
            # 1.0 needs key and value of the repetition: either alone is nothing. With the second b among
            # the values, and nothing inhibited, 2.3 finds b more often than a.
            inside={
                "0.2.q": 0.5, "0.2.pattern": 0.5, "2.3.q": 0.5, "2.3.v": -1 / 3, "2.3.pattern": 1,
            },
            # At layer 2 the two parts have parted: b where it stood, uninhibited; b inhibited at ``:``.
            way={(0, 3): 1, (1, 3): 1, (2, 3): -1 / 3, (2, 4): 0.5},
            read=(0, 8, 8, 8, 8),
            moved=1,
        ),
        Truth(
            TALLY,
            prompt="abcdabc",
            other="efghijk",
            changed="abcdabe",
            target="+",
            foil="-",
            # The value of any letter is 1, so that another letter changes none.
            edges=("embed>0.2.q", "embed>0.2.k", "0.2>1.1.v", "1.1>1.mlp", "1.mlp>output"),
            ablated={"0.2": -16, "1.1": -16},
            shown=1,
            types={"0.2": "duplicate_token"},
            direct={"L1 MLP": 8},
            restored={"0.2": 1, "1.1": 1},
            inside={"0.2.q": 1, "0.2.pattern": 1, "1.1.v": 1},
            way={(0, 7): 1, (1, 7): 1},
            # Three repetitions are enough and two are not: each of the six letters is needed.
            read=(0, 16, 16, 16, 0, 16, 16, 16),
        ),
        Truth(
            REPEAT,
            prompt="abcda",
            other="efghi",
            changed="abcde",
            target="+",
            foil="-",
            edges=("embed>0.0.q", "embed>0.0.k", "0.0>0.mlp", "0.mlp>output"),
            ablated={"0.0": -16},
            shown=0,
            types={"0.0": "duplicate_token"},
            direct={"L0 MLP": 8},
            restored={"0.0": 1},
            inside={"0.0.q": 1, "0.0.pattern": 1},
            way={(0, 5): 1},
            read=(0, 16, 0, 0, 0, 16),
        ),
    )
}  # fmt: skip
PROGRAMS = {name: truth.program for name, truth in TRUTHS.items()}
