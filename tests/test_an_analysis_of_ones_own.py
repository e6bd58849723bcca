"""A new analysis is a function and a row: that puts it in lists, commands, formats, docs and the engine."""

from __future__ import annotations

import io
import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from docs.hooks import analyses as docs
from interpboard.analyze import analyze
from interpboard.cli.main import main
from interpboard.engine import protocol
from interpboard.engine.jobs import Queue
from interpboard.engine.outbox import Outbox
from interpboard.engine.worker import Worker
from interpboard.errors import BadParameter
from interpboard.registry import ANALYSES, Analysis, direct, find_analysis, in_order
from tests.lm import TEXT, case, tiny_lm

CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"
MODULE = '''
"""How loud each token's embedding is."""

from interpboard.registry.parameter import Parameter
from interpboard.registry.spec import Analysis
from interpboard.results import token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.record import record
from interpboard.runs.watch import SILENT, Watch


@analysis("loudness", path="forward")
def loudness(lm, prompt, metric, *, times: float = 1.0, watch: Watch = SILENT) -> Computed:
    """Norm [token] of the embedding, ``times`` a number."""
    watch.step(0, 1)
    values = record(lm, prompt).residuals()[0].norm(dim=-1).double().cpu().numpy() * times
    return Computed(values, (token_axis(prompt.tokens),))


ROW = Analysis(
    name="loudness",
    title="Loudness",
    function="loudness_of_tokens:loudness",
    axes=("token",),
    value="norm of the embedding",
    scale="magnitude",
    parameters=(Parameter("times", float, 1.0, "what it is multiplied by", minimum=0),),
)
'''


@pytest.fixture
def row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Analysis:
    """The analysis of a module outside the package, as a row more in the file of a subject."""
    (tmp_path / "loudness_of_tokens.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    own: Analysis = import_module("loudness_of_tokens").ROW
    monkeypatch.setattr(direct, "TABLE", (*direct.TABLE, own))
    monkeypatch.setitem(ANALYSES, own.name, in_order()[own.name])
    return own


def test_it_is_listed_last_and_its_parameters_are_checked(
    row: Analysis, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(in_order())[-1] == "loudness"
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert "loudness  (Loudness; token)" in listed
    assert "--param times=1" in listed
    with pytest.raises(BadParameter, match="at least 0"):
        find_analysis("loudness").parse({"times": "-1"})


def test_the_command_line_runs_it(row: Analysis, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["analyze", "--text", "The capital of France is", "-a", "loudness"]
    assert main([*arguments, "--param", "times=2", "--format", "json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert (result["analysis"], result["params"]) == ("loudness", {"times": 2.0})
    assert result["meaning"] == "norm of the embedding; a size, without sign"


def test_as_a_function_and_by_name_it_is_one_thing_and_every_format_shows_it(row: Analysis) -> None:
    lm, prompt, metric = case()
    own = row.load()(lm, prompt, metric, times=3.0)
    (named,) = analyze(lm, TEXT, ("loudness",), params={"loudness": {"times": 3}}).results
    assert own.values.tolist() == named.values.tolist()
    assert own.params == named.params == {"times": 3.0}
    for shown in (own.to_text(), own.to_markdown(), own.to_html()):
        assert "Loudness" in shown
        assert "norm of the embedding" in shown
    assert own.to_csv().count(",values,") == len(prompt.tokens)
    assert own.plot() is not None


class Once(Queue):
    """Jobs until there are no more."""

    class Done(Exception):
        pass

    def take(self) -> protocol.EngineJob:
        if not self.left:
            raise Once.Done
        self.left -= 1
        return super().take()

    left = 1


def test_the_engine_runs_it(row: Analysis) -> None:
    stream, queue = io.BytesIO(), Once()
    outbox = Outbox(stream)
    worker = Worker(outbox, queue)
    worker.lm = tiny_lm()
    queue.put(protocol.RunAnalysis(7, "loudness", TEXT, params={"times": 1.5}))
    with pytest.raises(Once.Done):
        worker.serve()
    assert outbox.all_written(5.0)
    stream.seek(0)
    events = []
    while (payload := protocol.read_frame(stream)) is not None:
        events.append(protocol.decode_event(payload))
    finished = events[-1]
    assert isinstance(finished, protocol.Finished), finished
    assert (finished.job, finished.result.analysis) == (7, "loudness")
    assert finished.result.params == {"times": 1.5}


def test_it_is_in_the_tables_of_the_docs(row: Analysis) -> None:
    assert "[`loudness`](#loudness) | token | norm of the embedding" in docs.overview()
    assert "::: loudness_of_tokens.loudness" in docs.functions()
    assert "| `times` | `1.0` | what it is multiplied by |" in docs.functions()


def test_contributing_names_at_most_four_places_and_all_are_there() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    section = text.split("## Add an analysis")[1].split("\n## ")[0]
    assert len(re.findall(r"^\d\. ", section, re.MULTILINE)) in (1, 2, 3, 4)
    root = CONTRIBUTING.parent
    for place in ("runs/analysis.py", "registry/table.py"):
        assert place in section
        assert (root / "interpboard" / place).is_file()
    for place in ("docs/methods.md", "tests/lm.py", "tests/test_every_format.py"):
        assert place in section
        assert (root / place).is_file()
