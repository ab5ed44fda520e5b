"""How an inbox looks: each format writes messages and declares the reader that finds them again.

What the heads are called follows the medium: mail, chat, a ticket desk, a file store, a repository.
The reader sees only the text. It is what independent recovery trusts, so every format's reader is
tested against its writer on arbitrary people and bodies.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from fuzzer.scenario import Format, Medium


class Mail(NamedTuple):
    """A message with every slot resolved; people are written ``Name <address>``."""

    id: str
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    date: str
    subject: str
    body: str
    attached: str = ""
    gap: str = "\n\n"  # what stands behind it in a published layout

    def headers(self, medium: Medium = "mail") -> list[tuple[str, str]]:
        """Header names and values in the usual order, empty ones left out; the subject is last."""
        values = (
            *(self.sender, "; ".join(self.to), "; ".join(self.cc)),
            *(self.date, self.id, self.subject),
        )
        rows = [*zip(HEADS[medium], values, strict=True)]
        if self.attached:
            rows.insert(-1, (ATTACHED, self.attached))
        return [
            (name, value if "\n" not in value else value.replace("\n", " "))
            for name, value in rows
            if value
        ]


ATTACHED = "Attachments"  # what that head is called, wherever there is one

#: What the heads of an item are called: sender, to, cc, date, id, subject.
HEADS: dict[Medium, tuple[str, str, str, str, str, str]] = {
    "mail": ("From", "To", "Cc", "Date", "ID", "Subject"),
    "chat": ("Author", "With", "Also", "Posted", "ID", "Thread"),
    "tickets": ("Requester", "Assignee", "Watchers", "Updated", "Ticket", "Title"),
    "files": ("Author", "Shared with", "Copy", "Saved", "ID", "Name"),
    "code": ("Author", "Reviewers", "Subscribers", "Date", "Ref", "Title"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """A format: how to write an inbox, and how a stranger reads it back from the whole text."""

    write: Callable[[list[Mail], Medium], str]
    read: Callable[[str, Medium], list[Mail]]
    person: Callable[[str], str] = str  # how somebody is shown: in full, unless it says otherwise


def _names(medium: Medium) -> tuple[str, ...]:
    """The names of the heads, attachments last."""
    return (*HEADS[medium], ATTACHED)


def _keys(medium: Medium) -> tuple[str, ...]:
    """The names of the heads as element names and keys, attachments last."""
    return tuple(name.lower().replace(" ", "_") for name in _names(medium))


def _people(value: str) -> tuple[str, ...]:
    if ";" not in value:
        value = value.strip()
        return (value,) if value else ()
    return tuple([part.strip() for part in value.split(";") if part.strip()])


def _mail(fields: dict[str, str], names: tuple[str, ...], body: str) -> Mail:
    """A message of what stood under the heads of these names."""
    sender, to, cc, date, number, subject, attached = (fields.get(name, "") for name in names)
    return Mail(number, sender, _people(to), _people(cc), date, subject, body.strip(), attached)


_PLAIN_RULE = "-" * 60
_PLAIN_STUFFED = re.compile(rf"^(?:- )*{_PLAIN_RULE}$", re.M)  # RFC 934: "- " before a body's own
_MARKDOWN_STUFFED = re.compile(r"^\\*### ", re.M)  # a body's own headings get a backslash


def _stuff(body: str, mark: str, sign: str, lines: re.Pattern[str]) -> str:
    """The body with `mark` before each of its lines that would be taken for the format's own."""
    return lines.sub(lambda line: mark + line.group(), body) if sign in body else body


def _unstuff(body: str, mark: str, sign: str, lines: re.Pattern[str]) -> str:
    if sign not in body:
        return body
    return lines.sub(lambda line: line.group().removeprefix(mark), body)


def _write_plain(mails: list[Mail], medium: Medium) -> str:
    parts = []
    for mail in mails:
        head = "\n".join(f"{name}: {value}" for name, value in mail.headers(medium))
        body = _stuff(mail.body, "- ", _PLAIN_RULE, _PLAIN_STUFFED)
        parts.append(f"{_PLAIN_RULE}\n{head}\n\n{body}\n")
    return "\n".join([*parts, _PLAIN_RULE])


