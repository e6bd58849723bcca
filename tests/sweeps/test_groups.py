"""Groups of rows: by any column, none of them lost without a word, and which cells tell two apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from interpboard.analyze import analyze
from interpboard.errors import BadParameter
from interpboard.results import Document, LabelledArray
from interpboard.results.intervals import unsure_entries
from interpboard.sweeps.aggregate import AggregateSettings, aggregate
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.sweep import sweep
from interpboard.visualization.export import csv_text, html, text
from interpboard.visualization.figures.canvas import title_of
from interpboard.visualization.reading import distances, scale_of, strongest_first
from tests.sweeps.test_sweep import LM, ROWS, put, results


def test_groups_are_made_by_what_the_model_says_too(tmp_path: Path) -> None:
    rows = [{"text": row["text"], "target": " the"} for row in ROWS]
    rows[0]["target"] = str(_first_answer())
    data = put(tmp_path, rows)
    for save in ("values", "mean"):
        out = tmp_path / save
        found = sweep(LM, data, ["head_ablation"], out, group="right", save=save).results
        by_group = {r.params.get("group"): r.params["rows"] for r in found}
        right = [own.right for own in results(out)]
        assert True in right
        assert False in right
        assert by_group["right=true"] == right.count(True)
        assert by_group["right=false"] == right.count(False)


def _first_answer() -> str:
    info = analyze(LM, str(ROWS[0]["text"]), ["head_ablation"]).results[0].metric
    assert info.target is not None
    return f"#{info.target.id}"


def test_a_column_that_no_row_has_makes_no_groups_and_a_row_without_it_is_counted(
    tmp_path: Path,
) -> None:
    """Without a word there would be one mean, and nobody would miss the groups."""
    data = put(tmp_path, [*ROWS[:3], {"text": ROWS[3]["text"]}])
    with pytest.raises(BadParameter, match="No row has anything in a column 'lable' that makes"):
        sweep(LM, data, ["head_ablation"], tmp_path / "out", group="lable")
    assert not (tmp_path / "out").exists()
    for save in ("values", "mean"):
        found = sweep(
            LM, data, ["head_ablation"], tmp_path / save, group="label", save=save
        ).results
        assert all("1 of 4 rows have no label: they are in no group." in r.warnings for r in found)
    folder = SweepFolder.open(tmp_path / "values")
    with pytest.raises(BadParameter, match="No row has anything in a column 'lable'"):
        aggregate(folder, AggregateSettings(group="lable"))


def test_groups_are_made_by_the_subject_and_by_nothing_that_results_do_not_keep(
    tmp_path: Path,
) -> None:
    """It was taken, every row was computed, and then there was no mean."""
    data = put(tmp_path, [*ROWS, {**ROWS[0], "corrupted": ROWS[0]["text"]}])
    for save in ("values", "mean"):
        found = sweep(LM, data, ["head_ablation"], tmp_path / save, group="subject", save=save)
        by_group = {r.params.get("group"): r.params["rows"] for r in found.results}
        assert by_group == {None: 5} | {
            f"subject={row['subject']}": 1 + (row is ROWS[0]) for row in ROWS
        }
    of_one = aggregate(
        SweepFolder.open(tmp_path / "values"), AggregateSettings(where="subject=Mary")
    )
    assert of_one.results[0].params["rows"] == 1
    with pytest.raises(BadParameter, match="No row has anything in a column 'corrupted'"):
        sweep(LM, data, ["head_ablation"], tmp_path / "out", group="corrupted")
    assert not (tmp_path / "out").exists()


def test_a_level_that_is_none_is_refused_before_a_row_is_computed(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="level is between 0 and 1"):
        sweep(LM, put(tmp_path, ROWS[:1]), ["head_ablation"], tmp_path / "out", level=95)
    assert not (tmp_path / "out").exists()


def test_cells_in_which_two_groups_are_not_told_apart_are_marked_on_every_page(
    tmp_path: Path,
) -> None:
    """By their p-values over all cells: a difference has no interval, and looked as sure as could be."""
    found = sweep(LM, put(tmp_path, ROWS), ["head_ablation"], tmp_path / "out", group="label")
    difference = found.results[-1]
    assert difference.params["test"].startswith("permutation")
    assert "interval" not in difference.params
    assert unsure_entries(difference).all()  # of two rows against two no p is under 1/3
    p = np.full(difference.values.shape, 0.5)
    p[0, 0], p[0, 1] = 0.01, np.nan
    extra = {**difference.extra, "p_family": LabelledArray(difference.axes, p)}
    told = replace(difference, extra=extra)
    assert unsure_entries(told).sum() == p.size - 1
    assert not unsure_entries(told)[0, 0]
    document = Document(model=found.model, prompt=found.prompt, results=(told,))
    said = "not told apart: p ≥ 0.05 over all cells together"
    assert said in text(document)
    assert said in html(document)
    values = [line for line in csv_text(document).splitlines() if ",values," in line]
    assert sum(line.endswith(",true") for line in values) == p.size - 1


def test_a_figure_says_of_which_group_it_is_and_the_strongest_are_those_of_all_rows(
    tmp_path: Path,
) -> None:
    found = sweep(LM, put(tmp_path, ROWS), ["head_ablation"], tmp_path / "out", group="label")
    titles = [title_of(result) for result in found.results]
    assert "label" not in titles[0]
    assert [title.split(", ")[-1] for title in titles[1:]] == ["label=A", "label=B", "label=A − B"]
    assert found.top(1)["head_ablation"] == found.results[0].top(1) != found.results[-1].top(1)


def test_a_difference_of_groups_has_two_sides_around_0_whatever_it_is_of(tmp_path: Path) -> None:
    """Of probabilities the lowest had no colour and was never among the strongest; of noising 1 was none."""
    rows: list[dict[str, object]] = [
        {
            "text": f"{name} is in the city of",
            "corrupted": f"{name} is in the city in",
            "label": own,
        }
        for name, own in (("Rome", "A"), ("Mary", "A"), ("Paris", "B"), ("Tom", "B"))
    ]
    found = sweep(
        LM, put(tmp_path, rows), ["logit_lens", "activation_patching"], tmp_path / "out",
        params={"activation_patching": {"direction": "noising"}}, group="label",
    )  # fmt: skip
    lens, noising = [r for r in found.results if "test" in r.params]
    assert found.results[-2].neutral == 1
    assert lens.neutral == noising.neutral == 0
    assert scale_of(noising).center == 0
    values = np.zeros(lens.values.shape)
    values[0, 0], values[1, 0] = -0.75, 0.25
    lens = replace(lens, values=values)
    scale = scale_of(lens)
    assert (scale.ends, scale.level(-0.75), scale.of_shares) == ((-0.75, 0.75), 0, False)
    top = lens.top(2, by=strongest_first(lens))
    assert [entry.value for entry in top] == [-0.75, 0.25]
    assert distances(lens)[0, 0] == 0.75


@pytest.mark.parametrize("draws", [2000, 2])
def test_a_difference_of_few_rows_says_how_small_a_p_value_can_be(
    draws: int, tmp_path: Path
) -> None:
    rows = [{**row, "label": "A" if at else "B"} for at, row in enumerate(ROWS[:4])]
    sweep(LM, put(tmp_path, rows), ["head_ablation"], tmp_path / "out", group="label")
    found = aggregate(
        SweepFolder.open(tmp_path / "out"), AggregateSettings(group="label", resamples=draws)
    ).results
    few = "3 and 1 rows can be parted in few ways: the smallest p is about 0.25."
    said = [any(few in warning for warning in result.warnings) for result in found]
    assert said == [False, False, False, draws == 2000]
