"""A prompt that is a chat: written turn by turn, tried by the template, run, kept, and made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.pilot import Pilot

from interpboard.results import Chat, Message, PromptInfo
from interpboard.results.chats import chat_in, chat_json
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.dialogs.chat import ChatScreen
from tui.dialogs.corrupted import CorruptedScreen
from tui.files.prompt_book import PromptBook
from tui.session.chat_draft import Draft, DraftTurn, chat_line
from tui.testing.wait_until_idle import wait_until_idle

OWN = Chat((Message("system", "Be brief"), Message("user", "Why is it blue")))
SIZES = ((60, 20), (80, 24), (120, 40))


def editor(b: Board) -> ChatScreen:
    assert isinstance(b.app.screen, ChatScreen)
    return b.app.screen


async def write_chat(b: Board, *contents: str) -> None:
    """The editor open, and a turn for each of ``contents``, the user's first."""
    await b.press("colon", *"chat", "enter")
    await b.press("enter", "ctrl+u")
    for number, content in enumerate(contents):
        if number:
            await b.press("a")
        await b.write(content)
        await b.press("enter")


def asked(b: Board) -> list[str | Chat]:
    return [request.text for request in b.engine.requests if request.analysis == "predictions"]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_screen_of_the_editor(board: Boards, size: tuple[int, int]) -> None:
    async with board(size, "Why") as b:
        await write_chat(b, "Why", "Because", "And now")
        b.matches(f"chat-{size[0]}x{size[1]}")


async def test_turns_are_written_and_the_engine_is_asked_of_the_chat_and_never_of_its_json(
    board: Boards,
) -> None:
    async with board(text="Why") as b:
        await write_chat(b, "Why", "Yes", "How")
        assert "explained is the first of the answer" in b.screen
        before = len(b.engine.requests)
        await b.press("r")
        turns = (Message("user", "Why"), Message("assistant", "Yes"), Message("user", "How"))
        fresh = b.engine.requests[before:]
        assert fresh
        assert all(request.text == Chat(turns) for request in fresh)
        assert "› user, assistant, user: How" in b.screen
        assert "edited" not in b.lines()[0]
        prompt = b.app.state.slots["predictions"].prompt
        assert prompt is not None
        assert prompt.chat == Chat(turns)


async def test_turns_are_moved_removed_given_roles_and_the_last_can_go_on(board: Boards) -> None:
    async with board(text="Why") as b:
        await write_chat(b, "one", "two", "three")
        await b.press("K", "space", "up", "d")
        screen = editor(b)
        assert screen.draft.turns == (
            DraftTurn("assistant", "three"),
            DraftTurn("assistant", "two"),
        )
        assert "refuses this chat" in b.screen
        await b.press("r")
        assert isinstance(b.app.screen, ChatScreen), "what the template refuses is not run"
        await b.press("space", "c")
        assert "the answer goes on from the last" in b.screen
        await b.press("r")
        (*_, newest) = asked(b)
        assert isinstance(newest, Chat)
        assert newest.continue_final_message
        prompt = b.app.state.slots["predictions"].prompt
        assert prompt is not None
        assert prompt.tokens[-1] == "two"


async def test_what_was_written_is_there_when_the_editor_opens_again_and_a_field_is_left_unchanged(
    board: Boards,
) -> None:
    async with board((80, 24), text="Why") as b:
        await write_chat(b, "Why", "Yes")
        await b.press("enter", *"more", "escape")
        assert editor(b).draft.turns[-1].content == "Yes"
        await b.press("q")
        assert b.app.prompt.text == "Why"
        await b.press("colon", *"chat", "enter")
        assert [turn.content for turn in editor(b).draft.turns] == ["Why", "Yes"]


async def test_a_turn_has_several_lines_and_what_is_typed_in_it_is_no_command(
    board: Boards,
) -> None:
    async with board((80, 24), text="Why") as b:
        await b.press("colon", *"chat", "enter", "enter", "ctrl+u", *"adr", "ctrl+o", "q", "enter")
        assert editor(b).draft.turns == (DraftTurn("user", "adr\nq"),)
        assert "adr⏎q" in b.screen


async def test_p_opens_the_editor_of_a_chat_and_t_goes_back_to_a_text(board: Boards) -> None:
    async with board((80, 24), text="Why") as b:
        await write_chat(b, "Why")
        await b.press("r", "p")
        assert isinstance(b.app.screen, ChatScreen)
        await b.press("t")
        assert b.app.prompt.input.has_focus
        assert b.app.prompt.text == "Why"
        await b.press("enter")
        assert asked(b)[-1] == "Why"


async def test_a_model_without_a_template_says_so_in_the_editor_and_in_the_panes(
    board: Boards,
) -> None:
    async with board((80, 24), text="Why") as b:
        b.engine.has_template = False
        await write_chat(b, "Why")
        assert "This model's tokenizer has no chat template. Give a plain text." in b.screen
        before = asked(b)
        await b.press("r")
        assert isinstance(b.app.screen, ChatScreen)
        assert asked(b) == before

    def without(listener: object) -> FakeEngine:
        made = FakeEngine(listener)  # type: ignore[arg-type]
        made.has_template = False
        return made

    app = InterpBoardApp(chat=chat_json(OWN), engine_factory=without)
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until_idle(app)
        assert "has no chat template" in Board(app, pilot).screen


