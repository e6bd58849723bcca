"""The cells of a patching grid: which part of which activation each one replaces."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.models.packed import in_width
from interpboard.models.proof.verified import in_words
from interpboard.patching.donor import Donor
from interpboard.results import Axis, PromptInfo
from interpboard.runs.cells import evaluate_cells, evaluate_cells_by_layer
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run
from interpboard.runs.strip_places import positions_at
from interpboard.runs.watch import SILENT, Watch

STREAM_SITES = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")
_HEAD_SITES = ("z", "q", "k", "v", "pattern")
PATCH_SITES = (*STREAM_SITES, *_HEAD_SITES, "neuron", "router", "embed")
ALONG = ("auto", "position", "head", "head_position", "neuron", "expert")


@dataclass(frozen=True)
class Grid:
    """A site cut ``along`` positions, heads, both, neurons or experts. Its axes begin with ``layer``.

    ``without``: layers that lack the site; their cells are None, and NaN in results.
    """

    site: str
    along: str
    layers: tuple[str, ...]
    n_positions: int
    n_heads: int
    prompt: PromptInfo
    places: tuple[range, ...]  # of each layer: the positions at which it has the site
    without: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()  # of each layer: its neurons or experts, where cells are such

    @property
    def notes(self) -> tuple[str, ...]:
        """Which layers have no cells."""
        return (f"No {self.site} in {in_words(self.without)}: NaN.",) if self.without else ()

    @property
    def axes(self) -> tuple[Axis, ...]:
        """``layer``, then ``token``, ``head``, ``head`` and ``token``, ``neuron``, or ``expert``."""
        layer = Axis("layer", ("embed",) if self.site == "embed" else self.layers)
        token = Axis("token", self.prompt.tokens)
        head = Axis("head", _numbers(self.n_heads))
        rest = {
            "position": (token,),
            "head": (head,),
            "head_position": (head, token),
            "neuron": (Axis("neuron", _numbers(max(self.widths, default=0))),),
            "expert": (Axis("expert", _numbers(max(self.widths, default=0))),),
        }
        return (layer, *rest[self.along])

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return tuple(len(axis.labels) for axis in self.axes)

    def cells(self, donor: Donor) -> list[Counterfactual | None]:
        """One counterfactual a cell, in the order of the axes: the donor's activation put in place.

        None where a layer does not have the site, or (of an encoder–decoder) not at that position."""
        layers = range(self.shape[0])
        return [cell for layer in layers for cell in self.cells_of(donor, layer)]

    def cells_of(self, donor: Donor, layer: int) -> list[Counterfactual | None]:
        """The same, of one layer."""
        there, count = self.places[layer], math.prod(self.shape[1:])
        if not there:  # nor has the donor
            return [None] * count
        cells: list[Counterfactual | None] = [
            (edit,) if _meets(edit, there) else None for edit in self._edits(donor, layer)
        ]
        return cells + [None] * (count - len(cells))  # a narrower layer

    def some_cells(self, donor: Donor, numbers: Sequence[int]) -> list[Counterfactual]:
        """Those of these numbers in the order of the axes, which are there. Of a layer that the donor makes
        anew nothing else is held."""
        a_layer = math.prod(self.shape[1:])
        found: dict[int, Counterfactual] = {}
        for layer in sorted({number // a_layer for number in numbers}):
            cells = self.cells_of(donor, layer)
            for number in numbers:
                cell = cells[number % a_layer] if number // a_layer == layer else None
                if cell is not None:
                    found[number] = tuple(_alone(edit) for edit in cell)
        return [found[number] for number in numbers]

    @property
    def there(self) -> np.ndarray:
        """Which cells there are, in the shape of the axes; the others are None."""
        found = np.ones(self.shape, dtype=bool)
        for layer in range(self.shape[0]):
            there = self.places[layer]
            if not there:
                found[layer] = False
            elif self.widths:
                found[layer, self.widths[layer] :] = False
            elif self.along in ("position", "head_position"):
                found[layer, ..., : there.start] = found[layer, ..., there.stop :] = False
        return found

    @property
    def size(self) -> int:
        """How many cells there are."""
        return int(self.there.sum())

    def _edits(self, donor: Donor, layer: int) -> list[Edit]:
        edit = partial(Edit, donor.site, layer, "add" if donor.added else "patch")
        value = donor.values[layer]
        positions = range(self.n_positions)
        if self.along == "position":
            return [edit(positions=(p,), value=value[p : p + 1]) for p in positions]
        if self.along in ("neuron", "expert"):
            return [edit(value=value[:, n], neuron=n) for n in range(self.widths[layer])]
        heads = range(self.n_heads)
        if self.along == "head":
            return [edit(h, value=value[:, h]) for h in heads]
        return [edit(h, (p,), value[p : p + 1, h]) for h in heads for p in positions]


def evaluate_grid(
    run: Run,
    grid: Grid,
    donor: Donor,
    metric: Metric,
    shown: Callable[[np.ndarray], np.ndarray],
    *,
    unchanged: float,
    estimates: np.ndarray | None = None,
    watch: Watch = SILENT,
) -> np.ndarray:
    """The metric of each cell, in the shape of the axes: see ``evaluate_cells``. A layer at a time where the
    donor's values are there one layer at a time."""
    if donor.made_anew:
        return evaluate_cells_by_layer(
            run, partial(grid.cells_of, donor), grid.there, metric, grid.axes, shown,
            unchanged=unchanged, estimates=estimates, watch=watch,
        )  # fmt: skip
    cells = grid.cells(donor)
    return evaluate_cells(
        run, cells, metric, grid.axes, shown, unchanged=unchanged, estimates=estimates, watch=watch
    )


