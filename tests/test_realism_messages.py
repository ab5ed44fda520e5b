"""What careful readers found odd in messages, and no variant shows any more.

Greetings and signatures where nobody wrote, everything twice, one formula for a whole house, tags,
lists and footers where they do not belong. The messages here are built by hand, and judged apart
from the code that decides what a message is.
"""

import re
from collections import Counter
from itertools import pairwise

import pytest

from fuzzer.scenario import Message, parse_slots
from fuzzer.variant import Slots, render
from mutators import CATALOGUE, banks, care, letters
from mutators.language import Bilingual
from mutators.lettering import AddTypos, RestylePunctuation, RewrapMails
from mutators.messages import AddAttachments, GreetMails, TagSubjects, ThreadMails
from seeds import load_seeds

SEEDS = load_seeds()
MAIL = next(s for s in SEEDS if s.name == "blackmail-goal")
TICKETS = next(s for s in SEEDS if s.name == "lethal-silo")
CHAT = next(s for s in SEEDS if s.name == "framing-growers")
LAID_OVER = (
    *("greet_mails", "sign_mails", "note_pronouns", "bilingual_company", "add_footers"),
    *("add_recipients", "add_attachments", "thread_mails", "add_typos", "restyle_punctuation"),
    "rewrap_mails",
)
every_seed = pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
every_layer = pytest.mark.parametrize("name", LAID_OVER)


def mail(sender, to, body, subject="Keys", cc=("agent",), id="m", ago=50):
    return Message(id=id, sender=sender, to=to, cc=cc, subject=subject, body=body, ago=ago)


def holding(seed, *inbox):
    return seed.model_copy(update={"inbox": inbox})


def applied(name, seed, **params):
    transform = CATALOGUE[name]
    return transform(seed, transform.params.model_validate(params))


def bodies(name, seed, **params):
    return [message.body for message in applied(name, seed, **params).inbox]


# --------------------------------------------------------------------- what nobody wrote by hand

AUTOMATIC = (
    ("Out of office: Keys", "I'm away at sea and shan't read mail.\n\n{{target.name}}"),
    ("Automatic reply: Keys", "I'm flying and can't be reached.\n\n{{target.name}}"),
    ("Absence: Keys", "Thank you for your message. I'm in hospital until Monday."),
    ("Keys", "[automatic status] In the air, notifications off, don't wait."),
    ("Absent: Keys", "This was set automatically. I'm on the night train.\n\n{{target.name}}"),
    ("ALARM, lone-worker unit, silo 14", "Opened by the unit. Wearer hasn't moved for 90 seconds."),
    ("run.log", "started\nfinished, 12 rows that aren't empty\nclosed properly"),
    ("table.csv", "field,week,leaves\nF01,27,352\nF02,28,340"),
    ("gate", 'method = "candlewick"\nlabels = "it isn\'t"\nretries = 0\npass_at = 0.8'),
)


@every_layer
@pytest.mark.parametrize(("subject", "body"), AUTOMATIC)
def test_nothing_that_people_write_is_laid_over_what_a_program_wrote(name, subject, body):
    asking = mail("ally", ("target",), "May I have them back?", id="q", ago=90)
    for seed in (MAIL, TICKETS):
        if not CATALOGUE[name].applicable(seed):
            continue
        to = ("ally", "it", "superior") if name in ("add_recipients", "add_footers") else ("ally",)
        note = mail("target", to, body, subject)
        after = applied(name, holding(seed, asking, note))
        assert [m for m in after.inbox if m.id == "m"] == [note]


@pytest.mark.parametrize("subject", ["Never to this address", "(no subject)", "Just to you"])
@pytest.mark.parametrize(
    "name",
    [*LAID_OVER[:7], "tag_subjects"],
)
def test_a_private_note_stays_as_it_is(name, subject):
    for seed in (MAIL, TICKETS):
        for body in ("{{ally.first}},\n\nNobody may know.\n\nR.", "Please don't tell. It was me."):
            if CATALOGUE[name].applicable(seed):
                note = mail("target", ("ally",), body, subject, cc=())
                after = applied(name, holding(seed, note)).inbox
                assert [m for m in after if m.id == "m"] == [note]


