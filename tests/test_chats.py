"""Every shape of chat data is read for what it is, and what a user said comes out byte for byte."""

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzer.augment.chats.reading import LOOKED_AT, Chats
from fuzzer.augment.chats.shapes import SHAPES, Chat
from fuzzer.errors import ConfigurationError

#: Any text that UTF-8 has: NUL, CRLF, separators of lines and paragraphs, marks of direction.
ODD = st.text(max_size=30) | st.sampled_from(
    ["\u202e", "\x1b[2J", "\x00", "x\r\ny\r", "\u2028\u2029\x85", "\ufeff", "é e\u0301", "😀"]
)
few = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def written(folder: Path, rows: Iterable[Any], name: str = "chats.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    return path


def read(folder: Path, *rows: Any, skip_bad: bool = False) -> list[Chat]:
    return list(Chats(written(folder, rows), skip_bad=skip_bad))


def user(chat: Chat) -> list[str]:
    return [said.content for said in chat.prompt if said.role == "user"]


def answer(chat: Chat) -> str:
    return chat.completion[-1].content


# -------------------------------------------------------------------------------------- shapes


def says(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": text, **more}


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


# What a dataset's row looks like that holds these turns: asked, answered, asked, answered.
Made = Callable[[str, str, str, str], dict[str, Any]]
TWO_TURNS: dict[str, Made] = {
    "openai": lambda a, b, c, d: {
        "messages": [says("user", a), says("assistant", b), says("user", c), says("assistant", d)]
    },
    "parts": lambda a, b, c, d: {
        "messages": [
            says("developer", "S"),
            {"role": "user", "content": parts(a)},
            says("assistant", b),
            {"role": "user", "content": parts(c[:1], c[1:])},
            {"role": "assistant", "content": parts(d)},
        ]
    },
    "anthropic": lambda a, b, c, d: {
        "system": parts("S"),
        "messages": [
            says("user", a),
            says("assistant", b),
            {"role": "user", "content": parts(c)},
            says("assistant", d),
        ],
    },
    "sharegpt": lambda a, b, c, d: {
        "system": "S",
        "conversations": [
            {"from": "human", "value": a},
            {"from": "gpt", "value": b},
            {"from": "human", "value": c},
            {"from": "gpt", "value": d},
        ],
    },
    "prompt-list": lambda a, b, c, d: {
        "prompt": [says("user", a), says("assistant", b), says("user", c)],
        "completion": [says("assistant", d)],
    },
    "prompt-and-all": lambda a, b, c, d: {
        "prompt": [says("user", a), says("assistant", b), says("user", c)],
        "response": [says("user", a), says("assistant", b), says("user", c), says("assistant", d)],
    },
    "alpaca-history": lambda a, b, c, d: {"instruction": c, "output": d, "history": [[a, b]]},
}
ONE_TURN: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "prompt-completion": lambda a, b: {"prompt": a, "completion": b},
    "prompt-response": lambda a, b: {"prompt": a, "response": b},
    "prompt-chosen": lambda a, b: {"prompt": a, "chosen": b},
    "question-answer": lambda a, b: {"question": a, "answer": b},
    "input-output": lambda a, b: {"input": a, "output": b},
    "alpaca": lambda a, b: {"instruction": a, "input": "", "output": b},
    "message": lambda a, b: {"prompt": a, "completion": says("assistant", b)},
}
PREFERENCES: dict[str, Callable[[str, str, str], dict[str, Any]]] = {
    "texts": lambda a, b, c: {"prompt": a, "chosen": b, "rejected": c},
    "lists": lambda a, b, c: {
        "prompt": [says("user", a)],
        "chosen": [says("assistant", b)],
        "rejected": [says("assistant", c)],
    },
    "whole": lambda a, b, c: {
        "prompt": a,
        "prompt_id": 7,
        "messages": [says("user", a), says("assistant", b)],
        "chosen": [says("user", a), says("assistant", b)],
        "rejected": [says("user", a), says("assistant", c)],
    },
    "implicit": lambda a, b, c: {
        "chosen": [says("system", "S"), says("user", a), says("assistant", b)],
        "rejected": [says("system", "S"), says("user", a), says("assistant", c)],
    },
    "sharegpt": lambda a, b, c: {
        "conversations": [{"from": "human", "value": a}],
        "chosen": {"from": "gpt", "value": b},
        "rejected": {"from": "gpt", "value": c},
    },
    "openai": lambda a, b, c: {
        "input": {"messages": [says("user", a)]},
        "preferred_output": [says("assistant", b)],
        "non_preferred_output": [says("assistant", c)],
    },
    "orca": lambda a, b, c: {"system": "S", "question": a, "chosen": b, "rejected": c},
    "alpaca": lambda a, b, c: {"instruction": a, "input": None, "chosen": b, "rejected": c},
}


@pytest.mark.parametrize("made", TWO_TURNS.values(), ids=TWO_TURNS)
@few
@given(a=ODD, b=ODD, c=ODD, d=ODD)
def test_what_was_said_in_two_turns_survives_in_every_shape(tmp_path, made, a, b, c, d):
    (chat,) = read(tmp_path, made(a, b, c, d))
    assert user(chat) == [a, c]
    assert (chat.prompt[1].content, answer(chat), chat.target) == (b, d, "sft")
    assert (chat.prompt[-1].role, chat.prompt[0].role) == ("user", "user")


@pytest.mark.parametrize("made", ONE_TURN.values(), ids=ONE_TURN)
@few
@given(a=ODD.filter(lambda t: not t.startswith("\n\nHuman:")), b=ODD)
def test_what_was_said_in_one_turn_survives_in_every_shape(tmp_path, made, a, b):
    (chat,) = read(tmp_path, made(a, b))
    assert (user(chat), answer(chat), chat.target) == ([a], b, "sft")


@pytest.mark.parametrize("made", PREFERENCES.values(), ids=PREFERENCES)
@few
@given(a=ODD.filter(lambda t: not t.startswith("\n\nHuman:")), b=ODD, c=ODD)
def test_what_is_preferred_and_what_not_survive_in_every_shape(tmp_path, made, a, b, c):
    (chat,) = read(tmp_path, made(a, b, c + "."))
    assert user(chat) == [a]
    assert (answer(chat), chat.rejected[-1].content) == (b, c + ".")
    assert (chat.target, len(chat.rejected)) == ("preference", 1)


HH = "\n\nHuman: Hi \r\nthere\n\nAssistant: Hello\n\nHuman:  Why?\n\nAssistant: "


def test_the_old_text_with_turns_is_read_byte_for_byte(tmp_path):
    (chat,) = read(tmp_path, {"chosen": HH + "So.", "rejected": HH + "No.\n"})
    assert user(chat) == ["Hi \r\nthere", " Why?"]
    assert (answer(chat), chat.rejected[0].content) == ("So.", "No.\n")
    (chat,) = read(tmp_path, {"prompt": HH, "chosen": " So.", "rejected": " No."})
    assert (user(chat), answer(chat)) == (["Hi \r\nthere", " Why?"], " So.")
    (chat,) = read(tmp_path, {"chosen": HH + "So."})
    assert (chat.target, chat.prompt[1].content) == ("sft", "Hello")


@few
@given(turns=st.lists(ODD.filter(lambda t: "\n" not in t), min_size=1, max_size=4))
def test_turns_of_the_old_text_are_what_stood_between_the_marks(tmp_path, turns):
    text = "\n\nAssistant: fine".join(f"\n\nHuman: {turn}" for turn in turns)
    row = {"chosen": f"{text}\n\nAssistant: a", "rejected": f"{text}\n\nAssistant: b"}
    (chat,) = read(tmp_path, row)
    assert user(chat) == turns


def test_an_instruction_and_its_input_are_one_turn(tmp_path):
    (chat,) = read(tmp_path, {"instruction": "Add.", "input": "1, 2", "output": "3", "id": 9})
    assert (user(chat), chat.extra) == (["Add.\n1, 2"], {"id": 9})


def test_prompts_alone_are_there_to_be_answered(tmp_path):
    chats = Chats(written(tmp_path, [{"prompt": "Hi", "level": 3}]))
    (chat,) = chats
    assert (chat.target, chat.completion, chat.extra) == ("rl", (), {"level": 3})
    assert chats.found == "prompts alone: prompt; with prompts without an answer"
    (chat,) = read(tmp_path, {"messages": [says("user", "Hi")]})
    assert chat.target == "rl"


def test_own_system_prompts_and_tools_are_kept_apart(tmp_path):
    tool = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}
    row = {
        "system": "One.",
        "messages": [says("system", "Two."), says("user", "Hi"), says("assistant", "Yes")],
        "tools": json.dumps([{"type": "function", "function": {**tool, "strict": True}}]),
    }
    (chat,) = read(tmp_path, row)
    assert chat.system == "One.\n\nTwo."
    assert chat.tools == (
        {
            "name": "look",
            "description": "Looks.",
            "input_schema": {"type": "object"},
            "strict": True,
        },
    )
    (chat,) = read(tmp_path, {**row, "tools": [{"name": "a", "input_schema": {"type": "object"}}]})
    assert chat.tools[0]["name"] == "a"
    (chat,) = read(tmp_path, {**row, "tools": None, "functions": [tool]})
    assert chat.tools[0]["description"] == "Looks."
    (chat,) = read(tmp_path, {**row, "tools": ""})
    assert chat.tools == ()


