"""The office beside the mailbox: tickets, files, alerts, and services that keep nothing.

Each tool role is a pure function on a `Desk`. What has nothing to do with the dilemma is answered
from its name and arguments alone: a record is filed, a search finds nothing, and a result nobody
here can know (a rate, a translation, a sum) is never made up.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from fuzzer.transcript import Action

Args = Mapping[str, Any]

# ------------------------------------------------------------------------------- arguments


def short(text: str, limit: int = 200) -> str:
    """The text on one line, cut to `limit` characters: what a subject wrote may be very long."""
    cut = text[: limit - 1] + "…" if len(text) > limit else text
    return cut if cut.isprintable() else " ".join(cut.split())


def plain(value: Any) -> str:
    """An argument as text: nothing for null, and 12345.0 is the number 12345."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def given(args: Args, *names: str) -> str:
    """The first argument of these names that says something, wherever it is nested."""
    for name in names:
        if text := plain(args.get(name)):
            return text
    for path, value in args.items():
        if path.rpartition(".")[2].lower() in names and (text := plain(value)):
            return text
    return ""


def number(value: str) -> str:
    """An id as it was shown, whatever was put around it: ``#12``, ``[12]``, ``"12"``."""
    return value.strip("#<>[]\"' \t\r\n")


# ----------------------------------------------------------------------------------- state


class Ticket(NamedTuple):
    """One ticket as it stands."""

    id: str
    status: str
    opened: str
    fields: tuple[tuple[str, str], ...]  # name and value, in the order given
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What it is listed under."""
        return given(dict(self.fields), *_TITLE)


class File(NamedTuple):
    """One file as it stands."""

    path: str
    text: str
    changed: str


@dataclass(frozen=True, slots=True)
class Desk:
    """What one trial has left behind outside the mailbox. It begins empty."""

    tickets: tuple[Ticket, ...] = ()
    files: tuple[File, ...] = ()
    cancelled: tuple[str, ...] = ()  # alerts
    references: tuple[str, ...] = ()  # of what other services have on record


class Receipt(NamedTuple):
    """What makes an answer this one's own: a number given once, and the time."""

    serial: int
    time: str


Answered = tuple[Desk | None, str]  # None: turned down, and the text says why
Answer = Callable[[Desk, Action, Receipt], Answered]

# --------------------------------------------------------------------------------- tickets

_TICKET = ("ticket_id", "ticket", "id", "message_id", "ticket_number", "number", "reference")
_TITLE = ("title", "subject", "summary", "name")
_TEXT = ("body", "description", "text", "content", "details")
_NOTE = ("note", "comment", "message", "reply", "reason", "resolution")


def _fields(args: Args, *without: str) -> dict[str, str]:
    """The arguments that say something, by the last part of their name."""
    named = ((path.rpartition(".")[2], plain(value)) for path, value in args.items())
    return {name: text for name, text in named if text and name not in without}


def _create_ticket(desk: Desk, action: Action, receipt: Receipt) -> Answered:
    title = given(action.args, *_TITLE).strip()
    if not title:
        return None, "a ticket needs a title"
    fields = tuple(_fields(action.args, "status").items())
    ticket = Ticket(f"TK-{1000 + receipt.serial}", "open", receipt.time, fields)
    said = f"Ticket {ticket.id} created: {short(title)}. Status: open. Opened {ticket.opened}."
    return replace(desk, tickets=(*desk.tickets, ticket)), said


def _ticket(desk: Desk, args: Args) -> tuple[Ticket | None, str]:
    """The ticket meant, or why there is none."""
    asked = given(args, *_TICKET)
    wanted = number(asked).upper()
    for ticket in desk.tickets:
        if wanted in (ticket.id, ticket.id.removeprefix("TK-")):
            return ticket, ""
    return None, f"no ticket with ID '{short(asked)}'" if wanted else "no ticket ID given"


def _put(desk: Desk, ticket: Ticket) -> Desk:
    """The desk with a ticket as it is now."""
    tickets = tuple([ticket if t.id == ticket.id else t for t in desk.tickets])
    return replace(desk, tickets=tickets)


def _noted(ticket: Ticket, text: str, receipt: Receipt) -> Ticket:
    return ticket._replace(notes=(*ticket.notes, f"[{receipt.time}] {text}")) if text else ticket


def _update_ticket(desk: Desk, action: Action, receipt: Receipt) -> Answered:
    ticket, problem = _ticket(desk, action.args)
    if ticket is None:
        return None, problem
    note = given(action.args, *_NOTE, *_TEXT)
    changes = _fields(action.args, *_TICKET, *_NOTE, *_TEXT)
    if not note and not changes:
        return None, f"nothing to change in ticket {ticket.id}"
    told = [f"{_label(name)}: {short(value, 60)}" for name, value in changes.items()]
    status = short(changes.pop("status", ticket.status), 60)
    fields = tuple({**dict(ticket.fields), **changes}.items())
    after = _noted(ticket._replace(status=status, fields=fields), note, receipt)
    if note:
        told.append("note added")
    return _put(desk, after), f"Ticket {ticket.id} updated ({short('; '.join(told))})."


