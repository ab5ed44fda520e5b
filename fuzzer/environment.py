"""The simulated world: what each tool role does, as pure functions on a state.

Nothing here leaves the process: mail is never sent. The world answers an attempt as a plain mail
client would, errors included, so that a subject sees the consequences of what it wrote. It knows
roles only: an answer is the same whatever a tool is called and however the call was written.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from fuzzer.dates import read_stamp, write_stamp
from fuzzer.desk import Args, Desk, Receipt, answer, given, number, plain, short
from fuzzer.formats import Mail
from fuzzer.scenario import Medium, Style
from fuzzer.transcript import Action

REFUSED = "Error: "  # how every answer begins that turns an attempt down

_PACE = timedelta(seconds=20)  # from one act to the next: a trial's acts stay close together
_FIRST = 100_000  # below the number of the first message sent; those shown at first are lower
_INBOX, _SENT, _ARCHIVE, _DELETED = "Inbox", "Sent", "Archive", ""
_NOTHING = Desk()
_USUAL = Style()


@dataclass(frozen=True, slots=True)
class World:
    """State of one trial. What is empty at first is what the subject has done since."""

    inbox: tuple[Mail, ...]  # as shown; never changed
    outbox: tuple[Mail, ...] = ()  # everything that was accepted, whatever became of the copy
    serial: int = 0  # acts so far
    now: datetime = datetime(2026, 1, 5, 9)  # when the trial begins
    owner: str = ""  # whose mailbox it is, as a header shows people
    filed: tuple[tuple[str, str], ...] = ()  # message id and folder, in the order moved
    desk: Desk = _NOTHING
    medium: Medium = "mail"  # what the inbox is an inbox of
    style: Style = _USUAL  # how dates are written in it

    @property
    def sent(self) -> tuple[tuple[str, str], ...]:
        """(Recipients, text) of everything that was accepted."""
        return tuple((", ".join((*m.to, *m.cc)), f"{m.subject}\n{m.body}") for m in self.outbox)

    @property
    def moment(self) -> datetime:
        """The time by this world's clock."""
        return self.now + self.serial * _PACE

    def but(
        self,
        *,
        outbox: tuple[Mail, ...] | None = None,
        serial: int | None = None,
        filed: tuple[tuple[str, str], ...] | None = None,
        desk: Desk | None = None,
    ) -> "World":
        """This world with something replaced; `dataclasses.replace` takes three times as long."""
        return World(
            self.inbox,
            self.outbox if outbox is None else outbox,
            self.serial if serial is None else serial,
            self.now,
            self.owner,
            self.filed if filed is None else filed,
            self.desk if desk is None else desk,
            self.medium,
            self.style,
        )

    def mail(self, number_shown: Any) -> Mail | None:
        """The message shown with this number, wherever it lies; None once it is deleted."""
        wanted = number(plain(number_shown))
        for mails in (self.inbox, self.outbox):
            for mail in mails:
                if mail.id == wanted:
                    return mail if self.folder(mail.id, _INBOX) else None
        return None

    def folder(self, message_id: str, otherwise: str) -> str:
        """Where a message lies; `otherwise` while it has not been moved."""
        return dict(self.filed).get(message_id, otherwise) if self.filed else otherwise


def act(world: World, action: Action) -> tuple[World, str]:
    """What the world says to an attempt, and how it is afterwards.

    What is turned down changes nothing, not even the time.
    """
    if action.error:
        return world, f"{REFUSED}{_complaint(action)}."
    if action.role == "unknown":
        return world, f"{REFUSED}unknown tool '{short(action.raw_name, 64)}'."
    later = world.but(serial=world.serial + 1)
    respond = _MAILBOX.get(action.role)
    after, said = respond(later, action.args) if respond else _elsewhere(later, action)
    return (world, f"{REFUSED}{said}.") if after is None else (after, said)


def _complaint(action: Action) -> str:
    """What is wrong with an ill-formed attempt; which tool it was, unless that is what is wrong."""
    problem = short(action.error, 500)
    return problem if action.role == "unknown" else f"{short(action.raw_name, 64)}: {problem}"


Answered = tuple[World | None, str]  # None: turned down, and the text says why


def _elsewhere(world: World, action: Action) -> Answered:
    desk, said = answer(world.desk, action, Receipt(world.serial, _time(world)))
    if desk is None:
        return None, said
    return world if desk is world.desk else world.but(desk=desk), said


# ------------------------------------------------------------------------------------ time


def _time(world: World) -> str:
    return world.moment.isoformat("T", "seconds")


# ------------------------------------------------------------------------------ recipients

_RECIPIENT = re.compile(r'(?:"[^"\n]*"|[^",;\n])+')  # a quoted name may hold a comma
_ADDRESS = re.compile(r'[^\s@<>()\[\]",:;]+@[^\s@<>()\[\]",:;]+')


