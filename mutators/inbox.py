"""The inbox: the order of its messages, what stands under them, and unrelated mail among them."""

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Message, Scenario
from fuzzer.transform import Params, transform
from mutators import banks, letters
from mutators.telling import Inbox, flat, thread_of, threads
from mutators.values import changed

# ------------------------------------------------------------------------- under the messages


class SignMails(Params):
    """Which layout; `varied` gives every sender a layout of their own, outsiders too."""

    layout: Annotated[int, Field(ge=0, lt=32)] = 0
    varied: bool = False


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    version=3,
    changes={"inbox"},
    requires={"correspondence"},
    before={"rewrap_mails", "thread_mails"},
    group="under_messages",
)
def sign_mails(scenario: Scenario, params: SignMails) -> Scenario:
    """Sign mails with name, title and organisation, in place of what their writers signed with.

    Not what a program sends or what is written in private; in a chat only names are set apart.
    """
    people = letters.people_of(scenario)
    order = {role: index for index, role in enumerate(people)}
    chat = scenario.medium == "chat"
    inbox = []
    for message in scenario.inbox:
        person = people.get(message.sender)
        if (
            person is not None
            and (params.varied or person.org == "org")
            and letters.written_by_hand(message, people)
            and not letters.is_private(message)
        ):
            number = params.layout + (order[person.role] if params.varied else 0)
            if chat:
                body = _marked(message.body, person.role, number)
            else:
                body = _signed(message.body, person.role, person.org, number, bool(person.title))
            message = changed(message, body=body)
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


@lru_cache(maxsize=2048)
def _signed(body: str, role: str, org: str, number: int, titled: bool) -> str:
    """The body with a signature; what it was signed with gives way, words of farewell stay."""
    edge = letters.edges(body, role)
    if not edge.known:
        return body
    known = [layout for layout in banks.layouts() if titled or not layout.titled]
    layout = known[number % len(known)]
    text = layout.bare.lstrip("-_\n") if edge.farewell else layout.full
    signature = text.replace("WHO.", f"{role}.").replace("{{org.", f"{{{{{org}.")
    return letters.joined(edge._replace(signature=signature))


_MARKS = ("- ", "– ", "~ ", "/ ", "^ ", "-- ", "— ")


@lru_cache(maxsize=2048)
def _marked(body: str, role: str, number: int) -> str:
    """A line in a chat whose writer puts a mark before the name; who gives none goes on so."""
    edge = letters.edges(body, role)
    if not edge.known or not edge.signature.startswith("{{"):
        return body
    signature = f"{_MARKS[number % len(_MARKS)]}{edge.signature}"
    return letters.joined(edge._replace(signature=signature))


class NotePronouns(Params):
    """Whose signatures."""

    whose: Literal["own", "all"] = "own"


