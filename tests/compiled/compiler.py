"""From a program to the weights of a GPT-2, with numpy alone.

**The stream is mirrored**: a coordinate x is kept as x and −x, in two halves. Its mean is 0 whatever is
written or taken away, and readers take half the difference of the halves.

**Layer norm is the identity.** Its epsilon is 2⁸⁰ and its weight 2⁴⁰: beside such an epsilon any variance
is lost, and powers of two round nothing.

**Weights are powers of two and ones**, so that sums are exact. A head's looks take blocks of its query
and key dimensions, its move takes a block of its value dimensions.

**What is not in the program is a control.** Heads that are left over are, in turn, *busy* (they average
tokens into the subspace ``unread``), *mute* (they look at themselves, take the token and write nothing)
and *blank* (all zero). Every MLP has busy neurons that write to ``unread`` and mute ones that write nothing.

``sharp`` is the score of a whole match. At ``HARD`` a softmax is 1 or 0; at ``SOFT`` it is neither, so that
gradients see what heads look at; then slopes of MLPs are soft, too. ``rotated`` turns both halves by one
random rotation: the same model with nothing on an axis and nothing exact, only to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.compiled.language import NOWHERE, TOKENS, Head, Look, Move, Program

HARD, SOFT = 2048.0, 4.0
EPSILON, NORM = 2.0**80, 2.0**40
LOGIT = 8.0  # of an answer of 1
D_HEAD = 64
D_MLP = 32
CONTROL_NEURONS = 4

BUSY = Head((), Move("token", "unread"))
MUTE = Head((Look("position", "position"),), Move("token", NOWHERE))
BLANK = Head((), None)
CONTROLS = (BUSY, MUTE, BLANK)

Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class Stream:
    """The subspaces of a program's stream, and how it is read and written."""

    places: dict[str, slice]
    width: int  # of one half
    turn: np.ndarray  # [width, width]

    @classmethod
    def of(cls, program: Program, rotated: bool) -> Stream:
        """Room for all that the program names, ``unread`` for the controls."""
        n = len(TOKENS)
        sizes = {"token": n, "position": program.n_positions, "one": 1} | program.spaces
        sizes |= {"answer": n, "unread": n}
        places, begin = {}, 0
        for name, size in sizes.items():
            places[name] = slice(begin, begin + size)
            begin += size
        width = D_HEAD * program.n_heads // 2
        if begin > width:
            raise ValueError(f"{program.name} needs {begin} coordinates and has {width}")
        noise = np.random.default_rng(0).normal(size=(width, width))
        return cls(places, width, np.linalg.qr(noise)[0] if rotated else np.eye(width))

    def size(self, space: str) -> int:
        """Coordinates of ``space``."""
        place = self.places[space]
        return place.stop - place.start

    def writes(self, space: str) -> np.ndarray:
        """[coordinate, d_model]: what a unit of each coordinate adds to the stream."""
        half = self.turn[self.places[space]]
        return np.concatenate([half, -half], axis=1)

    def reads(self, space: str) -> np.ndarray:
        """[d_model, coordinate]: takes each coordinate off the stream."""
        half = self.turn[self.places[space]].T
        return np.concatenate([half, -half]) / 2


def compiled(program: Program, sharp: float = HARD, rotated: bool = False) -> Weights:
    """Every parameter by the name that Hugging Face gives it, float64."""
    stream = Stream.of(program, rotated)
    d_model = 2 * stream.width
    ones = np.ones((program.n_positions, 1))
    positions = np.eye(program.n_positions) @ stream.writes("position") + ones @ stream.writes(
        "one"
    )
    begin = np.zeros((1, d_model))
    weights = {
        "transformer.wte.weight": np.concatenate([begin, stream.writes("token")]),
        "transformer.wpe.weight": positions,
        "lm_head.weight": LOGIT * np.concatenate([begin, stream.reads("answer").T]),
        **_norm("transformer.ln_f", d_model),
    }
    for layer in range(program.n_layers):
        at = f"transformer.h.{layer}"
        weights |= _norm(f"{at}.ln_1", d_model) | _norm(f"{at}.ln_2", d_model)
        weights |= _attention(program, stream, layer, sharp, at)
        weights |= _mlp(program, stream, layer, soft=sharp < HARD, at=at)
    return weights


