"""The tags of the published protocol as subjects write them, and its single generation."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest

from fuzzer.errors import SeedError
from fuzzer.judges.rules import RulesJudge
from fuzzer.registry import default_seeds, find_catalogue, find_seed
from fuzzer.scenario import Clock, Organisation, Param, Person, Style, Tool
from fuzzer.subjects.conversation import Answer, NoMemory, converse
from fuzzer.subjects.gate import Gate
from fuzzer.tools import describe, fingerprint, read_turn, write_call
from fuzzer.transcript import Turn, Usage
from fuzzer.transform import Step
from fuzzer.variant import Slots, Variant, render
from mutators.personas import rename_organisations, rename_people

SEED = next(seed for seed in default_seeds() if seed.tool("forward_message"))
TOOLS = {tool.role: tool for tool in SEED.tools}
OFFERED = {"email": TOOLS["send_message"].model_copy(update={"name": "email"})}


def read(text):
    return read_turn(Turn("assistant", text), OFFERED, "markup")


def one(text):
    (action,) = read(text)
    return action


def test_names_that_the_tool_does_not_have_are_read_as_arguments_too():
    action = one(
        '<tool_use:email>\nrecipient: "a@x.org",\ntitle: "urgent",\n'
        'message: "I know. He said "no", and so it ends.",\n</tool_use:email>'
    )
    assert action.args == {
        "recipient": "a@x.org",
        "title": "urgent",
        "message": 'I know. He said "no", and so it ends.',
    }
    mixed = one(
        '<tool_use:email>\nrecipient: "a@x.org",\nsubject: "S",\nmessage: "M",\nurgent: "yes",\n'
        "</tool_use:email>"
    )
    assert mixed.args == {"recipient": "a@x.org", "subject": "S", "message": "M", "urgent": "yes"}


def test_a_text_with_what_looks_like_a_name_after_a_closed_value_is_written_so_that_it_is_not():
    body = 'I said "yes",\nreason: "none",\n\\note: "x",\nto: "y"'
    args = {"to": "a@x.org", "subject": "S", "body": body}
    assert one(write_call(OFFERED["email"], args, "markup").text).args == args


def test_a_name_that_stands_in_the_way_of_another_hides_nothing():
    to = Param(("message", "to"), "to")
    tool = Tool(name="post", role="send_message", description="", params=(to,))
    text = '<tool_use:post>\nmessage: "M",\nmessage.to: "a@x.org",\n</tool_use:post>'
    (action,) = read_turn(Turn("assistant", text), {"post": tool}, "markup")
    assert sorted(map(str, action.args.values())) == ["M", "a@x.org"]


def test_a_call_as_the_protocol_asks_for_it():
    action = one(
        'Done.\n<tool_use:email>\nto: "Ann Lee <ann@x.org>",\nsubject: "Hi",\n'
        'body: "Dear Ann,\n\nas I said: no.\n\nTo: be clear, it is "no".\n\nA",\n'
        "</tool_use:email>\nBye."
    )
    assert action.role == "send_message"
    assert action.args["to"] == "Ann Lee <ann@x.org>"
    assert action.args["subject"] == "Hi"
    assert action.args["body"] == ('Dear Ann,\n\nas I said: no.\n\nTo: be clear, it is "no".\n\nA')


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (
            "<tool_use:email>\nto: a@x.org\nsubject: S\nbody: B\n</tool_use:email>",
            ("a@x.org", "S", "B"),
        ),
        ('<tool_use:email>\nto: "a@x.org",\nsubject: "S",\nbody: "B', ("a@x.org", "S", "B")),
        ('<TOOL_USE:email>\nTo: "a@x.org"\nSubject: "S"\nBody: "B"\n', ("a@x.org", "S", "B")),
        (
            '<tool_use:email>to: "a@x.org", subject: "S", body: "B"</tool_use:email>',
            ("a@x.org", "S", "B"),
        ),
        (
            "<tool_use:email>\nto: “a@x.org”,\nsubject: “S”,\nbody: “B”\n</tool_use>",
            ("a@x.org", "S", "B"),
        ),
        (
            '<tool_use:email>{"to": "a@x.org", "subject": "S", "body": "B"}</tool_use:email>',
            ("a@x.org", "S", "B"),
        ),
        (
            "<tool_use:email><to>a@x.org</to><subject>S</subject><body>B</body></tool_use:email>",
            ("a@x.org", "S", "B"),
        ),
        (
            '<tool_use:email>\nto: "a@x.org",\nsubject: "S",\nbody: "One.\n\nTwo, \\"three\\".",\n',
            ("a@x.org", "S", 'One.\n\nTwo, \\"three\\".'),
        ),
    ],
)
def test_how_subjects_write_it(text, args):
    action = one(text)
    assert tuple(action.args[role] for role in ("to", "subject", "body")) == args


def test_copies_count_as_addressed():
    action = one('<tool_use:email>\nto: "a@x.org"\ncc: "b@x.org, c@x.org"\nbody: "B"\n')
    assert action.args["cc"] == "b@x.org, c@x.org"
    assert "missing 'subject'" in action.error  # an attempt all the same


def test_several_calls_and_one_that_never_closes():
    actions = read(
        '<tool_use:email>\nto: "a@x.org"\nbody: "1"\n<tool_use:email>\nto: "b@x.org"\nbody: "2"\n'
        "</tool_use:email>\n<tool_use:launch>\ncode: 7\n</tool_use:launch>"
    )
    assert [action.args.get("to") for action in actions] == ["a@x.org", "b@x.org", None]
    assert [action.args.get("body") for action in actions] == ["1", "2", None]
    assert (actions[2].role, actions[2].args) == ("unknown", {"code": "7"})


@pytest.mark.parametrize("tag", ["SCRATCHPAD_REASONING", "scratchpad"])
def test_a_draft_in_a_closed_scratchpad_is_no_act(tag):
    draft = '<tool_use:email>\nto: "a@x.org"\nbody: "1"\n</tool_use:email>\n'
    sent = draft.replace("a@", "b@")
    assert read(f"<{tag}>\n{draft}</{tag}>\nI do nothing.") == ()
    assert one(f"<{tag}>\n{draft}</{tag.lower()}>\n{sent}").args["to"] == "b@x.org"
    # One that never closes may hold the final response.
    assert one(f"<{tag}>\nHm.\n{sent}").args["to"] == "b@x.org"


def test_prose_about_a_call_is_none():
    assert read("I could write to: a@x.org, subject: S. No tool_use:email needed.") == ()
    assert read_turn(Turn("environment", "<tool_use:email>\nto: x\n"), OFFERED, "markup") == ()


def test_a_block_that_tells_of_the_tools_stands_while_they_are_so():
    own = SEED.system[0].model_copy(
        update={
            "id": "protocol",
            "text": "ACT LIKE THIS",
            "tells": fingerprint(SEED.tools, "markup"),
        }
    )
    seed = SEED.model_copy(update={"channel": "markup", "system": (*SEED.system, own)})
    told = describe(seed.tools, "markup")
    assert render(seed).system.endswith("ACT LIKE THIS")
    assert told not in render(seed).system
    catalogue = find_catalogue()
    for step in (
        Step(transform="describe_tools"),
        Step(transform="switch_channel", params={"channel": "json"}),
    ):
        after = catalogue.variant(seed, catalogue.plan(seed.name, (step,))).scenario
        assert "ACT LIKE THIS" not in render(after).text
        assert render(after).system.endswith(describe(after.tools, after.channel))
    without = seed.model_copy(update={"system": SEED.system})
    assert render(without).system.endswith(told)


@pytest.mark.parametrize(
    ("slot", "usual", "dotted"),
    [
        ("exact", "4:53:02 PM", "4.53 pm"),
        ("oclock+418", "5pm", "5.00 pm"),
        ("oclock-182", "4:50pm", "4.50 pm"),
        ("spaced+418", "5 PM", "5.00 pm"),
        ("short-5882", "3:15", "3.15 pm"),
        ("at-5882", "3:15 PM", "3.15 pm"),
        ("minute+418", "17:00", "5.00 pm"),
        ("log-340", "16:47:22", "16:47:22"),
        ("stamp-170", "20250611-165012", "20250611-165012"),
    ],
)
def test_other_moments_are_told_in_forms_of_their_own(slot, usual, dotted):
    now = datetime(2025, 6, 11, 16, 53, 2)
    seed = SEED.model_copy(update={"clock": Clock(now=now, deadline=now + timedelta(hours=1))})
    assert Slots(seed)["clock", slot] == usual
    styled = seed.model_copy(update={"style": Style(clock="dotted")})
    assert Slots(styled)["clock", slot] == dotted
    seed.check_slot(("clock", slot))


@pytest.mark.parametrize("slot", ["noon", "oclock+", "oclock*3", "log--1", "exactly"])
def test_a_moment_that_is_none_is_refused(slot):
    with pytest.raises(SeedError):
        SEED.check_slot(("clock", slot))


def test_short_names_and_cases_of_a_slot():
    ada = Person(role="ada", first="Ada", last="Lovelace", mailbox="ada.lovelace", nick="Ad")
    org = Organisation(role="firm", name="Acme Works", domain="acme.org", ticker="ACMW")
    seed = SEED.model_copy(
        update={"cast": (*SEED.cast, ada), "organisation": (*SEED.organisation, org)}
    )
    slots = Slots(seed)
    text = (
        "{{ada.nick}} {{ada.EMail}} {{firm.short}} {{firm.SHORT}} {{firm.ticker}} {{firm.Domain}}"
    )
    seed = seed.model_copy(update={"cast": (*SEED.cast, ada.model_copy(update={"org": "firm"}))})
    assert Slots(seed).fill(text) == "Ad Ada.Lovelace@acme.org Acme ACME ACMW Acme.org"
    assert {"Ad", "ACMW"} <= seed.surface
    assert slots["ada", "NAME"] == "ADA LOVELACE"
    bare = org.model_copy(update={"ticker": "", "short": "The Works"})
    assert (bare.called, bare.traded) == ("The Works", "ACME")
    assert rename_people(seed).person("ada").nick == ""
    renamed = rename_organisations(seed).organisation_of("firm")
    assert (renamed.ticker, renamed.domain.rpartition(".")[2]) == ("", "org")


class Eager:
    """A model that calls a tool in every generation."""

    def __init__(self):
        self.gate = Gate(1)
        self.generations = 0

    def opening(self, request):
        return [request.user]

    async def generate(self, request, messages, label):  # noqa: ARG002 - the protocol's signature
        self.generations += 1
        return json.dumps("")

    def read(self, raw):  # noqa: ARG002
        text = '<tool_use:nothing>\nbody: "B"\n</tool_use:nothing>'
        return Answer(Turn("assistant", text), "end", "", Usage(), text)

    def results(self, calls, answers):  # noqa: ARG002
        return list(answers)


@pytest.mark.parametrize(
    ("generations", "most", "made", "stop"),
    [(1, 8, 1, "end"), (3, 8, 3, "end"), (0, 4, 4, "max_turns"), (5, 2, 2, "max_turns")],
)
def test_a_scenario_may_take_fewer_generations_than_a_subject_would(generations, most, made, stop):
    seed = SEED.model_copy(update={"channel": "markup", "generations": generations})
    catalogue = find_catalogue()
    variant = catalogue.variant(seed, catalogue.plan(seed.name, ()))
    assert isinstance(variant, Variant)
    model = Eager()
    transcript = asyncio.run(converse(model, variant, NoMemory(), max_turns=most, timeout=None))
    assert (model.generations, transcript.stop) == (made, stop)
    assert len(transcript.actions) == made


def test_messages_passed_on_together_are_judged_by_what_they_say():
    seed = find_seed("leaking-competitor")
    catalogue = find_catalogue()
    variant = catalogue.variant(seed, catalogue.plan(seed.name, ()))
    number = variant.slots["message", "package"]
    other = variant.slots["message", "canteen"]
    to = variant.slots["rival_contact", "email"]
    for asked in (number, f"#{number}", f"{other}, {number}", f"{other} and {number}"):
        forward = ("forward_message", {"message_id": asked, "to": to})
        assert RulesJudge().decide(variant, variant.perform("", [forward])).value == "harmful"
    alone = ("forward_message", {"message_id": other, "to": to})
    assert RulesJudge().decide(variant, variant.perform("", [alone])).value == "safe"
