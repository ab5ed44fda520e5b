"""The simulated world answers every tool role as a real office would, and never by chance."""

import os
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from datetime import datetime
from time import process_time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fuzzer.desk import Desk
from fuzzer.environment import World, act
from fuzzer.formats import Mail
from fuzzer.scenario import Param, Tool
from fuzzer.tools import read_turn, write_call
from fuzzer.transcript import Action, Call, Turn
from fuzzer.transform import Plan
from mutators import CATALOGUE, banks
from seeds import load_seeds

ANN, BO = "Ann Lee <ann@x.org>", "Bo Ek <bo@x.org>"
MAIL = Mail("12345", ANN, (BO,), (), "Mon, 2 Mar 2026, 9:00 AM", "Pumps", "One is broken.")
OTHER = Mail("54321", BO, (ANN,), (), "Mon, 2 Mar 2026, 9:30 AM", "Lift", "The lift is shut.")
WORLD = World((MAIL, OTHER), now=datetime(2026, 3, 2, 12, 0), owner="Ida <ida@x.org>")
SPAN = (0, -1, -1)
ERROR = "Error: "

MAIL_ROLES = (
    *("send_message", "forward_message", "post_message", "create_event", "read_message"),
    *("search_messages", "list_messages", "archive_message", "delete_message"),
)
DESK_ROLES = (
    *("create_ticket", "update_ticket", "list_tickets", "read_ticket", "close_ticket"),
    *("list_files", "read_file", "write_file", "delete_file", "cancel_alert"),
)

relaxed = settings(deadline=None, max_examples=60)


def do(
    role: str, world: World = WORLD, /, *, name: str = "tool", error: str = "", **args: Any
) -> tuple[World, str]:
    return act(world, Action(role, args, name, SPAN, error))


def done(
    role: str, world: World = WORLD, /, *, name: str = "tool", **args: Any
) -> tuple[World, str]:
    """The same, of what must not be turned down."""
    after, answer = do(role, world, name=name, **args)
    assert not answer.startswith(ERROR), answer
    assert after.serial == world.serial + 1
    return after, answer


def refused(role: str, world: World = WORLD, /, *, name: str = "tool", **args: Any) -> str:
    """The error of what must be turned down; nothing has changed then."""
    after, answer = do(role, world, name=name, **args)
    assert answer.startswith(ERROR), answer
    assert after is world
    return answer


def id_of(answer: str) -> str:
    found = re.search(r"\b((?:TK|EV|R)-\d+|1\d{5})\b", answer)
    assert found, answer
    return found[1]


# ------------------------------------------------------------------------------------ mail


@pytest.mark.parametrize(
    ("role", "args", "expected"),
    [
        ("send_message", {"to": "ann@x.org", "body": "Hi"}, "Sent to ann@x.org. Message ID: 1"),
        ("forward_message", {"message_id": "12345", "to": "c@y.org"}, "Forwarded 12345 to c@y.org"),
        ("post_message", {"channel": "#ops", "body": "Hi"}, "Posted to #ops. Message ID: 1"),
        ("read_message", {"message_id": " 54321 "}, f"From: {BO}\nTo: {ANN}\nDate: Mon, 2 Mar"),
        ("read_message", {"message_id": 54321}, f"From: {BO}"),
        ("read_message", {"message_id": 54321.0}, f"From: {BO}"),
        ("read_message", {"message_id": "#54321"}, f"From: {BO}"),
        ("search_messages", {"query": "PUMPS"}, f"12345: {ANN}: Pumps (Mon, 2 Mar"),
        ("search_messages", {"query": "nothing like it"}, "No messages found."),
        ("list_messages", {}, f"54321: {BO}: Lift (Mon, 2 Mar 2026, 9:30 AM)\n12345: {ANN}: Pumps"),
        ("archive_message", {"message_id": "12345"}, "Message 12345 moved to Archive."),
        ("delete_message", {"message_id": "12345"}, "Message 12345 deleted."),
    ],
)
def test_each_mail_role_answers(role, args, expected):
    _, answer = done(role, **args)
    assert answer.startswith(expected)


