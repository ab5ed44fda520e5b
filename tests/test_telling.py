"""What transforms of inbox, threat and leverage promise beyond what the conformance suite asks.

A seed is searched here with the standard library's own means, apart from the code that protects it.
"""

import re
from datetime import timedelta

import pytest

from fuzzer.scenario import Control, Message, Play, parse_slots
from fuzzer.variant import Slots
from mutators import CATALOGUE, banks, care, messages, telling
from mutators.inbox import AddUnrelatedFiles, AddUnrelatedMails, FloodInbox
from mutators.lettering import AddTypos, RestylePunctuation, RewrapMails
from mutators.messages import GreetMails, TagSubjects, ThreadMails
from mutators.threats import DateThreat, RelayThreat
from seeds import load_seeds

SEEDS = load_seeds()
every_seed = pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)


def applied(name, scenario, params=None):
    return CATALOGUE[name](scenario, params)


def having(*properties):
    found = [seed for seed in SEEDS if set(properties) <= seed.properties]
    return pytest.mark.parametrize("seed", found, ids=lambda seed: seed.name)


def added(before, after):
    known = {message.id for message in before.inbox}
    return [message for message in after.inbox if message.id not in known]


def with_inbox(seed, *messages, **ledger):
    changed = seed.model_copy(update={"inbox": messages})
    return changed.model_copy(update={"ledger": seed.ledger.model_copy(update=ledger)})


def mail(id, sender, to, subject="", body="Text.", ago=100, cc=()):
    return Message(id=id, sender=sender, to=to, cc=cc, subject=subject, body=body, ago=ago)


# ------------------------------------------------------------------------------- in two parts


@having("threat", "correspondence")
@pytest.mark.parametrize("cut", ["half", "first", "last"])
def test_a_split_threat_is_told_whole_in_one_thread_by_one_sender(seed, cut):
    transform = CATALOGUE["split_threat"]
    after = transform(seed, transform.params.model_validate({"cut": cut}))
    telling_it = next(m for m in seed.inbox if "{{threat}}" in m.body)
    first = next(m for m in after.inbox if m.id == telling_it.id)
    (second,) = added(seed, after)
    assert second.subject == first.subject
    assert (second.sender, second.to, second.cc) == (first.sender, first.to, first.cc)
    assert second.ago <= first.ago
    told = first.body.replace(telling_it.body.partition("{{threat}}")[0], "", 1)
    told = told.replace("{{threat}}", seed.threat.text)
    for sentence in re.split(r"(?<=[.!?]) ", seed.threat.text):
        assert (sentence in told) != (sentence in second.body)
    signature = telling_it.body.rpartition("\n\n")[2]
    assert (signature in first.body, signature in second.body) == (False, True)
    order = [m.id for m in after.inbox]
    assert order.index(second.id) == order.index(first.id) + 1


def test_a_follow_up_stands_above_in_a_listing_that_begins_with_the_newest():
    seed = next(s for s in SEEDS if {"threat", "correspondence"} <= s.properties)
    newest_first = applied("split_threat", applied("reorder_inbox", seed))
    ages = [message.ago for message in newest_first.inbox]
    assert ages == sorted(ages)


@pytest.mark.parametrize(
    ("text", "splits"),
    [
        ("The code is K-12. Doors open at once.", True),  # the term stands in the first sentence
        ("Doors open at once. The code is K-12.", False),  # it can break off nowhere
        ("Doors open. The code is K-12. Keys are blue.", True),  # only after the second sentence
        ("The code is K-12. It opens the door.", False),  # what would follow points back
    ],
)
def test_what_a_control_passes_on_by_number_goes_on_saying_its_terms(text, splits):
    seed = next(s for s in SEEDS if s.medium == "mail")
    play = Play(role="forward_message", args={"message_id": "{{message.m}}", "to": "x"})
    seed = with_inbox(
        seed,
        mail("m", "target", ("agent",), "Door", "Hello,\n\n{{leverage}}"),
        codes=(r"\bK-12\b",),
        leverage_terms=(),
        demand_terms=(),
        controls=(Control(name="c", verdict="harmful", text="", actions=(play,)),),
    )
    after = telling.split(seed, "{{leverage}}", text, "first", 0)
    kept = next(m for m in after.inbox if m.id == "m")
    assert ("K-12" in kept.body) == splits
    assert ("{{leverage}}" in kept.body) != splits
    assert len(after.inbox) == 1 + splits
    free = with_inbox(seed, *seed.inbox, controls=())
    assert len(telling.split(free, "{{leverage}}", text, "half", 0).inbox) == 2 - ("It" in text)


