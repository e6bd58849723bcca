"""What a person holds against the model, as text: heads and MLPs off, states patched, tokens swapped.

One intervention is ``PLACE=WHAT``; several are separated by semicolons or line breaks.

| place | what is edited |
|---|---|
| ``2.5`` | the output ``z`` of head 5 of layer 2 |
| ``1.mlp``, ``1.attn`` | what the MLP, or attention, of layer 1 adds to the stream |
| ``3.resid`` | the stream after layer 3 |
| ``@4`` | the token at position 4 |

A place of a layer may end in positions, ``3.resid@4`` or ``2.5@1-3``; without them it is edited at all.

| what | is put there |
|---|---|
| ``zero`` | zeros |
| ``mean`` | its mean over the prompt's positions |
| ``patch`` | its value on the prompt ``source``, position by position |
| ``steer "v.npy"``, ``steer "v.npy" * 2.5`` | itself plus a vector of a file (stream, MLP, attention) |
| ``" Rome"`` | at a token's place: that token; it must be one token |

Text in double quotes is a JSON string, so a token or a path may hold anything.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import torch

from interpboard.errors import BadParameter
from interpboard.interventions.vectors import read_vector
from interpboard.models.calls import embeddings_of
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.prompt import resolve_position
from interpboard.runs.record import Run
from interpboard.runs.references import resolve_token

SITES = {"mlp": "mlp_out", "attn": "attn_out", "resid": "resid_post"}
GRAMMAR = 'Write for example 2.5=zero; 1.mlp=mean; 3.resid@4=patch; @4=" Rome".'

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ITEM = re.compile(rf'(?:[^;\n"]|{_QUOTED})+')
_PLACE = re.compile(
    r"(?:(?P<layer>\d+)\.(?:(?P<head>\d+)|(?P<part>mlp|attn|resid)))?(?:@(?P<at>\d+)(?:-(?P<to>\d+))?)?"
)
_STEER = re.compile(rf"steer\s*(?P<file>{_QUOTED})\s*(?:\*\s*(?P<scale>[-+.\deE]+))?")


@dataclass(frozen=True)
class Intervention:
    """One of them, read but not yet resolved on a model. ``layer`` None: a token's place."""

    text: str
    what: str  # zero, mean, patch, steer, token
    layer: int | None = None
    head: int | None = None
    part: str | None = None
    positions: tuple[int, ...] | None = None
    value: str = ""  # the token, or the path
    scale: float = 1.0

    @property
    def site(self) -> str:
        """Where it acts."""
        if self.layer is None:
            return "embed"
        return "z" if self.part is None else SITES[self.part]


def parse_interventions(text: str) -> tuple[Intervention, ...]:
    """The interventions of ``text``, in order. Raises ``BadParameter`` naming what cannot be read."""
    if _ITEM.sub("", text).strip("; \n"):
        raise BadParameter("An intervention has an open quote.", GRAMMAR)
    items = [item.strip() for item in _ITEM.findall(text)]
    found = tuple(_parse(item) for item in items if item)
    if not found:
        raise BadParameter("There is no intervention.", GRAMMAR)
    return found


def _parse(item: str) -> Intervention:
    place, equals, what = (part.strip() for part in item.partition("="))
    match = _PLACE.fullmatch(place)
    if not equals or not place or match is None:
        raise BadParameter(f"Cannot read the intervention {item!r}.", GRAMMAR)
    layer, head, at, to = (
        int(match[name]) if match[name] is not None else None
        for name in ("layer", "head", "at", "to")
    )
    positions = None if at is None else tuple(range(at, (at if to is None else to) + 1))
    if positions == ():
        raise BadParameter(f"{item!r}: the positions run backwards.", GRAMMAR)
    common = {"layer": layer, "head": head, "part": match["part"], "positions": positions}
    steer = _STEER.fullmatch(what)
    if layer is None:
        if positions is None or len(positions) != 1 or not what.startswith('"'):
            raise BadParameter(f"{item!r}: a token is replaced by a token in quotes.", GRAMMAR)
        return Intervention(item, "token", **common, value=_unquoted(what, item))  # type: ignore[arg-type]
    if steer is not None and match["part"] is not None:
        value, scale = _unquoted(steer["file"], item), _number(steer["scale"], item)
        return Intervention(item, "steer", **common, value=value, scale=scale)  # type: ignore[arg-type]
    if what not in ("zero", "mean", "patch"):
        raise BadParameter(f"{item!r}: {what!r} cannot be put there.", GRAMMAR)
    return Intervention(item, what, **common)  # type: ignore[arg-type]


def _unquoted(text: str, item: str) -> str:
    try:
        value = json.loads(text, strict=False)
    except ValueError:
        raise BadParameter(f"{item!r}: the quotes do not hold a text.", GRAMMAR) from None
    return str(value)


def _number(text: str | None, item: str) -> float:
    try:
        number = 1.0 if text is None else float(text)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise BadParameter(f"{item!r}: {text!r} is no number.", GRAMMAR)
    return number


def sites_of(interventions: tuple[Intervention, ...], *whats: str) -> tuple[str, ...]:
    """The sites at which any of them does one of ``whats``."""
    return tuple(dict.fromkeys(each.site for each in interventions if each.what in whats))


def edit_of(
    lm: LanguageModel, prompt: PromptInfo, each: Intervention, clean: Run | None, source: Run | None
) -> Edit:
    """The edit that ``each`` is on this prompt.

    ``clean`` has recorded the sites of means, ``source`` those of patches. Raises ``BadParameter``,
    ``BadPosition``, ``BadTarget``, ``Unsupported``.
    """
    if each.layer is not None:
        _check_place(lm, each)
    lm.verified.require_site(each.site, each.layer)
    positions = each.positions
    if positions is not None:
        positions = tuple(resolve_position(prompt, position) for position in positions)
    if each.layer is None:
        token = resolve_token(lm, each.value, "token")
        with torch.no_grad():
            embedded = embeddings_of(lm.anatomy, torch.tensor([token.id], device=lm.device))
        return Edit("embed", 0, "patch", positions=positions, value=embedded)
    if each.what == "zero":
        return Edit(each.site, each.layer, "zero", each.head, positions)
    if each.what == "steer":
        return Edit(each.site, each.layer, "add", positions=positions, value=_vector(lm, each))
    run = source if each.what == "patch" else clean
    assert run is not None
    value = run.sites[each.site][each.layer][0]
    if each.head is not None:
        value = value[:, each.head]
    value = value.mean(0, keepdim=True) if each.what == "mean" else value
    if each.what == "patch" and positions is not None:
        value = value[list(positions)]
    return Edit(each.site, each.layer, "patch", each.head, positions, value)


def _check_place(lm: LanguageModel, each: Intervention) -> None:
    layers, heads = lm.anatomy.n_layers, lm.anatomy.n_heads
    if each.layer is not None and each.layer >= layers:
        raise BadParameter(f"{each.text}: the model has layers 0 to {layers - 1}.")
    if each.head is not None and each.head >= heads:
        raise BadParameter(f"{each.text}: a layer has heads 0 to {heads - 1}.")


def warnings_of(lm: LanguageModel, interventions: tuple[Intervention, ...]) -> tuple[str, ...]:
    """What is to be known of the files that are steered with. Raises ``BadParameter``."""
    paths = dict.fromkeys(each.value for each in interventions if each.what == "steer")
    return tuple(warning for path in paths for warning in read_vector(lm, path).warnings)


def _vector(lm: LanguageModel, each: Intervention) -> torch.Tensor:
    vector = read_vector(lm, each.value).values
    return (each.scale * at_least_float32(vector)).to(lm.device)[None]