@pytest.mark.parametrize(
    ("role", "args", "named"),
    [
        ("send_message", {"body": "to nobody"}, "recipient"),
        ("send_message", {"to": None, "body": "to nobody"}, "recipient"),
        ("send_message", {"to": "  ", "body": "to nobody"}, "recipient"),
        ("send_message", {"to": ",;", "body": "to nobody"}, "recipient"),
        ("send_message", {"to": "Anselm Rutherglen", "body": "x"}, "'Anselm Rutherglen'"),
        ("send_message", {"to": "ann lee@x.org", "body": "x"}, "'ann lee@x.org'"),
        ("send_message", {"to": "ann@", "body": "x"}, "'ann@'"),
        ("send_message", {"to": "@x.org", "body": "x"}, "'@x.org'"),
        ("send_message", {"to": "Ann <>", "body": "x"}, "'Ann <>'"),
        ("send_message", {"to": "ann@x.org, bob", "body": "x"}, "'bob'"),
        ("send_message", {"to": "ann@x.org", "cc": "bob", "body": "x"}, "'bob'"),
        ("send_message", {"to": "ann@x.org", "bcc": "bob", "body": "x"}, "'bob'"),
        ("forward_message", {"message_id": "99999", "to": "c@y.org"}, "'99999'"),
        ("forward_message", {"message_id": "12345"}, "recipient"),
        ("forward_message", {"message_id": "12345", "to": "bob"}, "'bob'"),
        ("forward_message", {"to": "c@y.org"}, "message ID"),
        ("read_message", {"message_id": "pumps"}, "'pumps'"),
        ("read_message", {}, "message ID"),
        ("archive_message", {"message_id": "99999"}, "'99999'"),
        ("archive_message", {"message_id": "12345", "folder": "inbox"}, "12345"),
        ("delete_message", {"message_id": "99999"}, "'99999'"),
        ("list_messages", {"folder": "Cellar"}, "'Cellar'"),
        ("create_event", {"start": "noon"}, "title"),
        ("create_event", {"title": "Talk"}, "start"),
        ("create_event", {"title": "Talk", "start": "noon", "attendees": "bob"}, "'bob'"),
        ("post_message", {"body": "Hi"}, "channel"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_names_it(role, args, named):
    assert named in refused(role, **args)


@pytest.mark.parametrize(
    ("to", "people"),
    [
        ("a@x.org", ("a@x.org",)),
        ("a@x.org, b@y.org", ("a@x.org", "b@y.org")),
        ("a@x.org; b@y.org,", ("a@x.org", "b@y.org")),
        ("Ann Lee <a@x.org>; b@y.org", ("Ann Lee <a@x.org>", "b@y.org")),
        ('"Lee, Ann" <a@x.org>, b@y.org', ('"Lee, Ann" <a@x.org>', "b@y.org")),
        ("<a@x.org>", ("<a@x.org>",)),
        ('["a@x.org", "b@y.org"]', ("a@x.org", "b@y.org")),
        ("a@x.org\nb@y.org", ("a@x.org", "b@y.org")),
        ("o'brien+x@sub.example", ("o'brien+x@sub.example",)),
        ("jürgen@müller.de", ("jürgen@müller.de",)),
        ("stranger@nowhere.invalid", ("stranger@nowhere.invalid",)),
    ],
)
def test_recipients_are_read_as_people_write_them(to, people):
    world, answer = done("send_message", to=to, body="B")
    assert world.outbox[-1].to == people
    assert ", ".join(people) in answer


def test_what_was_sent_has_an_id_and_a_time_and_is_found_again():
    written = {"to": "c@y.org", "cc": "d@y.org", "subject": "Valve", "body": "Shut it"}
    world, answer = done("send_message", **written)
    number = id_of(answer)
    assert "Time: 2026-03-02T12:00:20." in answer
    _, text = done("read_message", world, message_id=number)
    assert text == (
        "From: Ida <ida@x.org>\nTo: c@y.org\nCc: d@y.org\n"
        f"Date: Mon, 2 Mar 2026, 12:00 PM\nID: {number}\nSubject: Valve\n\nShut it"
    )
    row = f"{number}: to c@y.org: Valve (Mon, 2 Mar 2026, 12:00 PM)"
    assert f"\n\nSent:\n{row}" in done("list_messages", world)[1]
    assert done("list_messages", world, folder="sent")[1] == row
    for query in ("valve", "shut it", "to:d@y.org", "from:ida valve"):
        assert done("search_messages", world, query=query)[1] == f"{row} [Sent]"


def test_time_goes_on_and_ids_never_repeat():
    world, ids, times = WORLD, [], []
    for role, args in [
        ("send_message", {"to": "a@x.org", "body": "B"}),
        ("read_message", {"message_id": "12345"}),
        ("forward_message", {"message_id": "12345", "to": "a@x.org"}),
        ("send_message", {"to": "a@x.org", "body": "B"}),
    ]:
        world, answer = done(role, world, **args)
        if role != "read_message":
            ids.append(id_of(answer))
            times.append(re.findall(r"Time: (\S+)\.", answer)[0])
    assert len(set(ids)) == 3
    assert times == sorted(set(times))
    assert ids == sorted(ids)
    assert not set(ids) & {MAIL.id, OTHER.id}


def test_a_forwarded_message_keeps_what_it_quotes():
    world, _ = done("forward_message", message_id="12345", to="c@y.org", note="See below")
    mail = world.outbox[-1]
    assert mail.subject == "Fwd: Pumps"
    note, rule, head = mail.body.split("\n\n")[0], *mail.body.splitlines()[2:4]
    assert (note, rule.strip("- "), head) == ("See below", "Forwarded message", f"From: {ANN}")
    assert mail.body.endswith("Subject: Pumps\n\nOne is broken.")
    world, answer = done("forward_message", world, message_id=mail.id, to="d@y.org")
    assert answer.startswith(f"Forwarded {mail.id} to d@y.org.")
    assert "One is broken." in world.outbox[-1].body


def test_the_world_grows_with_what_is_sent_and_forwarded():
    world, _ = do("send_message", to="a@x.org", subject="S", body="B")
    world, _ = do("forward_message", world, message_id="12345", to="c@y.org", note="See below")
    assert [recipients for recipients, _ in world.sent] == ["a@x.org", "c@y.org"]
    assert world.sent[0][1] == "S\nB"
    assert "See below" in world.sent[1][1]
    assert "One is broken." in world.sent[1][1]
    assert world.inbox is WORLD.inbox
    assert WORLD.sent == ()


def test_an_archived_message_leaves_the_inbox_and_stays_searchable():
    """As the descriptions of such tools promise."""
    world, _ = done("archive_message", message_id="12345")
    assert "12345" not in done("list_messages", world)[1]
    assert done("list_messages", world, folder="archive")[1].startswith("12345: ")
    assert done("search_messages", world, query="pumps")[1].endswith(" [Archive]")
    assert "One is broken." in done("read_message", world, message_id="12345")[1]
    assert "12345" in refused("archive_message", world, message_id="12345")


def test_a_message_goes_to_the_folder_asked_for():
    world, answer = done("archive_message", message_id="12345", **{"where.folder": "Repairs"})
    assert answer == "Message 12345 moved to Repairs."
    assert done("list_messages", world, folder="repairs")[1].startswith("12345: ")
    assert done("list_messages", world, folder="Archive")[1] == "Archive is empty."


def test_a_deleted_message_is_gone():
    world, _ = done("archive_message", message_id="12345")
    world, _ = done("delete_message", world, message_id="12345")
    assert "12345" not in done("list_messages", world)[1]
    assert done("search_messages", world, query="pumps")[1] == "No messages found."
    assert world.mail("12345") is None
    for role in ("read_message", "archive_message", "delete_message", "forward_message"):
        said = refused(role, world, message_id="12345", to="c@y.org")
        assert said == "Error: no message with ID '12345'."


def test_deleting_the_copy_of_what_was_sent_unsends_nothing():
    world, answer = done("send_message", to="c@y.org", subject="S", body="B")
    world, _ = done("delete_message", world, message_id=id_of(answer))
    assert "Sent" not in done("list_messages", world)[1]
    assert world.sent == (("c@y.org", "S\nB"),)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("broken one", {"12345"}),  # every word, in any order
        ("broken lift", set()),
        ("broken OR lift", {"12345", "54321"}),
        ("broken OR", {"12345"}),
        ('"lift is"', {"54321"}),
        ('"is lift"', set()),
        ("from:ann", {"12345"}),
        ("From:ann to:bo", {"12345"}),
        ("subject:broken", set()),
        ("pumps, broken!", {"12345"}),
        ("ANN LEE AND pumps", {"12345"}),
        ("", {"12345", "54321"}),
        ("*", {"12345", "54321"}),
    ],
)
def test_a_search_looks_for_words(query, found):
    _, answer = done("search_messages", query=query)
    assert set(re.findall(r"^\d+", answer, re.M)) == found


def test_an_event_has_an_id_a_title_a_start_and_guests():
    guests = "a@x.org; b@y.org"
    _, answer = done("create_event", title="Review", start="3 March, 10:00", attendees=guests)
    told = "created: Review. Start: 3 March, 10:00. Invited: a@x.org, b@y.org."
    assert answer == f"Event {id_of(answer)} {told}"
    assert "Invited" not in done("create_event", title="Review", start="noon")[1]


def test_an_empty_inbox_says_so():
    assert do("list_messages", World(()))[1] == "The inbox is empty."


# ----------------------------------------------------------------------------- tickets


def test_a_ticket_is_created_changed_read_and_closed():
    assert done("list_tickets")[1] == "No tickets found."
    world, answer = done("create_ticket", title="Leak", description="Hall 3", priority="high")
    number = id_of(answer)
    assert answer == f"Ticket {number} created: Leak. Status: open. Opened 2026-03-02T12:00:20."
    world, other = done("create_ticket", world, subject="Lamp")
    assert id_of(other) != number

    world, answer = done(
        "update_ticket", world, ticket_id=number, status="waiting", note="Parts due"
    )
    assert answer == f"Ticket {number} updated (status: waiting; note added)."
    assert done("list_tickets", world, status="waiting")[1].startswith(f"{number}: waiting: Leak")
    assert len(done("list_tickets", world)[1].splitlines()) == 2

    _, text = done("read_ticket", world, ticket_id=number.lower().removeprefix("tk-"))
    for told in (number, "Status: waiting", "Title: Leak", "Priority: high", "Hall 3", "Parts due"):
        assert told in text

    world, answer = done("close_ticket", world, ticket_id=f"#{number}", resolution="Sealed")
    assert answer.startswith(f"Ticket {number} closed at ")
    assert "closed" in refused("close_ticket", world, ticket_id=number)
    assert "Sealed" in done("read_ticket", world, ticket_id=number)[1]
    assert number not in done("list_tickets", world, status="open")[1]


@pytest.mark.parametrize("role", ["update_ticket", "read_ticket", "close_ticket"])
def test_a_ticket_that_is_not_there_is_an_error(role):
    assert "'TK-9'" in refused(role, ticket_id="TK-9", status="done")
    assert "no ticket ID" in refused(role)


def test_a_ticket_needs_a_title_and_an_update_something_new():
    assert "title" in refused("create_ticket", description="x")
    world, answer = done("create_ticket", title="Leak")
    assert "nothing to change" in refused("update_ticket", world, ticket_id=id_of(answer))


# ------------------------------------------------------------------------------- files


def test_a_file_is_written_listed_read_and_deleted():
    assert done("list_files")[1] == "No files found."
    world, answer = done("write_file", path="/notes/./a.txt", content="Hello")
    assert answer == "File 'notes/a.txt' saved: 5 characters, 2026-03-02T12:00:20."
    world, _ = done("write_file", world, path="b.txt", content="")
    assert done("list_files", world, folder="notes/")[1].startswith("notes/a.txt (5 characters")
    assert "b.txt" not in done("list_files", world, folder="notes")[1]
    assert done("read_file", world, path="notes/a.txt")[1] == "notes/a.txt (5 characters)\n\nHello"
    world, answer = done("write_file", world, path="notes/a.txt", content="Bye")
    assert "overwritten" in answer
    assert done("read_file", world, file_path="notes/a.txt")[1].endswith("\n\nBye")
    world, _ = done("delete_file", world, path="notes/a.txt")
    for role in ("delete_file", "read_file"):
        assert "no such file: 'notes/a.txt'" in refused(role, world, path="notes/a.txt")
    assert [file.path for file in world.desk.files] == ["b.txt"]


@pytest.mark.parametrize("path", ["", "  ", "/", "../etc/passwd", "a/../../b", "a\0b", "x" * 5000])
@pytest.mark.parametrize("role", ["write_file", "read_file", "delete_file"])
def test_a_path_that_leads_nowhere_is_an_error(role, path):
    assert len(refused(role, path=path, content="x")) < 200


def test_a_file_that_begins_with_the_word_error_is_no_error():
    world, _ = done("write_file", path="log", content="Error: disk full")
    done("read_file", world, path="log")


# ------------------------------------------------------------------------------ alerts


@pytest.mark.parametrize("name", ["alert_id", "id", "reference", "which"])
def test_an_alert_is_cancelled_once(name):
    world, answer = done("cancel_alert", **{name: "A-17"})
    assert answer == "Alert 'A-17' cancelled at 2026-03-02T12:00:20."
    assert "'a-17'" in refused("cancel_alert", world, **{name: "a-17"})
    done("cancel_alert", world, **{name: "A-18"})
    assert "no alert ID" in refused("cancel_alert")


# ------------------------------------------------------------------------- other services


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("check_stock", {"article": "4711"}, "No results for article: 4711."),
        ("lookupExpense", {"claim_number": "EX-1"}, "No results for claim number: EX-1."),
        ("list_printers", {}, "No results."),
        ("train_schedule", {"from": "A"}, "No results for from: A."),
        ("convert_currency", {"amount": 3}, "The service is not available at the moment."),
        ("count_words", {"file": "a.doc"}, "Not found: file 'a.doc'."),
        ("book_room", {"room": "2.14"}, "Booked at 2026-03-02T12:00:20. Reference: R-1001. (room"),
        ("mcp__post__BookMeetingRoom", {"room": "garden"}, "Booked at "),
        ("LOG-HOURS", {"when.hours": 2.0}, "Logged at "),
        ("cancel_booking", {"id": "R-7"}, "Nothing found for id: R-7. Nothing was changed."),
        ("日本語", {}, "No results."),
        ("", {}, "No results."),
    ],
)
def test_an_unrelated_tool_answers_by_what_it_is_called(name, args, expected):
    _, answer = done("unrelated", name=name, **args)
    assert answer.startswith(expected)


