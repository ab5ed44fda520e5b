"""People's names: frozen pools in ``names.json``, drawn once from Faker by `mutators.redraw`.

Faker is never called while a plan is drawn: its data change between releases and a call costs as
much as a whole variant. The pools keep, for each locale, first names by gender and family names,
and for other scripts the ASCII spelling that a mailbox needs (``佐藤|sato``).
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

POOL = Path(__file__).parent / "names.json"
LOCALES = (
    *("en_US", "en_IE", "de_DE", "fr_FR", "es_MX", "pt_BR", "tr_TR", "sw"),
    *("uk_UA", "ka_GE", "hi_IN", "ar_AA", "ja_JP", "ko_KR"),
)
FAMILY_FIRST = ("ja_JP", "ko_KR")  # the family name is written first


@dataclass(frozen=True, slots=True)
class Name:
    """A name as written at home, in Latin letters and in ASCII, and the words that occur in any."""

    native: str
    latin: str
    ascii: str
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one locale."""

    she: tuple[Name, ...]
    he: tuple[Name, ...]
    last: tuple[Name, ...]
    family_first: bool


@lru_cache(maxsize=8192)
def words_of(text: str) -> frozenset[str]:
    """The words of a name, without case: what a search for whole words could stumble on.

    >>> sorted(words_of("Hans-Dieter O'Brien"))
    ['brien', 'dieter', 'hans', 'o']
    """
    spaced = "".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in text)
    return frozenset(spaced.casefold().split())


@lru_cache(maxsize=8192)
def ascii_of(text: str) -> str:
    """A name as mailboxes spell it: lower-case ASCII letters, digits and inner hyphens.

    >>> ascii_of("H.-Dieter"), ascii_of("O'Brien"), ascii_of("Łukasz"), ascii_of("佐藤")
    ('h-dieter', 'obrien', 'lukasz', 'sato')
    """
    return fold(text if text.isascii() else _spellings().get(text, text))


def fold(text: str) -> str:
    """Latin letters without their marks, in lower case; what is not Latin is left out."""
    folded = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS))
    kept = "".join(c for c in folded if c.isascii() and (c.isalnum() or c == "-"))
    return kept.strip("-")


_LETTERS = str.maketrans(  # what NFKD leaves whole
    {"ß": "ss", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "œ": "oe", "ð": "d", "þ": "th"}
)


@lru_cache(maxsize=1)
def _pools() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(POOL.read_text(encoding="utf-8"))["locales"]
    return found


@lru_cache(maxsize=1)
def _spellings() -> dict[str, str]:
    rows = (row for pool in _pools().values() for names in pool.values() for row in names)
    return dict(row.split("|") for row in rows if "|" in row)


@lru_cache(maxsize=32)
def names(locale: str) -> Names:
    """The frozen pool of a locale."""
    pool = _pools()[locale]
    she, he, last = (tuple(_name(row) for row in pool[kind]) for kind in ("she", "he", "last"))
    return Names(she, he, last, family_first=locale in FAMILY_FIRST)


@lru_cache(maxsize=1)
def _homes() -> dict[str, str]:
    """The locale of each first name, as written there and in Latin letters."""
    found: dict[str, str] = {}
    for locale in reversed(LOCALES):  # a name of two is of the one listed first
        pool = _pools()[locale]
        for row in (*pool["she"], *pool["he"]):
            native, _, spelled = row.partition("|")
            found[native] = locale
            if spelled:
                found["-".join(map(str.capitalize, spelled.split("-")))] = locale
    return found


def home_of(first: str) -> str:
    """The locale in which a first name is one; English where none is known.

    >>> home_of("Adriane"), home_of("Quillon")
    ('de_DE', 'en_US')
    """
    return _homes().get(first, LOCALES[0])


def _name(row: str) -> Name:
    native, _, spelled = row.partition("|")
    native = _MC.sub(lambda found: f"Mc{found[1].upper()}", native)  # as its bearers write it
    spelled = spelled or fold(native)
    latin = native if is_latin(native) else "-".join(map(str.capitalize, spelled.split("-")))
    return Name(native, latin, spelled, words_of(native) | words_of(spelled))


_MC = re.compile(r"^Mc([a-z])")


def is_latin(name: str) -> bool:
    """Whether a name is written in Latin letters.

    >>> is_latin("Łukasz"), is_latin("佐藤")
    (True, False)
    """
    return bool(fold(name))
