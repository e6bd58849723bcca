"""What a model proved at load: for the model, and for each of its layers."""

from __future__ import annotations

from dataclasses import dataclass

from interpboard.errors import Unsupported
from interpboard.models.fewer_passes import PassNames
from interpboard.models.fused_gelu import FusedNames

OF_HEADS = ("q", "k", "v", "pattern", "z")


@dataclass(frozen=True)
class Verified:
    """What a model proved. ``path``: ``replay`` (layers called again) or ``hooks`` (plain forwards).

    ``sites`` hold at every layer; ``by_layer`` [layer] has those of each, where layers differ.
    ``reuse``: a replay may begin at a later position, with recorded keys and values before it.
    ``some_logits``: the head gives the same logits for a few tokens as for all. ``mlp_at_one``: the last
    layer's MLP may run at the metric's position alone. ``one_query``: so may all of that layer, handed keys
    and values. ``absorbed``: there attention reads the normed streams, and no keys and values are made.
    ``end_to_end``: rows that begin at different positions may lie behind each other as one.
    ``keeps_attention``: rows edited behind attention may take their head outputs as recorded.
    ``causal``: later tokens do not matter.
    ``faster_parts``: linear maps and activations of layers may compute by faster kernels, as
    may the unembedding (``faster_head``). ``fused_gelu``: by layer a linear map and the activation behind it
    that may be computed in one. ``fewer_passes``: by layer the norms and MLPs that may compute so.
    ``whole_layers``: where gradients are taken a layer may be computed in one piece,
    the last at one position.
    ``blocks``: a pattern computed some queries at a time is the pattern.
    ``alone``: what is computed beside a row, or behind a token, changes its numbers, so that every run
    is a batch of one row over the whole prompt. ``no_heads``: why there are none, where there are none.
    """

    path: str
    reuse: bool
    sites: frozenset[str]
    lens: bool
    notes: tuple[str, ...]
    some_logits: bool = False
    mlp_at_one: bool = False
    keeps_attention: bool = False
    causal: bool = True
    blocks: bool = False
    faster_parts: bool = False
    faster_head: bool = False
    alone: bool = False
    by_layer: tuple[frozenset[str], ...] = ()
    no_heads: str = ""
    no_pattern: str = ""  # likewise why there are no attention patterns
    one_query: bool = False
    absorbed: bool = False
    end_to_end: bool = False
    fused_gelu: tuple[FusedNames, ...] = ()
    fewer_passes: tuple[PassNames, ...] = ()
    whole_layers: bool = False
    reads_all: bool = False  # the head reads all tokens' streams at once: their mean, their largest

    @property
    def whole_prompt(self) -> bool:
        """Whether tokens behind the metric's position must be there, too."""
        return self.alone or not self.causal

    def at(self, layer: int) -> frozenset[str]:
        """The sites of ``layer``."""
        return self.by_layer[layer] if self.by_layer else self.sites

    def has(self, site: str, layer: int) -> bool:
        """Whether ``layer`` has ``site``; ``attended`` is there where ``pattern`` is."""
        site = "pattern" if site == "attended" else site
        return site in self.sites or site in self.at(layer)

    def layers_without(self, site: str) -> tuple[int, ...]:
        """The layers that lack ``site``."""
        return tuple(i for i, sites in enumerate(self.by_layer) if site not in sites)

    def layers_with(self, site: str) -> tuple[int, ...]:
        """The layers that have ``site``; raises ``Unsupported`` where none has."""
        found = tuple(i for i in range(len(self.by_layer)) if site in self.at(i))
        if not found:
            raise self._nowhere(site)
        return found

    def _nowhere(self, site: str) -> Unsupported:
        why = self.no_heads if site in OF_HEADS else ""
        if site == "router":
            why = "This model has no mixture of experts whose weights can be read and put."
        if not why and site in OF_HEADS and site != "z":
            why = self.no_pattern
        return Unsupported(why or f"Edits at {site} are not available on this model.")

    def require_site(self, site: str, layer: int | None = None) -> None:
        """Raise ``Unsupported`` unless edits at ``site`` were seen to do what they should: at ``layer``,
        or (None) at every layer. It names the layers that lack it. ``attended`` is there where ``pattern``
        is, whose edits are made there."""
        site = "pattern" if site == "attended" else site
        if site in (self.sites if layer is None else self.at(layer)):
            return
        lacking = self.layers_without(site)
        if not lacking or len(lacking) == len(self.by_layer):
            raise self._nowhere(site)
        having = [i for i in range(len(self.by_layer)) if i not in lacking]
        raise Unsupported(
            f"Edits at {site} are not available in {in_words(lacking)} of this model.",
            f"It has {site} in {in_words(having)}.",
        )

    def somewhere(self, site: str) -> bool:
        """Whether at least one layer has ``site``; ``attended`` is there where ``pattern`` is."""
        site = "pattern" if site == "attended" else site
        return site in self.sites or any(site in here for here in self.by_layer)

    def require_somewhere(self, site: str) -> None:
        """Raise ``Unsupported`` unless at least one layer has ``site``."""
        if not self.somewhere(site):
            raise self._nowhere(site)

    def require_lens(self) -> None:
        """Raise ``Unsupported`` unless final norm and unembedding gave the model's own logits."""
        if self.reads_all:
            raise Unsupported(
                "The head reads the mean over all tokens, or the largest: no token's stream alone has logits."
            )
        if not self.lens:
            raise Unsupported("Final norm and unembedding do not give this model's logits.")


def in_words(layers: tuple[int, ...] | list[int]) -> str:
    """``layer 3``, ``layers 0 to 2 and 5``: runs of three or more are drawn together."""
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    parts = [
        part
        for run in runs
        for part in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(i) for i in run])
    ]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"layer{'s' if len(layers) > 1 else ''} {listed}"