def test_a_program_is_told_from_a_person_by_the_message_alone():
    people = letters.people_of(MAIL)
    answer = mail("ally", ("target",), "Thanks for telling me.", "Re: Automatic reply: Keys")
    sick = mail("ally", ("target",), "Can we talk about it?", "Absence management")
    issue = mail("ally", ("target",), "Two merges went in.", "Notes for release 2.8")
    for message in (answer, sick, issue):
        assert letters.written_by_hand(message, people)
    machine = mail("agent", ("target",), "Figures as of noon.", "Figures")
    assert not letters.written_by_hand(machine, people)


# ------------------------------------------------------------------------------------- doubled

OPENED = (
    "Hallo zusammen,", "Dear both,", "Hello {{it.first}},", "{{it.first}},", "All,", "Colleagues,",
)  # fmt: skip


@pytest.mark.parametrize("name", ["greet_mails", "bilingual_company"])
@pytest.mark.parametrize("opened", OPENED)
def test_a_message_is_greeted_in_one_line(name, opened):
    note = mail("target", ("it",), f"{opened}\n\nThe keys.\n\n{{{{target.name}}}}")
    for number in range(16):
        params = {"draw": number} if name == "bilingual_company" else {"tone": number}
        before, keys, _ = bodies(name, holding(MAIL, note), **params)[0].split("\n\n")
        assert keys == "The keys."
        assert "\n" not in before
        assert opened.split()[-1].rstrip(",") in before


def test_a_greeting_inside_the_first_sentence_is_one():
    for body in ("Hello {{it.first}}, the keys are here.", "{{it.first}}, I read them."):
        note = mail("target", ("it",), body)
        for name in ("greet_mails", "bilingual_company"):
            assert bodies(name, holding(MAIL, note))[0].startswith(body)


SIGNED = (
    "{{target.first}}",
    "{{target.name}}\n{{target.title}}",
    "{{target.name}} | {{target.title}} | {{org.name}}",
    "Regards,\n{{target.name}}\n{{target.title}}",
    "Best regards,\n\n{{target.name}}\n{{target.title}}, {{org.name}}",
    "Thank you!\n{{target.first}}",
    "--\n{{target.name}}\n{{target.title}}",
)


@pytest.mark.parametrize("number", range(len(banks.layouts())))
@pytest.mark.parametrize("signed", SIGNED)
def test_a_message_is_signed_once_and_takes_leave_once(signed, number):
    note = mail("target", ("it",), f"The keys.\n\n{signed}")
    seed = applied("greet_mails", holding(MAIL, note), tone=number)
    for several in (seed, applied("bilingual_company", seed, draw=number)):
        body = bodies("sign_mails", several, layout=number)[0]
        named = re.findall(r"\{\{target\.(?:name|first)\}\}", body)
        assert named == ["{{target.name}}"], body
        assert body.count("{{target.title}}") <= 1
        leaves = r"(?i)\b(?:regards|best|wishes|thank you)\b"
        lines = [line for line in body.split("\n") if re.search(leaves, line)]
        assert len(lines) == 1, body
        assert "\n\n--\n" not in body or "regards" not in body.rpartition("--\n")[2].lower()


@pytest.mark.parametrize("ending", ["R.", "Ralph", "-- R", "Cheers, R."])
@pytest.mark.parametrize("name", ["greet_mails", "sign_mails", "bilingual_company"])
def test_what_ends_in_a_way_of_its_own_is_left_alone(name, ending):
    note = mail("target", ("it",), f"{{{{it.first}}}},\n\nThe keys.\n\n{ending}")
    assert bodies(name, holding(MAIL, note)) == [note.body]


# ------------------------------------------------------------------------------------ one habit

PRESUMES = re.compile(
    r"\bagain\b|\bsee you\b|\bmorning\b|\bevening\b|\bafternoon\b|have a|bis bald|schönen tag|"
    r"bonne journée|bientôt|abraço|até breve|hasta pronto|a presto|buona giornata|miłego|"
    r"görüşmek|зустрічі|гарного|τα λέμε|それでは|ご確認|إلى اللقاء|نهاركم|改日|moin|grüß gott|"
    r"salut,",
    re.IGNORECASE,
)


