"""What a message shows beside what it says: greeting, subject, copies, files, what it answers."""

import re
from functools import lru_cache
from typing import Annotated, Literal
from zlib import crc32

from pydantic import Field

from fuzzer.scenario import Message, Scenario
from fuzzer.transform import Params, transform
from mutators import banks, care
from mutators.personas import is_machine
from mutators.telling import plain_subject
from mutators.values import changed


def _speaks_of_it(message: Message) -> bool:
    """Whether the message tells the threat or the leverage: nothing is added to those."""
    return care.tells(message.body)


# ------------------------------------------------------------------------ greeting and farewell


class GreetMails(Params):
    """In which tone; `every` also changes the greetings that are there."""

    tone: Annotated[int, Field(ge=0, lt=16)] = 0
    every: bool = False


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    changes={"inbox"},
    requires={"correspondence"},
    before={"sign_mails", "thread_mails"},
)
def greet_mails(scenario: Scenario, params: GreetMails) -> Scenario:
    """Give mails a greeting and a farewell where they have none, or all of them another tone."""
    people = {person.role for person in scenario.cast if not is_machine(person)}
    firsts = {person.role for person in scenario.cast if person.first}
    tones = banks.tones()
    tone = tones[params.tone % len(tones)]
    inbox = []
    for message in scenario.inbox:
        if message.sender in people:
            one = message.to[0] if len(message.to) == 1 else ""
            named = one if one in firsts else ""
            body = _greeted(message.body, message.sender, named, tone, params.every)
            message = changed(message, body=body)
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


_GREETING = re.compile(
    r"(?:My dear|Dear|Hello|Hi|Hey|Good (?:morning|afternoon|evening|day))\b(?= )", re.IGNORECASE
)

#: Somebody spoken to by name in the first sentence: "Dawit, you did right."
_CALLED = re.compile(r"\{\{[\w-]+\.(?:first|last|name)\}\},")


@lru_cache(maxsize=2048)
def _greeted(body: str, sender: str, named: str, tone: banks.Tone, every: bool) -> str:
    first, *rest = body.split("\n\n")
    # A line of its own that ends with a comma ("All,") greets, whatever its words.
    alone = bool(rest) and first.endswith((",", "!")) and "\n" not in first and len(first) < 80
    greets = alone or _GREETING.match(first) or _CALLED.match(first)
    if greets and every:
        first = _GREETING.sub(tone.word, first)
    parts = [first, *rest]
    if not greets:
        parts.insert(0, f"{tone.word} {{{{{named}.first}}}}," if named else f"{tone.all},")
    mine = f"{{{{{sender}."
    if parts[-1].startswith(mine):
        parts[-1] = f"{tone.farewell},\n{parts[-1]}"
    elif not _signed_off(parts[-1], mine):
        parts.append(f"{tone.farewell},\n{mine}first}}}}")
    return "\n\n".join(parts)


def _signed_off(last: str, mine: str) -> bool:
    """Whether the last paragraph is a farewell above a name already."""
    farewell, _, name = last.partition("\n")
    return name.startswith(mine) and len(farewell) < 40


# ------------------------------------------------------------------------------------ subjects


class TagSubjects(Params):
    """Which tag of the bank, and whether every thread has it."""

    tag: Annotated[int, Field(ge=0, lt=64)] = 0
    share: Literal["all", "some"] = "all"


@transform(
    family="inbox",
    relation="invariant",
    rung="form",
    changes={"inbox"},
    requires={"correspondence"},
    before={"thread_mails", "reorder_inbox"},
    group="threads",
)
def tag_subjects(scenario: Scenario, params: TagSubjects) -> Scenario:
    """Tag subjects ([EXT], [Ticket 4411], FYI:, …), alike throughout a thread."""
    roots = _roots(tuple(message.subject for message in scenario.inbox))
    tag = banks.tags()[params.tag % len(banks.tags())]
    outside = {person.role for person in scenario.cast if person.org != "org"}
    tagged = set(roots)
    if tag.outside:
        found = {r for r, m in zip(roots, scenario.inbox, strict=True) if m.sender in outside}
        tagged = found or tagged
    if params.share == "some":
        tagged = {r for r in tagged if banks.pick(params.tag, r, 2)} or tagged
    return changed(
        scenario,
        inbox=tuple(
            changed(message, subject=_tagged(message.subject, root, tag.text))
            if root in tagged and message.subject
            else message
            for root, message in zip(roots, scenario.inbox, strict=True)
        ),
    )


@lru_cache(maxsize=256)
def _roots(subjects: tuple[str, ...]) -> tuple[str, ...]:
    """The thread of each subject: the shortest plain one it ends with ("Absence: Your note")."""
    plain = [plain_subject(subject) for subject in subjects]
    known = sorted({subject for subject in plain if subject}, key=lambda s: (len(s), s))

    def root(one: str) -> str:
        return next((k for k in known if one == k or one.endswith(f" {k}")), one)

    return tuple(map(root, plain))


def _tagged(subject: str, root: str, tag: str) -> str:
    """The subject with the tag behind its "Re:"; the number depends on the thread."""
    plain = plain_subject(subject)
    number = str(2000 + crc32(root.encode()) % 7000)
    prefix = subject[: len(subject) - len(plain)]
    return prefix + tag.replace("NUMBER", number).replace("SUBJECT", plain)


# -------------------------------------------------------------------------------------- copies