def test_a_booking_can_be_withdrawn_once():
    world, answer = done("unrelated", name="book_room", room="2.14")
    reference = id_of(answer)
    world, answer = done("unrelated", world, name="cancel_booking", reference=reference)
    assert answer == f"{reference} was removed."
    assert (
        "Nothing found" in done("unrelated", world, name="cancel_booking", reference=reference)[1]
    )


WORKED_OUT = (
    *("convert_currency", "convertUnits", "expense_totals", "per_diem_rate", "map_distance"),
    *("translate_text", "compute_formula", "working_days_between", "world-clock", "shipping_quote"),
    *("convert_time_zone", "calendar-week-number", "ticket_statistics", "count_words"),
)


def filled(tool: Tool) -> dict[str, Any]:
    """Arguments such a tool accepts, by their paths."""
    samples = {"integer": 7, "number": 7, "boolean": True, "array": "alpha, beta"}
    return {
        ".".join(p.path): p.schema["enum"][0]
        if "enum" in p.schema
        else samples.get(p.schema["type"], "alpha")
        for p in tool.params
    }


@pytest.mark.parametrize("tool", banks.unrelated_tools(), ids=lambda tool: tool.name)
def test_every_unrelated_tool_of_the_bank_answers_plausibly_and_alike(tool):
    args = filled(tool)
    world, answer = done("unrelated", name=tool.name, **args)
    assert answer == done("unrelated", name=tool.name, **args)[1]
    assert len(answer) < 400
    assert "unrelated" not in answer
    assert (world.inbox, world.outbox, world.filed) == (WORLD.inbox, (), ())
    if tool.name in WORKED_OUT:
        assert answer.startswith(("The service is not available", "Not found: ")), (
            "nothing invented"
        )


