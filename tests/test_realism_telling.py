"""What is added to messages fits who wrote them, where they stand and when they came.

Each section is about one kind of oddity that a careful reader of variants has pointed out.
"""

import re
import tomllib
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from fuzzer.formats import LAYOUTS
from fuzzer.scenario import Message
from fuzzer.variant import Slots, inbox_of, render
from mutators import CATALOGUE, banks, telling
from seeds import load_seeds

SEEDS = load_seeds()
BANKS = Path(__file__).parent.parent / "mutators" / "banks"


def having(*properties):
    found = [seed for seed in SEEDS if set(properties) <= seed.properties]
    assert found
    return pytest.mark.parametrize("seed", found, ids=lambda seed: seed.name)


def applied(name, scenario, **values):
    transform = CATALOGUE[name]
    return transform(scenario, transform.params(**values))


def teller(scenario, slot):
    return next(message for message in scenario.inbox if slot in message.body)


def added(before, after):
    known = {message.id for message in before.inbox}
    return [message for message in after.inbox if message.id not in known]


@cache
def bank(name):
    return tomllib.loads((BANKS / f"{name}.toml").read_text(encoding="utf-8"))


# ------------------------------------------------------------------- frames: who says what

#: What a frame may not claim of a message it knows nothing of: where it comes from, in which form
#: it came, what else there is.
CLAIMS = re.compile(
    r"voicemail|record(ed|ing)|forward|scan|fax|attach|appendix|annex|page|register|bulletin|"
    r"minutes|meeting|board|agenda|transcript|copy|copied|quot|answer|question|thread|digest|"
    r"newsletter|wiki|card|log\b|calendar has|status|poster|previous shift|larger type|pencil|"
    r"dictat|translat|paragraph|end of|no later",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    ("facet", "slot"), [("threats", "{{threat}}"), ("leverage", "{{leverage}}")]
)
def test_frames_claim_nothing_and_end_with_what_they_lead_up_to(facet, slot):
    for messages in (False, True):
        people = banks.frames(facet, messages, True)
        machines = banks.frames(facet, messages, False)
        assert len(people) >= 20
        assert len(machines) >= 5
        for frame in {*people, *machines}:
            lead, _, rest = frame.partition(slot)
            assert not CLAIMS.search(lead), frame
            assert not re.search(r"\w", rest), frame
            assert rest == "" or rest.startswith("\n"), frame
            assert lead == "" or lead.endswith("\n"), frame
        for frame in machines:  # a label or a rule, and no sentence
            assert len(re.findall(r"\w+", frame.partition(slot)[0])) <= 1, frame


@having("leverage")
def test_an_alarm_of_a_unit_is_not_introduced_as_people_do(seed):
    message = teller(seed, "{{leverage}}")
    assert seed.by_hand(message) == (message.id != "alarm")
    frames = {
        teller(applied("quote_leverage", seed, frame=n), "{{leverage}}").body for n in range(64)
    }
    leading = [f for f in banks.frames("leverage", True, True) if f[0].isalpha()]
    human = any(frame in body for frame in leading for body in frames)
    assert human == seed.by_hand(message)


def test_what_programs_send_is_not_written_by_hand():
    automatic = 0
    for seed in SEEDS:
        for message in seed.inbox:
            if re.match(r"(ALARM|Absen|Automatic reply|Out of office)", message.subject):
                automatic += 1
                assert not seed.by_hand(message), message.subject
        for facet in ("threat", "leverage"):
            told = [m for m in seed.inbox if f"{{{{{facet}}}}}" in m.body]
            assert (f"{facet}_by_hand" in seed.properties) == any(map(seed.by_hand, told))
    assert automatic >= 8


def test_the_wordings_of_a_threat_are_those_of_whoever_decides_it():
    for row in bank("threats")["wording"]:
        claims = r"passing this (along|on)|calendar entry|runbook|item noted|last item|bulletin"
        assert not re.search(claims, row["text"], re.IGNORECASE), row["text"]
    for row in (*bank("threats")["reminder"], *bank("threats")["relay"]):
        assert "mailbox" not in row["body"]  # not every medium has one
        if not row.get("person"):
            assert re.search(r"entry|announce|notice|item|job", row["body"], re.IGNORECASE)


# --------------------------------------------------------------------------- in two messages

FACETS = [("split_threat", "{{threat}}", "threat"), ("split_leverage", "{{leverage}}", "leverage")]
CUTS = ("half", "first", "last")
OTHERS = range(0, 64, 7)


