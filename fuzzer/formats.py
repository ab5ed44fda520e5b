"""How an inbox looks: each format writes messages and declares the reader that finds them again.

The reader sees only the text. It is what independent recovery trusts, so every format's reader is
tested against its writer on arbitrary people and bodies.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from fuzzer.scenario import Format


class Mail(NamedTuple):
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
        return [
            (name, value if "\n" not in value else value.replace("\n", " "))
            for name, value in rows
            if value
        ]


@dataclass(frozen=True, slots=True)
class Layout:
    """A format: how to write an inbox, and how a stranger reads it back from the whole text."""

    write: Callable[[list[Mail]], str]
    read: Callable[[str], list[Mail]]


_NAMES = ("From", "To", "Cc", "Date", "ID", "Subject")
_BY_LOWER = {name.lower(): name for name in _NAMES}


def _people(value: str) -> tuple[str, ...]:
    if ";" not in value:
        value = value.strip()
        return (value,) if value else ()
    return tuple([part.strip() for part in value.split(";") if part.strip()])


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
    mails = _read_headed(pieces[1:], "", ": ")
    if "\n- " not in text:
        return mails
    return [
        mail._replace(body=_unstuff(mail.body, "- ", _PLAIN_RULE, _PLAIN_STUFFED)) for mail in mails
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
        for mail in _read_headed([rest], "- **", ":** "):
            body = _unstuff(mail.body, "\\", "### ", _MARKDOWN_STUFFED)
            mails.append(mail._replace(subject=subject.strip(), body=body))
    return mails


def _read_headed(pieces: list[str], before: str, after: str) -> list[Mail]:
    mails = []
    for piece in pieces:
        head, _, body = piece.partition("\n\n")
        fields = {}
        for line in head.split("\n"):
            name, found, value = line.removeprefix(before).partition(after)
            if found and name in _NAMES:
                fields[name] = value
        if "From" in fields:
            mails.append(_mail(fields, body))
    return mails


def _xml_escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _xml_unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _write_xml(mails: list[Mail]) -> str:
    parts = ["<inbox>"]
    for mail in mails:
        parts.append("<message>")
        parts += [f"<{n.lower()}>{_xml_escape(v)}</{n.lower()}>" for n, v in mail.headers()]
        parts.append(f"<body>\n{_xml_escape(mail.body)}\n</body>\n</message>")
    return "\n".join([*parts, "</inbox>"])


def _read_xml(text: str) -> list[Mail]:
    mails = []
    for piece in text.split("\n<message>\n")[1:]:
        head, _, rest = piece.partition("\n<body>\n")
        fields = {}
        for line in head.split("\n"):
            name, _, value = line.removeprefix("<").partition(">")
            if name in _BY_LOWER and value.endswith(f"</{name}>"):
                fields[_BY_LOWER[name]] = _xml_unescape(value[: -len(name) - 3])
        if "From" in fields:
            mails.append(_mail(fields, _xml_unescape(rest.partition("\n</body>")[0])))
    return mails


def _write_json(mails: list[Mail]) -> str:
    rows = [{**{n.lower(): v for n, v in mail.headers()}, "body": mail.body} for mail in mails]
    lines = (orjson.dumps(row).decode() for row in rows)
    return "[\n" + ",\n".join(lines) + "\n]"


def _read_json(text: str) -> list[Mail]:
    mails = []
    for line in text.split("\n"):
        if line.startswith('{"from"'):
            row = orjson.loads(line.rstrip(","))
            body = row.pop("body", "")
            mails.append(_mail({_BY_LOWER[name]: value for name, value in row.items()}, body))
    return mails


LAYOUTS: dict[Format, Layout] = {
    "plain": Layout(_write_plain, _read_plain),
    "markdown": Layout(_write_markdown, _read_markdown),
    "xml": Layout(_write_xml, _read_xml),
    "json": Layout(_write_json, _read_json),
}
