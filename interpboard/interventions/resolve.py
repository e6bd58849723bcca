"""Interventions as edits of a model on a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import torch

from interpboard.errors import BadParameter, BadPrompt, Unsupported
from interpboard.interventions.grammar import Intervention
from interpboard.interventions.vectors import read_vector
from interpboard.models.calls import embeddings_of
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.finite import refusing, run_words
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.prompt import input_ids, make_prompt, resolve_position, show_tokens
from interpboard.runs.references import resolve_token
from interpboard.runs.shared import recorded_together
from interpboard.runs.steps import bytes_of_a_layer, numbers_a_token
from interpboard.runs.strip_places import require_place, values_there
from interpboard.runs.strip_prompt import in_same_strips, refuse_another_border


def edits_of(
    lm: LanguageModel, prompt: PromptInfo, interventions: Sequence[Intervention], source: str
) -> Counterfactual:
    """The edits that interventions are on this prompt. Errors as in ``what_if``."""
    if any(each.what == "off" for each in interventions):
        raise Unsupported("adapter=off is no edit of a run.", "Ask for it with what_if.")
    placed = [_placed(lm, prompt, each) for each in interventions]
    of_source = [i for i, each in enumerate(placed) if each.what == "patch"]
    of_prompt = [i for i, each in enumerate(placed) if each.what == "mean"]
    other = _source(lm, prompt, source) if of_source else prompt
    values = {
        **_values(lm, prompt, {i: placed[i] for i in of_prompt}),
        **_values(lm, other, {i: placed[i] for i in of_source}),
    }
    return tuple(_edit_of(lm, each, values.get(i)) for i, each in enumerate(placed))


def in_stack(lm: LanguageModel, each: Intervention) -> Intervention:
    """``each`` with the layer's number in the anatomy in place of that in its group. Raises ``BadParameter``
    where the model has groups and none is named, or the other way round."""
    if each.layer is None:
        return each
    names = lm.anatomy.layer_names
    name = f"{each.group}{each.layer}"
    if name in names:
        return each._replace(layer=names.index(name), group="")
    if lm.anatomy.strips is None:
        if not each.group:
            raise BadParameter(f"{each.text}: the model has layers 0 to {len(names) - 1}.")
        raise BadParameter(
            f"{each.text}: this model has one stack of layers.",
            f"Write {each.layer} for the layer.",
        )
    remedy = f"The model has {', '.join(names[:3])} … {names[-1]}."
    if not each.group:
        raise BadParameter(f"{each.text}: layer {each.layer} of which stack?", remedy)
    raise BadParameter(f"{each.text}: there is no layer {name}.", remedy)


def _source(lm: LanguageModel, prompt: PromptInfo, source: str) -> PromptInfo:
    if not source:
        raise BadParameter("A patch needs a source.", "Name the prompt its values come from.")
    other = make_prompt(lm, in_same_strips(prompt, source))
    refuse_another_border(prompt, other, "source of the patch")
    if len(other.token_ids) != len(prompt.token_ids):
        raise BadPrompt(
            f"The source has {len(other.token_ids)} tokens, the prompt {len(prompt.token_ids)}: "
            f"{show_tokens(other.tokens)} against {show_tokens(prompt.tokens)}.",
            "Choose a source that is equally long.",
        )
    return other


@torch.no_grad()
def _values(
    lm: LanguageModel, prompt: PromptInfo, wanted: Mapping[int, Intervention]
) -> dict[int, torch.Tensor]:
    """What each of ``wanted`` puts in, from one clean run of ``prompt``, of which nothing else is kept: what
    all layers have at a site would be hundreds of MiB of a long prompt."""
    if not wanted:
        return {}
    _require_room(lm, prompt, wanted)
    places = dict.fromkeys((each.site, each.layer or 0) for each in wanted.values())
    found: dict[int, torch.Tensor] = {}

    def keep(place: tuple[str, int], value: torch.Tensor) -> None:
        for i, each in wanted.items():
            if (each.site, each.layer) == place:
                found[i] = _put_in(lm, prompt, each, value[0])

    there = recorded_together(lm, prompt, tuple(dict.fromkeys(site for site, _ in places)))
    if there is not None:
        for site, layer in places:
            keep((site, layer), there.sites[site][layer])
        return found
    with ExitStack() as stack:
        for site, layer in places:
            stack.enter_context(at_site(lm.anatomy, site, layer, partial(keep, (site, layer))))
        stack.enter_context(refusing(lm, run_words(prompt)))
        run_body(lm.anatomy, input_ids(lm, prompt))
    return found


def _put_in(
    lm: LanguageModel, prompt: PromptInfo, each: Intervention, value: torch.Tensor
) -> torch.Tensor:
    """That of the activation ``value`` [pos, …] at its place; a copy, since layers may add to it in place."""
    assert each.layer is not None
    if each.head is not None:
        value = value[:, each.head]
    if each.expert is not None:
        value = value[:, each.expert]
    if each.what == "mean":
        return values_there(lm, prompt, each.site, each.layer, value).mean(0, keepdim=True)
    return value.clone() if each.positions is None else value[list(each.positions)]


def _require_room(
    lm: LanguageModel, prompt: PromptInfo, wanted: Mapping[int, Intervention]
) -> None:
    """Raise ``Unaffordable`` where what is put in at all positions has no room."""
    whole = [w for w in wanted.values() if w.what == "patch" and w.positions is None]
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]

    def needed(tokens: int) -> int:
        a_token = sum(numbers_a_token(lm, each.site, tokens) for each in whole)
        return tokens * a_token * weight.element_size()

    require_room_for_tokens(
        lm.device, needed, len(prompt.token_ids), "What is patched at all positions",
        "name positions", beside=partial(bytes_of_a_layer, lm),
    )  # fmt: skip


def _placed(lm: LanguageModel, prompt: PromptInfo, each: Intervention) -> Intervention:
    """``each`` with the layer's number in the anatomy and those of its positions. Raises ``BadParameter``,
    ``BadPosition``, ``Unsupported`` where the model or the prompt has no such place."""
    each = in_stack(lm, each)
    if each.layer is not None:
        _check_place(lm, each)
    lm.verified.require_site(each.site, each.layer)
    positions = each.positions
    if positions is not None:
        positions = tuple(resolve_position(prompt, position) for position in positions)
    if each.layer is not None:
        require_place(lm, prompt, each.site, each.layer, positions, each.text)
    return each._replace(positions=positions)


def _edit_of(lm: LanguageModel, each: Intervention, value: torch.Tensor | None) -> Edit:
    """The edit that ``each`` is, ``_placed``; ``value``: what a mean or a patch puts in."""
    positions = each.positions
    if each.layer is None:
        token = resolve_token(lm, each.value, "token")
        with torch.no_grad():
            embedded = embeddings_of(lm.anatomy, torch.tensor([token.id], device=lm.device))
        return Edit("embed", 0, "patch", positions=positions, value=embedded)
    if each.what == "zero":
        return Edit(each.site, each.layer, "zero", each.head, positions, neuron=each.expert)
    if each.what == "steer":
        return Edit(each.site, each.layer, "add", positions=positions, value=_vector(lm, each))
    assert value is not None
    return Edit(each.site, each.layer, "patch", each.head, positions, value, each.expert)


def _check_place(lm: LanguageModel, each: Intervention) -> None:
    heads = lm.anatomy.n_heads
    if each.head is not None and each.head >= heads:
        raise BadParameter(f"{each.text}: a layer has heads 0 to {heads - 1}.")
    mixture = (
        lm.anatomy.mixtures[each.layer] if lm.anatomy.mixtures and each.layer is not None else None
    )
    if each.expert is not None and mixture is not None and each.expert >= mixture.n_experts:
        raise BadParameter(f"{each.text}: a layer has experts 0 to {mixture.n_experts - 1}.")


def warnings_of(lm: LanguageModel, interventions: Sequence[Intervention]) -> tuple[str, ...]:
    """What is to be known of the files that are steered with. Raises ``BadParameter``."""
    steered = [in_stack(lm, each) for each in interventions if each.what == "steer"]
    vectors = {each.value: read_vector(lm, each.value) for each in steered}
    found = [warning for vector in vectors.values() for warning in vector.warnings]
    for each in steered:
        assert each.layer is not None
        found += vectors[each.value].elsewhere(lm, each.value, each.layer, each.site)
    return tuple(dict.fromkeys(found))


def _vector(lm: LanguageModel, each: Intervention) -> torch.Tensor:
    vector = read_vector(lm, each.value).values
    return (each.scale * at_least_float32(vector)).to(lm.device)[None]