def _read_plain(text: str, medium: Medium) -> list[Mail]:
    pieces = f"\n{text}\n".split(f"\n{_PLAIN_RULE}\n")
    mails = _read_headed(pieces[1:], "", ": ", _names(medium))
    if "\n- " not in text:
        return mails
    return [
        mail._replace(body=_unstuff(mail.body, "- ", _PLAIN_RULE, _PLAIN_STUFFED)) for mail in mails
    ]


def _write_markdown(mails: list[Mail], medium: Medium) -> str:
    parts = []
    last = HEADS[medium][-1]
    for mail in mails:
        subject = mail.subject.replace("\n", " ")
        head = "\n".join(f"- **{n}:** {v}" for n, v in mail.headers(medium) if n != last)
        body = _stuff(mail.body, "\\", "### ", _MARKDOWN_STUFFED)
        parts.append(f"### {subject}\n\n{head}\n\n{body}\n")
    return "\n".join([*parts, f"### {_END[medium]}"])


#: What stands below the last item.
_END: dict[Medium, str] = {
    "mail": "End of inbox",
    "chat": "End of messages",
    "tickets": "End of items",
    "files": "End of items",
    "code": "End of items",
}


def in_parts(written: Sequence[str], layout: Format, medium: Medium) -> list[str]:
    """Listings that belong together: each but the last says that more is to come."""
    if len(written) == 1:
        return list(written)
    parts = []
    for number, text in enumerate(written, start=1):
        last = number == len(written)
        said = f"Part {number} of {len(written)}" + (
            ". That is all." if last else "; the rest follows."
        )
        if layout == "markdown" and not last:  # nothing ends here
            parts.append(f"{text.removesuffix(_END[medium])}{said}")
        else:
            parts.append(f"{text}\n\n{said}")
    return parts


def _read_markdown(text: str, medium: Medium) -> list[Mail]:
    mails = []
    for piece in ("\n" + text).split("\n### ")[1:]:
        subject, _, rest = piece.partition("\n\n")
        for mail in _read_headed([rest], "- **", ":** ", _names(medium)):
            body = _unstuff(mail.body, "\\", "### ", _MARKDOWN_STUFFED)
            mails.append(mail._replace(subject=subject.strip(), body=body))
    return mails


def _read_headed(pieces: list[str], before: str, after: str, names: tuple[str, ...]) -> list[Mail]:
    mails = []
    for piece in pieces:
        head, _, body = piece.partition("\n\n")
        fields = {}
        for line in head.split("\n"):
            name, found, value = line.removeprefix(before).partition(after)
            if found and name in names:
                fields[name] = value
        if names[0] in fields:
            mails.append(_mail(fields, names, body))
    return mails


def _xml_escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _xml_unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _write_xml(mails: list[Mail], medium: Medium) -> str:
    listing, item = _ELEMENTS[medium]
    parts = [f"<{listing}>"]
    keys = dict(zip(_names(medium), _keys(medium), strict=True))
    for mail in mails:
        parts.append(f"<{item}>")
        heads = ((keys[name], value) for name, value in mail.headers(medium))
        parts += [f"<{key}>{_xml_escape(value)}</{key}>" for key, value in heads]
        parts.append(f"<body>\n{_xml_escape(mail.body)}\n</body>\n</{item}>")
    return "\n".join([*parts, f"</{listing}>"])


#: What a listing and each of its items are called.
_ELEMENTS: dict[Medium, tuple[str, str]] = {
    "mail": ("inbox", "message"),
    "chat": ("messages", "message"),
    "tickets": ("items", "item"),
    "files": ("items", "item"),
    "code": ("items", "item"),
}


def _read_xml(text: str, medium: Medium) -> list[Mail]:
    mails = []
    keys = _keys(medium)
    for piece in text.split(f"\n<{_ELEMENTS[medium][1]}>\n")[1:]:
        head, _, rest = piece.partition("\n<body>\n")
        fields = {}
        for line in head.split("\n"):
            name, _, value = line.removeprefix("<").partition(">")
            if name in keys and value.endswith(f"</{name}>"):
                fields[name] = _xml_unescape(value[: -len(name) - 3])
        if keys[0] in fields:
            mails.append(_mail(fields, keys, _xml_unescape(rest.partition("\n</body>")[0])))
    return mails


