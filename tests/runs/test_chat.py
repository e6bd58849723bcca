"""A chat is what the tokenizer's template makes of it, and each turn's tokens are known."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
import transformers as tf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from interpboard.analyze import analyze
from interpboard.errors import BadPrompt, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.reproduce import command_line, python_lines
from interpboard.results import Chat, Message, MetricRequest, PromptInfo, Turn
from interpboard.results.chats import chat_in, chat_json, read_chat
from interpboard.results.tokens import reasoning_in
from interpboard.runs.chat import make_chat
from tests.lm import tiny_lm
from tests.runs.chat_templates import MARKS, TEMPLATES, THINKING
from tests.tiny import VOCAB, tiny_tokenizer

ROLES = ("system", "user", "assistant", "user")


@lru_cache
def chat_lm(style: str = "chatml") -> LanguageModel:
    """A tiny model whose tokenizer has a template, a beginning-of-text token and the template's marks."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<s>", "additional_special_tokens": list(MARKS)})
    tokenizer.chat_template = {**TEMPLATES, "thinking": THINKING}[style]
    torch.manual_seed(0)
    config = tf.GPT2Config(
        n_layer=2, n_head=2, n_embd=16, vocab_size=VOCAB + 16, n_positions=1024, use_cache=False
    )
    return LanguageModel.of(tf.GPT2LMHeadModel(config).eval(), tokenizer, f"chat {style}")


def chat(*contents: str, goes_on: bool = False) -> Chat:
    roles = (*ROLES[: len(contents) - 1], "assistant") if goes_on else ROLES
    return Chat(tuple(map(Message, roles, contents)), goes_on)


def of_turn(lm: LanguageModel, prompt: PromptInfo, turn: Turn) -> str:
    """The text of a turn's content, decoded from its tokens."""
    begin, end = turn.content
    text: str = lm.tokenizer.decode(prompt.token_ids[begin:end])
    return text


@pytest.mark.parametrize("style", TEMPLATES)
@pytest.mark.parametrize("goes_on", [False, True], ids=["asked", "goes on"])
def test_tokens_are_those_of_apply_chat_template(style: str, goes_on: bool) -> None:
    lm, own = chat_lm(style), chat("Be brief.", "What is it?", "A cat.", goes_on=goes_on)
    if not goes_on:
        own = chat("Be brief.", "What is it?", "A cat.", "And that?")
    prompt = make_chat(lm, own)
    expected = lm.tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in own.messages],
        add_generation_prompt=not goes_on,
        continue_final_message=goes_on,
        tokenize=True,
        return_dict=False,
    )
    assert list(prompt.token_ids) == list(expected)
    starts = prompt.token_ids[:2].count(lm.tokenizer.bos_token_id)
    assert starts == (0 if style == "chatml" else 1), "one beginning, not two"


@pytest.mark.parametrize("style", TEMPLATES)
def test_every_token_is_in_one_turn_and_contents_are_their_words(style: str) -> None:
    lm = chat_lm(style)
    contents = ("Be brief.", "What is it?", "A cat.", "And that?")
    prompt = make_chat(lm, chat(*contents))
    covered = [at for turn in prompt.turns for at in range(turn.begin, turn.end)]
    assert covered == list(range(len(prompt.token_ids)))
    roles = [turn.role for turn in prompt.turns]
    if style == "gemma":  # its template puts the system's words into the user's turn
        assert roles[-2:] == ["user", "assistant"]
        return
    assert roles == [*ROLES, "assistant"]
    assert [of_turn(lm, prompt, turn) for turn in prompt.turns] == [*contents, ""]
    last = prompt.turns[-1]
    assert "assistant" in lm.tokenizer.decode(prompt.token_ids[last.begin : last.end])


@pytest.mark.parametrize("style", ["chatml", "llama3"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=2, max_size=4))
@example(["user", "assistant\n"])
@example(["<|im_end|>", "a"])
@example(["a", "", "a"])
@example([" a ", "\n"])
def test_contents_of_any_kind_stand_where_the_turns_say(style: str, contents: list[str]) -> None:
    lm = chat_lm(style)
    prompt = make_chat(lm, chat(*contents))
    assert [turn.role for turn in prompt.turns][:-1] == list(ROLES[: len(contents)])
    for turn, content in zip(prompt.turns, contents, strict=False):
        own = content if style == "chatml" else content.strip()
        begin, end = turn.content
        spans = prompt.spans[begin:end] or ((0, 0),)
        chars = prompt.text[spans[0][0] : spans[-1][1]]
        # A token may hold a character of the template beside one of the content.
        assert own.strip() in chars or chars.strip() in own
        assert turn.begin <= begin <= end <= turn.end