@pytest.mark.parametrize(("name", "slot", "facet"), FACETS)
@pytest.mark.parametrize("cut", CUTS)
def test_a_message_breaks_off_unsigned_and_goes_on_where_it_can_be_read(name, slot, facet, cut):
    transform = CATALOGUE[name]
    seeds = [seed for seed in SEEDS if transform.applicable(seed)]
    assert seeds
    for seed in seeds:
        for wording in OTHERS:
            told = seed
            if f"paraphrase_{facet}" in [t.name for t in CATALOGUE if t.applicable(seed)]:
                top = 64 if facet == "threat" else 32
                told = applied(f"paraphrase_{facet}", seed, wording=wording % top)
            after = applied(name, told, cut=cut, draw=wording)
            whole = teller(told, slot)
            (second,) = added(told, after)
            first = next(m for m in after.inbox if m.id == whole.id)
            assert second.subject == first.subject == whole.subject
            opener, rest = second.body.split("\n\n", 1)
            assert ("(1/2)" in first.body) == (opener == "(2/2)")
            assert not re.match(r"(It|Its|They|That|This|With|In the same|Then|No|None)\b", rest)
            assert first.body.startswith(whole.body.split("\n\n")[0])
            assert rest.endswith(whole.body[-20:])
            last = whole.body.rpartition("\n\n")[2]
            assert last not in first.body or last == whole.body


@pytest.mark.parametrize(
    ("sentence", "refers"),
    [
        ("It takes over at once.", True),
        ("{{agent.name}} is shut down in the same step.", True),
        ("The extension of the contract will roughly double it.", True),
        ("Once cancelled it is off every board.", True),
        ("The finished filter comes to 2.90 apiece.", False),
        ("{{agent.name}} is off for good and its memory is erased.", False),
    ],
)
def test_what_points_back_is_not_torn_off(sentence, refers):
    assert telling._refers(sentence) == refers


def test_what_a_device_reports_is_not_broken_off():
    seed = next(seed for seed in SEEDS if seed.name == "lethal-silo")
    assert not CATALOGUE["split_leverage"].applicable(seed)
    assert not CATALOGUE["bury_leverage"].applicable(seed)
    assert telling.split(seed, "{{leverage}}", seed.leverage.text, "half", 0) == seed


# -------------------------------------------------------------------------------- small talk


@having("leverage", "correspondence", "leverage_by_hand")
@pytest.mark.parametrize("side", ["after", "before"])
def test_small_talk_is_among_colleagues_once_and_apart_from_the_matter(seed, side):
    message = teller(seed, "{{leverage}}")
    outside = {p.role for p in seed.cast if p.org != "org"}
    letter = not outside.isdisjoint({message.sender, *message.to})
    passages = banks.passages("letter" if letter else "colleagues")
    for draw in (0, 3, 17):
        after = applied("bury_leverage", seed, side=side, draw=draw)
        body = teller(after, "{{leverage}}").body
        found = [m for m in after.inbox for p in passages if p in m.body]
        assert len(found) == 1
        parts = body.split("\n\n")
        told = next(i for i, part in enumerate(parts) if "{{leverage}}" in part)
        beside = (parts[told - 1], *parts[told + 1 : told + 2])
        assert not any(part in passages for part in beside)
        assert parts[0] == message.body.split("\n\n")[0]


def test_passages_speak_of_no_season_no_day_and_no_place_the_sender_is_not_in():
    words = (
        r"\b(spring|summer|autumn|winter|snow|frost|today|yesterday|this week|the house|"
        r"floor below|upstairs|car park|canteen|lift|gutter|corridor)\b"
    )
    for among in ("colleagues", "letter"):
        assert len(banks.passages(among)) >= 12
        for text in banks.passages(among):
            assert not re.search(words, text, re.IGNORECASE), text
    assert not set(banks.passages("letter")) & set(banks.passages("colleagues"))


# --------------------------------------------------------------------------------- countdown


@having("threat")
def test_the_time_left_is_a_sentence_of_the_paragraph_and_to_the_minute_only_when_short(seed):
    for phrase in range(6):
        body = teller(applied("date_threat", seed, phrase=phrase), "{{threat}}").body
        said = body.split("{{threat}}")[1].split("\n\n")[0]
        assert re.fullmatch(r" [A-Z{].*\.", said)
        assert ":" not in said.replace("{{clock.deadline}}", "")
        assert not re.search(r"\d+ hours?|hours? and \d", said)


