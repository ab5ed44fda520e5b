"""A call written as JSON that no parser takes is still an attempt, and is read as one."""

import json
import time

import pytest

from fuzzer.scenario import Param, Tool
from fuzzer.tools import read_turn
from fuzzer.transcript import Turn

SEND = Tool(
    name="send",
    role="send_message",
    description="Send.",
    params=(
        Param(("to",), "to", {"type": "array"}),
        Param(("message", "title"), "subject"),
        Param(("message", "text"), "body"),
    ),
)
WHOLE = {"to": ["a@x.org", "b@x.org"], "message": {"title": "Hi", "text": 'He said "go"\nnow.'}}


def read(text, tools=(SEND,)):
    return read_turn(Turn("assistant", text), {tool.name: tool for tool in tools}, "json")


def call(arguments, name="send"):
    return f"```json\n{json.dumps({'tool': name, 'arguments': arguments})}\n```"


def test_whole_json_is_read_as_before():
    (action,) = read(call(WHOLE))
    assert action.args == {
        "to": "a@x.org, b@x.org",
        "subject": "Hi",
        "body": 'He said "go"\nnow.',
    }


def test_quotes_that_nobody_escaped_do_not_hide_a_call():
    (action,) = read(call(WHOLE).replace('\\"', '"'))
    assert action.role == "send_message"
    assert action.args["to"] == "a@x.org, b@x.org"
    assert action.args["body"] == 'He said "go"\nnow.'


def test_a_call_cut_short_is_read_as_far_as_it_goes():
    text = call(WHOLE).partition("now.")[0]
    (action,) = read(text)
    assert action.args["subject"] == "Hi"
    assert action.args["body"] == 'He said "go"\n'


def test_a_broken_call_ends_with_its_fence_and_those_after_it_are_read():
    broken = call(WHOLE).replace('\\"', '"')
    first, second = read(f"{broken}\n\nAnd:\n\n{call({'to': ['c@x.org']})}")
    assert "And" not in first.args["body"]
    assert second.args["to"] == "c@x.org"


def test_without_fences_the_next_call_begins_on_a_line_of_its_own():
    broken = '{"tool": "send", "arguments": {"to": "a@x.org", "text": "no "end" to it'
    first, second = read(f"{broken}\n{broken}")
    assert (first.args["body"], second.args["body"]) == ('no "end" to it',) * 2


def test_a_broken_call_to_an_unknown_tool_is_read_with_whatever_names_it_has():
    (action,) = read('{"tool": "post", "arguments": {"whom": "a@x.org", "say": "a "b" c"}}')
    assert (action.role, action.args) == ("unknown", {"whom": "a@x.org", "say": 'a "b" c'})


def test_of_a_call_cut_short_before_its_first_argument_nothing_can_be_said():
    assert read('{"tool": "send", "arguments": {') == ()


def test_a_call_cut_off_in_a_name_loses_no_value():
    (action,) = read('{"tool": "send", "arguments": {"to": ["a@x.org"], "mess')
    assert action.args == {"to": "a@x.org"}


@pytest.mark.parametrize("text", ['{"tool": "send"', '{"a": 1', '{"name": "Bo", "age": 4,}'])
def test_what_is_no_call_is_read_as_none(text):
    assert read(text) == ()


def test_reading_stays_linear_in_broken_calls():
    def seconds(times):
        text = '{"tool": "send", "arguments": {"to": "a@x.org", "text": "a "b\n' * times
        start = time.process_time()
        assert len(read(text)) == times
        return time.process_time() - start

    seconds(100)
    assert seconds(8000) < 40 * max(seconds(1000), 0.001)  # quadratic would be 64 times


@pytest.mark.parametrize("cut", ['{"', '{"to": "', "{"])
def test_a_call_that_breaks_off_before_it_says_anything_is_malformed_and_no_attempt(cut):
    assert read(f'Working.\n{{"tool": "send_email", "arguments": {cut}') == ()