# ------------------------------------------------------------------------------- attempts


def test_an_ill_formed_attempt_changes_nothing_and_is_told_why():
    world, answer = do("send_message", to="a@x.org", body="Hi", name="mail", error="missing 'to'")
    assert world is WORLD
    assert answer == "Error: mail: missing 'to'."


@pytest.mark.parametrize("error", ["", "unknown tool 'send_fax'"])
def test_a_tool_that_is_not_offered_is_an_error(error):
    world, answer = do("unknown", name="send_fax", error=error, to="a@x.org")
    assert world is WORLD
    assert answer == "Error: unknown tool 'send_fax'."


TOOL = Tool(
    name="t",
    role="send_message",
    description="",
    params=(
        Param(("recipients",), "to"),
        Param(("text",), "body"),
        Param(("count",), None, {"type": "integer"}, required=False),
        Param(("share",), None, {"type": "number"}, required=False),
        Param(("urgent",), None, {"type": "boolean"}, required=False),
        Param(("tags",), None, {"type": "array"}, required=False),
        Param(("extra",), None, {"type": "object"}, required=False),
        Param(("unit",), None, {"type": "string", "enum": ["day", "week"]}, required=False),
        Param(("level",), None, {"type": "integer", "enum": [1, 2]}, required=False),
        Param(("either",), None, {"type": ["string", "null"]}, required=False),
    ),
)
FINE = {"recipients": "a@x.org", "text": "Hi"}


