"""The report of a session: its notes above what they are on, harmless in every format."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interpboard.errors import BadParameter
from interpboard.results import Document, layer_axis
from interpboard.session_report import result_subject, session_page, subject_words, written
from interpboard.store import NoteSubject, SavedSession, SessionBook
from interpboard.visualization.session_page import (
    PageNote,
    PageResult,
    PageSection,
    SessionPage,
)
from tests import sample
from tests.html.test_page import OURS, Page, words
from tests.test_sessions import HEAD, book


def noted_session() -> tuple[SessionBook, SavedSession]:
    own = book()
    session = own.begin(1.0)
    for at, result in enumerate(sample.full().results):
        run = own.store.add(sample.document(result), "heads", {"target": None}, float(at))
        own.add(session, run, float(at))
    own.name(session, "first look")
    document = sample.document(sample.ablation())
    on = result_subject(document.model, document.prompt.text, document.results[0])
    notes = (
        (NoteSubject("session"), "Why Paris?\n\n- a list\n1. numbered\n---"),
        (NoteSubject("prompt", prompt=document.prompt.text), "the usual prompt"),
        (HEAD, "writes Paris"),
        (NoteSubject("neuron", "demo", "", "", "2.117"), "fires on towers"),
        (on, "one head does it"),
        (NoteSubject("prompt", prompt="never run"), "for tomorrow"),
    )
    for at, (subject, text) in enumerate(notes):
        own.write_note(session, subject, text, 10.0 + at)
    return own, own.find("first look")


def test_each_note_stands_above_what_it_is_on_and_none_is_lost() -> None:
    page = session_page(*noted_session())
    assert [note.text for note in page.notes] == [
        "Why Paris?\n\n- a list\n1. numbered\n---", "for tomorrow",
    ]  # fmt: skip
    assert page.notes[1].about == "prompt: never run"
    (section,) = page.sections
    assert [(note.about, note.text) for note in section.notes] == [
        ("", "the usual prompt"), ("L1 H2", "writes Paris"), ("L2 N117", "fires on towers"),
    ]  # fmt: skip
    noted = {each.result.analysis: each.notes for each in section.results if each.notes}
    assert {name: found[0].text for name, found in noted.items()} == {
        "head_ablation": "one head does it"
    }
    for form in ("md", "html", "json"):
        text = written(page, form)
        shown = words(text) if form == "html" else text
        for said in ("the usual prompt", "writes Paris", "one head does it", "for tomorrow"):
            assert said in shown
    with pytest.raises(BadParameter, match="md, html, json"):
        written(page, "csv")


def test_markdown_puts_a_results_note_between_its_heading_and_its_table() -> None:
    text = written(session_page(*noted_session()), "md")
    assert text.startswith("# first look\n")
    heading = text.index("### Head ablation")
    note = text.index("one head does it")
    table = text.index("| layer / head |")
    line = text.index("interpboard analyze", table)
    assert heading < note < table < line
    assert "\n- a list" not in text  # it is text, not a list
    assert "&#45; a list" in text


def test_json_holds_the_notes_as_written_and_documents_that_load() -> None:
    whole = json.loads(written(session_page(*noted_session()), "json"))
    assert whole["schema"] == "interpboard-session/1"
    assert whole["notes"][0]["text"].startswith("Why Paris?\n\n- a list")
    results = whole["sections"][0]["results"]
    found = [Document.from_json(json.dumps(each["document"])) for each in results]
    assert [d.results[0].analysis for d in found] == [r.analysis for r in sample.full().results]
    for each in results:
        compile(each["python"], "lines", "exec")
        assert shlex.split(each["command"])[:2] == ["interpboard", "analyze"]


hostile_text = st.text(
    alphabet=st.one_of(
        st.sampled_from("<>&\"'`|*_[]()#-=+\\/\n\t\x1b\u202e{}%!$~"), st.characters()
    ),
    max_size=40,
)


@given(title=hostile_text, text=hostile_text, about=hostile_text, prompt=hostile_text)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_of_anybody_acts_in_the_page(
    title: str, text: str, about: str, prompt: str
) -> None:
    document = sample.document(sample.gradients(("a", prompt)), tokens=("a", prompt))
    result = PageResult(
        document.results[0], (PageNote(text),), f"print({text!r})", f"interpboard {text}"
    )
    note = PageNote(f"<script>alert(1)</script>{text}", about)
    section = PageSection(document.model, document.prompt, (note,), (result,))
    page = SessionPage(title, 0.0, 1.0, (note,), (section,), (text,))
    html = written(page, "html")
    read = Page(html)
    assert {tag for tag, _ in read.elements} <= OURS | {"br", "pre"}
    assert sum(tag == "script" for tag, _ in read.elements) == 1 + len(read.data)
    assert not any(name.startswith("on") for _, attrs in read.elements for name in attrs)
    assert "alert(1)" in " ".join(read.text)
    assert "\x1b" not in html
    assert "\u202e" not in html
    plain = written(page, "md")
    assert "<script" not in plain
    assert "\x1b" not in plain
    for line in plain.splitlines():
        assert not line.startswith(("- <", "===", "+ "))
    assert json.loads(written(page, "json"))["notes"][0]["text"] == note.text


def test_words_for_a_subject_of_another_version_are_still_words() -> None:
    for place in ("nonsense", "[]", '{"analysis": 3}', "{}"):
        assert "a result" in subject_words(NoteSubject("result", "m", "", "p", place))


@pytest.mark.parametrize(
    ("analysis", "params", "words"),
    [
        (
            "head_ablation",
            {"ablation": "mean", "preview": True},
            "Head ablation, mean, logit of ·b",
        ),
        ("logit_lens", {"site": "attn_out"}, "Logit lens, attn_out, logit of ·b"),
        (
            "head_ablation",
            {"layers": (0, 3), "preview": True},
            "Head ablation, layers 0, 3, logit of ·b",
        ),
        ("causal_trace", {"subject": (0, 1)}, "Causal trace, subject 0, 1, logit of ·b"),
    ],
)
def test_a_result_under_a_note_is_said_in_words_and_not_by_what_was_shown_before_it(
    analysis: str, params: dict[str, object], words: str
) -> None:
    made = sample.result(analysis, (layer_axis(1),), [1.0])
    token = msgspec.structs.replace(sample.document(made).results[0].metric.target, token=" b")
    metric = msgspec.structs.replace(made.metric, target=token)
    made = msgspec.structs.replace(made, params=params, metric=metric)
    document = sample.document(made)
    subject = result_subject(document.model, "A prompt", made)
    assert subject_words(subject).startswith(words)
    without = {name: value for name, value in params.items() if name != "preview"}
    plain = msgspec.structs.replace(made, params=without)
    assert subject == result_subject(document.model, "A prompt", plain)


def test_what_was_saved_is_private_and_what_is_exported_follows_the_umask(tmp_path: Path) -> None:
    from interpboard.cli import main as cli

    own, _ = noted_session()
    before = os.umask(0o022)
    try:
        out = tmp_path / "report.html"
        assert cli.main(["report", "first look", "-o", str(out)]) == 0
        assert out.stat().st_mode & 0o777 == 0o644
        assert own.store.path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