def test_where_contents_are_changed_turns_are_found_by_their_ends() -> None:
    lm = chat_lm("thinking")
    contents = ("Think.", "Why?", "<think>long thoughts</think>Because.", "Sure?")
    prompt = make_chat(lm, chat(*contents))
    assert "long thoughts" not in prompt.text
    covered = [at for turn in prompt.turns for at in range(turn.begin, turn.end)]
    assert covered in ([], list(range(len(prompt.token_ids)))), "all of it, or nothing is claimed"


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (Chat(()), "no turns"),
        (Chat((Message("", "a"),)), "no role"),
        (Chat((Message("user", "a"),), continue_final_message=True), "only an answer can go on"),
        (
            Chat((Message("user", "ab\ud83d"),)),
            r"content of message 0 holds half a character, \\ud83d",
        ),
        (Chat((Message("us\udc00er", "a"),)), "role of message 0 holds half a character"),
        (Chat((Message("user", "a"),), chat_template="{{ '' }}"), "makes no text of this chat"),
        (
            Chat((Message("user", "a"),), chat_template="{{ raise_exception('No. ') }}"),
            "chat: No[.] L",
        ),
        (Chat((Message("user", "a"),), chat_template="{% for"), "template refuses"),
        (
            Chat((Message("user", "a"),), chat_template="{{ ''.__class__.mro() }}"),
            "template refuses",
        ),
    ],
    ids=[
        "empty",
        "no role",
        "a user goes on",
        "half a character",
        "half a role",
        "no text",
        "one full stop",
        "no template",
        "not sandboxed",
    ],
)
def test_what_is_no_chat_is_refused_in_a_line(own: Chat, words: str) -> None:
    with pytest.raises(BadPrompt, match=words) as caught:
        make_chat(chat_lm(), own)
    assert "\n" not in str(caught.value)


def test_a_templates_own_refusal_is_passed_on() -> None:
    lm, twice = chat_lm("gemma"), Chat((Message("user", "a"), Message("user", "b")))
    with pytest.raises(BadPrompt, match="Roles must alternate"):
        make_chat(lm, twice)


