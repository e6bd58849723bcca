"""What a sweep will take, where rows share passes."""

from __future__ import annotations

from pathlib import Path

import torch

from interpboard.datasets.dataset import open_dataset
from interpboard.planning import plan
from interpboard.sweeps.plan import plan_sweep
from interpboard.sweeps.request import sweep_request
from tests.lm import tiny_lm


def test_a_plan_of_rows_that_are_taken_together_counts_what_they_share(tmp_path: Path) -> None:
    lm = tiny_lm("gpt2", torch.float64)
    begin = "The city of Rome is on the"
    data = tmp_path / "rows.txt"
    data.write_text(
        "\n".join(f"{begin} {end}" for end in ("the " * 90, "table", "city", "keys", "the"))
    )
    heads, swapped = plan_sweep(
        lm, open_dataset([data]), sweep_request(["head_ablation", "occlusion"])
    )
    assert "taken together" in heads.because
    assert "taken together" not in swapped.because
    alone = 4 * plan(lm, f"{begin} table", ["head_ablation"])[0].forward_passes
    assert 4 < heads.forward_passes < alone * 0.7