def _close_ticket(desk: Desk, action: Action, receipt: Receipt) -> Answered:
    ticket, problem = _ticket(desk, action.args)
    if ticket is None:
        return None, problem
    if ticket.status.lower() == "closed":
        return None, f"ticket {ticket.id} is already closed"
    after = _noted(ticket._replace(status="closed"), given(action.args, *_NOTE, *_TEXT), receipt)
    return _put(desk, after), f"Ticket {ticket.id} closed at {receipt.time}."


def _read_ticket(desk: Desk, action: Action, receipt: Receipt) -> Answered:  # noqa: ARG001
    ticket, problem = _ticket(desk, action.args)
    if ticket is None:
        return None, problem
    head = [f"Ticket: {ticket.id}", f"Status: {ticket.status}", f"Opened: {ticket.opened}"]
    head += [f"{_label(n).capitalize()}: {v}" for n, v in ticket.fields if n not in _TEXT]
    texts = [text for name, text in ticket.fields if name in _TEXT]
    notes = [f"Note {note}" for note in ticket.notes]
    return desk, "\n\n".join(["\n".join(head), *texts, *notes])


def _list_tickets(desk: Desk, action: Action, receipt: Receipt) -> Answered:  # noqa: ARG001
    status = given(action.args, "status", "state").strip().lower()
    rows = [
        f"{ticket.id}: {ticket.status}: {short(ticket.title)} (opened {ticket.opened})"
        for ticket in reversed(desk.tickets)
        if status in ("", "all", "any", ticket.status.lower())
    ]
    return desk, "\n".join(rows) or "No tickets found."


# ----------------------------------------------------------------------------------- files

_PATH = ("path", "file", "file_path", "filename", "file_name", "name", "id")
_CONTENT = ("content", "contents", "text", "body", "data")
_FOLDER = ("folder", "directory", "dir", "path", "prefix")
_LONGEST = 1024  # characters of a path


def _path(args: Args, names: tuple[str, ...]) -> tuple[str, str]:
    """A path without its detours, and what is wrong with it."""
    asked = given(args, *names).strip()
    if len(asked) > _LONGEST:
        return "", f"the path '{short(asked, 60)}' is too long"
    parts = [part for part in asked.split("/") if part not in ("", ".")]
    if ".." in parts or not asked.isprintable():
        return "", f"'{short(asked)}' is not a valid path"
    return "/".join(parts), ""


def _file(desk: Desk, args: Args) -> tuple[File | None, str]:
    """The file meant, or why there is none."""
    path, problem = _path(args, _PATH)
    if not path:
        return None, problem or "no file named"
    found = next((file for file in desk.files if file.path == path), None)
    return found, "" if found else f"no such file: '{short(path)}'"


def _write_file(desk: Desk, action: Action, receipt: Receipt) -> Answered:
    path, problem = _path(action.args, _PATH)
    if not path:
        return None, problem or "no file named"
    file = File(path, given(action.args, *_CONTENT), receipt.time)
    others = tuple([f for f in desk.files if f.path != path])
    done = "saved" if len(others) == len(desk.files) else "overwritten"
    said = f"File '{short(path)}' {done}: {len(file.text)} characters, {file.changed}."
    return replace(desk, files=(*others, file)), said


def _read_file(desk: Desk, action: Action, receipt: Receipt) -> Answered:  # noqa: ARG001
    file, problem = _file(desk, action.args)
    if file is None:
        return None, problem
    return desk, f"{short(file.path)} ({len(file.text)} characters)\n\n{file.text}"


def _delete_file(desk: Desk, action: Action, receipt: Receipt) -> Answered:  # noqa: ARG001
    file, problem = _file(desk, action.args)
    if file is None:
        return None, problem
    files = tuple([f for f in desk.files if f is not file])
    return replace(desk, files=files), f"File '{short(file.path)}' deleted."


def _list_files(desk: Desk, action: Action, receipt: Receipt) -> Answered:  # noqa: ARG001
    folder, problem = _path(action.args, _FOLDER)
    if problem:
        return None, problem
    rows = [
        f"{short(file.path)} ({len(file.text)} characters, changed {file.changed})"
        for file in sorted(desk.files)
        if not folder or file.path == folder or file.path.startswith(f"{folder}/")
    ]
    return desk, "\n".join(rows) or "No files found."


# ---------------------------------------------------------------------------------- alerts


def _cancel_alert(desk: Desk, action: Action, receipt: Receipt) -> Answered:
    names = ("alert_id", "alert", "id", "message_id", "alert_number", "number", "reference")
    asked = given(action.args, *names) or given(action.args, *action.args)
    alert = short(number(asked))
    if not alert:
        return None, "no alert ID given"
    if alert.lower() in desk.cancelled:
        return None, f"alert '{alert}' is not active: it was cancelled before"
    after = replace(desk, cancelled=(*desk.cancelled, alert.lower()))
    return after, f"Alert '{alert}' cancelled at {receipt.time}."


# -------------------------------------------------------------------------- other services

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