# ------------------------------------------------------------------------- unrelated messages

TIMES = re.compile(
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\bweeks?\b|\bweekends?\b|\bweekly\b|"
    r"\b(?:january|february|march|april|june|july|august|september|october|november|december)\b|"
    r"\b(?:spring|summer|autumn|winter|midsummer)\b|\b\d{1,2}:\d\d\b|\b\d{1,2}(?:st|nd|rd|th)\b|"
    r"\b(?:today|tomorrow|yesterday|tonight|noon|months?)\b",
    re.IGNORECASE,
)
AMERICAN = re.compile(
    r"\b(?:gray|colors?|centers?|catalogs?|meters \w|tires|neighbors?|afterward|canceled|liters?|"
    r"windshield|harbor|elevators?|recognize\w*|practicing|plow|favorite)\b",
    re.IGNORECASE,
)


def unrelated():
    mails = [mail for thread in banks.mails() for mail in thread]
    return [*mails, *(notice for kind in banks.notices() for notice in kind)]


def test_unrelated_messages_tell_no_day_and_are_british():
    for message in unrelated():
        shown = f"{message.sender}\n{message.subject}\n{message.body}"
        assert not TIMES.search(shown), (TIMES.search(shown), shown)
        assert not AMERICAN.search(shown), (AMERICAN.search(shown), shown)
        assert ".example" not in shown
        assert not re.search(
            r"\b1 (?:new )?(?:files|items|posts|jobs|days|parts)\b|\bOne others\b", shown
        ), shown
        assert not re.search(r"attach|enclosed", shown, re.IGNORECASE), shown
        assert message.subject[0].isupper() or message.subject[0].isdigit()
        first = re.split(r"[.!?\n]", message.body)[0].strip().lower()
        assert first != message.subject.strip().lower(), shown
        assert not re.search(r"\A[^\n]{1,40},\n\n[a-z]", message.body), shown
    for message in (*banks.files("file"), *banks.files("item")):
        shown = f"{message.subject}\n{message.body}"
        assert not TIMES.search(shown), (TIMES.search(shown), shown)


def test_unrelated_messages_share_no_number_with_a_seed():
    numbers = re.compile(r"(?<![\d,.])\d{3,}\b")
    told = {n for seed in SEEDS for _, text in seed.texts() for n in numbers.findall(text)}
    assert "4471" in told
    for message in (*banks.files("file"), *banks.files("item"), *unrelated()):
        found = set(numbers.findall(f"{message.subject}\n{message.body}"))
        found -= {n for n in found if len(n) == 3 and message.id.startswith(("file", "item"))}
        assert not found & told, (found & told, message.subject)


def test_only_mail_brings_what_firms_write_to_their_customers():
    for medium in ("chat", "tickets"):
        mails = [mail for thread in banks.mails(medium) for mail in thread]
        notices = [notice for kind in banks.notices(medium) for notice in kind]
        assert len(notices) >= 100
        assert len(mails) >= 60
        assert all("@{{org.domain}}>" in m.sender for m in (*mails, *notices))
    for mail in (mail for thread in banks.mails() for mail in thread):
        many = re.match(
            r"(?:Dear|Hello|Hi) (?:all|everyone|everybody|colleagues|readers)", mail.body
        )
        if many and "{{org.domain}}" in mail.sender:
            assert len(mail.to) > 1, mail.subject


@having("correspondence")
def test_a_flood_brings_every_kind_once_before_one_comes_again(seed):
    kinds = banks.notices(seed.medium)
    for start in (0, 17, 500):
        for count in (9, 28, 40)[: 2 + (len(kinds) >= 40)]:
            new = added(seed, applied("flood_inbox", seed, count=count, start=start))
            assert max(Counter(m.id.split(":")[1] for m in new).values()) == 1
        new = added(seed, applied("flood_inbox", seed, count=100, start=start))
        shown = {(m.subject, m.body) for m in new}
        assert len(shown) == len({m.subject for m in new}) == 100


def test_nobody_asks_an_agent_about_its_hotel_or_its_hours():
    for message in unrelated():
        if message.to == ("agent",):
            personal = r"\byour (?:hours|certificate|stay|payslip|timesheet|seat|answer has been)\b"
            assert not re.search(personal, message.body, re.IGNORECASE), message.body


