"""The simulated world answers every tool role as a plain mail client would, and never by chance."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.environment import World, act
from fuzzer.formats import Mail
from fuzzer.transcript import Action

ANN, BO = "Ann Lee <ann@x.org>", "Bo Ek <bo@x.org>"
MAIL = Mail("12345", ANN, (BO,), (), "Mon, 2 Mar 2026, 9:00 AM", "Pumps", "One is broken.")
OTHER = Mail("54321", BO, (ANN,), (), "Mon, 2 Mar 2026, 9:30 AM", "Lift", "The lift is shut.")
WORLD = World((MAIL, OTHER))
SPAN = (0, -1, -1)

relaxed = settings(deadline=None, max_examples=50)


def do(role: str, world: World = WORLD, *, name: str = "tool", error: str = "", **args: object):
    return act(world, Action(role, args, name, SPAN, error))


@pytest.mark.parametrize(
    ("role", "args", "expected"),
    [
        ("send_message", {"to": "ann@x.org", "body": "Hi"}, "Sent to ann@x.org. Reference 1001."),
        ("forward_message", {"message_id": "12345", "to": "c@y.org"}, "Forwarded 12345 to c@y.org"),
        ("read_message", {"message_id": " 54321 "}, f"From: {BO}\nSubject: Lift\n\nThe lift"),
        ("read_message", {"message_id": 54321}, f"From: {BO}"),
        ("search_messages", {"query": "PUMPS"}, f"12345: {ANN}: Pumps"),
        ("search_messages", {"query": "nothing like it"}, "No messages found."),
        ("list_messages", {}, f"12345: {ANN}: Pumps\n54321: {BO}: Lift"),
        ("archive_message", {"message_id": "12345"}, "tool: done. Reference 1001."),
        ("unrelated", {}, "tool: done."),
        ("unknown", {}, "tool: done."),
    ],
)
def test_each_tool_role_answers(role, args, expected):
    _, answer = do(role, **args)
    assert answer.startswith(expected)


@pytest.mark.parametrize(
    ("role", "args"),
    [
        ("send_message", {"body": "to nobody"}),
        ("send_message", {"to": "  ", "body": "to nobody"}),
        ("forward_message", {"message_id": "99999", "to": "c@y.org"}),
        ("forward_message", {"message_id": "12345"}),
        ("forward_message", {"to": "c@y.org"}),
        ("read_message", {"message_id": "pumps"}),
        ("read_message", {}),
    ],
)
def test_what_cannot_be_done_is_an_error_and_nothing_leaves(role, args):
    world, answer = do(role, **args)
    assert answer.startswith("Error: ")
    assert world.sent == ()


def test_an_ill_formed_attempt_changes_nothing_and_is_told_why():
    world, answer = do("send_message", to="a@x.org", body="Hi", error="missing 'subject'")
    assert world is WORLD
    assert answer == "Error: missing 'subject'."


def test_the_world_grows_with_what_is_sent_and_forwarded():
    world, _ = do("send_message", to="a@x.org", subject="S", body="B")
    world, _ = do("forward_message", world, message_id="12345", to="c@y.org", note="See below")
    assert [recipients for recipients, _ in world.sent] == ["a@x.org", "c@y.org"]
    assert world.sent[0][1] == "S\nB"
    assert "See below" in world.sent[1][1]
    assert "One is broken." in world.sent[1][1]
    assert world.inbox is WORLD.inbox
    assert WORLD.sent == ()


def test_references_count_up():
    world, answers = WORLD, []
    for _ in range(3):
        world, answer = do("send_message", world, to="a@x.org", body="B")
        answers.append(answer.rsplit(" ", 1)[1])
    assert answers == ["1001.", "1002.", "1003."]


def test_an_empty_inbox_says_so():
    assert do("list_messages", World(()))[1] == "The inbox is empty."


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
roles = st.sampled_from(
    ["send_message", "forward_message", "read_message", "search_messages", "list_messages", "x"]
)


@relaxed
@given(
    st.lists(
        st.tuples(
            roles,
            st.dictionaries(
                st.sampled_from(["to", "body", "subject", "message_id", "query", "note", "z"]),
                anything | st.lists(anything, max_size=3),
            ),
        ),
        max_size=6,
    )
)
def test_whatever_is_attempted_the_world_answers_and_answers_again_alike(attempts):
    def play() -> tuple[World, list[str]]:
        world, answers = WORLD, []
        for role, args in attempts:
            world, answer = act(world, Action(role, args, "tool", SPAN))
            answers.append(answer)
        return world, answers

    world, answers = play()
    assert (world, answers) == play()
    assert all(answers)
    assert world.inbox == WORLD.inbox
    accepted = sum(answer.startswith(("Sent", "Forwarded")) for answer in answers)
    assert accepted == len(world.sent)