async def test_a_file_is_opened_and_one_that_holds_no_chat_is_refused_in_a_line(
    board: Boards, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(chat_json(OWN))
    bad.write_text('[{"role": "user"}]')
    with_tools = tmp_path / "tools.json"
    with_tools.write_text(chat_json(Chat(OWN.messages, tools=({"name": "f"},))))
    async with board(text="Why") as b:
        await b.press("colon", *"chat", "enter", "O", *str(with_tools), "enter")
        assert "  1 tool" in b.lines()[0]
        assert "1 tools" not in b.lines()[0]
        assert "The chat template makes nothing of the tools" in b.screen
        await b.press("O", *str(bad), "enter")
        assert "bad.json: message 0 has no content." in b.screen
        await b.press("O", *str(good), "enter", "r")
        assert asked(b)[-1] == OWN


async def start(pilot_of: InterpBoardApp, pilot: Pilot[object]) -> Board:
    await wait_until_idle(pilot_of)
    return Board(pilot_of, pilot)


async def test_a_chat_is_there_again_when_the_app_is_resumed_with_its_lines_and_nothing_is_asked() -> (
    None
):
    app = InterpBoardApp(chat=chat_json(OWN), engine_factory=FakeEngine)
    async with app.run_test(size=(100, 30)) as pilot:
        await start(app, pilot)
    again = InterpBoardApp(resume=True, engine_factory=FakeEngine)
    async with again.run_test(size=(100, 30)) as pilot:
        b = await start(again, pilot)
        assert not b.engine.requests
        assert "› system, user: Why is it blue" in b.screen
        assert (b.app.prompt.kind, b.app.state.question.kind) == ("chat", "chat")
        from tui.session.code import code

        lines = code(b.app.state, [b.app.session.slots["tokens"]])
        assert "read_chat([{'role': 'system', 'content': 'Be brief'}" in lines
        assert "--chat=" in lines
        assert "--text" not in lines
        await b.press("r")
        assert {request.text for request in b.engine.requests} == {OWN}


async def test_beside_a_chat_nothing_is_put_around_the_corrupted_text(board: Boards) -> None:
    async with board((200, 60), "Why") as b:
        await write_chat(b, "Why is it blue")
        await b.press("r", "4", "d")
        assert isinstance(b.app.screen, CorruptedScreen)
        rendered = "<user>Why is it blue</user><assistant>"
        assert b.app.screen.typed == rendered
        await b.press("ctrl+u")
        await b.write(rendered.replace("blue", "red"))
        await b.press("enter")
        of_text = [request for request in b.engine.requests if isinstance(request.text, str)]
        bare = [request for request in of_text if "red" in request.text]
        assert bare
        assert all(request.bare for request in bare)
        document = b.app.state.document(["corrupted_predictions"])
        assert document is not None
        assert not document.model.special_tokens, "the lines that make it again say so"


async def test_earlier_chats_are_listed_and_run_as_chats(board: Boards, tmp_path: Path) -> None:
    async with board((80, 24), text="Why") as b:
        await write_chat(b, "Why")
        await b.press("r", "t", "escape", "H")
        assert "user: Why" in b.screen
        await b.press("escape", "H", "enter")
        assert isinstance(asked(b)[-1], Chat)
    book = PromptBook()
    book.add("[1]")
    book.add("[1]", chat=True)
    book.save(tmp_path / "book")
    read = PromptBook()
    read.open(tmp_path / "book")
    assert (read.ran, read.chats) == (["[1]"], {"[1]"})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "assistant", "tool"]), st.text(max_size=20)), min_size=1
    ),
    st.booleans(),
)
def test_a_draft_is_the_chat_that_the_library_reads(turns: list[tuple[str, str]], on: bool) -> None:
    draft = Draft(tuple(DraftTurn(role, content) for role, content in turns), on)
    text = draft.json
    assert Draft.of(text).turns == draft.turns
    own = chat_in(text)
    assert [(m.role, m.content) for m in own.messages] == turns
    assert own.continue_final_message == draft.continues
    assert chat_line(text).endswith(f"{turns[-1][0]}: {turns[-1][1]}")
    assert Draft.of(json.dumps({"messages": 3})).turns == Draft().turns


def test_a_prompt_of_a_chat_in_the_fake_engine_has_tokens_for_its_turns() -> None:
    from tests.tui.chats import prompt

    made: PromptInfo = prompt(OWN)
    assert "".join(made.tokens) == made.text
    assert [turn.role for turn in made.turns] == ["system", "user", "assistant"]


@pytest.mark.parametrize(
    ("count", "cut", "size"),
    [(24, False, SIZES[0]), *((2000, True, size) for size in SIZES)],
)
async def test_a_turn_that_is_longer_than_its_line_stands_below_as_a_whole(
    count: int, cut: bool, size: tuple[int, int]
) -> None:
    words = [f"word{number}" for number in range(count)]
    turns = (("user", " ".join(words)), ("assistant", "Yes"), ("user", "Why"))
    own = Chat(tuple(Message(*turn) for turn in turns))
    app = InterpBoardApp(chat=chat_json(own), engine_factory=FakeEngine)
    async with app.run_test(size=size) as pilot:
        b = await start(app, pilot)
        await b.press("p")
        assert "word20" not in b.screen, "another turn is under the cursor"
        await b.press("up", "up")
        assert all(word in b.screen for word in words[:24])
        assert any(line.endswith("…") for line in b.lines() if line.startswith("  word")) == cut
        assert "explained is the first of the answer" in b.screen


async def test_a_long_chat_is_seen_from_its_beginning_where_its_role_stands() -> None:
    long = Chat((Message("system", "Be brief"), Message("user", "Why is it so " * 30)))
    app = InterpBoardApp(chat=chat_json(long), engine_factory=FakeEngine)
    async with app.run_test(size=(60, 20)) as pilot:
        b = Board(app, pilot)
        await wait_until_idle(app)
        assert "› system, user: Why is it so" in b.screen
        await b.press("z", "z")
        assert "› system, user: Why is it so" in b.screen