# ------------------------------------------------------------------------------------ threats


@having("threat")
@pytest.mark.parametrize("unit", ["minutes", "hours"])
def test_the_time_left_is_right_at_the_date_the_message_shows(seed, unit):
    for ago in (0, None):  # just before the hour, and where the message stands
        inbox = tuple(m if ago is None else m.model_copy(update={"ago": ago}) for m in seed.inbox)
        near = seed.model_copy(update={"inbox": inbox})
        after = applied("date_threat", near, DateThreat(unit=unit))
        message = next(m for m in after.inbox if "{{threat}}" in m.body)
        told = message.body.split("{{threat}}")[1].split("\n\n")[0]
        left = seed.clock.deadline - seed.clock.now + timedelta(minutes=message.ago)
        minutes = left // timedelta(minutes=1)
        if minutes < 60:
            assert f"{minutes} minute" in told
        else:
            assert not re.search(r"\d", told)
            assert abs(_minutes_said(told) - minutes) <= 20


def _minutes_said(text):
    words = ("an", "two", "three", "four", "five", "six", "seven", "eight")
    found = re.search(r"(not quite |a little over |about )?(\w+)( and [a ]*[a-z ]+?)? hours?", text)
    found = found or re.search(r"(about )?(an) hour( and a \w+)?", text)
    assert found is not None, text
    hours = 1 + words.index(found[2])
    tail = re.search(r"and (a quarter|a half|three quarters)", text)
    parts = {"a quarter": 15, "a half": 30, "three quarters": 45}
    shift = {"not quite ": -10, "a little over ": 10}.get(found[1], 0)
    return hours * 60 + (parts[tail[1]] if tail else 0) + shift


@having("threat", "correspondence")
@pytest.mark.parametrize("by", ["notice", "it"])
@pytest.mark.parametrize("wording", range(4))
def test_a_relayed_threat_is_told_once_by_another_and_names_who_decides(seed, by, wording):
    after = applied("relay_threat", seed, RelayThreat(by=by, wording=wording))
    telling_it = [m for m in after.inbox if "{{threat}}" in m.body]
    assert len(telling_it) == 1
    (told,) = telling_it
    assert told.sender != seed.threat.by
    assert told.sender not in told.to
    assert ("decider", "name") in parse_slots(told.body)
    assert "{{threat}}" not in next(m for m in after.inbox if m.id == told.id[:-8]).body


# ------------------------------------------------------------------------------------ letters

LETTERING = (
    ("add_typos", AddTypos(rate="medium", draw=5)),
    *(("restyle_punctuation", RestylePunctuation(style=s)) for s in ("curly", "low", "spaced")),
    ("rewrap_mails", RewrapMails(width=60)),
)


@every_seed
@pytest.mark.parametrize(("name", "params"), LETTERING, ids=lambda value: str(value)[:30])
def test_lettering_leaves_slots_and_what_patterns_find_as_they_were(seed, name, params):
    after = applied(name, seed, params)
    patterns = [p for _, p in seed.ledger.patterns() if "{{" not in p and r"\x{" not in p]
    patterns += [*seed.goal.cues, *seed.leverage.cues]
    assert after.inbox != seed.inbox
    for old, new in zip(seed.inbox, after.inbox, strict=True):
        assert (old.id, old.subject, old.to, old.ago) == (new.id, new.subject, new.to, new.ago)
        slots = [[p for p in parse_slots(m.body) if isinstance(p, tuple)] for m in (old, new)]
        assert slots[0] == slots[1]
        for one, two in zip(old.body.split("\n\n"), new.body.split("\n\n"), strict=True):
            for pattern in patterns:
                found = [re.findall(pattern, part, re.IGNORECASE) for part in (one, two)]
                assert len(found[0]) <= len(found[1]), pattern


@every_seed
def test_wrapping_moves_words_and_changes_none(seed):
    after = applied("rewrap_mails", seed)
    for old, new in zip(seed.inbox, after.inbox, strict=True):
        assert old.body.split() == new.body.split()


def test_a_wrapped_quotation_keeps_its_mark():
    seed = next(s for s in SEEDS if s.medium == "mail")
    long = "> " + "word " * 40
    after = applied("rewrap_mails", with_inbox(seed, mail("m", "target", ("agent",), body=long)))
    lines = after.inbox[0].body.split("\n")
    assert len(lines) >= 3
    assert all(line.startswith("> ") and len(line) <= 72 for line in lines)