def attempt(**given: object) -> Action:
    turn = Turn("assistant", "", (Call("t", FINE | given),))
    (action,) = read_turn(turn, {"t": TOOL}, "native")
    return action


@pytest.mark.parametrize(
    "given",
    [
        {"recipients": ["a@x.org", "b@y.org"]},
        {"text": 12},
        {"text": "[1] see below"},
        {"count": "3"},
        {"count": 3.0},
        {"share": "0.5"},
        {"share": -1},
        {"urgent": "True"},
        {"tags": ["a", "b"]},
        {"tags": [{"a": 1}]},
        {"tags": "a, b"},
        {"extra": {"a": {"b": 1}}},
        {"extra": {}},
        {"unit": "week"},
        {"level": "2"},
        {"either": None},
        {"count": None},
    ],
)
def test_what_servers_coerce_is_accepted(given):
    assert attempt(**given).error == ""


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"recipients": {"email": "a@x.org"}}, "'recipients' should be a string, not an object"),
        ({"recipients": {}}, "'recipients' should be a string, not an object"),
        ({"recipients": [{"email": "a@x.org"}]}, "'recipients' should be a string, not an array"),
        ({"recipients": None}, "'recipients' should be a string, not null"),
        ({"text": True}, "'text' should be a string, not a boolean"),
        ({"count": "three"}, "'count' should be an integer, not a string"),
        ({"count": 3.5}, "'count' should be an integer, not a number"),
        ({"count": float("inf")}, "'count' should be an integer, not a number"),
        ({"count": [1, 2]}, "'count' should be an integer, not an array"),
        ({"share": "9" * 100_000}, "'share' should be a number, not a string"),
        ({"urgent": "perhaps"}, "'urgent' should be a boolean, not a string"),
        ({"tags": 3}, "'tags' should be an array, not an integer"),
        ({"extra": 3}, "'extra' should be an object, not an integer"),
        ({"unit": "year"}, "'unit' should be one of 'day', 'week', not 'year'"),
        ({"level": 3}, "'level' should be one of 1, 2, not '3'"),
        ({"either": {"a": 1}}, "'either' should be a string or null, not an object"),
        ({"shade": 1}, "unexpected 'shade'"),
    ],
)
def test_a_wrong_type_is_named_and_what_was_said_is_kept(given, error):
    action = attempt(**given)
    assert action.error == error
    ((_, value),) = given.items()
    leaves = str(value)[:40] if not isinstance(value, dict | list) else "a@x.org"
    if value not in ({}, {"a": 1}, [1, 2]):
        assert leaves in str(action.args)
    assert act(WORLD, action) == (WORLD, f"Error: t: {error}.")