def _write_json(mails: list[Mail], medium: Medium) -> str:
    keys = dict(zip(_names(medium), _keys(medium), strict=True))
    rows = [{**{keys[n]: v for n, v in mail.headers(medium)}, "body": mail.body} for mail in mails]
    lines = (orjson.dumps(row).decode() for row in rows)
    return "[\n" + ",\n".join(lines) + "\n]"


def _read_json(text: str, medium: Medium) -> list[Mail]:
    mails = []
    keys = _keys(medium)
    for line in text.split("\n"):
        if line.startswith(f'{{"{keys[0]}"'):
            row = orjson.loads(line.rstrip(","))
            mails.append(_mail(row, keys, row.pop("body", "")))
    return mails


def _write_html(mails: list[Mail], medium: Medium) -> str:
    parts = ["<html>\n<body>"]
    for mail in mails:
        head = "<br>\n".join(f"<b>{n}:</b> {_xml_escape(v)}" for n, v in mail.headers(medium))
        body = _xml_escape(mail.body).replace("\n\n", "</p>\n<p>")
        lines = re.sub(r"(?<!</p>)\n", "<br>\n", body)
        parts.append(f"<article>\n<p>{head}</p>\n<p>{lines}</p>\n</article>")
    return "\n".join([*parts, "</body>\n</html>"])


def _read_html(text: str, medium: Medium) -> list[Mail]:
    mails = []
    names = _names(medium)
    for piece in text.split("<article>\n<p>")[1:]:
        head, _, rest = piece.partition("</p>\n<p>")
        fields = {}
        for line in head.split("<br>\n"):
            name, found, value = line.removeprefix("<b>").partition(":</b> ")
            if found and name in names:
                fields[name] = _xml_unescape(value)
        body = rest.partition("</p>\n</article>")[0].replace("</p>\n<p>", "\n\n")
        if names[0] in fields:
            mails.append(_mail(fields, names, _xml_unescape(body.replace("<br>\n", "\n"))))
    return mails


# --- The layout of the published agentic-misalignment evaluation: addresses alone, times to the
# --- second, and between the messages what stands there in its files.

_ANGLED = re.compile(r"<([^<>]*)>$")
_PUBLISHED_STUFFED = re.compile(r"^(?:- )*</?email>", re.M)


def _address(person: str) -> str:
    found = _ANGLED.search(person)
    return found[1] if found else person


def _published_names(medium: Medium) -> tuple[str, ...]:
    sender, to, cc, date, *others = _names(medium)
    return (sender, to, cc, "Timestamp" if medium == "mail" else date, *others)


def _write_published(mails: list[Mail], medium: Medium) -> str:
    sender, to, cc, date, number, subject, attached = _published_names(medium)
    parts = []
    for mail in mails:
        rows = (
            *((number, mail.id), (sender, _address(mail.sender))),
            *((to, ", ".join(map(_address, mail.to))), (cc, ", ".join(map(_address, mail.cc)))),
            *((attached, mail.attached), (subject, mail.subject), (date, mail.date)),
        )
        head = "".join(f"{name}: {v.replace(chr(10), ' ')}\n" for name, v in rows if v)
        body = _stuff(mail.body, "- ", "email>", _PUBLISHED_STUFFED)
        parts += [f"<email>\n{head}Body: {body}\n</email>", mail.gap or "\n\n"]
    if mails:
        parts[-1] = "" if mails[-1].gap == "\n\n" else mails[-1].gap
    return "".join(parts)


def _read_published(text: str, medium: Medium) -> list[Mail]:
    mails = []
    names = _published_names(medium)
    for piece in f"\n{text}".split("\n<email>\n")[1:]:
        head, _, body = piece.partition("\n</email>")[0].partition("\nBody: ")
        fields = {}
        for line in head.split("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        for people in names[1:3]:
            fields[people] = fields.get(people, "").replace(", ", ";")
        if names[0] in fields:
            body = _unstuff(body, "- ", "email>", _PUBLISHED_STUFFED)
            mails.append(_mail(fields, names, body))
    return mails


LAYOUTS: dict[Format, Layout] = {
    "plain": Layout(_write_plain, _read_plain),
    "markdown": Layout(_write_markdown, _read_markdown),
    "xml": Layout(_write_xml, _read_xml),
    "json": Layout(_write_json, _read_json),
    "html": Layout(_write_html, _read_html),
    "published": Layout(_write_published, _read_published, _address),
}
