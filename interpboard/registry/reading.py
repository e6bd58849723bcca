"""What it says that a value is larger or smaller than the neutral one: by analysis, metric and parameters.

Nothing else writes such a sentence. A result carries what is made here (``Result.meaning``), and every
view reads it there. A sign says different things of different metrics: without a head that helped, the
target's logit falls, its rank *grows* (1 is the best), and KL from the clean prediction, which is never
below 0, grows whether the head helped or not.
"""

from __future__ import annotations

from dataclasses import dataclass

RANK, KL = "rank", "kl"  # every other metric grows with the target

Sides = tuple[
    str, str
]  # what a value below the neutral one says, and one above; empty: neither is said


@dataclass(frozen=True)
class Reading:
    """What the two sides of the neutral value say: of a metric that grows with the target, of ``rank``,
    and of ``kl``. What stands in brackets is left out where there is little room.

    ``keys``: the names of both sides; none where they follow from the neutral value.
    """

    grows: Sides
    rank: Sides = ("", "")
    kl: Sides = ("", "")
    keys: Sides | None = None

    def of(self, metric: str) -> Sides:
        """Both sides for ``metric``."""
        return {RANK: self.rank, KL: self.kl}.get(metric, self.grows)

    def sentence(self, metric: str, neutral: float) -> str:
        """``negative: …; positive: …``; empty where nothing is said."""
        near = "0" if neutral == 0 else f"{neutral:g}"
        usual = ("negative", "positive") if neutral == 0 else (f"below {near}", f"above {near}")
        sides = zip(self.keys or usual, self.of(metric), strict=True)
        return "; ".join(f"{key}: {side}" for key, side in sides if side)


def same_reading(below: str, above: str) -> Reading:
    """The same of every metric: of shares, and where a metric of another kind is refused."""
    sides = (below, above)
    return Reading(sides, sides, sides)


def without(what: str) -> Reading:
    """Of metric(without ``what``) − metric(clean)."""
    return Reading(
        grows=(f"{what} helped", "it hurt"),
        rank=(
            f"{what} hurt (without it the target's rank is better)",
            "it helped (without it the rank is worse)",
        ),
        kl=(
            "",
            f"{what} matters (without it the prediction changes, which is not to say that it helped)",
        ),
    )


def restored_reading(what: str) -> Reading:
    """Of metric(corrupted with clean ``what`` in it) − metric(corrupted)."""
    return Reading(
        grows=(f"{what} works against the answer", "it carries the answer"),
        rank=(
            f"{what} carries the answer (with it the target's rank is better)",
            "it works against the answer (its rank is worse)",
        ),
        kl=(
            f"{what} brings the clean prediction back (KL falls)",
            "it takes the prediction further from the clean one (KL grows)",
        ),
    )


def taken(what: str) -> Reading:
    """Of metric(clean with corrupted ``what`` in it) − metric(clean)."""
    return Reading(
        grows=(f"{what} carried the answer", "it worked against the answer"),
        rank=(
            f"{what} worked against the answer (without it the target's rank is better)",
            "it carried the answer (without it the rank is worse)",
        ),
        kl=("", f"{what} carried something of the clean prediction (KL grows)"),
    )


def added(what: str) -> Reading:
    """Of metric(with ``what``) − metric(without), in whatever way the difference is shared out."""
    return Reading(
        grows=(f"{what} lowered the metric", "it raised it"),
        rank=(
            f"{what} helped (with it the target's rank is better)",
            "it hurt (with it the rank is worse)",
        ),
        kl=(
            f"{what} brings the prediction nearer to that of the whole prompt (KL falls)",
            "it takes the prediction further from that of the whole prompt (KL grows)",
        ),
    )


WRITTEN_READING = same_reading("lowers it", "raises it")
INTERACTION = Reading(
    grows=(
        "together they cost more than apart (backups of each other do)",
        "together they cost less than apart (links of one chain do)",
    ),
    rank=(
        "together they cost less than apart (links of one chain do)",
        "together they cost more than apart (backups of each other do)",
    ),
    kl=(
        "together they change the prediction less than apart",
        "together they change the prediction more than apart",
    ),
)
STEERED = Reading(
    grows=("the vector lowers the metric at that scale", "it raises it"),
    rank=(
        "the vector helps the target at that scale (its rank is better)",
        "it hurts the target (its rank is worse)",
    ),
    kl=("", "the vector changes the prediction at that scale (not in which direction)"),
)
LEVEL = Reading(  # of a metric itself, not of a difference
    grows=("", "more of the target"),
    rank=("the target's rank is better (1 is the best)", ""),
    kl=("", "further from the clean prediction"),
    keys=("smaller", "larger"),
)
_LIKELIER = ("", "the target is likelier there")
LIKELIER = Reading(_LIKELIER, _LIKELIER, _LIKELIER, keys=("smaller", "larger"))
GRADIENT = same_reading(
    "raising all dimensions of the embedding lowers the metric",
    "raising all dimensions of the embedding raises the metric",
)
BEHAVIOUR = same_reading("the edge lowers the behaviour", "it raises it")
DENOISED = same_reading(
    "the patch leads away from the clean run",
    "it brings the clean run's metric back",
)
NOISED = same_reading(
    "the patch takes the clean run's metric away (0: all of it)",
    "it adds to what tells the clean run from the corrupted one",
)