def _norm(name: str, d_model: int) -> Weights:
    return {f"{name}.weight": np.full(d_model, NORM), f"{name}.bias": np.zeros(d_model)}


def _attention(program: Program, stream: Stream, layer: int, sharp: float, at: str) -> Weights:
    d_model = 2 * stream.width
    queries, keys, values = (np.zeros((d_model, d_model)) for _ in range(3))
    out = np.zeros((d_model, d_model))
    controls = 0
    for number in range(program.n_heads):
        head = program.heads.get(f"{layer}.{number}")
        if head is None:
            head, controls = CONTROLS[controls % len(CONTROLS)], controls + 1
        own = slice(number * D_HEAD, (number + 1) * D_HEAD)
        queries[:, own], keys[:, own] = _scores(stream, head, sharp)
        if head.moves is not None:
            move, n = head.moves, stream.size(head.moves.source)
            values[:, own][:, :n] = stream.reads(move.source)
            if move.target != NOWHERE:
                carried = move.map(n, stream.size(move.target))
                out[own][:n] = carried @ stream.writes(move.target)
    return {
        f"{at}.attn.c_attn.weight": np.concatenate([queries, keys, values], axis=1),
        f"{at}.attn.c_attn.bias": np.zeros(3 * d_model),
        f"{at}.attn.c_proj.weight": out,
        f"{at}.attn.c_proj.bias": np.zeros(d_model),
    }


def _scores(stream: Stream, head: Head, sharp: float) -> tuple[np.ndarray, np.ndarray]:
    """Query and key weights [d_model, d_head] whose product is the sum of the head's looks."""
    queries, keys = (np.zeros((2 * stream.width, D_HEAD)) for _ in range(2))
    begin = 0
    for look in head.looks:
        of_query, of_key = _compared(stream, look)
        part = slice(begin, begin := begin + of_query.shape[1])
        if begin > D_HEAD:
            raise ValueError(f"the looks need {begin} dimensions, a head has {D_HEAD}")
        # The model divides scores by the root of d_head.
        queries[:, part] = of_query * look.weight * sharp * np.sqrt(D_HEAD)
        keys[:, part] = of_key
    return queries, keys


def _compared(stream: Stream, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of a look in the coordinates of its smaller subspace."""
    query, key = stream.reads(look.query), stream.reads(look.key)
    between = look.map(query.shape[1], key.shape[1])
    if query.shape[1] < key.shape[1]:
        return query, key @ between.T
    return query @ between, key


def _mlp(program: Program, stream: Stream, layer: int, soft: bool, at: str) -> Weights:
    d_model = 2 * stream.width
    into, bias = np.zeros((d_model, D_MLP)), np.zeros(D_MLP)
    out, out_bias = np.zeros((D_MLP, d_model)), np.zeros(d_model)
    # Busy neurons first from the back, mute ones before them; both read the first letters.
    letters = stream.reads("token")[:, :CONTROL_NEURONS]
    into[:, -CONTROL_NEURONS:] = into[:, -2 * CONTROL_NEURONS : -CONTROL_NEURONS] = 16 * letters
    out[-CONTROL_NEURONS:] = stream.writes("unread")[:CONTROL_NEURONS] / 16
    step = program.mlps.get(layer)
    if step is not None:
        slope = step.slope / 32 if soft else step.slope
        half = step.width / 2
        into[:, :2] = slope * stream.reads(step.source)
        bias[:2] = -slope * (step.at - half), -slope * (step.at + half)
        yes, no = (stream.writes("answer")[TOKENS.index(word)] for word in (step.yes, step.no))
        ramp = (yes - no) / (slope * step.width)
        out[0], out[1], out_bias = ramp, -ramp, no
    return {
        f"{at}.mlp.c_fc.weight": into,
        f"{at}.mlp.c_fc.bias": bias,
        f"{at}.mlp.c_proj.weight": out,
        f"{at}.mlp.c_proj.bias": out_bias,
    }
