"""Whatever writes a file: on a full disk the old one is still there, whole, and nothing lies beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from interpboard.attribution import AttributionVisualizer
from interpboard.circuits.lens.training import TrainingSettings, tune_lens
from interpboard.circuits.lens.translators import Translators
from interpboard.circuits.neurons.collect import Collection, collect_examples
from interpboard.cli import main as cli
from interpboard.cli import output as cli_output
from interpboard.dashboards import AttributionDashboard
from interpboard.errors import InterpBoardError
from interpboard.interventions.steering import save_vector
from tests import sample
from tests.files.disk import full_disk
from tests.lm import TEXT, tiny_lm
from tui.files import export, prompt_book
from tui.terminal import clipboard

OLD = b"the old file"


def document(path: Path) -> None:
    sample.full().save(path)


def result(path: Path) -> None:
    sample.ablation().save(path)


def dashboard(path: Path) -> None:
    AttributionDashboard(tiny_lm("gpt2")).analyze(TEXT, ["grad_x_input"], save_html=path)


def visualizer(path: Path) -> None:
    AttributionVisualizer().save_html([sample.gradients()], path)


def command_line(path: Path) -> None:
    cli_output.write_output(path, "new" * 1000)


def app_export(path: Path) -> None:
    export.write_export(path, "new" * 1000)


def vector(path: Path) -> None:
    save_vector(path, torch.ones(32), 0)


def examples(path: Path) -> None:
    text = path.parent / "text" / "a.txt"
    settings = Collection(top_k=1, length=8, batch=1, before=1, after=1)
    path.unlink(missing_ok=True)
    collect_examples(tiny_lm("gpt2"), text, path, settings)


def prompts(path: Path) -> None:
    book = prompt_book.PromptBook(ran=["a prompt " * 20])
    book._rewrite(path)


WRITERS: list[Callable[[Path], None]] = [
    document, result, dashboard, visualizer, command_line, app_export, vector, prompts,
]  # fmt: skip


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text" / "a.txt"
    path.parent.mkdir()
    path.write_text("The keys are on the table.\n" * 20)
    return path


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_full_disk_leaves_the_old_file(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    with full_disk(), pytest.raises((InterpBoardError, OSError)):
        write(path)
    assert path.read_bytes() == OLD
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    write(path)
    assert path.read_bytes() != OLD
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_lens_in_both_its_files(tmp_path: Path) -> None:
    lens = Translators.identity(tiny_lm("gpt2"))
    folder = lens.save(tmp_path / "lens")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = Translators(lens.weight + 1, lens.bias)
    with full_disk(), pytest.raises(InterpBoardError, match="Cannot write"):
        other.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_full_disk_while_examples_are_collected_leaves_nothing_behind(
    text: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with full_disk(), pytest.raises(InterpBoardError, match="Cannot write"):
        examples(out)
    assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text"]
    examples(out)
    assert out.exists()


def test_a_full_disk_while_a_lens_is_trained_leaves_what_was_there(
    text: Path, tmp_path: Path
) -> None:
    lm, settings = tiny_lm("gpt2"), TrainingSettings(steps=1, batch=1, length=8)
    tune_lens(lm, text, tmp_path / "lens", settings)
    before = {path.name: path.read_bytes() for path in (tmp_path / "lens").iterdir()}
    with full_disk(), pytest.raises(InterpBoardError, match="Cannot write"):
        tune_lens(lm, text, tmp_path / "lens", TrainingSettings(steps=2, batch=1, length=8))
    assert {path.name: path.read_bytes() for path in (tmp_path / "lens").iterdir()} == before


async def test_a_full_disk_leaves_the_text_that_was_copied_before(tmp_path: Path) -> None:
    copied: list[str] = []
    await clipboard.copy("first", copied.append)
    with full_disk():
        said = await clipboard.copy("second " * 100, copied.append)
    path = tmp_path / "state" / "yank.txt"
    assert f"not written to {path}: File too large" in said
    assert path.read_text() == "first\n"
    assert copied == ["first", "second " * 100]


def test_no_file_is_written_in_any_other_way() -> None:
    """What opens a file for writing goes through the one writer, or is named here with its reason."""
    root = Path(cli.__file__).parents[2]
    allowed = {
        "interpboard/files/atomic.py": 1,  # the writer itself
        "interpboard/models/memory.py": 1,  # a word to the kernel, in /proc
        "interpboard/models/demo/train.py": 1,  # into a temporary folder, then moved
        "interpboard/runs/tensor_files.py": 1,  # beside the file, inside the writer
        "interpboard/engine/process.py": 1,  # the log, appended to
        "interpboard/sweeps/locks.py": 3,  # locks, in which nothing stands
        "tui/files/prompt_book.py": 1,  # lines, appended
    }
    ways = re.compile(
        r"\.write_text\(|\.write_bytes\(|save_file\(|\bopen\([^)]*[\"'][wax]b?\+?[\"']"
    )
    found: dict[str, int] = {}
    for folder in ("interpboard", "tui"):
        for path in (root / folder).rglob("*.py"):
            lines = [
                line
                for line in path.read_text(encoding="utf-8").splitlines()
                if ways.search(line) and "atomic.write_" not in line and "os.devnull" not in line
            ]
            if lines:
                found[str(path.relative_to(root))] = len(lines)
    assert found == allowed