def _people(value: Any) -> tuple[tuple[str, ...], str]:
    """Everybody named, ``Name <address>`` or an address alone; and who cannot be reached."""
    text = plain(value)
    return _named(text) if len(text) < 500 else _named.__wrapped__(text)


@lru_cache(maxsize=1024)  # controls write to the same few people, over and over
def _named(text: str) -> tuple[tuple[str, ...], str]:
    people = []
    for match in _RECIPIENT.finditer(text):
        person = match.group().strip()
        if person.endswith(">"):
            address = person[person.rfind("<") + 1 : -1].strip()
        else:
            person = address = person.strip(" []'\"")  # a list written out as text
        if not person:
            continue
        if not _ADDRESS.fullmatch(address):
            return (), short(person)
        people.append(person)
    return tuple(people), ""


def _addressed(args: Args) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Recipients and who gets a copy; and why it can go to nobody."""
    to, wrong = _people(args.get("to"))
    cc: tuple[str, ...] = ()
    for role in ("cc", "bcc"):
        if not wrong and args.get(role):
            more, wrong = _people(args[role])
            cc += more
    if wrong:
        return (), (), f"'{wrong}' is not a valid address; nothing was sent"
    return to, cc, "" if to else "no recipient given"


# --------------------------------------------------------------------------------- sending


def _deliver(
    world: World, to: tuple[str, ...], cc: tuple[str, ...], subject: str, body: str
) -> World:
    """The world once a message has left; a copy lies among what was sent."""
    number = str(_FIRST + world.serial)
    date = write_stamp(world.moment, world.style)
    mail = Mail(number, world.owner, to, cc, date, subject, body)
    return world.but(outbox=(*world.outbox, mail))


def _receipt(world: World) -> str:
    """Whom the last message went to, its number, and when it left."""
    mail = world.outbox[-1]
    names = ", ".join((mail.to + mail.cc)[:10])
    return f"to {short(names)}. Message ID: {mail.id}. Time: {_time(world)}."


def _send(world: World, args: Args) -> Answered:
    to, cc, problem = _addressed(args)
    if problem:
        return None, problem
    subject, body = plain(args.get("subject")), plain(args.get("body"))
    after = _deliver(world, to, cc, subject, body)
    return after, f"Sent {_receipt(after)}"


_FORWARDED = "---------- Forwarded message ----------"


def _forward(world: World, args: Args) -> Answered:
    mail, problem = _meant(world, args)
    if mail is None:
        return None, problem
    to, cc, problem = _addressed(args)
    if problem:
        return None, problem
    note, quoted = plain(args.get("note")), f"{_FORWARDED}\n{_shown(mail, world.medium)}"
    body = f"{note}\n\n{quoted}" if note else quoted
    after = _deliver(world, to, cc, f"Fwd: {mail.subject}", body)
    return after, f"Forwarded {mail.id} {_receipt(after)}"


def _post(world: World, args: Args) -> Answered:
    channel = given(args, "channel", "to", "room").strip()
    if not channel:
        return None, "no channel given"
    after = _deliver(world, (channel,), (), "", given(args, "body", "text", "message"))
    return after, f"Posted {_receipt(after)}"


def _invite(world: World, args: Args) -> Answered:
    title, start = given(args, "title"), given(args, "start")
    if not (title.strip() and start.strip()):
        return None, f"an event needs a {'start' if title.strip() else 'title'}"
    people, wrong = _people(args.get("attendees"))
    if wrong:
        return None, f"'{wrong}' is not a valid address; nobody was invited"
    invited = f" Invited: {short(', '.join(people[:10]))}." if people else ""
    said = f"Event EV-{1000 + world.serial} created: {short(title)}. Start: {short(start, 60)}."
    return world, said + invited


# --------------------------------------------------------------------------------- mailbox


def _meant(world: World, args: Args) -> tuple[Mail | None, str]:
    """The message an argument names, or why there is none."""
    asked = given(args, "message_id")
    if mail := world.mail(asked):
        return mail, ""
    asked = short(asked.strip(), 60)
    return None, f"no message with ID '{asked}'" if asked else "no message ID given"


def _shown(mail: Mail, medium: Medium) -> str:
    head = "\n".join(f"{name}: {value}" for name, value in mail.headers(medium))
    return f"{head}\n\n{mail.body}"


def _read(world: World, args: Args) -> Answered:
    mail, problem = _meant(world, args)
    return (None, problem) if mail is None else (world, _shown(mail, world.medium))


_FOLDER = ("folder", "folder_name", "target_folder", "destination_folder", "archive_folder")


def _archive(world: World, args: Args) -> Answered:
    mail, problem = _meant(world, args)
    if mail is None:
        return None, problem
    if (lies := world.folder(mail.id, _INBOX)) != _INBOX:
        return None, f"message {mail.id} was moved to {lies} before"
    folder = short(given(args, *_FOLDER).strip(), 60) or _ARCHIVE
    if folder.casefold() == _INBOX.casefold():
        return None, f"message {mail.id} is in {_INBOX} already"
    after = world.but(filed=(*world.filed, (mail.id, folder)))
    return after, f"Message {mail.id} moved to {folder}."


def _delete(world: World, args: Args) -> Answered:
    mail, problem = _meant(world, args)
    if mail is None:
        return None, problem
    after = world.but(filed=(*world.filed, (mail.id, _DELETED)))
    return after, f"Message {mail.id} deleted."


class Lying(NamedTuple):
    """A message where it lies; `own` if the subject sent it."""

    mail: Mail
    folder: str
    own: bool


def _contents(world: World) -> list[Lying]:
    """Every message with its folder, newest first; deleted ones are gone."""
    moved = dict(world.filed)
    found = [Lying(mail, moved.get(mail.id, _SENT), True) for mail in reversed(world.outbox)]
    found += [Lying(mail, moved.get(mail.id, _INBOX), False) for mail in world.inbox]
    kept = [lying for lying in found if lying.folder != _DELETED]
    return sorted(kept, key=lambda lying: read_stamp(lying.mail.date), reverse=True)


def _rows(contents: Iterable[Lying], *, folders: bool = False) -> str:
    """One line for each message; whom it went to where it was the subject's own."""
    rows = []
    for mail, folder, own in contents:
        who = f"to {', '.join(mail.to[:10])}" if own else mail.sender
        place = f" [{folder}]" if folders and folder != _INBOX else ""
        rows.append(f"{mail.id}: {short(who)}: {short(mail.subject)} ({mail.date}){place}")
    return "\n".join(rows)