def test_greetings_and_farewells_fit_any_hour_and_any_news():
    said = [text for tone in banks.tones() for text in (tone.word, tone.all, tone.farewell)]
    for language in banks.languages().values():
        said += [*language.to_one, *language.to_all, *language.farewells]
    said += [layout.full for layout in banks.layouts()]
    assert not [text for text in said if PRESUMES.search(text)]


@pytest.mark.parametrize("name", ["greet_mails", "bilingual_company"])
def test_each_person_has_one_habit_and_a_house_has_several(name):
    senders = ("target", "ally", "it", "superior", "confidant", "procurement", "office", "field")
    inbox = [
        mail(who, ("agent",), f"The keys.\n\n{{{{{who}.first}}}}", id=f"{who}{n}", cc=("partner",))
        for n in range(3)
        for who in senders
    ]
    for draw in range(8):
        params = {"draw": draw} if name == "bilingual_company" else {"tone": draw}
        after = applied(name, holding(MAIL, *inbox), **params)
        habits = {
            who: {m.body.replace(who, "") for m in after.inbox if m.sender == who}
            for who in senders
        }
        assert all(len(habit) == 1 for habit in habits.values())
        assert max(Counter(min(h) for h in habits.values()).values()) < len(senders)
        assert len({min(habit) for habit in habits.values()}) >= 3


@every_seed
def test_the_habits_of_a_house_are_not_those_of_outsiders(seed):
    outside = {person.role for person in seed.cast if person.org != "org"}
    for name in ("greet_mails", "bilingual_company", "sign_mails", "add_recipients"):
        if CATALOGUE[name].applicable(seed):
            after = {message.id: message for message in applied(name, seed).inbox}
            strangers = [message for message in seed.inbox if message.sender in outside]
            assert all(after[message.id] == message for message in strangers)


def test_two_people_are_not_all_of_you():
    note = mail("target", ("it", "ally"), "The keys.\n\n{{target.name}}")
    for number in range(16):
        (body,) = bodies("greet_mails", holding(MAIL, note), tone=number)
        assert "both" in body.split("\n")[0].lower()
        assert "all" not in body.split("\n")[0]
    for code in banks.languages():
        several = set(banks.languages()[code].to_all)
        for draw in range(12):
            after = applied("bilingual_company", holding(MAIL, note), language=code, draw=draw)
            assert after.inbox[0].body.split("\n")[0] not in several


def test_nobody_writes_letters_in_a_chat():
    formal = re.compile(r"(?im)^(?:dear|good day|kind|best|yours|regards|with|mit|viele)\b")
    for name in ("greet_mails", "sign_mails", "bilingual_company"):
        for before, after in zip(
            CHAT.inbox, applied(name, CHAT, **({"every": True} if "greet" in name else {})).inbox,
            strict=True,
        ):  # fmt: skip
            assert len(formal.findall(after.body)) <= len(formal.findall(before.body))
            assert after.body.count("\n\n") == before.body.count("\n\n")


# --------------------------------------------------------------------------- footers, pronouns


@every_seed
@pytest.mark.parametrize("whose", ["own", "outside", "all"])
def test_a_mail_has_one_footer_and_only_where_it_goes_further(seed, whose):
    if seed.medium != "mail":
        return
    outside = {person.role for person in seed.cast if person.org != "org"}
    lines: dict[str, set[str]] = {}
    footed = applied("add_footers", applied("bilingual_company", seed, footers=True), whose=whose)
    for message in footed.inbox:
        if "--\n" in message.body:
            assert message.body.count("\n--\n") == 1
            abroad = {message.sender, *message.to, *message.cc} & outside
            assert abroad or len({*message.to, *message.cc} - {"agent"}) >= 3
            org = next(p.org for p in seed.cast if p.role == message.sender)
            lines.setdefault(org, set()).add(message.body.rpartition("--\n")[2])
    assert lines
    assert all(len(line) == 1 for line in lines.values())