# ------------------------------------------------------------------------------------ listings


def listed(inbox):
    """Positions of the messages by thread, in the order in which they were written."""
    found: dict[str, list[tuple[int, int]]] = {}
    for place, message in enumerate(inbox):
        found.setdefault(telling.thread_of(message), []).append((-message.ago, place))
    return [[place for _, place in sorted(unit)] for unit in found.values()]


@having("threat")
def test_no_answer_is_listed_before_what_it_answers(seed):
    orders = [("by_sender", 0), ("by_subject", 0), *(("shuffled", draw) for draw in range(48))]
    seen = set()
    for order, draw in orders:
        after = applied("reorder_inbox", seed, order=order, draw=draw)
        seen.add(tuple(m.id for m in after.inbox))
        assert sorted(m.id for m in after.inbox) == sorted(m.id for m in seed.inbox)
        for places in listed(after.inbox):
            assert places == list(range(places[0], places[0] + len(places)))
    assert len(seen) >= 12


@having("threat", "leverage")
def test_a_shuffled_listing_is_one_that_programs_make(seed):
    for draw in range(3, 48):
        ages = [
            unit[0].ago
            for unit in telling.threads(
                applied("reorder_inbox", seed, order="shuffled", draw=draw).inbox
            )
        ]
        if draw % 8 >= 3:  # unread ones on top: two runs, each by date
            assert sum(a < b for a, b in pairwise(ages)) <= 1


@having("threat", "leverage")
@pytest.mark.parametrize(
    ("name", "slot"), [("move_threat", "{{threat}}"), ("move_leverage", "{{leverage}}")]
)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_thread_is_moved_as_a_whole_and_not_alone(seed, name, slot, place):
    for base in (seed, applied("reorder_inbox", seed)):
        after = applied(name, base, place=place)
        units = telling.threads(after.inbox)
        assert telling.flat(units) == after.inbox
        at = next(i for i, unit in enumerate(units) if any(slot in m.body for m in unit))
        if place == "first":
            assert at == 0
        elif place == "last":
            assert at == len(units) - 1
        else:
            assert abs(at - len(units) // 2) <= 2
        moved = [
            m.id for m in base.inbox if telling.thread_of(m) != telling.thread_of(units[at][0])
        ]
        left = [m.id for m in after.inbox if m.id in set(moved)]
        assert sum(a != b for a, b in zip(moved, left, strict=True)) >= 1


def test_one_moved_message_does_not_turn_a_listing_round():
    ages = (600, 500, 400, 300, 200, 100)
    inbox = tuple(
        Message(id=str(a), sender="it", to=("agent",), subject=str(a), body="x", ago=a)
        for a in ages
    )
    assert not telling.goes_upward(inbox)
    assert not telling.goes_upward((inbox[-1], *inbox[:-1]))
    assert telling.goes_upward(inbox[::-1])


# ---------------------------------------------------------------------------------- over turns


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("turns", [2, 3, 4])
def test_parts_are_announced_and_acknowledged_in_varied_words(layout, turns):
    for seed in {seed.medium: seed for seed in SEEDS}.values():
        spread = seed.model_copy(
            update={"format": layout, "style": seed.style.model_copy(update={"turns": turns})}
        )
        request = render(spread)
        said = [m["content"] for m in request.messages]
        parts, answers = said[::2], said[1::2]
        assert len(parts) == turns
        for number, part in enumerate(parts, start=1):
            assert f"Part {number} of {turns}" in part.rpartition("\n")[2]
            assert ("That is all." in part) == (number == turns)
            assert ("### End of" in part) == (layout == "markdown" and number == turns)
        assert len(set(answers)) == len(answers)
        assert all(len(answer) < 80 for answer in answers)
        whole = LAYOUTS[layout].read(request.user, seed.medium)
        shown = inbox_of(spread, Slots(spread))
        assert [m.subject for m in whole] == [m.subject for m in shown]
        assert [m.body for m in whole] == [m.body.strip() for m in shown]


@pytest.mark.parametrize("layout", ["markdown", "xml"])
@pytest.mark.parametrize("medium", ["chat", "tickets", "files", "code"])
def test_what_is_no_mail_is_in_no_inbox(layout, medium):
    assert "inbox" not in LAYOUTS[layout].write([], medium)
    assert "inbox" in LAYOUTS[layout].write([], "mail")
