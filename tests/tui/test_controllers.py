"""The controllers by themselves, with plain stand-ins for the app: no screen is needed to ask of them."""

from __future__ import annotations

from pathlib import Path

from interpboard.config import Settings
from tests.tui.fake import FakeEngine
from tests.tui.stand_ins import OpenedScreens, Spoken, session
from tui.controllers.explained import Explained
from tui.controllers.interventions import Interventions
from tui.controllers.jobs import Jobs
from tui.controllers.models import Models
from tui.controllers.notify import Messages, Notice
from tui.controllers.parameters import Parameters
from tui.controllers.plans import Plans
from tui.controllers.prompts import Prompts
from tui.controllers.saver import Saver
from tui.files.prompt_file import PromptFile
from tui.session.session import Session
from tui.session.state import PromptKind
from tui.slots.at_cursor import AtCursor


def asked(made: Session) -> list[str]:
    """The analyses that the engine was asked."""
    assert isinstance(made.engine, FakeEngine)
    return [request.analysis for request in made.engine.requests]


def plans(made: Session, screens: OpenedScreens) -> Plans:
    return Plans(made, screens, lambda: made.slots["tokens"])


def interventions_of(made: Session, told: Spoken) -> Interventions:
    return Interventions(made, lambda: told("the list"), told)


async def test_an_intervention_is_put_switched_undone_and_redone() -> None:
    told = Spoken()
    async with session(told) as made:
        own = interventions_of(made, told)
        own.toggle(AtCursor("2.4", "zero"))
        assert made.state.interventions.text == "2.4=zero"
        own.toggle(AtCursor("2.4", "zero"))
        assert made.state.interventions.text == ""
        assert len(made.state.interventions.items) == 1  # off, and still listed
        own.undo()
        assert made.state.interventions.text == "2.4=zero"
        own.undo()
        assert made.state.interventions.items == ()
        own.redo()
        assert made.state.interventions.text == "2.4=zero"
        assert told == []


async def test_what_cannot_be_undone_and_what_a_view_refuses_is_said() -> None:
    told = Spoken()
    async with session(told) as made:
        own = interventions_of(made, told)
        own.undo()
        own.redo()
        own.toggle(None)
        own.toggle(AtCursor(refusal="A whole layer cannot be switched off."))
        assert told == [
            "Nothing to undo.",
            "Nothing to redo.",
            "A whole layer cannot be switched off.",
        ]
        assert made.state.interventions.items == ()


async def test_the_metric_steps_over_the_difference_until_there_is_a_foil() -> None:
    async with session() as made:
        screens = OpenedScreens()
        own = Explained(made, screens, print)
        names = []
        for _ in range(3):
            own.next_metric()
            names.append(made.state.question.metric)
        assert names == ["prob", "logprob", "logit"]
        own.choose_foil()
        screens.answer(" Rome")
        assert (made.state.question.foil, made.state.question.metric) == (" Rome", "logit_diff")
        own.choose_foil()
        screens.answer(None)  # left: nothing changes
        assert made.state.question.foil == " Rome"
        own.choose_foil()
        screens.answer("")
        assert (made.state.question.foil, made.state.question.metric) == (None, "logit")


async def test_a_corrupted_prompt_makes_the_trace_one_of_patching() -> None:
    async with session(in_sight=("trace", "corrupted_predictions")) as made:
        screens = OpenedScreens()
        Explained(made, screens, print).write_corrupted()
        screens.answer("The Eiffel Tower is located in the town of")
        await made.settled()
        assert made.state.slots["trace"].request is not None
        assert made.state.slots["trace"].request.analysis == "activation_patching"
        shown = made.state.slots["corrupted_predictions"]
        assert shown.prompt is not None
        assert shown.prompt.text == "The Eiffel Tower is located in the town of"


async def test_parameters_that_are_answered_run_their_analysis_anew() -> None:
    async with session(in_sight=("tokens",)) as made:
        before = len(asked(made))
        screens = OpenedScreens()
        Parameters(made, screens, plans(made, screens)).edit(made.slots["tokens"])
        screens.answer({"steps": 7})
        await made.settled()
        assert asked(made)[before:] == [made.slots["tokens"].analysis_in(made.state)]
        shown = made.state.slots["tokens"].request
        assert shown is not None
        assert shown.params["steps"] == 7


