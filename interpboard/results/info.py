"""What a result is about: the model, the prompt, the metric, and what made it."""

from __future__ import annotations

from typing import Any

import msgspec

from interpboard.registry.loading import LoadOptions


class TokenRef(msgspec.Struct, frozen=True):
    """A token of the vocabulary: its id and its text, leading space included. Or a label, by its index."""

    id: int
    token: str


class MetricRequest(msgspec.Struct, frozen=True):
    """The metric asked for. ``target=None``: the model's own top token. Position −1: the last."""

    name: str = "logit"
    target: str | None = None
    foil: str | None = None
    position: int = -1


class MetricInfo(msgspec.Struct, frozen=True):
    """The number that was explained, at one position (counted from 0) of the prompt; −1 of a mean over rows,
    or of choices, each of which has its own.

    ``problem``: empty where target and foil are tokens, else the problem of the model (see ``ModelInfo``).
    ``foil``: what ``logit_diff`` compares with. Results saved before may name one that their metric does
    not use; ``against`` is the foil only where it is used. ``in_place``: what is told is the token that
    stands at the position (masked models), not the one behind it. ``over_text``: the model's head reads
    all tokens at once (their mean, their largest), so that ``position``, the last of them, is no place that
    is looked at.
    """

    name: str
    position: int
    target: TokenRef | None = None
    foil: TokenRef | None = None
    problem: str = ""
    in_place: bool = False
    over_text: bool = False

    @property
    def place(self) -> str:
        """The word before a token in "after Paris", where the next token is told, or "at [MASK]"."""
        return "at" if self.in_place else "after"

    @property
    def against(self) -> TokenRef | None:
        """The foil, if the metric is a difference to it."""
        return self.foil if self.name == "logit_diff" else None


class MadeBy(msgspec.Struct, frozen=True):
    """Versions, seed and the engine path (``replay`` or ``hooks``; ``autograd`` for gradients)."""

    interpboard: str
    torch: str
    transformers: str
    seed: int = 0
    path: str = "hooks"


class AdapterInfo(msgspec.Struct, frozen=True):
    """An adapter: where it is, its ``kind`` and rank, the ``base`` that it says it is of, and a
    fingerprint of its files, empty where none was taken."""

    name: str
    kind: str = ""
    base: str = ""
    weights: str = ""


class ModelInfo(msgspec.Struct, frozen=True):
    """What was looked at.

    ``weights`` and ``tokenizer``: their fingerprints, empty where none was taken. ``notes``: what
    somebody who reads a result must know of the model (weights of the checkpoint left out, say).
    ``special_tokens``: whether texts were given the tokens that the tokenizer puts around them.
    ``quantization``: what the weights are packed or were unpacked from, empty where nothing of that kind.
    ``adapters`` are on, off or merged as ``options`` say, which hold what was asked for when it was opened.
    ``parts``: names of modules that the user gave. ``label_names``: what the logits are of where it gives
    labels and predicts no tokens, by index; ``problem``: whether ``one`` of them is true, ``several`` may
    be, or each is a ``value``. ``layer_names``: of an encoder–decoder, those of all ``layers``, in the order
    of its result's axes (``E0`` encoder, ``D0`` self- and ``X0`` cross attention).
    ``mask_token``: of a model that fills masks in, how one is written. ``pooling``: how a sentence encoder
    makes one vector of its tokens' (``mean``, ``cls``, ``max``).
    """

    name: str
    revision: str | None
    family: str
    layers: int
    heads: int
    dtype: str
    device: str
    weights: str = ""
    tokenizer: str = ""
    notes: tuple[str, ...] = ()
    special_tokens: bool = True
    quantization: str = ""
    adapters: tuple[AdapterInfo, ...] = ()
    options: LoadOptions = LoadOptions()
    parts: dict[str, str | int] = {}
    label_names: tuple[str, ...] = ()
    problem: str = ""
    layer_names: tuple[str, ...] = ()
    mask_token: str = ""
    pooling: str = ""


class Message(msgspec.Struct, frozen=True):
    """A turn of a chat as it was given: ``role`` (system, user, assistant, tool), ``content``."""

    role: str
    content: str


class Chat(msgspec.Struct, frozen=True):
    """A prompt of turns, in the words of ``apply_chat_template``.

    ``continue_final_message``: the last turn is the beginning of an answer, which goes on; else the answer
    begins behind them. ``tools``: what the model may call, as JSON schemas. ``chat_template``: in place of
    the tokenizer's own, empty: that one.
    """

    messages: tuple[Message, ...]
    continue_final_message: bool = False
    tools: tuple[dict[str, Any], ...] = ()
    chat_template: str = ""


class Turn(msgspec.Struct, frozen=True):
    """The tokens ``[begin, end)`` of a turn, its marks among them; ``content``: those of its words alone."""

    role: str
    begin: int
    end: int
    content: tuple[int, int]


class PromptInfo(msgspec.Struct, frozen=True):
    """The prompt as the model saw it. ``tokens`` are texts, leading spaces included.

    ``spans``: each token's characters ``[begin, end)`` in ``text``; empty where a prompt was not made from
    a text, or was saved before they were kept. Of a chat, ``chat`` is what was given, ``text`` what its
    template made of it, ``turns`` where each turn is; a last turn without content is the answer's beginning.
    ``border``: of an encoder–decoder, how many tokens are the source's; those behind them are the prefix of
    its target, and ``text`` is ``source ||| prefix``. 0: one text.
    """

    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...] = ()
    chat: Chat | None = None
    turns: tuple[Turn, ...] = ()
    border: int = 0
