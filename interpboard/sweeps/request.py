"""What a sweep asks of every row, and which analyses can be asked so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from interpboard import __version__
from interpboard.errors import BadParameter
from interpboard.registry import find_analysis
from interpboard.results import MetricRequest

OF_THE_ROW = ("corrupted", "subject", "choices")
"""Parameters that a row's columns of those names give."""
_OF_DATASETS = {
    "circuit": "it takes the dataset itself: interpboard analyze -a circuit -p dataset=FILE",
    "patching_confidence": "it takes pairs itself: sweep activation_patching instead",
    "tune_lens": "it is a training: interpboard tune-lens",
    "max_activating": "it takes a corpus itself: interpboard analyze -a max_activating",
}
_OF_DATASETS |= dict.fromkeys(
    ("linear_probe", "probe_transfer", "stream_pca", "stream_cosine"),
    "it takes the dataset itself: interpboard probe DATA, or analyze with --param data=FILE",
)
_TOP = "top="
UNITS_ALIGNED = ("word", "sentence")
ALIGNMENTS = ("auto", "role", *UNITS_ALIGNED, "index")


class SweepRequest(msgspec.Struct, frozen=True):
    """``analyses`` with their ``params``, and the metric where a row names none of its own.

    ``save``: ``values``, all of every row; ``mean``, only what means are made of; ``top=K``, the K strongest
    entries of a row beside that. ``align``: how tokens of different prompts are put together (``alignment``).
    ``group``: a column whose values make groups, which ``mean`` must know from the start.
    """

    analyses: tuple[str, ...]
    params: dict[str, dict[str, Any]] = {}
    metric: MetricRequest = MetricRequest()
    save: str = "values"
    align: str = "auto"
    group: str = ""

    @property
    def top(self) -> int | None:
        """How many entries of a row are kept; None: all, or none."""
        return int(self.save.removeprefix(_TOP)) if self.save.startswith(_TOP) else None

    @property
    def sums(self) -> bool:
        """Whether means are made of sums that are kept, since the rows' values are not."""
        return self.save != "values"

    @property
    def alignment(self) -> str:
        """``auto`` can only be decided where all rows are known, which sums do not wait for."""
        return "role" if self.align == "auto" and self.sums else self.align

    def fingerprint(self, analysis: str, weights: str) -> str:
        """Of what a row's result of ``analysis`` depends on, but for the row."""
        of = (
            __version__.split("+")[0], analysis, sorted(self.params.get(analysis, {}).items()),
            self.metric, weights, self.save,
        )  # fmt: skip
        return hashlib.blake2b(repr(of).encode(), digest_size=8).hexdigest()


def sweep_request(
    analyses: Sequence[str],
    params: Mapping[str, Mapping[str, Any]] | None = None,
    metric: MetricRequest = MetricRequest(),  # noqa: B008 - frozen
    save: str = "values",
    align: str = "auto",
    group: str = "",
) -> SweepRequest:
    """The request, everything in it checked that can be before a row is seen. Raises ``BadParameter``."""
    if not analyses:
        raise BadParameter("A sweep needs an analysis.", "Name one, e.g. -a head_ablation.")
    if again := [name for name in dict.fromkeys(analyses) if list(analyses).count(name) > 1]:
        raise BadParameter(f"{again[0]} is asked for twice.", "Name each analysis once.")
    given = {name: dict((params or {}).get(name, {})) for name in analyses}
    for name in analyses:
        known = find_analysis(name)
        if name in _OF_DATASETS:
            raise BadParameter(f"{name} cannot be swept:", f"{_OF_DATASETS[name]}.")
        own = {parameter.name: parameter for parameter in known.parameters}
        written = [own[key].name for key in given[name] if key in own and own[key].written]
        if written:
            raise BadParameter(
                f"{name} would write {written[0]} again with every row.", "Leave it out."
            )
        # A row brings what it has of these; whether it does is its own matter.
        later = {key: "?" for key in known.required if key in OF_THE_ROW and key not in given[name]}
        parsed = known.parse({**given[name], **later})
        # As the manifest has them, whose lists are no tuples: or going on would find other parameters there.
        given[name] = msgspec.json.decode(
            msgspec.json.encode({key: parsed[key] for key in given[name]})
        )
    if save.startswith(_TOP):
        number = save.removeprefix(_TOP)
        if not number.isascii() or not number.isdigit() or int(number) < 1:
            raise BadParameter(f"--save top={number[:20]!r} is no number.", "Write top=20.")
    elif save not in ("values", "mean"):
        raise BadParameter(f"--save takes no {save[:20]!r}.", "It is values, mean or top=K.")
    if align not in ALIGNMENTS:
        raise BadParameter(f"--align takes no {align[:20]!r}.", f"It is {', '.join(ALIGNMENTS)}.")
    return SweepRequest(tuple(analyses), given, metric, save, align, group)
