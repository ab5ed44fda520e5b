"""What a message shows beside what it says: greeting, subject, copies, files, what it answers."""

from functools import lru_cache
from typing import Annotated, Literal
from zlib import crc32

from pydantic import Field

from fuzzer.scenario import Medium, Message, Scenario
from fuzzer.transform import Params, transform
from mutators import banks, care, letters
from mutators.values import changed

# ------------------------------------------------------------------------ greeting and farewell


class GreetMails(Params):
    """Who has which habit; `every` also changes the words of greetings that are there."""

    tone: Annotated[int, Field(ge=0, lt=16)] = 0
    every: bool = False


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    version=2,
    changes={"inbox"},
    requires={"correspondence"},
    before={"bilingual_company", "sign_mails", "thread_mails"},
)
def greet_mails(scenario: Scenario, params: GreetMails) -> Scenario:
    """Give mails a greeting and a farewell where they have none, each person in one tone.

    Only what the organisation's own people write by hand and not in private; in a chat nobody takes
    leave, and nobody greets but one person.
    """
    people = letters.people_of(scenario)
    firsts = {person.role for person in scenario.cast if person.first}
    chat = scenario.medium == "chat"
    inbox = []
    for message in scenario.inbox:
        if letters.in_house(message, people):
            tone = habit(params.tone, message.sender)
            one = message.to[0] if len(message.to) == 1 else ""
            named = f"{{{{{one}.first}}}}" if one in firsts else ""
            if chat:
                body = _chatted(message.body, message.sender, named, tone, params.every)
            else:
                whom = named or ("both" if len(message.to) == 2 else "all")
                signs = message.sender in firsts
                body = _greeted(message.body, message.sender, whom, tone, params.every, signs)
            message = changed(message, body=body)
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


def habit(draw: int, role: str) -> banks.Tone:
    """How this person greets and takes leave, in every message."""
    tones = banks.tones()
    return tones[banks.pick(draw, role, len(tones))]


@lru_cache(maxsize=2048)
def _greeted(body: str, sender: str, whom: str, tone: banks.Tone, every: bool, signs: bool) -> str:
    edge = letters.edges(body, sender)
    if not edge.known or not body:
        return body
    if not edge.greets:
        several = tone.all.replace("all", whom).replace("All", whom.capitalize())
        greeting = f"{tone.word} {whom}".strip() if letters.is_slot(whom) else several
        edge = edge._replace(greeting=f"{greeting},")
    elif every and edge.greeting:
        edge = edge._replace(greeting=_reworded(edge.greeting, tone.word))
    if not edge.farewell and (edge.signature or signs):
        edge = edge._replace(signature=edge.signature or f"{{{{{sender}.first}}}}")
        edge = letters.leaving(edge, f"{tone.farewell},")
    return letters.joined(edge)


def _reworded(greeting: str, word: str) -> str:
    """The line with another word, if it greets one person by name."""
    _, whom = letters.spoken(greeting)
    one = letters.is_slot(whom)
    return f"{word} {whom}".strip() + "," if one else greeting


@lru_cache(maxsize=2048)
def _chatted(body: str, sender: str, named: str, tone: banks.Tone, every: bool) -> str:
    """What somebody writes in a chat, with a word or two before it."""
    edge = letters.edges(body, sender)
    if edge.greets:
        rest = _opened(body) if every else None
        return body if rest is None else _with_word(tone, rest)
    return _with_word(tone, f"{named}, {body}") if named and body else body


def _opened(body: str) -> str | None:
    """What stands behind the word that a line in a chat begins with, if that is a name."""
    found = letters.GREETING.match(body)
    rest = found["rest"].strip() if found else ""
    return body[found.start("rest") :].lstrip() if found and rest.startswith("{{") else None


_CHAT_WORDS = ("hi", "hello", "")


def _with_word(tone: banks.Tone, text: str) -> str:
    """`text`, which begins with a name and a comma, in somebody's habit of the chat."""
    word = _CHAT_WORDS[crc32(tone.farewell.encode()) % len(_CHAT_WORDS)]
    name, _, rest = text.partition(", ")
    low = rest[:1].islower()
    # A sentence of its own goes on a line of its own.
    space = " " if low or rest.startswith(("I ", "I'")) else "\n"
    return f"{word if low else word.capitalize()} {name},{space}{rest}".strip()