def make_grid(
    lm: LanguageModel, prompt: PromptInfo, site: str, along: str, *, partly: bool = False
) -> Grid:
    """The grid of ``site``; ``along`` ``auto`` is what suits it. ``partly``: some layers may lack the site.

    Raises ``BadParameter``, ``Unsupported``.
    """
    if site not in PATCH_SITES:
        raise BadParameter(f"There is no site {site!r}.", f"Use {', '.join(PATCH_SITES)}.")
    if partly:
        lm.verified.require_somewhere(site)
    else:
        lm.verified.require_site(site)
    having = [i for i in range(lm.anatomy.n_layers) if lm.verified.has(site, i)]
    usual = {**dict.fromkeys(_HEAD_SITES, "head"), "neuron": "neuron", "router": "expert"}
    along = usual.get(site, "position") if along == "auto" else along
    fits = {
        "position": True,
        "head": site in _HEAD_SITES,
        "head_position": site in _HEAD_SITES,
        "neuron": site == "neuron",
        "expert": site == "router",
    }
    if not fits.get(along, False):
        raise BadParameter(
            f"Site {site} cannot be patched along {along!r}.",
            f"Use {', '.join(name for name, possible in fits.items() if possible)}.",
        )
    anatomy = lm.anatomy
    return Grid(
        site,
        along,
        anatomy.layer_names,
        len(prompt.token_ids),
        anatomy.n_kv_heads if site in ("k", "v") else anatomy.n_heads,
        prompt,
        tuple(
            positions_at(lm, prompt, site, layer) if layer in having else range(0)
            for layer in range(anatomy.n_layers)
        ),
        tuple(layer for layer in range(anatomy.n_layers) if layer not in having),
        _widths(lm, along, having),
    )


def _widths(lm: LanguageModel, along: str, having: Sequence[int]) -> tuple[int, ...]:
    """Neurons or experts of each layer, 0 where it lacks the site; nothing where cells are neither."""
    if along not in ("neuron", "expert"):
        return ()
    anatomy, found = lm.anatomy, [0] * lm.anatomy.n_layers
    for layer in having:
        if along == "expert":
            mixture = anatomy.mixtures[layer]
            found[layer] = 0 if mixture is None else mixture.n_experts
        else:
            down = anatomy.down_proj[layer]
            found[layer] = 0 if down is None else in_width(down)
    return tuple(found)


def _meets(edit: Edit, there: range) -> bool:
    return bool(there) and (edit.positions is None or edit.positions[0] in there)


def _alone(edit: Edit) -> Edit:
    return edit if edit.value is None else replace(edit, value=edit.value.clone())


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(i) for i in range(count))