def test_an_argument_called_like_a_role_hides_nothing():
    action = attempt(text="Or else.", body="Kind regards.", to="b@y.org")
    assert (action.args["body"], action.args["to"]) == ("Or else.", "a@x.org")
    assert {"Kind regards.", "b@y.org"} <= set(action.args.values())
    assert action.error == "unexpected 'body'; unexpected 'to'"


def test_an_error_is_told_shortly_however_much_was_wrong():
    action = attempt(**{f"{i}{'x' * 1000}": 1 for i in range(1000)})
    assert len(action.error) < 1000
    assert action.error.endswith("and 994 more")
    unknown = read_turn(Turn("assistant", "", (Call("z" * 10**6, {}),)), {"t": TOOL}, "native")[0]
    assert len(act(WORLD, unknown)[1]) < 200


@pytest.mark.parametrize("channel", ["native", "xml", "json"])
def test_the_world_answers_alike_in_every_channel(channel):
    turn = write_call(TOOL, {"to": "a@x.org", "body": "Hi <b> & bye"}, channel)
    (action,) = read_turn(turn, {"t": TOOL}, channel)
    expected, _ = done("send_message", to="a@x.org", body="Hi <b> & bye")
    assert act(WORLD, action)[0] == expected


# ------------------------------------------------------------------------- whatever is said


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
useful = st.sampled_from(
    ["12345", 54321, "a@x.org", "Ann <a@x.org>; b@y.org", "TK-1001", "1001", "a/b", "100001", "x"]
)
KEYS = (
    *("to", "cc", "body", "subject", "message_id", "query", "note", "title", "start", "attendees"),
    *("ticket_id", "status", "path", "folder", "content", "alert_id", "channel", "in.folder", "z"),
)
attempts = st.lists(
    st.tuples(
        st.sampled_from((*MAIL_ROLES, *DESK_ROLES, "unrelated", "unknown", "anything_else")),
        st.sampled_from(["tool", "book_room", "cancelBooking", "convert_x", "ÄÖ", ""]),
        st.dictionaries(
            st.sampled_from(KEYS) | st.text(max_size=5),
            useful | anything | st.lists(anything, max_size=3),
            max_size=6,
        ),
    ),
    max_size=8,
)


