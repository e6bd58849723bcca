"""``interpboard report``: what was saved is shown again."""

from __future__ import annotations

from pathlib import Path

import pytest

from interpboard.cli import main as cli
from interpboard.visualization import export
from tests import sample


def test_a_saved_file_is_shown_in_any_format(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = str(sample.full().save(tmp_path / "a.json"))
    for form, shown in (
        ("text", export.text(sample.full())),
        ("md", export.markdown(sample.full())),
        ("csv", export.csv_text(sample.full())),
        ("json", export.json_text(sample.full())),
        ("html", sample.full().to_html()),
    ):
        assert cli.main(["report", path, "--format", form]) == 0
        assert capsysbinary.readouterr().out.decode() == shown


def test_several_files_are_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(sample.full().save(tmp_path / f"{name}.json")) for name in "ab"]
    page = tmp_path / "both.html"
    assert cli.main(["report", *files, "-o", str(page)]) == 0
    assert capsys.readouterr().err == f"wrote {page}\n"
    assert "B: demo" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["no-such.json"], "Cannot read no-such.json"),
        (["{saved}", "{saved}", "--format", "md"], "side by side in HTML only"),
        (["{damaged}"], "not a result of interpboard"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = sample.full().save(tmp_path / "a.json")
    damaged = tmp_path / "b.json"
    damaged.write_text(saved.read_text(encoding="utf-8")[:500], encoding="utf-8")
    named = [word.format(saved=saved, damaged=damaged) for word in words]
    assert cli.main(["report", *named]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert err.count("\n") == 1