def test_a_model_without_a_template_says_so_and_takes_one() -> None:
    lm = tiny_lm()
    with pytest.raises(Unsupported, match="--chat-template"):
        make_chat(lm, chat("a", "b"))
    own = Chat((Message("user", "Tower"),), chat_template="U:{{ messages[0]['content'] }} A:")
    assert make_chat(lm, own).text == "U:Tower A:"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("5", "holds no chat"),
        ('"a"', "holds no chat"),
        ("{}", "holds no chat"),
        ('{"messages": 5}', "holds no chat"),
        ('{"role": "user", "content": "a"}', "holds no chat"),
        ("", "is not JSON"),
        ('{"role": "user"}\n{"role": "user"}', "is not JSON"),
        ("[5]", "message 0 is no"),
        ('[{"role": "user"}]', "message 0 has no content"),
        ('[{"role": "user", "content": null}]', "message 0 has no content"),
        ('[{"content": "a"}]', "message 0 has no role"),
        ('[{"role": 5, "content": "a"}]', "its role is no text"),
        ('[{"role": "user", "content": [{"type": "text", "text": "a"}]}]', "content in parts"),
        ('[{"role": "user", "content": "a", "content": "b"}]', "'content' twice in one object"),
        ('{"messages": [], "other": 1}', "has 'other'"),
        ('{"messages": [], "tools": 5}', "tools are a list"),
        ('{"messages": [], "tools": [{"maximum": NaN}]}', "NaN is no number"),
        ('{"messages": [], "chat_template": 5}', "chat_template is a text"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_json_that_is_no_chat_is_refused_with_what_is_wrong(given: str, words: str) -> None:
    with pytest.raises(BadPrompt) as caught:
        chat_in(given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_messages_are_a_chat_in_python() -> None:
    lm, messages = chat_lm("llama3"), [{"role": "user", "content": "A cat"}]
    assert make_chat(lm, messages) == make_chat(lm, Chat((Message("user", "A cat"),)))
    document = analyze(lm, messages, ("predictions",))
    assert document.prompt == make_chat(lm, messages)
    with pytest.raises(BadPrompt, match="no role"):
        make_chat(lm, [{"content": "a"}])


def test_a_chat_beyond_the_context_is_refused_before_anything_is_done_with_its_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_given: object) -> None:
        raise AssertionError("characters of tokens that no model reads")

    monkeypatch.setattr("interpboard.runs.pair_prompt.spans_of", never)
    with pytest.raises(BadPrompt, match="the model's context is 1024"):
        make_chat(chat_lm(), Chat((Message("user", "cat " * 3000),)))


def test_a_role_that_no_model_knows_is_said() -> None:
    lm = chat_lm("chatml")
    for role, said in (("user", 0), ("tool", 0), ("User", 1), ("asistant", 1), (" user", 1)):
        warnings = analyze(lm, Chat((Message(role, "a"),)), ("predictions",)).results[0].warnings
        assert sum("is no role that models are trained with" in words for words in warnings) == said


def test_a_chat_comes_back_from_its_json() -> None:
    import json

    for own in (
        chat("a", "b"),
        Chat((Message("user", "é\n"),), False, ({"name": "f"},), "{{ 1 }}"),
    ):
        assert read_chat(json.loads(chat_json(own))) == own


def test_a_document_of_a_chat_says_how_to_make_it_again() -> None:
    lm, own = chat_lm("llama3"), chat("Be brief.", "What's it?")
    document = analyze(lm, own, ("predictions",))
    assert document.prompt.chat == own
    assert not document.model.special_tokens
    line = command_line(document, MetricRequest())
    assert "--chat=" in line
    assert "--text" not in line
    assert "read_chat(" in python_lines(document, MetricRequest())
    again = analyze(lm, read_chat([{"role": m.role, "content": m.content} for m in own.messages]),
                    ("predictions",))  # fmt: skip
    assert again.prompt == document.prompt
    assert (again.results[0].values == document.results[0].values).all()


@pytest.mark.parametrize(
    ("template", "own", "words"),
    [
        ("chatml", Chat((Message("user", "a cat"),)), ()),
        ("chatml", Chat((Message("user", "a cat"),), tools=({"name": "f"},)), ("nothing of the tools",)),
        ("{{ tools | length }} ", Chat((Message("user", ""),), tools=({"name": "f"},)), ()),
        ("thinking", Chat((Message("user", "a"), Message("assistant", "<think>x</think> b"),
                           Message("user", "c"))), ("assistant's words", "message 1")),
        ("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}",
         Chat((Message("system", "Be brief."), Message("user", "a cat"))), ("system's words",)),
    ],
)  # fmt: skip
def test_what_a_template_leaves_out_is_said_with_every_result(
    template: str, own: Chat, words: tuple[str, ...]
) -> None:
    lm = chat_lm(template if template in {*TEMPLATES, "thinking"} else "chatml")
    if template not in {*TEMPLATES, "thinking"}:
        own = replace(own, chat_template=template)
    warnings = analyze(lm, own, ("predictions",)).results[0].warnings
    assert bool(warnings) == bool(words)
    assert all(word in " ".join(warnings) for word in words)


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"tool_calls": [{"id": 1}]}, "tool_calls"),
        ({"reasoning_content": "hm"}, "reasoning_content"),
        ({"name": "bob"}, "name"),
    ],
)
def test_what_a_message_has_beside_its_words_is_not_dropped(
    beside: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadPrompt, match=words):
        read_chat([{"role": "assistant", "content": "a", **beside}])
    assert read_chat([{"role": "user", "content": "a", "tool_calls": None}]).messages


def test_whether_an_answer_goes_on_is_true_or_false() -> None:
    with pytest.raises(BadPrompt, match="continue_final_message"):
        read_chat({"messages": [{"role": "user", "content": "a"}], "continue_final_message": "no"})


@pytest.mark.parametrize(
    ("contents", "thoughts"),
    [
        (("<think>a</think>b",), ["<think>a</think>"]),
        (("<think>a<think>b</think>c</think>d",), ["<think>a<think>b</think>c</think>"]),
        (("<think>a</think>b<think>c</think>",), ["<think>a</think>", "<think>c</think>"]),
        (("<think>a<think>b</think>",), ["<think>b</think>"]),
        (("<think>a",), []),
        (("</think>a<think>",), []),
        (("Use <think> marks", "<think>a</think>b"), ["<think>a</think>"]),
        (("Use <think> marks", "and </think>"), []),
    ],
)
def test_thoughts_are_closed_in_their_turn_and_the_outer_of_nested_ones(
    contents: tuple[str, ...], thoughts: list[str]
) -> None:
    prompt = make_chat(chat_lm("chatml"), chat("a", *contents))
    assert [prompt.text[begin:end] for begin, end in reasoning_in(prompt)] == thoughts
