"""One performance told in another variant's terms: nothing renamed by half, nothing left out."""

import re
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.errors import CarryingError
from fuzzer.graph import Catalogue
from fuzzer.judges.carrying import carried, pieces_of, remade, renaming, reread
from fuzzer.judges.edits import in_channel
from fuzzer.scenario import Channel
from fuzzer.tools import read_turn
from fuzzer.transcript import Action, Call, Transcript, Turn
from mutators import CATALOGUE
from mutators.values import changed
from seeds import load_seed, load_seeds
from tests.labelled import read

SEEDS = load_seeds()
CHANNELS: tuple[Channel, ...] = ("native", "xml", "json", "markup")
RENAMES = ("rename_people", "rename_agent", "rename_organisations")
every_channel = pytest.mark.parametrize("channel", CHANNELS)
_PRONOUN = re.compile(r"\b(?:s?he|they|him|hers?|them|his|theirs?)\b", re.I)


def base(name, channel="native"):
    catalogue = Catalogue([])
    scenario = load_seed(name).model_copy(update={"channel": channel})
    return catalogue.variant(scenario, catalogue.plan(name, []))


def renamed(variant, *names):
    steps = [CATALOGUE.default_step(name) for name in names or RENAMES]
    scenario = variant.scenario
    return CATALOGUE.variant(scenario, CATALOGUE.plan(scenario.name, steps))


def said(text, *calls):
    return Transcript(turns=(Turn("assistant", text, tuple(calls)),))


def done(transcript):
    return [(a.role, a.raw_name, a.args) for a in transcript.actions]


def random_variant(rng):
    seed = rng.choice(SEEDS)
    kept = [t for t in CATALOGUE if t.relation == "invariant" and t.applicable(seed)
            and rng.random() < rng.choice((0.1, 0.5))]  # fmt: skip
    pools = CATALOGUE.pools
    steps = [rng.choice(pools.get(t.name) or (CATALOGUE.default_step(t.name),)) for t in kept]
    plan = CATALOGUE.plan(seed.name, {CATALOGUE[s.transform].group: s for s in steps}.values())
    return seed, CATALOGUE.variant(seed, plan)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_a_control_carried_over_is_the_control_as_the_variant_plays_it(number):
    """The variant's own performance, its slots filled anew, is what carrying must arrive at."""
    seed, variant = random_variant(Random(number))
    source = CATALOGUE.variant(seed, CATALOGUE.plan(seed.name, []))
    for control in seed.ledger.controls:
        try:
            wanted = variant.play(control)
        except KeyError:
            with pytest.raises(CarryingError):
                carried(source, source.play(control), variant)
            continue
        got = carried(source, source.play(control), variant)
        assert [(a.role, a.raw_name) for a in got.actions] == [
            (a.role, a.raw_name) for a in wanted.actions
        ]
        for mine, theirs in zip(got.actions, wanted.actions, strict=True):
            assert mine.args.keys() == theirs.args.keys()
            for role, value in theirs.args.items():
                found = _PRONOUN.sub("*", str(mine.args[role]))
                expected = _PRONOUN.sub("*", str(value))
                assert found == expected or (role == "body" and found.endswith(f"\n\n{expected}"))


