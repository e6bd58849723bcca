"""What is put on beside the clean run of a text: interventions, and the reference that takes all away."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.errors import BadParameter
from interpboard.interventions.grammar import Intervention, parse_interventions


def loss_reference(interventions: Sequence[Intervention], written: str) -> tuple[Intervention, ...]:
    """What takes everything away: as written, else zeros at the places that are edited."""
    if written.strip():
        if not interventions:
            raise BadParameter("A reference is for interventions.", "Give some, e.g. 1.mlp=mean.")
        return parse_interventions(written)
    if any(each.what in ("token", "off") for each in interventions):
        return ()
    zero = [
        each._replace(what="zero", text=f"{each.text.split('=')[0]}=zero") for each in interventions
    ]
    found = {each.text: each for each in zero}
    return (
        tuple(interventions)
        if all(each.what == "zero" for each in interventions)
        else tuple(found.values())
    )


def refuse_bound_positions(interventions: Sequence[Intervention], windows: int) -> None:
    """Raise ``BadParameter`` for an intervention at a position where a text is read in several windows."""
    bound = [each.text for each in interventions if each.positions is not None]
    if bound and windows > 1:
        raise BadParameter(
            f"{bound[0]} is at a position, and the text is read in {windows} windows.",
            "Leave the position out, or take a window that holds the whole text.",
        )