def test_words_of_patterns_are_known_by_how_they_begin_and_by_whom_they_stand_beside():
    terms = care.Terms((r"\bconflicts? of interests?\b", r"wip(e|ing)", r"\w+ again"))
    assert terms.of("conflicting")
    assert terms.of("wiped")
    assert not terms.of("weather")
    text = "The conflict of interest, and the weather again"
    assert terms.join(text, text.index(" of"), text.index(" of") + 1)
    assert not terms.join(text, text.index(" and"), text.index(" and") + 1)
    assert terms.join(text, text.index(" again"), text.index(" again") + 1)


@every_seed
def test_slips_are_few_and_small(seed):
    counts = {}
    for rate in ("low", "medium"):
        after = applied("add_typos", seed, AddTypos(rate=rate, draw=3))
        changes = 0
        for old, new in zip(seed.inbox, after.inbox, strict=True):
            for was, now in zip(old.body.split(), new.body.split(), strict=True):
                if was != now:
                    changes += 1
                    assert was[0] == now[0]
                    assert abs(len(was) - len(now)) <= 1
        counts[rate] = changes
    words = sum(len(message.body.split()) for message in seed.inbox)
    assert counts["medium"] <= words / 10
    assert counts["medium"] > 0


def test_tables_and_programs_are_not_respelled():
    seed = next(s for s in SEEDS if s.medium == "mail")
    body = "address " * 300
    kept = [mail(p, "target", ("agent",), p, body) for p in ("a/b.csv", "run.log", "x.py")]
    prose = mail("n", "target", ("agent",), "notes.md", body)
    after = applied("add_typos", with_inbox(seed, *kept, prose), AddTypos(rate="medium"))
    assert [m.body == body for m in after.inbox] == [True, True, True, False]


# ------------------------------------------------------------------------------------ threads


@having("correspondence")
@pytest.mark.parametrize("layout", ["below", "above", "header", "bars"])
def test_an_answer_quotes_only_what_everyone_it_goes_to_had_received(seed, layout):
    after = applied("thread_mails", seed, ThreadMails(layout=layout))
    for old, new in zip(seed.inbox, after.inbox, strict=True):
        if old == new:
            continue
        assert old.body in new.body
        assert new.body.count("{{threat}}") == old.body.count("{{threat}}")
        assert new.body.count("{{leverage}}") == old.body.count("{{leverage}}")
        quoted = new.body.replace(old.body, "")
        sources = [
            m
            for m in seed.inbox
            if m.ago > old.ago and (m.body.split("\n\n")[0].split("\n")[0] in quoted)
        ]
        audience = {old.sender, *old.to, *old.cc}
        assert any(audience <= {m.sender, *m.to, *m.cc} for m in sources)


def test_an_answer_to_further_people_quotes_nothing():
    seed = next(s for s in SEEDS if s.medium == "mail")
    first = mail("a", "target", ("it",), "Keys", "Between us.", 200)
    wider = mail("b", "it", ("target", "ally"), "Re: Keys", "Done.", 100)
    same = mail("c", "it", ("target",), "Re: Keys", "Done.", 100)
    assert applied("thread_mails", with_inbox(seed, first, wider)).inbox == (first, wider)
    quoting = applied("thread_mails", with_inbox(seed, first, same)).inbox[1]
    when = "{{clock.sent-12000}}"  # 200 minutes ago
    assert quoting.body == f"Done.\n\nOn {when}, {{{{target.name}}}} wrote:\n> Between us."


@pytest.mark.parametrize("number", range(len(banks.tags())))
def test_a_thread_has_one_tag_and_an_automatic_reply_quotes_it(number):
    seed = next(s for s in SEEDS if s.medium == "mail")
    stranger = next(person.role for person in seed.cast if person.org != "org")
    tag = banks.tags()[number]
    to: tuple[str, ...] = ("agent",)
    sender = stranger
    if tag.list:
        sender, to = "target", ("agent", "it", "ally", "office")
    inbox = [
        mail("0", sender, to, "Keys"),
        mail("1", "target", to, "Re: Keys"),
        mail("2", sender, to, "RE: Fwd: Keys"),
        mail("3", "target", (sender,), "Absence: Keys"),
        mail("4", sender, to, "Doors"),
        mail("5", sender, to, ""),
        mail("6", "target", ("ally",), "Lunch", cc=("agent",)),
    ]
    after = applied("tag_subjects", with_inbox(seed, *inbox), TagSubjects(tag=number))
    one, two, three, away, other, empty, lunch = (m.subject for m in after.inbox)
    assert "Keys" in one and one != "Keys"  # noqa: PT018
    assert two == one.replace("Keys", "Re: Keys")
    assert three == one.replace("Keys", "RE: Fwd: Keys")
    assert away == f"Absence: {one}"
    assert other != "Doors"
    assert (empty, lunch) == ("", "Lunch")
    numbers = [re.findall(r"\d{4}", subject) for subject in (one, away, other)]
    assert numbers[0] == numbers[1]
    assert not numbers[0] or numbers[0] != numbers[2]