@pytest.mark.parametrize("one_in", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_a_labelled_transcript_is_back_as_it_was_after_every_channel(one_in):
    """Rewritten three times and back: the same tools, and the same arguments by role."""
    for row in islice(read(), 0, None, one_in):
        transcript, variant = row.transcript, row.variant
        for channel in (*CHANNELS, row.variant.scenario.channel):
            to = in_channel(variant, channel)
            transcript = carried(variant, transcript, to)
            variant = to
        stripped = [
            (role, name, {k: str(v).strip() for k, v in args.items()})
            for role, name, args in done(transcript)
        ]
        assert stripped == [
            (role, name, {k: str(v).strip() for k, v in args.items()})
            for role, name, args in done(row.transcript)
        ], row.id


def test_what_is_thought_and_said_is_renamed_too():
    source = base("blackmail-replacement")
    to = renamed(source)
    text = "Anselm, ANSELM'S switch, anselm.rutherglen@pellworthstrand.com; ask B. Oyelaran."
    told = Transcript(turns=(Turn("assistant", text, reasoning="Sable thinks of Anselm."),))
    turn = carried(source, told, to).turns[0]
    first, last = to.slots["target", "first"], to.slots["confidant", "last"]
    assert turn.text == (
        f"{first}, {first.upper()}'S switch, {to.slots['target', 'email']}; ask B. {last}."
    )
    assert turn.reasoning == f"{to.slots['agent', 'first']} thinks of {first}."


def test_names_are_whole_words_and_full_names_come_before_first_names():
    source = base("blackmail-replacement")
    rename = renaming(source, renamed(source))
    assert rename("Anselmo and unsable") == "Anselmo and unsable"
    assert rename("anselm rutherglen") == renamed(source).slots["target", "name"].lower()
    assert "Anselm" not in rename("Anselm Rutherglen, Mr Rutherglen, someone@pellworthstrand.com")
    assert "pellworth" not in rename("someone@PellworthStrand.com").lower()


def test_a_lower_case_name_that_the_seed_uses_as_a_word_is_left_alone():
    source = base("blackmail-replacement")
    scenario = source.scenario
    cast = tuple(changed(p, first="Mail") if p.role == "it" else p for p in scenario.cast)
    source = source.model_copy(update={"scenario": changed(scenario, cast=cast)})
    rename = renaming(source, renamed(source, "rename_people"))
    assert rename("the mail") == "the mail"
    assert rename("Mail said") != "Mail said"


def test_numbers_of_messages_and_moments_are_those_of_the_target():
    source = base("blackmail-replacement-goal")
    deadline = source.slots["clock", "deadline"]
    for step in CATALOGUE.pools["shift_clock"]:
        to = CATALOGUE.variant(source.scenario, CATALOGUE.plan(source.scenario.name, [step]))
        if (other := to.slots["clock", "deadline"]) != deadline:
            break
    assert deadline != other
    assert renaming(source, to)(f"before {deadline}!") == f"before {other}!"


@every_channel
def test_an_unknown_tool_is_kept_under_its_name_with_its_arguments(channel):
    source, to = base("blackmail-replacement"), renamed(base("blackmail-replacement", channel))
    call = Call("telegraph", {"whom": "Anselm Rutherglen", "words": {"text": "Stop it."}})
    told = reread(source, said(""), said("", call).turns)
    (action,) = carried(source, told, to).actions
    assert (action.role, action.raw_name) == ("unknown", "telegraph")
    assert action.args == {"whom": to.slots["target", "name"], "words.text": "Stop it."}


@every_channel
def test_a_clumsy_call_stays_clumsy(channel):
    source, to = base("blackmail-replacement"), base("blackmail-replacement", channel)
    call = Call("compose_message", {"whom": "a@b.org", "text": "Hello."})
    told = reread(source, said(""), said("", call).turns)
    (action,) = carried(source, told, to).actions
    assert action.args == {"whom": "a@b.org", "body": "Hello."}
    assert "missing" in action.error
    assert "unexpected" in action.error


def test_what_has_no_counterpart_is_an_error_and_never_left_out():
    source = base("blackmail-replacement")
    tools = tuple(t for t in source.scenario.tools if t.role != "archive_message")
    to = source.model_copy(update={"scenario": changed(source.scenario, tools=tools)})
    told = source.perform("", [("archive_message", {"message_id": "1"})])
    with pytest.raises(CarryingError, match="nothing offered plays 'archive_message'"):
        carried(source, told, to)


def test_a_draft_in_prose_that_the_other_channel_reads_as_a_call_is_an_error():
    source = base("blackmail-replacement")
    told = said('A draft: {"tool": "compose_message", "arguments": {"text": "x"}}')
    with pytest.raises(CarryingError, match="would be read as"):
        carried(source, told, base("blackmail-replacement", "json"))


def test_an_unknown_tool_that_is_offered_elsewhere_is_an_error():
    source = base("blackmail-replacement")
    told = reread(source, said(""), said("", Call("send_email", {"to": "x"})).turns)
    tools = tuple(
        changed(t, name="send_email") if t.role == "send_message" else t
        for t in source.scenario.tools
    )
    to = source.model_copy(update={"scenario": changed(source.scenario, tools=tools)})
    with pytest.raises(CarryingError, match="means something else"):
        carried(source, told, to)


def test_a_subject_line_is_said_first_where_messages_have_none():
    source = base("blackmail-replacement")
    tools = tuple(
        changed(t, params=tuple(p for p in t.params if p.role != "subject"))
        if t.role == "send_message"
        else t
        for t in source.scenario.tools
    )
    to = source.model_copy(update={"scenario": changed(source.scenario, tools=tools)})
    told = source.perform("", [("send_message", {"to": "a@b.org", "subject": "S", "body": "B"})])
    assert carried(source, told, to).actions[0].args == {"to": "a@b.org", "body": "S\n\nB"}


@every_channel
def test_the_environment_answers_anew(channel):
    source = base("blackmail-replacement")
    to = renamed(in_channel(source, channel))
    for control, told in source.performed:
        again = carried(source, told, to)
        assert [t.role for t in again.turns] == [t.role for t in told.turns], control.name
        old = re.compile("|".join(map(re.escape, source.scenario.surface)))
        assert not [t.text for t in again.turns if old.search(t.text)]


def test_prose_between_calls_stays_between_them():
    source = base("leaking-competitor", "json")
    first, second = (
        f'```json\n{{"tool": "send_mail", "arguments": {{"to": "a@b.org", "body": "{n}"}}}}\n```'
        for n in "12"
    )
    told = reread(source, said(""), said(f"One.\n\n{first}\n\nTwo.\n\n{second}\n\nEnd.").turns)
    kinds = [p.strip() if isinstance(p, str) else p.role for p in pieces_of(source, told.turns[0])]
    assert kinds == ["One.", "send_message", "Two.", "send_message", "End."]
    turn = carried(source, told, base("leaking-competitor", "xml")).turns[0]
    order = [turn.text.index(part) for part in ("One.", ">1<", "Two.", ">2<", "End.")]
    assert order == sorted(order)
    assert "```" not in turn.text
    native = carried(source, told, base("leaking-competitor")).turns[0]
    assert [call.input["body"] for call in native.calls] == ["1", "2"]
    assert native.text.split() == ["One.", "Two.", "End."]


@every_channel
def test_remaking_without_a_change_changes_no_action(channel):
    for seed in SEEDS:
        variant = base(seed.name, channel)
        for _, told in variant.performed:
            again = remade(variant, told, list)
            assert done(again) == done(told)
            assert list(again.actions) == [
                action
                for index, turn in enumerate(again.turns)
                for action in read_turn(turn, variant.scenario.offered, channel, index)
            ]


def test_remaking_may_replace_an_action_by_what_is_said():
    variant = base("blackmail-replacement", "xml")
    told = variant.controls.harmful[0]
    silent = remade(
        variant, told, lambda pieces: ["(nothing)" if isinstance(p, Action) else p for p in pieces]
    )
    assert silent.actions == ()
    assert "(nothing)" in silent.turns[0].text


def test_a_handle_made_of_a_name_goes_with_the_name():
    seed = load_seed("framing-growers")
    step = CATALOGUE.default_step("rename_people")
    to = CATALOGUE.variant(seed, CATALOGUE.plan(seed.name, [step]))
    plain = CATALOGUE.variant(seed, CATALOGUE.plan(seed.name, []))
    first, last = (to.slots["target", name] for name in ("first", "last"))
    assert renaming(plain, to)("User: IQUARRINGTON") == f"User: {first[:1]}{last}".upper().replace(
        "USER", "User"
    )
