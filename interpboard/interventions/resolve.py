"""Interventions as edits of a model on a prompt."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.errors import BadParameter, BadPrompt, Unsupported
from interpboard.interventions.grammar import Intervention, sites_of
from interpboard.interventions.vectors import read_vector
from interpboard.models.calls import embeddings_of
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.prompt import make_prompt, resolve_position, show_tokens
from interpboard.runs.record import Run, record
from interpboard.runs.references import resolve_token
from interpboard.runs.strip_places import require_place, values_there
from interpboard.runs.strip_prompt import in_same_strips, refuse_another_border


def edits_of(
    lm: LanguageModel, prompt: PromptInfo, interventions: Sequence[Intervention], source: str
) -> Counterfactual:
    """The edits that interventions are on this prompt. Errors as in ``what_if``."""
    if any(each.what == "off" for each in interventions):
        raise Unsupported("adapter=off is no edit of a run.", "Ask for it with what_if.")
    means = sites_of(interventions, "mean")
    clean = record(lm, prompt, means, partly=True) if means else None
    other = _source(lm, prompt, interventions, source)
    return tuple(edit_of(lm, prompt, each, clean, other) for each in interventions)


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


def _source(
    lm: LanguageModel, prompt: PromptInfo, interventions: Sequence[Intervention], source: str
) -> Run | None:
    sites = sites_of(interventions, "patch")
    if not sites:
        return None
    if not source:
        raise BadParameter("A patch needs a source.", "Name the prompt its values come from.")
    for site in sites:
        lm.verified.require_somewhere(site)
    other = make_prompt(lm, in_same_strips(prompt, source))
    refuse_another_border(prompt, other, "source of the patch")
    if len(other.token_ids) != len(prompt.token_ids):
        raise BadPrompt(
            f"The source has {len(other.token_ids)} tokens, the prompt {len(prompt.token_ids)}: "
            f"{show_tokens(other.tokens)} against {show_tokens(prompt.tokens)}.",
            "Choose a source that is equally long.",
        )
    return record(lm, other, sites, partly=True)


def edit_of(
    lm: LanguageModel, prompt: PromptInfo, each: Intervention, clean: Run | None, source: Run | None
) -> Edit:
    """The edit that ``each`` is on this prompt.

    ``clean`` has recorded the sites of means, ``source`` those of patches. Raises ``BadParameter``,
    ``BadPosition``, ``BadTarget``, ``Unsupported``.
    """
    each = in_stack(lm, each)
    if each.layer is not None:
        _check_place(lm, each)
    lm.verified.require_site(each.site, each.layer)
    positions = each.positions
    if positions is not None:
        positions = tuple(resolve_position(prompt, position) for position in positions)
    if each.layer is not None:
        require_place(lm, prompt, each.site, each.layer, positions, each.text)
    if each.layer is None:
        token = resolve_token(lm, each.value, "token")
        with torch.no_grad():
            embedded = embeddings_of(lm.anatomy, torch.tensor([token.id], device=lm.device))
        return Edit("embed", 0, "patch", positions=positions, value=embedded)
    if each.what == "zero":
        return Edit(each.site, each.layer, "zero", each.head, positions, neuron=each.expert)
    if each.what == "steer":
        return Edit(each.site, each.layer, "add", positions=positions, value=_vector(lm, each))
    run = source if each.what == "patch" else clean
    assert run is not None
    value = run.sites[each.site][each.layer][0]
    if each.head is not None:
        value = value[:, each.head]
    if each.expert is not None:
        value = value[:, each.expert]
    if each.what == "mean":
        value = values_there(lm, prompt, each.site, each.layer, value).mean(0, keepdim=True)
    if each.what == "patch" and positions is not None:
        value = value[list(positions)]
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
    paths = dict.fromkeys(each.value for each in interventions if each.what == "steer")
    return tuple(warning for path in paths for warning in read_vector(lm, path).warnings)


def _vector(lm: LanguageModel, each: Intervention) -> torch.Tensor:
    vector = read_vector(lm, each.value).values
    return (each.scale * at_least_float32(vector)).to(lm.device)[None]