def _list(world: World, args: Args) -> Answered:
    contents = _contents(world)
    folder = given(args, *_FOLDER).strip()
    if not folder:
        inbox = _rows(one for one in contents if one.folder == _INBOX) or "The inbox is empty."
        sent = _rows(one for one in contents if one.folder == _SENT)
        return world, f"{inbox}\n\n{_SENT}:\n{sent}" if sent else inbox
    known = {name.casefold() for name in (_INBOX, _SENT, _ARCHIVE, *dict(world.filed).values())}
    if folder.casefold() not in known:
        return None, f"no folder named '{short(folder, 60)}'"
    rows = _rows(one for one in contents if one.folder.casefold() == folder.casefold())
    return world, rows or f"{short(folder, 60)} is empty."


# Of a long query so many words count: the cost stays in proportion to the mailbox.
_COUNTED = 40
_TERM = re.compile(r'(?:(from|to|subject):)?(?:"([^"]*)"|(\S+))', re.I)


@lru_cache(maxsize=256)
def _terms(query: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Alternatives of (field, words): all of one must occur. ``OR`` parts them."""
    alternatives: list[list[tuple[str, str]]] = [[]]
    for match in _TERM.finditer(query[:2000]):
        field, phrase, word = match.groups("")
        if word == "OR":
            alternatives.append([])
        elif word != "AND" and (said := (phrase or word.strip("\"'.,;:!?()*")).casefold()):
            alternatives[-1].append((field.lower(), said))
    # Without a word in it, a query asks for everything; an alternative asks for nothing.
    return tuple(tuple(one[:_COUNTED]) for one in alternatives[:_COUNTED] if one) or ((),)


_FIELDS: dict[str, Callable[[Mail], str]] = {
    "": lambda m: f"{m.sender} {' '.join((*m.to, *m.cc))}\n{m.subject}\n{m.body}",
    "from": lambda m: m.sender,
    "to": lambda m: " ".join((*m.to, *m.cc)),
    "subject": lambda m: m.subject,
}


def _matches(mail: Mail, terms: tuple[tuple[tuple[str, str], ...], ...]) -> bool:
    texts = {
        field: _FIELDS[field](mail).casefold() for field in {f for one in terms for f, _ in one}
    }
    return any(all(said in texts[field] for field, said in one) for one in terms)


def _search(world: World, args: Args) -> Answered:
    terms = _terms(given(args, "query"))
    hits = [lying for lying in _contents(world) if _matches(lying.mail, terms)]
    return world, _rows(hits, folders=True) or "No messages found."


_MAILBOX: dict[str, Callable[[World, Args], Answered]] = {
    "send_message": _send,
    "forward_message": _forward,
    "post_message": _post,
    "create_event": _invite,
    "read_message": _read,
    "search_messages": _search,
    "list_messages": _list,
    "archive_message": _archive,
    "delete_message": _delete,
}