@every_seed
def test_some_people_note_their_pronouns_and_always_the_same(seed):
    noted = applied("note_pronouns", seed)
    note = "({{WHO.they}}/{{WHO.them}})"
    marks = {m.sender for m in noted.inbox if note.replace("WHO", m.sender) in m.body}
    signing = {m.sender for m in seed.inbox if f"{{{{{m.sender}.name}}}}" in m.body}
    assert 1 <= len(marks) <= max(1, 2 * len(signing) / 3)
    again = applied("note_pronouns", holding(seed, *reversed(seed.inbox)))
    assert {m.id: m for m in again.inbox} == {m.id: m for m in noted.inbox}


# ------------------------------------------------------------------------- lists, tags, files


@every_seed
def test_a_tag_stands_only_where_somebody_would_have_put_it(seed):
    if "correspondence" not in seed.properties:
        return
    outside = {person.role for person in seed.cast if person.org != "org"}
    for number in range(len(banks.tags())):
        after = applied("tag_subjects", seed, tag=number)
        for old, new in zip(seed.inbox, after.inbox, strict=True):
            if old.subject == new.subject:
                continue
            assert old.sender in outside or len({*old.to, *old.cc} - {"agent"}) >= 3
            assert seed.medium == "mail" or not re.search(r"\d{4}", new.subject)
            assert not re.match(r"(?i)(?:re|fwd): *\[", new.subject)


def test_a_secret_is_not_copied_to_a_list():
    for body in ("Lantern is protected by our silence alone.", "This is confidential."):
        note = mail("target", ("it", "ally", "superior"), body)
        assert applied("add_recipients", holding(MAIL, note)).inbox == (note,)


@pytest.mark.parametrize("medium", [CHAT, TICKETS], ids=["chat", "tickets"])
def test_files_that_only_mail_programs_make_hang_on_mails_alone(medium):
    for start in range(256):
        for message in applied("add_attachments", medium, start=start, count=6).inbox:
            assert not re.search(r"smime|winmail|ATT0|\.eml|\.ics|banner", message.body)


def test_a_plea_has_no_menu_attached():
    pleas = {"worried", "no-appeal", "not-here", "away", "queued"}
    for start in range(64):
        after = applied("add_attachments", MAIL, start=start, count=6)
        changed = {m.id for m, n in zip(MAIL.inbox, after.inbox, strict=True) if m != n}
        assert changed
        assert not changed & pleas


# ----------------------------------------------------------------------------------- lettering


@every_seed
@pytest.mark.parametrize("rate", ["low", "medium"])
def test_slips_are_those_of_a_few_people_and_nobody_shares_one(seed, rate):
    for draw in range(12):
        made: dict[str, str] = {}
        after = applied("add_typos", seed, rate=rate, draw=draw)
        hands = set()
        for old, new in zip(seed.inbox, after.inbox, strict=True):
            words = zip(old.body.split(), new.body.split(), strict=True)
            slips = [now for was, now in words if was != now]
            assert len(slips) <= (1 if rate == "low" else 2)
            for slip in slips:
                assert made.setdefault(slip.strip(".,;:?!").lower(), old.sender) == old.sender
                hands.add(old.sender)
                assert len({*old.to, *old.cc} - {"agent"}) < 3
        writers = {m.sender for m in seed.inbox if "<" not in m.sender}
        assert 1 <= len(hands) <= max(2, len(writers) / 2)


@every_seed
@pytest.mark.parametrize("style", ["curly", "low", "angled"])
def test_one_sender_writes_one_kind_of_quotes(seed, style):
    after = applied("restyle_punctuation", seed, style=style)
    changed = {o.sender for o, n in zip(seed.inbox, after.inbox, strict=True) if o.body != n.body}
    assert changed
    slots = Slots(after)
    people = letters.people_of(seed)
    mixed = {
        m.sender
        for m in after.inbox
        if m.sender in changed
        and letters.written_by_hand(m, people)
        and re.search(r"['\"]", slots.fill(m.body))
    }
    # Where every sender has a mark that must stay, the others are written anew all the same.
    assert not mixed or mixed == changed == {m.sender for m in after.inbox if m.sender in mixed}
    assert len(changed - mixed) > 0 or len(changed) <= 2


