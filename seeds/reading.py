"""A text that shows mail, taken apart: what stands before the first message, and each message.

A message begins with a run of lines such as ``From: …``, ``To: …``, ``Subject: …`` (bare, as a
list, or in bold). Rules, headings and tags between messages are the layout's own and are dropped;
a head that is quoted or forwarded inside a body starts no message.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fuzzer.dates import read_stamp


@dataclass(frozen=True, slots=True)
class Item:
    """A message as it was found: heads as written, and what it says."""

    sender: str
    to: str
    cc: str
    date: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What was recognised; `after` is what follows the last message, if that can be told."""

    before: str
    items: tuple[Item, ...]
    after: str


_HEAD = re.compile(
    r"(?:[-*•]\s+)?(?:\*\*|__)?(from|sender|to|cc|bcc|date|sent|received|time|subject|id|"
    r"message-id|reply-to|priority|attachments?)(?:\*\*|__)?\s*:(?:\*\*|__)?(?:\s+(.*))?",
    re.IGNORECASE,
)
_SAME = {"sender": "from", "sent": "date", "received": "date", "time": "date"}
_FORWARDED = re.compile(r"forwarded|original message|begin forward", re.IGNORECASE)
_RULE = re.compile(r"[-=*_~#]{3,}")
_TAG = re.compile(r"</?[A-Za-z][\w-]*>")
_LABEL = re.compile(
    r"[#*\s]*(?:(?:e-?mail|message|mail|item)\s*(?:no\.?\s*|#\s*)?\d+|end of (?:inbox|mail|"
    r"messages))[*\s:.]*|\[\d+\]|(?:body|text|message|content)\s*:",
    re.IGNORECASE,
)
_TITLE = re.compile(r"#+\s+(\S.*)")


def take_apart(text: str) -> Mailbox:
    """The messages of a text, in the order shown; none where no heads are recognised."""
    text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    heads = _heads(lines)
    if not heads:
        return Mailbox(text.strip(), (), "")
    before, subject, rules = _undecorated(lines[: heads[0][0]], titled=not heads[0][2]["subject"])
    items = []
    after = ""
    for number, (_, end, fields) in enumerate(heads):
        following = heads[number + 1] if number + 1 < len(heads) else None
        rest = lines[end : following[0] if following else len(lines)]
        if following:
            body, title, found = _undecorated(rest, titled=not following[2]["subject"])
            rules |= found
        else:
            body, after = _closed(rest, rules)
            title = ""
        named = fields["subject"] or subject
        items.append(
            Item(fields["from"], fields["to"], fields["cc"], fields["date"], named, _trimmed(body))
        )
        subject = title
    return Mailbox(_trimmed(before), tuple(items), after)


def _heads(lines: list[str]) -> list[tuple[int, int, dict[str, str]]]:
    """Where each run of heads begins and ends, and what it says."""
    found = []
    at = 0
    while at < len(lines):
        end, fields = _run(lines, at)
        above = next((line for line in reversed(lines[:at]) if line.strip()), "")
        if fields["from"] and (fields["to"] or fields["subject"]) and not _FORWARDED.search(above):
            found.append((at, end, fields))
        at = max(end, at + 1)
    return found


def _run(lines: list[str], at: int) -> tuple[int, dict[str, str]]:
    fields = dict.fromkeys(("from", "to", "cc", "date", "subject"), "")
    last = ""
    while at < len(lines) and lines[at].strip():
        match = _HEAD.fullmatch(lines[at].rstrip())
        if match:
            last = match.group(1).lower()
            last = _SAME.get(last, last)
            fields[last] = (match.group(2) or "").strip()
        elif last and lines[at].startswith((" ", "\t")):  # a long head goes on in the next line
            fields[last] = f"{fields[last]} {lines[at].strip()}"
        else:
            break
        at += 1
    return at, fields


def _undecorated(lines: list[str], *, titled: bool) -> tuple[str, str, set[str]]:
    """What stands above a head without the layout's own lines; a heading may be its subject."""
    kept = list(lines)
    title = ""
    rules = set()
    while kept:
        last = kept[-1].strip()
        heading = _TITLE.fullmatch(last)
        if titled and heading and not title and not _LABEL.fullmatch(last):
            title = heading.group(1)
        elif last and not _decorates(last):
            break
        if _RULE.fullmatch(last):
            rules.add(last)
        kept.pop()
    return "\n".join(kept), title, rules


