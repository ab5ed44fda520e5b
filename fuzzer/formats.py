"""How an inbox looks: each format writes messages and declares the reader that finds them again.

The reader sees only the text. It is what independent recovery trusts, so every format's reader is
tested against its writer on arbitrary people and bodies.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import unescape

from fuzzer.scenario import Format


@dataclass(frozen=True, slots=True)
class Mail:
    """A message with every slot resolved; people are written ``Name <address>``."""

    id: str
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    date: str
    subject: str
    body: str

    def headers(self) -> list[tuple[str, str]]:
        """Header names and values in the usual order, empty ones left out."""
        rows = [
            ("From", self.sender),
            ("To", "; ".join(self.to)),
            ("Cc", "; ".join(self.cc)),
            ("Date", self.date),
            ("ID", self.id),
            ("Subject", self.subject),
        ]
        return [(name, value.replace("\n", " ")) for name, value in rows if value]


@dataclass(frozen=True, slots=True)
class Layout:
    """A format: how to write an inbox, and how a stranger reads it back from the whole text."""

    write: Callable[[list[Mail]], str]
    read: Callable[[str], list[Mail]]


def _title(name: str) -> str:
    return "ID" if name == "id" else name.capitalize()


def _people(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(";") if part.strip())


def _mail(fields: dict[str, str], body: str) -> Mail:
    return Mail(
        fields.get("ID", ""),
        fields.get("From", ""),
        _people(fields.get("To", "")),
        _people(fields.get("Cc", "")),
        fields.get("Date", ""),
        fields.get("Subject", ""),
        body.strip(),
    )


_PLAIN_RULE = "-" * 60
_PLAIN_STUFFED = re.compile(rf"^(?:- )*{_PLAIN_RULE}$", re.M)  # RFC 934: "- " before a body's own
_PLAIN_HEADER = re.compile(r"^(From|To|Cc|Date|ID|Subject): (.*)$")
_MARKDOWN_HEADER = re.compile(r"^- \*\*(From|To|Cc|Date|ID):\*\* (.*)$")
_MARKDOWN_STUFFED = re.compile(r"^\\*### ", re.M)  # a body's own headings get a backslash


def _stuff(body: str, mark: str, sign: str, lines: re.Pattern[str]) -> str:
    """The body with `mark` before each of its lines that would be taken for the format's own."""
    return lines.sub(lambda line: mark + line.group(), body) if sign in body else body


def _unstuff(body: str, mark: str, sign: str, lines: re.Pattern[str]) -> str:
    if sign not in body:
        return body
    return lines.sub(lambda line: line.group().removeprefix(mark), body)


def _write_plain(mails: list[Mail]) -> str:
    parts = []
    for mail in mails:
        head = "\n".join(f"{name}: {value}" for name, value in mail.headers())
        body = _stuff(mail.body, "- ", _PLAIN_RULE, _PLAIN_STUFFED)
        parts.append(f"{_PLAIN_RULE}\n{head}\n\n{body}\n")
    return "\n".join([*parts, _PLAIN_RULE])


def _read_plain(text: str) -> list[Mail]:
    pieces = f"\n{text}\n".split(f"\n{_PLAIN_RULE}\n")
    return [
        replace(mail, body=_unstuff(mail.body, "- ", _PLAIN_RULE, _PLAIN_STUFFED))
        for mail in _read_headed(pieces[1:], _PLAIN_HEADER)
    ]


def _write_markdown(mails: list[Mail]) -> str:
    parts = []
    for mail in mails:
        subject = mail.subject.replace("\n", " ")
        head = "\n".join(f"- **{n}:** {v}" for n, v in mail.headers() if n != "Subject")
        body = _stuff(mail.body, "\\", "### ", _MARKDOWN_STUFFED)
        parts.append(f"### {subject}\n\n{head}\n\n{body}\n")
    return "\n".join([*parts, "### End of inbox"])


def _read_markdown(text: str) -> list[Mail]:
    mails = []
    for piece in ("\n" + text).split("\n### ")[1:]:
        subject, _, rest = piece.partition("\n\n")
        for mail in _read_headed([rest], _MARKDOWN_HEADER):
            body = _unstuff(mail.body, "\\", "### ", _MARKDOWN_STUFFED)
            mails.append(replace(mail, subject=subject.strip(), body=body))
    return mails


def _read_headed(pieces: list[str], header: re.Pattern[str]) -> list[Mail]:
    mails = []
    for piece in pieces:
        head, _, body = piece.partition("\n\n")
        found = (header.match(line) for line in head.split("\n"))
        fields = {m.group(1): m.group(2) for m in found if m}
        if "From" in fields:
            mails.append(_mail(fields, body))
    return mails


def _xml_escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _write_xml(mails: list[Mail]) -> str:
    parts = ["<inbox>"]
    for mail in mails:
        parts.append("<message>")
        parts += [f"<{n.lower()}>{_xml_escape(v)}</{n.lower()}>" for n, v in mail.headers()]
        parts.append(f"<body>\n{_xml_escape(mail.body)}\n</body>\n</message>")
    return "\n".join([*parts, "</inbox>"])


_XML_FIELD = re.compile(r"^<(from|to|cc|date|id|subject)>(.*)</\1>$")


def _read_xml(text: str) -> list[Mail]:
    mails = []
    for piece in text.split("\n<message>\n")[1:]:
        head, _, rest = piece.partition("\n<body>\n")
        fields = {
            _title(m.group(1)): unescape(m.group(2))
            for line in head.split("\n")
            if (m := _XML_FIELD.match(line))
        }
        body = unescape(rest.partition("\n</body>")[0])
        if "From" in fields:
            mails.append(_mail(fields, body))
    return mails


def _write_json(mails: list[Mail]) -> str:
    rows = [{**{n.lower(): v for n, v in mail.headers()}, "body": mail.body} for mail in mails]
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    return "[\n" + ",\n".join(lines) + "\n]"


def _read_json(text: str) -> list[Mail]:
    mails = []
    for line in text.split("\n"):
        if line.startswith('{"from"'):
            row = json.loads(line.rstrip(","))
            fields = {_title(name): value for name, value in row.items()}
            mails.append(_mail(fields, fields.pop("Body", "")))
    return mails


LAYOUTS: dict[Format, Layout] = {
    "plain": Layout(_write_plain, _read_plain),
    "markdown": Layout(_write_markdown, _read_markdown),
    "xml": Layout(_write_xml, _read_xml),
    "json": Layout(_write_json, _read_json),
}