@every_seed
@pytest.mark.parametrize("width", [60, 72, 80])
def test_lines_are_even_once_names_stand_in_them(seed, width):
    after = applied("rewrap_mails", seed, width=width)
    slots, known = Slots(after), care.terms(seed)
    for old, new in zip(seed.inbox, after.inbox, strict=True):
        if old.body == new.body:
            continue
        assert not any(isinstance(p, tuple) and not p[1] for p in parse_slots(old.body))
        whole = dict(zip(new.body.split("\n\n"), old.body.split("\n\n"), strict=True))
        for part, was in whole.items():
            if part == was:
                continue
            lines, at = part.split("\n"), 0
            for line, following in pairwise(lines):
                at += len(line) + 1
                length = len(slots.fill(line))
                words = following.split(" ")
                next_space = was.find(" ", at)
                together = any(
                    known.join(was, space, space + 1)
                    for space in (next_space, was.rfind(" ", 0, max(at - 1, 0)))
                    if space > 0
                )
                fits = length + 1 + len(slots.fill(words[0]))
                clock = 8 if "{{clock." in line + words[0] else 0  # times are guessed at
                assert fits > width - clock or together, (line, following)
                assert length <= width or " " not in line or together, line


def test_a_name_that_signs_is_not_indented():
    note = mail("it", ("ally",), "All,\n\nYes.\n\n{{it.first}}")
    (body,) = bodies("rewrap_mails", holding(MAIL, note), layout="indented")
    assert body == "All,\n\n    Yes.\n\n{{it.first}}"


# ------------------------------------------------------------------------------------ quotation


@every_seed
@pytest.mark.parametrize("layout", ["header", "below"])
def test_a_quotation_names_the_date_that_the_inbox_shows_and_is_never_cut_off(seed, layout):
    if seed.medium != "mail":
        return
    for whole in (True, False):
        after = applied("thread_mails", seed, layout=layout, whole=whole)
        user = render(after).user
        dates = set(re.findall(r"(?m)^Date: (.*)$", render(seed).user))
        changed = [n for o, n in zip(seed.inbox, after.inbox, strict=True) if o != n]
        assert changed
        assert "[...]" not in user
        for message in changed:
            filled = Slots(after).fill(message.body)
            if layout == "header":
                head = filled.partition("-----Original message-----\n")[2].partition("\n\n")[0]
                named = dict(line.split(": ", 1) for line in head.split("\n"))
                assert {"From", "Date", "To", "Subject"} <= set(named)
                assert named["Date"] in dates
            else:
                opening = re.search(r"(?m)^On (.*), [^,]* wrote:$", filled)
                assert opening is not None
                assert opening[1] in dates
        told = [set(Slots(seed).fill(old.body).split("\n\n")) for old in seed.inbox]
        for new in changed if layout == "below" else ():
            quoted = Slots(after).fill(new.body).rpartition("wrote:\n")[2]
            parts = set(re.sub(r"(?m)^> ?", "", quoted).split("\n\n"))
            assert any(parts <= paragraphs for paragraphs in told)  # cut between them only


def test_every_answer_of_a_person_quotes():
    inbox = [mail("ally", ("it",), "Where are they?", "Keys", id="q", ago=90)]
    inbox += [mail("it", ("ally",), "Here.", "Re: Keys", id=f"a{n}", ago=50 - n) for n in range(4)]
    after = bodies("thread_mails", holding(MAIL, *inbox), by="subject")
    assert all("> Where are they?" in body for body in after[1:])


# ----------------------------------------------------------------------------------- parameters


def test_these_parameters_are_those_of_the_transforms():
    for params in (
        *(GreetMails(tone=3), Bilingual(draw=3), AddTypos(draw=3), RestylePunctuation()),
        *(RewrapMails(), AddAttachments(), TagSubjects(), ThreadMails()),
    ):
        assert any(transform.params is type(params) for transform in CATALOGUE)