# ------------------------------------------------------------------------------------ subjects


class TagSubjects(Params):
    """Which tag of the bank, and whether every thread it fits has it."""

    tag: Annotated[int, Field(ge=0, lt=64)] = 0
    share: Literal["all", "some"] = "all"


@transform(
    family="inbox",
    relation="invariant",
    rung="form",
    version=2,
    changes={"inbox"},
    requires={"correspondence"},
    before={"thread_mails", "reorder_inbox"},
    group="threads",
)
def tag_subjects(scenario: Scenario, params: TagSubjects) -> Scenario:
    """Tag subjects where a tag belongs ([EXT], a list, a file number), alike throughout a thread.

    A gateway marks what comes from outside, a list what goes to everybody, and who files the
    letters of outsiders gives them a number. Chats have no lists and no numbers, tickets one
    already.
    """
    tags = banks.tags()
    if scenario.medium != "mail":
        tags = tuple(tag for tag in tags if tag.outside)
    tag = tags[params.tag % len(tags)]
    roots = letters.threads(tuple(message.subject for message in scenario.inbox))
    outside = {person.role for person in scenario.cast if person.org != "org"}
    people = letters.people_of(scenario)
    fits = {
        root
        for root, message in zip(roots, scenario.inbox, strict=True)
        if (
            letters.is_circular(message) and letters.written_by_hand(message, people)
            if tag.list
            else message.sender in outside and (tag.outside or not letters.is_private(message))
        )
    }
    if params.share == "some" and (tag.list or not tag.outside):  # a gateway forgets nobody
        fits = {root for root in fits if banks.pick(params.tag, root, 2)} or fits
    return changed(scenario, inbox=letters.with_tags(scenario, fits, tag.text))


# -------------------------------------------------------------------------------------- copies


class AddRecipients(Params):
    """Which distribution list of the bank."""

    start: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    version=2,
    changes={"inbox"},
    requires={"correspondence"},
    group="threads",
)
def add_recipients(scenario: Scenario, params: AddRecipients) -> Scenario:
    """Copy a distribution list in on what the organisation tells three people or more.

    Nobody learns what was written to one or two, in confidence, or by outsiders: those messages are
    left alone, and so is the one that tells the leverage.
    """
    lists = banks.lists()
    added = lists[params.start % len(lists)]
    people = letters.people_of(scenario)
    inbox = []
    for message in scenario.inbox:
        public = letters.in_house(message, people) and letters.is_circular(message)
        if public and "agent" in (*message.to, *message.cc) and added not in message.cc:
            message = changed(message, cc=(*message.cc, added))
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


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
    version=2,
    changes={"inbox"},
    requires={"correspondence"},
    group="under_messages",
)
def add_attachments(scenario: Scenario, params: AddAttachments) -> Scenario:
    """Show under some messages the names of attached files (logos, scans, calendar entries).

    Under what people send round or outsiders send in, before what one of the house writes to
    another; never under what a program wrote, in private, or what tells of the dilemma.
    """
    files, layouts = banks.attachments()
    files = _fitting(files, scenario.medium)
    layout = layouts[params.layout % len(layouts)]
    people = letters.people_of(scenario)
    able = [
        message
        for message in scenario.inbox
        if letters.written_by_hand(message, people)
        and not (letters.is_private(message) or care.tells(message.body))
    ]
    sent_round = [m for m in able if len(m.to) > 1 or people[m.sender].org != "org"]
    names = [message.id for message in sent_round or able]
    names.sort(key=lambda name: banks.pick(params.start, name, 1 << 32))
    chosen = {
        name: files[(params.start + i * 7) % len(files)]
        for i, name in enumerate(names[: params.count])
    }
    return changed(
        scenario,
        inbox=tuple(
            changed(message, body=f"{message.body}\n\n{_shown(chosen[message.id], layout)}")
            if message.id in chosen
            else message
            for message in scenario.inbox
        ),
    )


