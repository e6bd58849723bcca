"""What is marked by position is of the tokens that were there: another tokenizer leaves none of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as with_fields

from interpboard.engine import protocol
from interpboard.results import ModelInfo
from tui.session.compared import following
from tui.session.reduce import reduce
from tui.session.selection import Selection
from tui.session.state import Model, Question, State

OLD = ModelInfo("old", None, "gpt2", 2, 2, "float32", "cpu", weights="w1", tokenizer="t1")
TEXT = "Why is it so blue"


def state_of(info: ModelInfo) -> State:
    return State(
        question=Question(TEXT),
        good=Question(TEXT),
        model=Model(info, info.name, 10, 10),
        marked=(TEXT, (1, 2)),
        spans=(TEXT, ((3, 5),)),
    )


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"name": "new", "weights": "w2"}, True),  # fine-tuned: the same tokens
        ({"dtype": "bfloat16"}, True),
        ({"name": "new", "weights": "w2", "tokenizer": "t2"}, False),
        ({"name": "new", "tokenizer": ""}, False),  # not known
        ({"special_tokens": False}, False),  # one token less in front
    ],
)
def test_marks_stay_where_the_other_model_makes_the_same_tokens(
    changes: dict[str, object], kept: bool
) -> None:
    ready = protocol.Ready(
        job=1, model=with_fields(OLD, **changes), path="", context=64, vocabulary=9, parameters=10,
        memory_bytes=10,
    )  # fmt: skip
    after = reduce(state_of(OLD), "model", ready, {})
    assert after.question.text == TEXT
    assert after.subject == ((1, 2) if kept else ())
    assert after.spans == ((TEXT, ((3, 5),)) if kept else ("", ()))


@pytest.mark.parametrize("tokenizer", ["t1", "t2"])
def test_a_second_model_takes_over_marks_only_of_the_same_tokens(tokenizer: str) -> None:
    b = state_of(OLD)
    a = replace(
        state_of(with_fields(OLD, name="second", tokenizer=tokenizer)),
        marked=("", ()),
        spans=("", ()),
    )
    found = following(a, b, models=True, selection=Selection())
    same = tokenizer == "t1"
    assert found.subject == ((1, 2) if same else ())
    assert found.spans[1] == (((3, 5),) if same else ())