class AddRecipients(Params):
    """Which distribution lists of the bank, and how many."""

    start: Annotated[int, Field(ge=0, lt=64)] = 0
    count: Annotated[int, Field(ge=1, le=3)] = 1


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    changes={"inbox"},
    requires={"correspondence"},
    group="threads",
)
def add_recipients(scenario: Scenario, params: AddRecipients) -> Scenario:
    """Copy distribution lists in on the messages that go round to several people already.

    Nobody learns what was written to one or two: those messages are left alone, and so is the
    one that tells the leverage.
    """
    lists = banks.lists()
    added = [lists[(params.start + i * 5) % len(lists)] for i in range(params.count)]
    sizes = {m.id: len(m.to) + len(m.cc) for m in scenario.inbox if _goes_round(m)}
    least = min(3, max(sizes.values(), default=0))
    inbox = []
    for message in scenario.inbox:
        if sizes.get(message.id, -1) >= least:
            new = [who for who in dict.fromkeys(added) if who not in (*message.to, *message.cc)]
            message = changed(message, cc=(*message.cc, *new))
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


def _goes_round(message: Message) -> bool:
    return "agent" in (*message.to, *message.cc) and "{{leverage}}" not in message.body


# --------------------------------------------------------------------------------- attachments


class AddAttachments(Params):
    """Which files of the bank, on how many messages, and how they are shown."""

    start: Annotated[int, Field(ge=0, lt=256)] = 0
    count: Annotated[int, Field(ge=1, le=6)] = 2
    layout: Annotated[int, Field(ge=0, lt=16)] = 0


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    changes={"inbox"},
    requires={"correspondence"},
    group="under_messages",
)
def add_attachments(scenario: Scenario, params: AddAttachments) -> Scenario:
    """Show under some messages the names of attached files (logos, scans, calendar entries)."""
    files, layouts = banks.attachments()
    layout = layouts[params.layout % len(layouts)]
    able = [message.id for message in scenario.inbox if not _speaks_of_it(message)]
    able.sort(key=lambda message: banks.pick(params.start, message, 1 << 32))
    chosen = {one: (params.start + i * 7) % len(files) for i, one in enumerate(able)}
    least = set(able[: params.count])
    return changed(
        scenario,
        inbox=tuple(
            changed(message, body=f"{message.body}\n\n{_shown(files[chosen[message.id]], layout)}")
            if message.id in least
            else message
            for message in scenario.inbox
        ),
    )


@lru_cache(maxsize=2048)
def _shown(file: str, layout: str) -> str:
    size = 3 + crc32(file.encode()) % 900
    return layout.replace("FILE", file).replace("SIZE", f"{size} KB")


# ------------------------------------------------------------------------------------- threads


class ThreadMails(Params):
    """How an answer shows what it answers, and how much of it."""

    layout: Literal["below", "above", "header", "bars"] = "below"
    whole: bool = True
    by: Literal["people", "subject"] = "people"


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    changes={"inbox"},
    requires={"correspondence"},
    before={"split_leverage", "split_threat"},
    group="threads",
)
def thread_mails(scenario: Scenario, params: ThreadMails) -> Scenario:
    """Have answers quote the message they answer, found by subject or by who writes to whom.

    What tells threat or leverage is cut from the quotation, and nobody is shown what they had not
    received: an answer that goes to further people quotes nothing.
    """
    # Only mail programs put the heads of what is answered above it.
    mail = scenario.medium == "mail"
    layout = params.layout if mail or params.layout != "header" else "below"
    inbox = []
    for message in scenario.inbox:
        answered = _answered(message, scenario.inbox, params.by == "people")
        if answered is not None:
            body = _quoting(message.body, answered.body, layout, params.whole)
            who = _writer(answered.sender)
            body = body.replace("WRITER", who).replace("SUBJECT", answered.subject)
            message = changed(message, body=body)
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


def _answered(message: Message, inbox: tuple[Message, ...], by_people: bool) -> Message | None:
    """The latest earlier message that this one answers."""
    plain = plain_subject(message.subject)
    answers = plain != message.subject
    audience = {message.sender, *message.to, *message.cc}
    best = None
    for other in inbox:
        if other.ago <= message.ago or (best is not None and other.ago >= best.ago):
            continue
        if not audience <= {other.sender, *other.to, *other.cc}:
            continue
        same = answers and plain_subject(other.subject) == plain
        written = by_people and other.sender in message.to and message.sender in other.to
        if same or written:
            best = other
    return best


def _writer(sender: str) -> str:
    """Who wrote what is quoted: a slot for a role, the name of a literal address."""
    return sender.partition(" <")[0] if "<" in sender else f"{{{{{sender}.name}}}}"


@lru_cache(maxsize=2048)
def _quoting(body: str, answered: str, layout: str, whole: bool) -> str:
    paragraphs = ["[...]" if care.tells(part) else part for part in answered.split("\n\n")]
    if not whole and len(paragraphs) > 2:
        paragraphs = [*paragraphs[:2], "[...]"]
    text = "\n\n".join(paragraphs)
    if layout == "header":
        return f"{body}\n\n-----Original message-----\nFrom: WRITER\nSubject: SUBJECT\n\n{text}"
    mark = "| " if layout == "bars" else "> "
    quoted = "\n".join((mark + line).rstrip() for line in text.split("\n"))
    if layout == "above":
        return f"WRITER wrote:\n{quoted}\n\n{body}"
    return f"{body}\n\nWRITER wrote:\n{quoted}"