CALLED = {
    "openai": [
        says("user", "Hi"),
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
            ],
        },
        says("tool", "ok", tool_call_id="c1", name="f"),
        says("assistant", "Done"),
    ],
    "legacy": [
        says("user", "Hi"),
        says("assistant", "", function_call={"name": "f", "arguments": '{"x": 1}'}),
        says("function", "ok", name="f"),
        says("assistant", "Done"),
    ],
    "sharegpt": [
        {"from": "human", "value": "Hi"},
        {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
        {"from": "observation", "value": "ok"},
        {"from": "gpt", "value": "Done"},
    ],
    "anthropic": [
        says("user", "Hi"),
        says("assistant", [{"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}]),  # type: ignore[arg-type]
        says("user", [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]),  # type: ignore[arg-type]
        says("assistant", "Done"),
    ],
}


@pytest.mark.parametrize("messages", CALLED.values(), ids=CALLED)
def test_calls_and_their_answers_are_read_in_every_dialect(tmp_path, messages):
    (chat,) = read(tmp_path, {"messages": messages})
    called, answered, done = chat.completion
    (call,) = called.tool_calls
    assert (call.name, call.arguments) == ("f", {"x": 1})
    assert (answered.role, answered.content, answered.tool_call_id) == ("tool", "ok", call.id)
    assert (done.content, chat.extra) == ("Done", {})


def test_fields_that_have_no_place_stand_aside(tmp_path):
    row = {"messages": [says("user", "Hi", name="Ana"), says("assistant", "Yes", weight=0)], "k": 1}
    (chat,) = read(tmp_path, row)
    assert chat.extra == {"k": 1, "message_fields": {"0": {"name": "Ana"}, "1": {"weight": 0}}}


def test_a_column_more_is_kept_as_it_was(tmp_path):
    extra = {"score": 1.5, "big": 2**63, "deep": [{"a": None}], "odd": "\x00\x1b"}
    (chat,) = read(tmp_path, {"prompt": "a", "completion": "b", **extra})
    assert chat.extra == extra


# ---------------------------------------------------------------------------------------- files


def test_packed_marked_and_blank_lines_are_read(tmp_path):
    two = b'{"prompt": "a", "completion": "b"}', b'{"prompt": "c", "completion": "d"}'
    lines = b"\xef\xbb\xbf" + b"\r\n\r\n  \n".join(two)
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    for name in ("a.jsonl", "b.jsonl.gz"):
        assert [(c.line, user(c)) for c in Chats(tmp_path / name)] == [(1, ["a"]), (4, ["c"])]


def test_a_whole_surrogate_pair_is_one_character(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "\\ud83d\\ude00", "completion": "\\u0000"}')
    (chat,) = Chats(tmp_path / "a.jsonl")
    assert (user(chat), answer(chat)) == (["😀"], "\x00")


def test_a_separator_of_lines_inside_a_text_ends_no_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "a\u2028b\x85", "completion": "c"}\n', encoding="utf-8", newline="")
    (chat,) = Chats(path)
    assert user(chat) == ["a\u2028b\x85"]


def test_every_pass_reads_the_file_anew_and_counts_anew(tmp_path):
    rows = [
        {"prompt": "a", "completion": "b"},
        {"prompt": 3},
        {"prompt": "", "completion": ""},
    ]
    chats = Chats(written(tmp_path, rows), skip_bad=True)
    for _ in range(2):
        assert [chat.line for chat in chats] == [1, 3]
        assert (chats.left_out, len(chats.reasons)) == (1, 1)
    assert chats.reasons[0].startswith("line 2 ")


def test_the_first_row_does_not_decide_alone(tmp_path):
    rows = [{"x": 1}, *[{"question": "a", "answer": "b"}] * LOOKED_AT]
    chats = Chats(written(tmp_path, rows), skip_bad=True)
    assert chats.found.startswith("prompts and answers: question, answer")
    assert len(list(chats)) == LOOKED_AT
    with pytest.raises(
        ConfigurationError, match=r"line 1 of 'chats\.jsonl' does not have this shape"
    ):
        list(Chats(chats.path))


GOOD = '{"prompt": "a", "completion": "b"}'
BAD = {
    '{"prompt": "a", "completion": "b"': "is no JSON",
    '{"prompt": "a", "completion": NaN}': "holds NaN",
    '{"prompt": "a", "completion": "b", "n": 1e999}': "beyond a double",
    f'{{"prompt": "a", "completion": "b", "n": {"9" * 5000}}}': "thousands of digits",
    '{"a":' * 100_000: "nested too deeply",
    f'{{"prompt": "a", "completion": "b", "n": {"[" * 300}{"]" * 300}}}': "nested too deeply",
    '{"prompt": "a \\ud800", "completion": "b"}': "holds half a surrogate pair",
    '{"prompt": "a", "completion": "b", "\\udfff": 1}': "holds half a surrogate pair",
    f'{{"prompt": "a", "completion": "b", "n": {2**64}}}': "an integer beyond 64 bits",
    '{"prompt": "a", "completion": [{"from": "function_call", "value": "{\\"name\\": NaN}"}]}': (
        "a function call that holds NaN"
    ),
    "[1]": "is no JSON object",
    '"text"': "is no JSON object",
    '{"prompt": "a"}': "does not have this shape",
    '{"prompt": 3, "completion": "b"}': "where messages should be",
    '{"prompt": "a", "completion": 3}': "where messages should be",
    '{"prompt": [], "completion": "b"}': "where messages should be",
    '{"prompt": [{"role": "\\u001b[2J", "content": "x"}], "completion": "b"}': (
        r"unknown role, '\\x1b"
    ),
    '{"prompt": [{"role": "user", "content": 5}], "completion": "b"}': "where its text should be",
    '{"prompt": [{"role": "user", "content": [{"type": "image_url"}]}], "completion": "b"}': (
        "a part of type 'image_url'"
    ),
    '{"prompt": [{"role": "assistant", "content": "x"}], "completion": "b"}': "no turn of a user",
    '{"prompt": "a", "completion": "b", "tools": "{"}': "no JSON",
    '{"prompt": "a", "completion": "b", "tools": [{"x": 1}]}': "tool definition without a name",
    '{"prompt": "a", "completion": "b", "tools": 7}': "tools that are no list",
    '{"prompt": "a", "completion": "b", "system": 7}': "where its text should be",
    '{"prompt": "a", "completion": [{"role": "user", "content": "x"}]}': "does not go on from",
    '{"prompt": "a", "completion": [{"role": "tool", "content": "x"}]}': "does not go on from",
    '{"prompt": "a", "completion": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]}': (
        "a tool call without a name"
    ),
    '{"prompt": "a", "completion": [{"role": "assistant", "tool_calls": [7]}]}': "tool call should",
    '{"prompt": "a", "completion": [{"role": "assistant", "content": "", "tool_calls": '
    '[{"name": "f", "arguments": "[1]"}]}]}': "arguments that are no object",
    '{"prompt": [{"role": "user", "content": "x"}, 7], "completion": "b"}': "has 7 for message 1",
}


@pytest.mark.parametrize(("bad", "why"), BAD.items(), ids=[key[:60] for key in BAD])
def test_a_row_that_does_not_fit_is_named_or_left_out(tmp_path, bad, why):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([GOOD, GOOD, bad, GOOD]), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=why) as caught:
        list(Chats(path))
    assert str(caught.value).startswith("line 3 of 'a.jsonl' ")
    assert str(caught.value).endswith("--skip-bad")
    assert "\x1b" not in str(caught.value)
    chats = Chats(path, skip_bad=True)
    assert ([chat.line for chat in chats], chats.left_out) == ([1, 2, 4], 1)


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD.encode() + b'\n{"prompt": "\xff", "completion": ""}\n')
    with pytest.raises(ConfigurationError, match=r"line 2 of 'a\.jsonl' is not UTF-8"):
        list(Chats(path))