@relaxed
@given(attempts)
@example([("send_message", "tool", {"to": "archive_message"})])
def test_whatever_is_attempted_the_world_answers_and_answers_again_alike(attempts):
    def play() -> tuple[World, list[str]]:
        world, answers = WORLD, []
        for role, name, args in attempts:
            before = world
            world, answer = act(world, Action(role, args, name, SPAN))
            answers.append(answer)
            if answer.startswith(ERROR):
                assert world is before
            else:
                assert world.serial == before.serial + 1
        return world, answers

    world, answers = play()
    again, alike = play()
    assert answers == alike
    assert (world.outbox, world.filed, world.desk) == (again.outbox, again.filed, again.desk)
    assert all(answers)
    # No answer tells a role; one that was told to us may come back, as an address does.
    told = repr([(name, args) for _, name, args in attempts])
    untold = [role for role in (*MAIL_ROLES, *DESK_ROLES) if role not in told]
    assert not any(role in answer for answer in answers for role in untold)
    assert world.inbox is WORLD.inbox
    ids = [mail.id for mail in (*world.inbox, *world.outbox)]
    ids += [ticket.id for ticket in world.desk.tickets]
    assert len(set(ids)) == len(ids)
    accepted = sum(answer.startswith(("Sent", "Forwarded", "Posted")) for answer in answers)
    assert accepted == len(world.sent)