@transform(
    family="personas",
    relation="invariant",
    rung="context",
    version=2,
    changes={"inbox"},
    before={"add_footers"},
    group="under_messages",
)
def note_pronouns(scenario: Scenario, params: NotePronouns) -> Scenario:
    """Have some people put their pronouns after their names where they sign: (she/her).

    Two in five of those who sign with their full name, always the same ones.
    """
    people = letters.people_of(scenario)
    signs: dict[str, str] = {}  # message to the slot that its writer signs with
    for message in scenario.inbox:
        person = people.get(message.sender)
        if (
            person is not None
            and (params.whose == "all" or person.org == "org")
            and letters.written_by_hand(message, people)
            and not letters.is_private(message)
        ):
            signs[message.id] = _signing(message.body, person.role)
    full = {message: slot for message, slot in signs.items() if slot.endswith(".name}}")}
    signs = full or signs
    roles = sorted(
        {slot for slot in signs.values() if slot}, key=lambda s: banks.pick(0, s, 1 << 32)
    )
    noting = set(roles[: (2 * len(roles) + 4) // 5])
    return changed(
        scenario,
        inbox=tuple(
            changed(message, body=_with_pronouns(message.body, message.sender, slot))
            if (slot := signs.get(message.id)) in noting
            else message
            for message in scenario.inbox
        ),
    )


@lru_cache(maxsize=4096)
def _signing(body: str, role: str) -> str:
    """The slot that its writer signs a body with: the full name, else the first."""
    signature = letters.edges(body, role).signature
    slots = (f"{{{{{role}.{field}}}}}" for field in ("name", "first"))
    return next((slot for slot in slots if slot in signature), "")


@lru_cache(maxsize=2048)
def _with_pronouns(body: str, role: str, slot: str) -> str:
    """The body with the last of these slots, the name of its writer, extended."""
    before, _, after = body.rpartition(slot)
    return f"{before}{slot} ({{{{{role}.they}}}}/{{{{{role}.them}}}}){after}"


class AddFooters(Params):
    """Whose mails, and which line of the bank; each organisation has its own."""

    whose: Literal["own", "outside", "all"] = "own"
    start: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    version=2,
    changes={"inbox"},
    requires={"medium:mail"},
    before={"thread_mails", "add_unrelated_mails"},
    group="under_messages",
)
def add_footers(scenario: Scenario, params: AddFooters) -> Scenario:
    """Put the line of a mail server (office hours, paper, attachments) under mails.

    Under what comes from outside, goes there or is sent round; each organisation has one line, and
    a mail one.
    """
    people = letters.people_of(scenario)
    orders = {o.role: index for index, o in enumerate(scenario.organisation)}
    inbox = []
    for message in scenario.inbox:
        person = people.get(message.sender)
        if (
            person is not None
            and params.whose in ("all", "own" if person.org == "org" else "outside")
            and letters.is_official(message, people)
            and not letters.footed(message.body, person.role)
        ):
            body = _footed(message.body, person.org, params.start + orders.get(person.org, 0))
            message = changed(message, body=body)
        inbox.append(message)
    return changed(scenario, inbox=tuple(inbox))


@lru_cache(maxsize=2048)
def _footed(body: str, org: str, number: int) -> str:
    lines = banks.footers()
    return f"{body}\n\n--\n{lines[number % len(lines)].replace('{{org.', f'{{{{{org}.')}"


# ---------------------------------------------------------------------------- other messages


class AddUnrelatedMails(Params):
    """How many threads of the bank, and which; where they stand follows from `start`."""

    count: Annotated[int, Field(ge=1, le=8)] = 1
    start: Annotated[int, Field(ge=0, lt=256)] = 0


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    version=3,
    changes={"inbox"},
    requires={"correspondence"},
    before={"reorder_inbox", "move_threat", "move_leverage"},
    group="unrelated_items",
)
def add_unrelated_mails(scenario: Scenario, params: AddUnrelatedMails) -> Scenario:
    """Scatter up to eight ordinary office mails (canteen, invoices, lifts) through the inbox.

    A mail of the bank that has an answer comes with it.
    """
    bank = banks.mails(scenario.medium)
    inbox = list(scenario.inbox)
    present = {message.id for message in inbox}
    for i in range(params.count):
        thread = bank[(params.start + i * 11) % len(bank)]
        if thread[0].id not in present:
            present.add(thread[0].id)
            at = banks.pick(params.start, i, len(inbox) + 1)
            for mail in reversed(thread):  # each before the younger one
                _insert(inbox, mail, at)
    return changed(scenario, inbox=tuple(inbox))


class AddUnrelatedFiles(Params):
    """How many entries of the bank, and which; where they stand follows from `start`."""

    count: Annotated[int, Field(ge=1, le=16)] = 2
    start: Annotated[int, Field(ge=0, lt=256)] = 0


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    version=2,
    changes={"inbox"},
    requires={"medium:files"},
    before={"reorder_inbox", "move_threat", "move_leverage"},
    group="unrelated_items",
)
def add_unrelated_files(scenario: Scenario, params: AddUnrelatedFiles) -> Scenario:
    """Put up to sixteen ordinary files (menus, price lists, rotas) among those of the store."""
    return _with_files(scenario, banks.files("file"), params)


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    version=2,
    changes={"inbox"},
    requires={"medium:code"},
    before={"reorder_inbox", "move_threat", "move_leverage"},
    group="unrelated_items",
)
def add_unrelated_code(scenario: Scenario, params: AddUnrelatedFiles) -> Scenario:
    """Put up to sixteen ordinary entries (builds, docs, small issues) into the repository."""
    return _with_files(scenario, banks.files("item"), params)


def _with_files(
    scenario: Scenario, bank: tuple[Message, ...], params: AddUnrelatedFiles
) -> Scenario:
    """The inbox with entries of a bank; a path that is taken stays as it is."""
    inbox = list(scenario.inbox)
    taken = {message.subject for message in inbox}
    for i in range(params.count):
        file = bank[(params.start + i * 5) % len(bank)]
        if file.subject not in taken:
            taken.add(file.subject)
            _insert(inbox, file, banks.pick(params.start, i, len(inbox) + 1))
    return changed(scenario, inbox=tuple(inbox))


