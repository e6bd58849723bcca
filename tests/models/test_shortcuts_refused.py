"""A shortcut that gives something else than the whole computation is seen at load, and not taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from interpboard.models import absorbed_attention, faster_parts
from interpboard.models.anatomy import find_anatomy
from interpboard.models.calls import LayerCall
from interpboard.models.proof import shortcuts
from interpboard.models.proof.selfcheck import self_check
from tests.lm import tiny_lm
from tests.tiny import tiny_model

_OFF = 1.01


def _absorbed(patch: pytest.MonkeyPatch) -> None:
    own = absorbed_attention.attended_at_one
    patch.setattr(absorbed_attention, "attended_at_one", lambda *given: _OFF * own(*given))


def _one_query(patch: pytest.MonkeyPatch) -> None:
    own = LayerCall.keys_values_of

    def values_off(*given: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = own(*given, **named)
        return keys, _OFF * values

    patch.setattr(LayerCall, "keys_values_of", values_off)


def _mlp_at_one(patch: pytest.MonkeyPatch) -> None:
    own = shortcuts.mlp_at
    patch.setattr(shortcuts, "mlp_at", lambda module, index: own(module, index - 1))


def _some_logits(patch: pytest.MonkeyPatch) -> None:
    own = shortcuts.residual_to_some_logits

    def exchanged(anatomy: Any, residual: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return own(anatomy, residual, tokens.flip(0))

    patch.setattr(shortcuts, "residual_to_some_logits", exchanged)


def _keeps_attention(patch: pytest.MonkeyPatch) -> None:
    own = shortcuts.attention_kept

    def off(kept: Any, attending: int, attended: Callable[[], torch.Tensor]) -> Any:
        return own(kept, attending, lambda: _OFF * attended())

    patch.setattr(shortcuts, "attention_kept", off)


def _blocks(patch: pytest.MonkeyPatch) -> None:
    own = shortcuts.QueryBlocks

    def a_query_further(change: Callable[[torch.Tensor, int], Any], queries: int | None) -> Any:
        return own(lambda block, first: change(block, first + bool(queries)), queries)

    patch.setattr(shortcuts, "QueryBlocks", a_query_further)


def _faster_head(patch: pytest.MonkeyPatch) -> None:
    own = faster_parts.product
    patch.setattr(faster_parts, "product", lambda *given: _OFF * own(*given))


_WRONG = {
    "absorbed": _absorbed, "one_query": _one_query, "mlp_at_one": _mlp_at_one, "some_logits": _some_logits,
    "keeps_attention": _keeps_attention, "blocks": _blocks, "faster_head": _faster_head,
}  # fmt: skip


@pytest.mark.parametrize("name", _WRONG)
def test_a_shortcut_that_gives_something_else_is_not_taken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert getattr(tiny_lm("gpt2").verified, name)
    _WRONG[name](monkeypatch)
    verified = self_check(find_anatomy(tiny_model("gpt2")))
    assert verified.path == "replay"
    assert not getattr(verified, name)