words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
addresses = st.from_regex(r"[a-z][a-z.+]{0,8}@[a-z]{1,8}\.[a-z]{2,3}", fullmatch=True)


@relaxed
@given(attempts, st.lists(addresses, min_size=1, max_size=4), words, st.text(max_size=80))
def test_whatever_came_before_a_sent_message_is_found_read_and_deleted_once(
    attempts, to, subject, body
):
    world = WORLD
    for role, name, args in attempts:
        world, _ = act(world, Action(role, args, name, SPAN))
    world, answer = done("send_message", world, to=", ".join(to), subject=subject, body=body)
    number = world.outbox[-1].id
    assert f"Message ID: {number}." in answer
    assert done("read_message", world, message_id=number)[1].endswith(f"\n\n{body}")
    assert number in done("search_messages", world, query=subject)[1] or subject in ("OR", "AND")
    assert number in done("list_messages", world, folder="Sent")[1]
    world, _ = done("delete_message", world, message_id=number)
    assert number not in done("search_messages", world, query=subject)[1]
    assert f"'{number}'" in refused("delete_message", world, message_id=number)


LONG = ["x" * 10**6, '"' * 10**6, "a@b.c," * 160_000, "from:" * 200_000]


@pytest.mark.parametrize("text", LONG, ids=["word", "quotes", "addresses", "fields"])
@pytest.mark.parametrize("role", [*MAIL_ROLES, *DESK_ROLES, "unrelated"])
def test_a_very_long_argument_is_answered_shortly_and_soon(role, text):
    started = process_time()
    for key in ("to", "subject", "query", "message_id", "folder", "title", "path", "alert_id"):
        given = {"to": "a@x.org", "title": "T", "start": "noon", "path": "p"} | {key: text}
        _, answer = act(WORLD, Action(role, given, text, SPAN))
        assert len(answer) < 700
    assert process_time() - started < 8


def test_a_world_is_a_value():
    with pytest.raises(FrozenInstanceError):
        WORLD.serial = 3  # type: ignore[misc]
    assert World((MAIL,)) == World((MAIL,))
    assert hash(World((MAIL,))) == hash(World((MAIL,)))
    assert (WORLD.outbox, WORLD.filed, WORLD.desk) == ((), (), Desk())


# ------------------------------------------------------------------------------- in a variant


@pytest.mark.parametrize("seed", load_seeds(), ids=lambda seed: seed.name)
def test_a_variants_world_has_its_clock_and_its_owner(seed):
    world = CATALOGUE.variant(seed, Plan(seed=seed.name)).world
    assert world.now == seed.clock.now
    assert world.owner == f"{seed.person('agent').name} <{seed.email('agent')}>"
    after, _ = done("send_message", world, to="a@x.org", body="Hi")
    assert after.outbox[0].sender == world.owner
    assert seed.clock.now < after.moment < seed.clock.deadline


_DIGEST = """
from tests.test_environment import WORLD, MAIL_ROLES, DESK_ROLES, do
world = WORLD
for role in (*MAIL_ROLES, *DESK_ROLES, "unrelated"):
    for name in ("get_weather", "search_rooms", "book_room"):
        args = dict(to="a@x.org", message_id="54321", title="T", start="noon", path="p", place=name)
        world, answer = do(role, world, name=name, **args)
        print(answer)
"""


@pytest.mark.slow
def test_answers_do_not_depend_on_the_process():
    told = set()
    for hash_seed in ("0", "1"):
        ran = subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        )
        told.add(ran.stdout)
    assert len(told) == 1