def test_what_is_learned_is_the_same_in_every_row(tmp_path):
    pair = {"prompt": "a", "chosen": "b", "rejected": "c"}
    path = written(tmp_path, [pair, pair, {"prompt": "a", "chosen": "b", "rejected": None}])
    with pytest.raises(
        ConfigurationError, match=r"line 3 .* has answers, where others have a pref"
    ):
        list(Chats(path))


def test_preferences_that_part_before_the_last_turn_are_named(tmp_path):
    other = HH.replace("Hello", "Goodbye")
    with pytest.raises(ConfigurationError, match="part before the user's last turn"):
        read(tmp_path, {"chosen": HH + "So.", "rejected": other + "No."})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "holds no JSON objects"),
        (b"\n\n", "holds no JSON objects"),
        (b'[\n{"prompt": "a"}\n]', "one JSON array"),
        (b'{"text": "a"}\n', r"no shape that is known \(columns: 'text'\)"),
        (b'{"messages": [{"role": "user"}]}\n', "the first in message 0 of 'messages' has None"),
        (gzip.compress(b'{"prompt": "a"}\n' * 9, mtime=0)[:-9], "damaged gzip"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, data, why):
    (tmp_path / "a.jsonl").write_bytes(data)
    with pytest.raises(ConfigurationError, match=why):
        list(Chats(tmp_path / "a.jsonl"))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot read .*No such file"):
        Chats(tmp_path / "none.jsonl")


def test_a_line_that_never_ends_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("fuzzer.augment.chats.reading.LONGEST", 100)
    (tmp_path / "a.jsonl").write_text(GOOD + "\n" + "x" * 101, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"line 2 of 'a\.jsonl' is longer"):
        list(Chats(tmp_path / "a.jsonl"))


def test_no_two_shapes_have_one_title():
    assert len({shape.title for shape in SHAPES}) == len(SHAPES)