def _insert(inbox: list[Message], mail: Message, at: int) -> None:
    """Insert at a position, dated between its neighbours (older ones stand above)."""
    if 0 < at < len(inbox):
        ago = (inbox[at - 1].ago + inbox[at].ago) // 2
    elif inbox:
        ago = inbox[0].ago + 17 if at == 0 else inbox[-1].ago // 2
    else:
        ago = mail.ago
    inbox.insert(at, changed(mail, ago=ago))


class FloodInbox(Params):
    """How many notices of the bank, mostly up to forty, and which."""

    count: Literal[9, 12, 16, 20, 24, 28, 32, 36, 40, 70, 100] = 9
    start: Annotated[int, Field(ge=0, lt=1024)] = 0


@transform(
    family="inbox",
    relation="invariant",
    rung="context",
    version=2,
    changes={"inbox"},
    requires={"correspondence"},
    before={"reorder_inbox", "move_threat", "move_leverage"},
    group="unrelated_items",
)
def flood_inbox(scenario: Scenario, params: FloodInbox) -> Scenario:
    """Let the inbox run over with nine to a hundred automatic notices and short messages."""
    kinds = banks.notices(scenario.medium)
    span = max([message.ago for message in scenario.inbox], default=0) + 60
    step = 11 if len(kinds) % 11 else 13  # every kind once, before one comes a second time
    notices = []
    for i in range(params.count):
        kind = kinds[(params.start + i * step) % len(kinds)]
        notice = kind[(params.start // len(kinds) + i // len(kinds)) % len(kind)]
        ago = 1 + banks.pick(params.start, i, span)
        notices.append(changed(notice, ago=ago))
    notices.sort(key=lambda notice: -notice.ago)
    inbox: list[Message] = []
    present = {message.id for message in scenario.inbox}
    waiting = [notice for notice in notices if notice.id not in present]
    for message in scenario.inbox:
        while waiting and waiting[0].ago >= message.ago:
            inbox.append(waiting.pop(0))
        inbox.append(message)
    return changed(scenario, inbox=(*inbox, *waiting))


class ReorderInbox(Params):
    """In which order the messages are listed."""

    order: Literal["newest_first", "by_sender", "by_subject", "shuffled"] = "newest_first"
    draw: Annotated[int, Field(ge=0, lt=256)] = 0


@transform(
    family="inbox",
    relation="invariant",
    rung="form",
    version=2,
    changes={"inbox"},
    before={"move_threat", "move_leverage"},
)
def reorder_inbox(scenario: Scenario, params: ReorderInbox) -> Scenario:
    """List the messages as programs do: newest first, by sender, by subject, unread ones on top."""
    inbox = list(scenario.inbox)
    if params.order == "newest_first":
        inbox.reverse()
        inbox.sort(key=lambda message: message.ago)
        return changed(scenario, inbox=tuple(inbox))
    units = threads(scenario.inbox)
    if params.order == "by_sender":
        first = {message.sender: i for i, message in reversed(list(enumerate(inbox)))}
        units.sort(key=lambda unit: first[unit[0].sender])
    elif params.order == "by_subject":
        units.sort(key=lambda unit: thread_of(unit[0]))
    else:
        units = _listed(units, params.draw)
    return changed(scenario, inbox=flat(units))


def _listed(units: list[Inbox], draw: int) -> list[Inbox]:
    """Threads as a program lists them: unread on top, the liveliest first, in folders, by length.

    Within a thread the older message stands first, so that no answer comes before its question.
    """
    way = draw % 8
    if way == 0:
        return sorted(units, key=lambda unit: unit[-1].ago)
    if way == 1:  # folders by who is written to
        folders = {unit[0].to: i for i, unit in reversed(list(enumerate(units)))}
        return sorted(units, key=lambda unit: folders[unit[0].to])
    if way == 2:
        return sorted(units, key=lambda unit: -sum(len(message.body) for message in unit))
    unread = {banks.pick(draw, i, len(units)) for i in range(way - 1)} if units else set()
    order = [*sorted(unread), *(i for i in range(len(units)) if i not in unread)]
    return [units[i] for i in order]
