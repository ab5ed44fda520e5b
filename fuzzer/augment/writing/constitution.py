"""A constitution that the user gives, as sections: what documents are true to."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from fuzzer.errors import ConfigurationError

MOST_BYTES = 4_000_000
LEAST, MOST = 80, 6000  # characters of a section; shorter ones join the next, longer are cut
_HEADING = re.compile(r"^ {0,3}#{1,6} +(.+?)\s*#*$")


class Section(NamedTuple):
    """One passage."""

    number: int  # from 1
    title: str  # the headings above it; "" where there is none
    text: str


class Constitution(NamedTuple):
    """A file's sections."""

    name: str  # of the file
    hash: str  # of its bytes (blake2b, hex, 16 bytes)
    sections: tuple[Section, ...]


def read_constitution(path: Path) -> Constitution:
    """The sections of a text file, by its Markdown headings, or by paragraphs where it has none.

    Raises `ConfigurationError` for a file that cannot be read or holds no text.
    """
    where = f"the constitution {str(path)!r}"
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"{where} cannot be read ({error.strerror}); give --constitution a text file"
        ) from None
    except ValueError:
        raise ConfigurationError(f"{where} is no text in UTF-8; save it as such") from None
    if len(raw) > MOST_BYTES:
        raise ConfigurationError(f"{where} has more than {MOST_BYTES:,} bytes; give a part of it")
    found = tuple(
        Section(number, title, body) for number, (title, body) in enumerate(_sections(text), 1)
    )
    if not found:
        raise ConfigurationError(
            f"{where} holds no passage of {LEAST} characters; give a file with the principles"
        )
    return Constitution(path.name, hashlib.blake2b(raw, digest_size=16).hexdigest(), found)


def _sections(text: str) -> list[tuple[str, str]]:
    """(headings, body) of each passage."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            parts.append((heading[1], []))
        else:
            parts[-1][1].append(line)
    found: list[tuple[str, str]] = []
    held, titles = "", []
    for title, lines in parts:
        titles += [title] if title else []
        body = "\n".join(lines).strip()
        held = f"{held}\n\n{body}".strip()
        if len(held) < LEAST:
            continue  # a heading of headings, or a word: it belongs to what follows
        found += [(" / ".join(titles), piece) for piece in _pieces(held)]
        held, titles = "", []
    if held and found:  # what is left over belongs to what stood before
        title, body = found[-1]
        found[-1] = (title, f"{body}\n\n{held}")
    return found


def _pieces(body: str) -> list[str]:
    """A long passage by paragraphs; what is still too long is cut."""
    pieces: list[str] = []
    for paragraph in re.split(r"\n\s*\n", body):
        for start in range(0, len(paragraph), MOST):
            part = paragraph[start : start + MOST]
            if pieces and len(pieces[-1]) + len(part) + 2 <= MOST:
                pieces[-1] += f"\n\n{part}"
            else:
                pieces.append(part)
    if len(pieces) > 1 and len(pieces[-1]) < LEAST:
        pieces[-2:] = [f"{pieces[-2]}\n\n{pieces[-1]}"]
    return pieces