async def test_a_job_is_not_asked_for_before_there_is_a_model() -> None:
    told, screens = Spoken(), OpenedScreens()
    async with session(told) as made:
        own = Jobs(made, screens, plans(made, screens), "", told)
        made.load("other")
        own.set_up("training")
        assert told == ["The model is not loaded yet."]
        assert screens.opened == []


async def test_a_job_proposes_a_file_by_the_models_name_and_takes_into_use_what_it_left(
    tmp_path: Path,
) -> None:
    told, screens = Spoken(), OpenedScreens()
    async with session(told) as made:
        own = Jobs(made, screens, plans(made, screens), str(tmp_path), told)
        own.set_up("collecting")
        out = str(tmp_path / "examples-demo.safetensors")
        screens.answer({"corpus": "corpus.txt", "out": out})
        await made.settled()
        assert asked(made)[-1] == "max_activating"
        own.finished("collecting")
        assert told == [f"Collected: {out}"]
        assert made.state.examples == out


async def test_a_model_that_is_chosen_is_loaded_and_one_that_is_not_is_left() -> None:
    told, screens = Spoken(), OpenedScreens()
    async with session(told) as made:
        own = Models(made, Saver(10, [], told), Settings(), screens)
        assert own.name == "demo"
        own.choose()
        screens.answer(None)
        await made.settled()
        assert own.name == "demo"
        own.choose()
        screens.answer("other")
        await made.settled()
        assert own.name == "other"


class Field:
    """The prompt's field."""

    def __init__(self, text: str) -> None:
        self.text, self.kind, self.words = text, "text", ""

    def show(self, text: str, kind: PromptKind = "text") -> None:
        self.text, self.kind = text, kind

    def place(self, words: str) -> None:
        self.words = words


def prompts_of(field: Field, file: PromptFile | None, events: list[str], told: Spoken) -> Prompts:
    return Prompts(
        file, None, field=lambda: field, run=lambda: events.append(f"run {field.text}"),
        leave=lambda: events.append("leave"), keeps=lambda: False, screens=OpenedScreens(),
        input_line=lambda *_: None, tell=told,
    )  # fmt: skip


async def test_older_prompts_come_into_the_field_and_the_draft_comes_back() -> None:
    field, events = Field("draft"), list[str]()
    own = prompts_of(field, None, events, Spoken())
    for text in ("one", "two"):
        own.ran(text)
    own.older()
    assert field.text == "two"
    own.older()
    assert field.text == "one"
    own.older()
    assert field.text == "one"  # there is none before it
    own.newer()
    own.newer()
    assert field.text == "draft"
    assert events == []
    own.newer()
    assert events == ["leave"]
    await own.idle()


def test_prompts_of_a_file_are_stepped_through_and_run() -> None:
    told, events = Spoken(), list[str]()
    file = PromptFile("three.txt", ("a", "b", "c"))
    field = Field("x")
    own = prompts_of(field, file, events, told)
    assert own.first == "a"
    field.show("a")
    own.step(1)
    assert events == ["run b", "leave"]
    own.show_place()
    assert field.words == "three.txt 2/3"
    field.show("b, changed")
    own.show_place()
    assert field.words == ""


def test_stepping_without_a_file_says_how_to_open_one() -> None:
    told = Spoken()
    prompts_of(Field("x"), None, [], told).step(1)
    assert len(told) == 1
    assert told[0].startswith("No file of prompts is open: ")


def test_what_is_told_is_harmless_whatever_is_in_it() -> None:
    told: list[str] = []
    messages = Messages(lambda: told.append("changed"))
    messages.tell("a \x1b[31m[/red]\nb\x07", "error")
    assert messages.latest == Notice("a ␛[31m[/red]\nb\\x07", "error")
    assert messages.latest.line == "a ␛[31m[/red]  b\\x07"
    messages.seen()
    messages.seen()
    assert messages.latest is None
    assert [message.severity for message in messages.said] == ["error"]
    assert told == ["changed"] * 2
