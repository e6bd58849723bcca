"""The cells of a patching grid: which part of which activation each one replaces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.models.packed import in_width
from interpboard.patching.donor import Donor
from interpboard.results import Axis, PromptInfo
from interpboard.runs.edits import Counterfactual, Edit

STREAM_SITES = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")
_HEAD_SITES = ("z", "q", "k", "v", "pattern")
PATCH_SITES = (*STREAM_SITES, *_HEAD_SITES, "neuron", "embed")
ALONG = ("auto", "position", "head", "head_position", "neuron")


@dataclass(frozen=True)
class Grid:
    """A site cut ``along`` positions, heads, both, or neurons. Its axes begin with ``layer``."""

    site: str
    along: str
    n_layers: int
    n_positions: int
    n_heads: int
    n_neurons: int
    prompt: PromptInfo

    @property
    def axes(self) -> tuple[Axis, ...]:
        """``layer``, then ``token``, ``head``, ``head`` and ``token``, or ``neuron``."""
        layer = Axis("layer", ("embed",) if self.site == "embed" else _numbers(self.n_layers))
        token = Axis("token", self.prompt.tokens)
        head = Axis("head", _numbers(self.n_heads))
        rest = {
            "position": (token,),
            "head": (head,),
            "head_position": (head, token),
            "neuron": (Axis("neuron", _numbers(self.n_neurons)),),
        }
        return (layer, *rest[self.along])

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return tuple(len(axis.labels) for axis in self.axes)

    def cells(self, donor: Donor) -> list[Counterfactual]:
        """One counterfactual a cell, in the order of the axes: the donor's activation put in place."""
        found: list[Counterfactual] = []
        for layer in range(self.shape[0]):
            found += [(edit,) for edit in self._edits(donor, layer)]
        return found

    def _edits(self, donor: Donor, layer: int) -> list[Edit]:
        edit = partial(Edit, donor.site, layer, "add" if donor.added else "patch")
        value = donor.values[layer]
        positions = range(self.n_positions)
        if self.along == "position":
            return [edit(positions=(p,), value=value[p : p + 1]) for p in positions]
        if self.along == "neuron":
            return [edit(value=value[:, n], neuron=n) for n in range(self.n_neurons)]
        heads = range(self.n_heads)
        if self.along == "head":
            return [edit(h, value=value[:, h]) for h in heads]
        return [edit(h, (p,), value[p : p + 1, h]) for h in heads for p in positions]


def make_grid(lm: LanguageModel, prompt: PromptInfo, site: str, along: str) -> Grid:
    """The grid of ``site``; ``along`` ``auto`` is what suits it. Raises ``BadParameter``."""
    if site not in PATCH_SITES:
        raise BadParameter(f"There is no site {site!r}.", f"Use {', '.join(PATCH_SITES)}.")
    lm.verified.require_site(site)
    usual = {**dict.fromkeys(_HEAD_SITES, "head"), "neuron": "neuron"}.get(site, "position")
    along = usual if along == "auto" else along
    fits = {
        "position": True,
        "head": site in _HEAD_SITES,
        "head_position": site in _HEAD_SITES,
        "neuron": site == "neuron",
    }
    if not fits.get(along, False):
        raise BadParameter(
            f"Site {site} cannot be patched along {along!r}.",
            f"Use {', '.join(name for name, possible in fits.items() if possible)}.",
        )
    anatomy = lm.anatomy
    down = anatomy.down_proj[0]
    return Grid(
        site,
        along,
        anatomy.n_layers,
        len(prompt.token_ids),
        anatomy.n_kv_heads if site in ("k", "v") else anatomy.n_heads,
        in_width(down) if down is not None else 0,
        prompt,
    )


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(i) for i in range(count))
