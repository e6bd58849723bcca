"""What is never compared, each with its reason in a line; and what differs besides the values."""

from __future__ import annotations

from interpboard.display import visible_token
from interpboard.files.fingerprint import FingerprintMatch, compare
from interpboard.results import Document, Result, opened_as

# Their values are of the run itself, whatever token is explained.
WITHOUT_METRIC = frozenset(
    {"predictions", "attention", "attention_rollout", "value_weighted_rollout", "attention_flow"}
)
_OF_THE_MODEL = frozenset({"layer", "head", "head_a", "head_b", "component", "neuron", "edge"})


def same_name_other_weights(first: Document, second: Document) -> bool:
    """Are the two of a model by one name whose weights were not the same?"""
    match = compare(first.model.weights, second.model.weights)
    return first.model.name == second.model.name and match is FingerprintMatch.other


def why_not(a: Document, b: Document) -> tuple[str, str] | None:
    """Why the results of two documents of one result each are not compared, and what to do; None: they are.

    Never: different analyses or metrics, neutral values that differ, text, layers and heads of models that
    have other numbers of them, and texts that two tokenizers split in different ways.
    """
    (one,), (other,) = a.results, b.results
    if one.analysis != other.analysis:
        return f"{one.analysis} and {other.analysis} are different analyses.", _BESIDE
    if object in (one.values.dtype, other.values.dtype):
        return f"The values of {one.analysis} are text.", _BESIDE
    if one.metric.name != other.metric.name and one.analysis not in WITHOUT_METRIC:
        metrics = f"A explains {one.metric.name}, B {other.metric.name}"
        return f"{metrics}: different metrics.", "Explain the same metric in both."
    for side, result in (("A", one), ("B", other)):
        if result.partial is not None:
            return f"{side} is partial: {result.partial} are computed.", "Compute the rest first."
    if one.neutral != other.neutral:
        return f"No effect is {one.neutral:g} in A and {other.neutral:g} in B.", _BESIDE
    names = [tuple(axis.name for axis in result.axes) for result in (one, other)]
    if names[0] != names[1]:
        axes = " and ".join(" × ".join(own) or "one number" for own in names)
        return f"The values of the two are over different axes ({axes}).", _BESIDE
    shapes = [(own.model.layers, own.model.heads) for own in (a, b)]
    if shapes[0] != shapes[1] and _OF_THE_MODEL & set(names[0]):
        sizes = " and ".join(f"{layers} layers × {heads} heads" for layers, heads in shapes)
        return f"The two models have other shapes ({sizes}).", "Compare tokens or predictions."
    return _other_tokenizer(a, b)


_BESIDE = "Look at them side by side."


def _other_tokenizer(a: Document, b: Document) -> tuple[str, str] | None:
    """Two tokenizers are compared where both split one text into the same tokens, and nowhere else."""
    first, second = a.prompt, b.prompt
    texts = dict(zip(first.token_ids, first.tokens, strict=False))
    clash = any(
        texts.get(id, token) != token
        for id, token in zip(second.token_ids, second.tokens, strict=False)
    )
    other = compare(a.model.tokenizer, b.model.tokenizer) is FingerprintMatch.other
    same_tokens = (first.token_ids, first.tokens) == (second.token_ids, second.tokens)
    if clash or (other and not same_tokens):
        what = "The two models have different tokenizers, which split these texts differently."
        return what, "Compare models with one tokenizer."
    return None


def unlike(a: Document, b: Document) -> tuple[str, ...]:
    """What besides the values differs between the two, A named first: the reader must know."""
    (one,), (other,) = a.results, b.results
    facts = [
        ("models", a.model.name, b.model.name),
        ("number formats", a.model.dtype, b.model.dtype),
        ("openings", _opened(a), _opened(b)),
        ("positions", str(one.metric.position), str(other.metric.position)),
        ("parameters", _params(one, other), _params(other, one)),
    ]
    if one.analysis not in WITHOUT_METRIC:
        facts[3:3] = [
            ("targets", _token(one, "target"), _token(other, "target")),
            ("foils", _token(one, "against"), _token(other, "against")),
        ]
    differing = [f"different {what}: A {x}, B {y}" for what, x, y in facts if x != y]
    if same_name_other_weights(a, b):
        differing.insert(0, f"different weights: {a.model.name} had others in A than in B")
    if compare(a.model.tokenizer, b.model.tokenizer) is FingerprintMatch.other:
        differing.append("different tokenizers, which split this text alike")
    return tuple(differing)


def _opened(document: Document) -> str:
    return ", ".join(opened_as(document.model)) or "as it is"


def _token(result: Result, name: str) -> str:
    token = getattr(result.metric, name)
    return visible_token(token.token) if token is not None else "none"


def _params(a: Result, b: Result) -> str:
    different = (f"{k}={v}" for k, v in a.params.items() if b.params.get(k) != v)
    return ", ".join(different) or "none"