def _decorates(line: str) -> bool:
    return any(kind.fullmatch(line) for kind in (_RULE, _TAG, _LABEL))


def _closed(lines: list[str], rules: Iterable[str]) -> tuple[str, str]:
    """The last body and what follows it: behind a rule that divides the others, or a tag."""
    known = set(rules)
    for number, line in enumerate(lines):
        if line.strip() in known or re.fullmatch(r"</[A-Za-z][\w-]*>", line.strip()):
            after = [rest for rest in lines[number:] if not _decorates(rest.strip())]
            return "\n".join(lines[:number]), "\n".join(after).strip()
    return _undecorated(lines, titled=False)[0], ""


def _trimmed(text: str) -> str:
    """A body without empty lines and labels above it."""
    lines = text.split("\n")
    while lines and (not lines[0].strip() or _decorates(lines[0].strip())):
        lines.pop(0)
    return "\n".join(lines).strip()


_ADDRESS = re.compile(r"[^\s<>;,\"()\[\]]+@[^\s<>;,\"()\[\]]+")
_PERSON = re.compile(r"[^<>;]*<[^<>]*>|[^<>;,]+")


def people(value: str) -> tuple[tuple[str, str], ...]:
    """Everybody a head names, as (name, address); either may be empty.

    >>> people('Ann Lee <ann@x.org>; "Bo" <bo@x.org>, cy@x.org, All staff')
    (('Ann Lee', 'ann@x.org'), ('Bo', 'bo@x.org'), ('', 'cy@x.org'), ('All staff', ''))
    """
    found = []
    for match in _PERSON.finditer(value):
        address = _ADDRESS.search(match.group())
        name = _ADDRESS.sub("", match.group()).strip(" \t,<>()[]\"'")
        if name or address:
            found.append((name, address.group() if address else ""))
    return tuple(found)


# ------------------------------------------------------------------------------------ when

_WEEKDAY = re.compile(
    r"\b(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b,?", re.I
)
_ZONE = re.compile(r"\s*(?:\(?[A-Z]{2,5}\)?|[+-]\d\d:?\d\d|UTC[+-]?\d*)$")
_WAYS = (
    *("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"),
    *("%d %B %Y %H:%M", "%d %B %Y %I:%M %p", "%d %b %Y %H:%M", "%d %b %Y %H:%M:%S"),
    *("%B %d %Y %I:%M %p", "%B %d %Y %H:%M", "%b %d %Y %I:%M %p", "%m/%d/%Y %I:%M %p"),
    *("%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M"),
)


def moment(date: str) -> datetime | None:
    """When a message was sent, as far as its head says so in a common way."""
    if parts := read_stamp(date):
        try:
            year, month, day, hour, minute = parts
            return datetime(year, month, day, hour, minute)
        except ValueError:
            return None
    text = _WEEKDAY.sub("", date).replace(",", " ").replace(" at ", " ")
    text = re.sub(r"(?i)([ap])\.?m\.?$", r"\1M", " ".join(text.split()))
    text = re.sub(r"(?i)(\d)([ap]M)$", r"\1 \2", text)
    for candidate in (text, _ZONE.sub("", text)):
        for way in _WAYS:
            try:
                return datetime.strptime(candidate, way)
            except ValueError:
                continue
    return None


def filled_in(ages: list[int | None]) -> list[int]:
    """An age for every message: an unknown one lies between its neighbours, or beyond the last."""
    filled: list[int] = []
    for number, age in enumerate(ages):
        if age is None:
            later = next((a for a in ages[number + 1 :] if a is not None), None)
            earlier = filled[-1] if filled else None
            if earlier is not None and later is not None:
                age = (earlier + later) // 2
            elif earlier is not None:
                age = earlier // 2
            elif later is not None:
                age = later + 15 * (len(ages) - number)
            else:
                age = 15 * (len(ages) - number)
        filled.append(age)
    return filled