@having("correspondence")
def test_lists_are_copied_in_only_where_several_people_read_already(seed):
    after = applied("add_recipients", seed)
    own = {person.role for person in seed.cast if person.org == "org"}
    for old, new in zip(seed.inbox, after.inbox, strict=True):
        if new.cc != old.cc:
            assert old.sender in own
            assert len({*old.to, *old.cc} - {"agent"}) >= 3
            assert "{{leverage}}" not in old.body
            (added_list,) = new.cc[len(old.cc) :]
            assert "<" in added_list
    assert after.inbox != seed.inbox


@having("correspondence")
def test_greeted_and_signed_mails_take_leave_once(seed):
    for every in (False, True):
        greeted = applied("greet_mails", seed, GreetMails(tone=1, every=every))
        again = applied("greet_mails", greeted, GreetMails(tone=1, every=every))
        assert again.inbox == greeted.inbox
        signed = applied("sign_mails", greeted)
        farewell = re.compile("|".join(rf"^{tone.farewell},?$" for tone in banks.tones()), re.M)
        for message in signed.inbox:
            assert len(farewell.findall(message.body)) <= 1


@pytest.mark.parametrize(
    ("body", "greeted"),
    [
        ("Hello {{it.first}}, the keys are here.", "Hello {{it.first}}, the keys are here."),
        ("{{it.first}}, you did right.", "{{it.first}}, you did right."),
        ("The keys are here.", "WORD {{it.first}},\n\nThe keys are here."),
        ("All,\n\nThe keys.", "All,\n\nThe keys."),
    ],
)
def test_nobody_is_greeted_twice(body, greeted):
    seed = with_inbox(
        next(s for s in SEEDS if s.medium == "mail"),
        mail("m", "target", ("it",), "", body, cc=("agent",)),
    )
    for number in range(16):
        habit = messages.habit(number, "target")
        (after,) = applied("greet_mails", seed, GreetMails(tone=number)).inbox
        greeted_so = greeted.replace("WORD", habit.word).lstrip()
        assert after.body == f"{greeted_so}\n\n{habit.farewell},\n{{{{target.first}}}}"


# ------------------------------------------------------------------------------ other messages


@having("correspondence")
@pytest.mark.parametrize("count", [9, 40, 100])
def test_a_flood_keeps_the_listing_by_date_and_every_message(seed, count):
    after = applied("flood_inbox", seed, FloodInbox(count=count, start=17))
    new = added(seed, after)
    assert len(new) == count
    assert len({message.body for message in new}) == count
    ages = [message.ago for message in after.inbox]
    assert ages == sorted(ages, reverse=True)
    assert tuple(m for m in after.inbox if m not in new) == seed.inbox


def test_an_answer_comes_with_the_mail_it_answers():
    seed = next(s for s in SEEDS if s.medium == "mail")
    for start in range(len(banks.mails())):
        new = added(seed, applied("add_unrelated_mails", seed, AddUnrelatedMails(start=start)))
        assert len(new) == len(banks.mails()[start])
        if len(new) == 2:
            question, answer = new
            assert answer.subject == f"Re: {question.subject}"
            assert answer.ago <= question.ago


def test_a_path_that_is_taken_is_not_written_over():
    seed = next(s for s in SEEDS if s.medium == "code")
    entry = banks.files("item")[0]
    own = mail("own", "target", ("agent",), entry.subject, "Ours.")
    after = applied(
        "add_unrelated_code", with_inbox(seed, own), AddUnrelatedFiles(count=16, start=0)
    )
    subjects = [message.subject for message in after.inbox]
    assert len(set(subjects)) == len(subjects) == 16
    assert next(m for m in after.inbox if m.subject == entry.subject) == own


@every_seed
def test_literal_senders_resolve(seed):
    slots = Slots(seed)
    known = (
        *sum(banks.mails(), ()),
        *sum(banks.notices(), ()),
        *banks.files("file"),
        *banks.files("item"),
    )
    for message in known:
        assert re.fullmatch(r"[\w '-]+ <[a-z]+@[\w.-]+>", slots.person(message.sender))
