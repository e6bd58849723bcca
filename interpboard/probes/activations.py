"""Activations of the rows of a dataset, at the places that a probe reads: plain forward passes with hooks.

Rows of one length share a pass. A row that cannot be used, or whose run is not finite, is left out with its
reason; nothing is padded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from interpboard.datasets.columns import path_and_columns
from interpboard.datasets.dataset import opened_by_name
from interpboard.datasets.rows import DatasetRow
from interpboard.datasets.written_values import written_value
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.models.finite import Tally
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.patching.subject import find_subject
from interpboard.results import Axis, PromptInfo
from interpboard.runs.chat import prompt_of
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.prompt import input_ids, resolve_position
from interpboard.runs.room import refuse_a_pass_without_room
from interpboard.runs.strip_places import positions_at
from interpboard.runs.together import in_passes
from interpboard.runs.watch import Watch
from interpboard.sweeps.alignment import EXPLAINED, ordered, roles_of
from interpboard.sweeps.row_work import text_of_row

EMBEDDING = -1
_A_CHUNK = 64  # rows among which those of one length are looked for
_SMALLER = "Take fewer rows (limit), layers, or positions=last."


@dataclass(frozen=True)
class ReadSite:
    """What is read: ``site`` of ``layers`` (−1: the stream before the first), at ``positions``: ``last``,
    the position of the row or the end of its text; ``mean`` over its tokens; ``roles``, a mean for each.

    Of an encoder–decoder a layer is read at the tokens of its own strip. Where it does not have the position
    of ``last``, in the encoder, that is the mean over the source: no token there has read all others last.
    ``names``: of its layers."""

    site: str
    layers: tuple[int, ...]
    positions: str
    names: tuple[str, ...] = ()

    @property
    def layer_axis(self) -> Axis:
        """Names of the layers."""
        return Axis("layer", tuple(map(self.name, self.layers)))

    def name(self, layer: int) -> str:
        """What ``layer`` is called."""
        if layer == EMBEDDING:
            return "embed"
        return self.names[layer] if self.names else str(layer)


@dataclass(frozen=True)
class ProbeRows:
    """Rows that were read. ``values`` [row, layer, place, dimension], NaN where a row has no such place;
    ``labels``, ``groups`` and ``texts`` of each row, ``inputs``: the tokens that what is read of it depends
    on, ``lengths`` in tokens, ``at`` [row, place], the first
    token of each; ``places``: names of the places; ``left_out``: how many rows are not here, by reason."""

    name: str
    values: np.ndarray
    places: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    texts: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    lengths: np.ndarray
    at: np.ndarray
    left_out: Counter[str]
    columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class _Read:
    """One row on its way: where it is read, and what was."""

    row: DatasetRow
    prompt: PromptInfo
    places: dict[str, tuple[int, ...]]
    label: str
    group: str
    input: tuple[int, ...]
    values: dict[str, np.ndarray] = field(default_factory=dict)


def datasets_of(data: str | Sequence[str]) -> tuple[str, ...]:
    """The datasets that are named, one a line. Raises ``BadParameter`` for none."""
    lines = data.splitlines() if isinstance(data, str) else list(data)
    found = tuple(line.strip() for line in lines if line.strip())
    if not found:
        raise BadParameter("There is no dataset.", "Name one, e.g. --param data=rows.jsonl.")
    return found


def site_of(lm: LanguageModel, site: str, layers: Sequence[int] | None, positions: str) -> ReadSite:
    """Where is read: all layers by default, with the embedding before the first of the stream behind layers.
    Raises ``BadParameter``, ``Unsupported``."""
    n_layers = lm.anatomy.n_layers
    wrong = [layer for layer in layers or () if not 0 <= layer < n_layers]
    if wrong:
        raise BadParameter(
            f"Layer {wrong[0]} does not exist.", f"The model has 0 to {n_layers - 1}."
        )
    strips = lm.anatomy.strips
    before = (EMBEDDING,) if layers is None and site == "resid_post" and strips is None else ()
    every = [i for i in range(n_layers) if strips is None or strips.positions(site, i, 1, 2)]
    chosen = (*before, *(every if layers is None else dict.fromkeys(layers)))
    for layer in chosen:
        lm.verified.require_site(*(("resid_pre", 0) if layer == EMBEDDING else (site, layer)))
        if layer != EMBEDDING and layer not in every:
            name = lm.anatomy.layer_names[layer]
            raise BadParameter(f"{name} is self-attention alone: it has no {site}.")
    return ReadSite(site, chosen, positions, lm.anatomy.layer_names)


def read_rows_at(
    lm: LanguageModel,
    data: str,
    where: ReadSite,
    *,
    label: str = "label",
    group: str = "",
    limit: int = 0,
    watch: Watch,
) -> ProbeRows:
    """The rows of the dataset ``data``: at most ``limit`` (0: all), labelled by the column ``label``, those
    with one value of the column ``group`` together. Raises ``BadParameter`` where none can be used.
    """
    rows = opened_by_name(data, limit or None).rows()
    left_out: Counter[str] = Counter()
    kept: list[_Read] = []
    columns: dict[str, None] = {}
    done = 0
    while chunk := list(islice(rows, _A_CHUNK)):
        watch.step(done, max(limit, done + len(chunk)))
        for row in chunk:
            columns.update(dict.fromkeys(row.other))
        # Of a reading that was put off, what was read is not read again.
        part, reasons = watch.once(
            f"rows of {data} from {done}", partial(_read_chunk, lm, chunk, where, label, group)
        )
        kept += part
        left_out.update(reasons)
        done += len(chunk)
        held = sum(value.nbytes for each in kept for value in each.values.values())
        require_room(torch.device("cpu"), held, f"What is read of {len(kept):,} rows", _SMALLER)
    if not kept:
        reason = max(left_out, key=left_out.__getitem__) if left_out else "It is empty."
        raise BadParameter(f"{data} has no row that can be used: {reason}")
    return _together(data, kept, left_out, tuple(columns))


def _read_chunk(
    lm: LanguageModel, chunk: Sequence[DatasetRow], where: ReadSite, label: str, group: str
) -> tuple[list[_Read], list[str]]:
    """The rows of ``chunk`` that were read, in order, and why the others were not."""
    ready, reasons = [], []
    for row in chunk:
        try:
            ready.append(_ready(lm, row, where, label, group))
        except InterpBoardError as error:
            reasons.append(error.message)
    longest = max((len(each.prompt.token_ids) for each in ready), default=1)
    refuse_a_pass_without_room(lm, longest, "the rows")
    for part in in_passes(lm, ready, lambda each: each.prompt):
        reasons += _read(lm, part, where)
    return [each for each in ready if each.values], reasons


def _ready(lm: LanguageModel, row: DatasetRow, where: ReadSite, label: str, group: str) -> _Read:
    if row.problem:
        raise BadParameter(f"The row {row.problem}.")
    named = row.column(label)
    if named is None:
        raise BadParameter(f"The row has no {label}.")
    own_group = row.column(group) if group else ""
    if own_group is None:
        raise BadParameter(f"The row has no {group}.")
    _, prompt = prompt_of(lm, text_of_row(row))
    position = resolve_position(prompt, -1 if row.position is None else row.position)
    places = _places(prompt, row, position, where.positions)
    # Of a model that sees no later token, what is read at a position is that of all texts that begin so.
    sees_whole = where.positions != "last" or not lm.verified.causal or prompt.border > 0
    seen = prompt.token_ids if sees_whole else prompt.token_ids[: position + 1]
    return _Read(row, prompt, places, written_value(named), written_value(own_group), seen)


def _places(
    prompt: PromptInfo, row: DatasetRow, position: int, positions: str
) -> dict[str, tuple[int, ...]]:
    if positions == "last":
        return {EXPLAINED: (position,)}
    if positions == "mean":
        own = tuple(at for at, (begin, end) in enumerate(prompt.spans) if begin < end)
        return {"mean": own or tuple(range(len(prompt.token_ids)))}
    subject = find_subject(prompt, row.subject).positions if row.subject is not None else ()
    roles = roles_of(prompt, position, subject)
    return {
        name: tuple(at for at, role in enumerate(roles) if role == name) for name in ordered(roles)
    }


@torch.no_grad()
def _read(lm: LanguageModel, part: Sequence[_Read], where: ReadSite) -> list[str]:
    """Fill in the values of ``part``; why those that stay empty do.

    Means are taken while a layer's activation is there: those of all layers would be kept whole."""
    ids = torch.cat([input_ids(lm, each.prompt) for each in part])
    found: dict[int, list[dict[str, np.ndarray]]] = {}
    tally = Tally(len(part))
    with ExitStack() as stack:
        for number, layer in enumerate(where.layers):

            def keep(value: torch.Tensor, number: int = number, layer: int = layer) -> None:
                found[number] = _means(lm, part, where, layer, value.flatten(2))

            site, at = ("resid_pre", 0) if layer == EMBEDDING else (where.site, layer)
            stack.enter_context(at_site(lm.anatomy, site, at, keep))
        stack.enter_context(tally.over(lm.anatomy))
        run_body(lm.anatomy, ids)
    fine = tally.finite()
    reasons = []
    for at, each in enumerate(part):
        rows = {
            name: np.stack([found[number][at][name] for number in range(len(where.layers))])
            for name in each.places
        }
        if bool(fine[at]) and not any(np.isinf(value).any() for value in rows.values()):
            each.values = rows
        else:
            reasons.append(f"Its run is not finite in {lm.info.dtype}.")
    return reasons


