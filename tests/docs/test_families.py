"""The table of supported models says what each family proves when it is loaded, and nothing else.

``UPDATE_DOCS=1`` writes ``docs/families.json`` anew from what is measured.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from docs.hooks import models
from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import find_anatomy
from interpboard.models.proof.kinds import kinds_of_layers
from interpboard.models.proof.selfcheck import self_check
from interpboard.models.proof.verified import Verified
from interpboard.models.sites import SITES
from tests.tiny import FAMILIES, tiny_model


def measured(family: str) -> dict[str, Any]:
    """What a random model of ``family`` proves at load."""
    model = tiny_model(family)
    anatomy = find_anatomy(model)
    verified = self_check(anatomy)
    return {
        "class": type(model).__name__,
        "path": verified.path,
        "lens": verified.lens,
        "kinds": len(set(kinds_of_layers(anatomy))),
        "without": _lacking(verified),
        "float64": _in_float64(family),
    }


def _lacking(verified: Verified) -> dict[str, list[int]]:
    """Sites with the layers that lack them; no layers where it is all of them."""
    found = {site: list(verified.layers_without(site)) for site in sorted(SITES)}
    everywhere = len(verified.by_layer)
    return {s: [] if len(at) == everywhere else at for s, at in found.items() if at}


def _in_float64(family: str) -> bool:
    try:
        self_check(find_anatomy(tiny_model(family, torch.float64)))
    except NotALanguageModel:
        return False
    return True


def test_the_table_has_the_families_of_the_tests() -> None:
    if os.environ.get("UPDATE_DOCS"):
        rows = {family: measured(family) for family in FAMILIES}
        models.FILE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    assert list(models.read()) == list(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_row_says_what_the_family_proves(family: str) -> None:
    assert models.read()[family] == measured(family)


def test_the_page_names_what_a_family_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    row = {
        "class": "OddForCausalLM",
        "path": "hooks",
        "lens": False,
        "kinds": 2,
        "without": {"q": [], "z": [1, 2]},
        "float64": False,
    }
    monkeypatch.setattr(models, "FILE", tmp_path / "families.json")
    models.FILE.write_text(json.dumps({"odd": row}), encoding="utf-8")
    assert models.table_of_families().splitlines()[-1] == (
        "| `odd` | `OddForCausalLM` | hooked forwards | no | no | 2 | `q` `z` (1, 2) |"
    )
