"""What lives after the imports is not looked through again, and a user's process is left as it is."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from interpboard.config.garbage import NEW_OBJECTS, look_as_usual, look_seldom


@pytest.fixture(autouse=True)
def usual() -> Iterator[tuple[int, int, int]]:
    before, on = gc.get_threshold(), gc.isenabled()
    gc.enable()  # a test of the app may have left it as the app begins
    yield before
    if not on:
        gc.disable()
    look_as_usual()
    gc.unfreeze()
    gc.set_threshold(*before)


def test_garbage_is_looked_for_seldom_and_then_as_before(usual: tuple[int, int, int]) -> None:
    look_seldom()
    look_seldom()  # twice is once
    assert gc.isenabled()
    assert gc.get_threshold() == (NEW_OBJECTS, *usual[1:])
    look_as_usual()
    assert gc.get_threshold() == usual


def test_what_lives_by_then_is_not_looked_through_again() -> None:
    look_seldom()
    early = [object()]
    look_as_usual()
    late = [object()]
    watched = gc.get_objects()
    assert any(each is late for each in watched)
    assert not any(each is early for each in watched)


def test_a_process_that_never_looked_seldom_keeps_its_garbage_in_sight(
    usual: tuple[int, int, int],
) -> None:
    mine = [object()]
    look_as_usual()
    assert gc.get_threshold() == usual
    assert any(each is mine for each in gc.get_objects())


def test_opening_a_model_in_a_process_of_the_user_freezes_nothing() -> None:
    from interpboard import open_model

    before = gc.get_freeze_count()
    open_model("demo", "cpu")
    assert gc.get_freeze_count() == before


def test_a_command_that_opens_a_model_looks_as_usual_once_the_weights_are_read(
    usual: tuple[int, int, int],
) -> None:
    from interpboard.cli.compute import ModelChoice, opened

    look_seldom()
    heard: dict[str, tuple[int, int, int]] = {}
    opened(
        ModelChoice("demo", "cpu"),
        lambda what, _done, _total: heard.update({what: gc.get_threshold()}),
    )
    assert heard["loading tokenizer"] == (NEW_OBJECTS, *usual[1:])
    assert heard["loading weights"] == heard["self-check"] == usual