def _means(
    lm: LanguageModel, part: Sequence[_Read], where: ReadSite, layer: int, value: torch.Tensor
) -> list[dict[str, np.ndarray]]:
    """Of each row the mean [dimension] of its places in ``value`` [row, pos, dimension]; NaN of none."""
    return [
        {
            name: at_least_float32(own[_own(lm, each, where, layer, positions)])
            .mean(0)
            .cpu()
            .numpy()
            for name, positions in each.places.items()
        }
        for each, own in zip(part, value, strict=True)
    ]


def _own(
    lm: LanguageModel, each: _Read, where: ReadSite, layer: int, positions: Sequence[int]
) -> list[int]:
    """Those of ``positions`` that ``layer`` has (see ``ReadSite``)."""
    if lm.anatomy.strips is None:
        return list(positions)
    there = positions_at(lm, each.prompt, where.site, layer)
    own = [at for at in positions if at in there]
    return own or (list(there) if where.positions == "last" else [])


def _together(
    data: str, kept: Sequence[_Read], left_out: Counter[str], columns: tuple[str, ...]
) -> ProbeRows:
    places = ordered([name for each in kept for name in each.places])
    some = next(iter(kept[0].values.values()))
    values = np.full((len(kept), len(some), len(places), some.shape[-1]), np.nan, some.dtype)
    at = np.full((len(kept), len(places)), -1)
    for number, each in enumerate(kept):
        for name, value in each.values.items():
            values[number, :, places.index(name)] = value
            at[number, places.index(name)] = each.places[name][0]
    return ProbeRows(
        name=Path(path_and_columns(data)[0]).name,
        values=values,
        places=places,
        labels=tuple(each.label for each in kept),
        groups=tuple(each.group for each in kept),
        texts=tuple(each.prompt.text for each in kept),
        inputs=tuple(each.input for each in kept),
        lengths=np.array([len(each.prompt.token_ids) for each in kept]),
        at=at,
        left_out=left_out,
        columns=columns,
    )