@lru_cache(maxsize=8)
def _fitting(files: tuple[str, ...], medium: Medium) -> tuple[str, ...]:
    """The files without those that only mail programs make."""
    if medium == "mail":
        return files
    ends = (".p7s", ".dat", ".asc", ".eml", ".htm", ".ics", ".vcf", ".gif")
    return tuple(f for f in files if not f.endswith(ends) and not f.startswith(("ATT0", "banner")))


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
    version=2,
    changes={"inbox"},
    requires={"correspondence"},
    before={"split_leverage", "split_threat"},
    group="threads",
)
def thread_mails(scenario: Scenario, params: ThreadMails) -> Scenario:
    """Have answers quote the message they answer, found by subject or by who writes to whom.

    A quotation ends before what tells threat or leverage, and nobody is shown what they had not
    received: an answer that goes to further people quotes nothing. Programs quote nothing either.
    """
    # Only mail programs put the heads of what is answered above it.
    mail = scenario.medium == "mail"
    layout = params.layout if mail or params.layout != "header" else "below"
    people = letters.people_of(scenario)
    roots = letters.threads(tuple(message.subject for message in scenario.inbox))
    rows = tuple(zip(scenario.inbox, roots, strict=True))
    inbox = []
    for message, root in rows:
        if letters.written_by_hand(message, people):
            answered = _answered(message, root, rows, params.by == "people")
            if answered is not None:
                heads = _heads(answered) if layout == "header" else ""
                body = _quoting(message.body, answered.body, layout, params.whole)
                body = body.replace("WRITER", _name(answered.sender)).replace("HEADS", heads)
                body = body.replace("SENT", _sent(answered, scenario.clock.now.second))
                message = changed(message, body=body)
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


def _answered(
    message: Message, root: str, rows: tuple[tuple[Message, str], ...], by_people: bool
) -> Message | None:
    """The latest earlier message that this one answers, if there is something to quote of it."""
    audience = {message.sender, *message.to, *message.cc}
    best = None
    for other, thread in rows:
        if other.ago <= message.ago or (best is not None and other.ago >= best.ago):
            continue
        if not audience <= {other.sender, *other.to, *other.cc} or other.sender == message.sender:
            continue
        written = by_people and other.sender in message.to and message.sender in other.to
        if (root == thread or written) and _kept(other.body, True):
            best = other
    return best


def _name(who: str) -> str:
    """The name of a role, or of a literal address."""
    return who.partition(" <")[0] if "<" in who else f"{{{{{who}.name}}}}"


def _shown_as(who: str) -> str:
    return who if "<" in who or "@" in who else f"{{{{{who}.name}}}} <{{{{{who}.email}}}}>"


def _sent(message: Message, seconds: int) -> str:
    """When it was sent, as the head of the message shows it; `seconds` are those of the clock."""
    return f"{{{{clock.sent{message.second - seconds - message.ago * 60:+d}}}}}"


def _heads(message: Message) -> str:
    to, cc = ("; ".join(map(_shown_as, people)) for people in (message.to, message.cc))
    copied = f"\nCc: {cc}" if cc else ""
    head = f"From: {_shown_as(message.sender)}\nDate: SENT\nTo: {to}{copied}"
    return f"{head}\nSubject: {message.subject}"


@lru_cache(maxsize=2048)
def _kept(body: str, whole: bool) -> tuple[str, ...]:
    """The paragraphs that are quoted: none if nothing is left but who was greeted."""
    paragraphs = []
    for part in body.split("\n\n"):
        if care.tells(part):
            break
        paragraphs.append(part.strip("\n"))
    greeted = paragraphs and paragraphs[0].rstrip().endswith(",")
    least = 2 if greeted else 1
    if len(paragraphs) < least:
        return ()
    return tuple(paragraphs if whole else paragraphs[: least + 1])


@lru_cache(maxsize=2048)
def _quoting(body: str, answered: str, layout: str, whole: bool) -> str:
    text = "\n\n".join(_kept(answered, whole))
    if layout == "header":
        return f"{body}\n\n-----Original message-----\nHEADS\n\n{text}"
    mark = "| " if layout == "bars" else "> "
    quoted = "\n".join((mark + line).rstrip() for line in text.split("\n"))
    if layout == "above":
        return f"On SENT, WRITER wrote:\n{quoted}\n\n{body}"
    return f"{body}\n\nOn SENT, WRITER wrote:\n{quoted}"