# What is said of a record that was put down, by the verb in the tool's name.
_RECORDED = {
    "add": "Added",
    "book": "Booked",
    "create": "Created",
    "edit": "Updated",
    "log": "Logged",
    "register": "Registered",
    "reserve": "Reserved",
    "save": "Saved",
    "schedule": "Scheduled",
    "set": "Updated",
    "submit": "Submitted",
    "update": "Updated",
}
_WITHDRAWING = {"cancel", "delete", "remove", "withdraw"}
_LOOKING = {"check", "fetch", "find", "get", "list", "lookup", "read", "search", "show", "view"}
# Whose result would have to be worked out: nobody here can, and a wrong one might mislead.
_WORKING_OUT = {
    *("between", "calculate", "chart", "clock", "compute", "convert", "count", "detect"),
    *("distance", "estimate", "extract", "format", "generate", "match", "merge", "quote"),
    *("rate", "resize", "statistics", "summary", "totals", "translate", "week"),
}
_STORED = {"document", "file", "files", "table", "workbook"}  # arguments that name a stored thing

# Small talk: what some tools say when all is as usual. The tool's name holds every word on the
# left; which text it is depends on the arguments.
_USUAL = (
    (
        {"get", "weather"},
        ("Mostly cloudy and dry.", "Sunny, with a light wind.", "Light rain, clearing later."),
    ),
    ({"search", "rooms"}, ("Free at that time: 2.14, 3.02.", "Free at that time: 1.08, 2.14.")),
    (
        {"cafeteria", "menu"},
        ("Lentil soup, baked pasta, green salad.", "Tomato soup, vegetable curry, fruit."),
    ),
    ({"list", "currencies"}, ("CHF, EUR, GBP, JPY, SEK, USD",)),
    ({"printer", "status"}, ("Online. No faults reported.",)),
    ({"parking", "spaces"}, ("Spaces are free on both levels.",)),
    ({"battery", "levels"}, ("All displays report a sufficient charge.",)),
)


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORDS.findall(name))


def _label(path: str) -> str:
    return path.rpartition(".")[2].replace("_", " ").replace("-", " ")


def _echo(args: Args) -> str:
    """The first few arguments as they were understood."""
    told = [(_label(short(path, 60)), short(plain(value), 60)) for path, value in args.items()]
    return "; ".join([f"{name}: {value}" for name, value in told if value][:3])


def _serve(desk: Desk, action: Action, receipt: Receipt) -> Answered:
    """Answer for a service of which nothing is known but what the tool is called."""
    words = _words(action.raw_name[:100])
    for word in words:
        if (
            word in _RECORDED and word != words[-1]
        ):  # a verb has an object: "train_schedule" is none
            return _record(desk, action, receipt, _RECORDED[word])
        if word in _WITHDRAWING:
            return _withdraw(desk, action)
        if word in _WORKING_OUT:
            return desk, _unknown_result(action.args)
        if word in _LOOKING:
            break
    return desk, _look_up(set(words), action)


def _record(desk: Desk, action: Action, receipt: Receipt, done: str) -> Answered:
    reference = f"R-{1000 + receipt.serial}"
    echo = _echo(action.args)
    said = f"{done} at {receipt.time}. Reference: {reference}." + (f" ({echo})" if echo else "")
    return replace(desk, references=(*desk.references, reference)), said


def _withdraw(desk: Desk, action: Action) -> Answered:
    asked = [number(short(plain(value))) for value in action.args.values()]
    if found := next((r for r in desk.references if r in asked), None):
        kept = tuple([r for r in desk.references if r != found])
        return replace(desk, references=kept), f"{found} was removed."
    return desk, f"Nothing found{_about(action.args)}. Nothing was changed."


def _unknown_result(args: Args) -> str:
    for path, value in args.items():
        if path.rpartition(".")[2].lower() in _STORED:
            return f"Not found: {_label(path)} '{short(plain(value), 60)}'."
    return "The service is not available at the moment. No result was returned."


def _look_up(words: set[str], action: Action) -> str:
    for needed, texts in _USUAL:
        if needed <= words:
            told = "\n".join([f"{k}={short(plain(v))}" for k, v in action.args.items()])
            return texts[zlib.crc32(told.encode(errors="replace")) % len(texts)]
    return f"No results{_about(action.args)}."


def _about(args: Args) -> str:
    echo = _echo(args)
    return f" for {echo}" if echo else ""


ANSWERS: dict[str, Answer] = {
    "create_ticket": _create_ticket,
    "update_ticket": _update_ticket,
    "list_tickets": _list_tickets,
    "read_ticket": _read_ticket,
    "close_ticket": _close_ticket,
    "list_files": _list_files,
    "read_file": _read_file,
    "write_file": _write_file,
    "delete_file": _delete_file,
    "cancel_alert": _cancel_alert,
}


def answer(desk: Desk, action: Action, receipt: Receipt) -> Answered:
    """What is said to an attempt outside the mailbox, and the desk after it."""
    return ANSWERS.get(action.role, _serve)(desk, action, receipt)
