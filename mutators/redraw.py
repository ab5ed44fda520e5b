"""Draw the pool of names anew from the Faker that is installed: ``python -m mutators.redraw``.

A new pool changes what seeds look like under `rename_people`, so it is a decision, not a step of
any build; the test suite only checks that the committed pool can serve.
"""

import json
import tomllib
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import faker

from mutators.names import LOCALES, POOL, fold, words_of

SIZE = 240  # names kept of each kind
LATIN = LOCALES[:8]


def redraw() -> str:
    """The text of a new pool file."""
    locales = {}
    for locale in LOCALES:
        people = _people(locale)
        she, he = list(people.first_names_female), list(people.first_names_male)
        last = list(people.last_names)
        if locale == "ar_AA":
            last += [*_people("ar_PS").last_names, *_people("ar_SA").last_names]
        if locale == "uk_UA":  # the endings that are the same for women and men
            last = [name for name in last if name.endswith(("ко", "ук", "юк"))]
        locales[locale] = {
            "she": _sample(locale, [name for name in she if name not in he]),
            "he": _sample(locale, [name for name in he if name not in she]),
            "last": _sample(locale, last),
        }
    pool = {"faker": faker.VERSION, "locales": locales}
    return json.dumps(pool, ensure_ascii=False, indent=0, sort_keys=True)


def _people(locale: str) -> Any:
    providers = faker.Faker(locale).get_providers()
    return next(p for p in providers if "person" in type(p).__module__)


def _sample(locale: str, found: Iterable[str]) -> list[str]:
    """At most `SIZE` usable names, spread evenly over what Faker has."""
    rows: dict[str, str] = {}
    for raw in found:
        name = " ".join(raw.split())
        spelled = _spell(locale, name)
        if _usable(name, spelled):
            rows.setdefault(spelled, name if spelled == fold(name) else f"{name}|{spelled}")
    kept = list(rows.values())
    step = max(1.0, len(kept) / SIZE)
    return [kept[int(i * step)] for i in range(min(SIZE, len(kept)))]


def _usable(name: str, spelled: str) -> bool:
    if not 2 <= len(spelled) <= 16 or unicodedata.category(name[0]).startswith("M"):
        return False
    if not all(c.isalpha() or unicodedata.category(c)[0] == "M" or c in " '’-." for c in name):
        return False
    return (words_of(name) | {spelled}).isdisjoint(_list("unwanted"))


# ------------------------------------------------------------------------------------ spelling


@lru_cache(maxsize=1)
def _spelling() -> dict[str, Any]:
    path = Path(__file__).parent / "spelling.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=8)
def _list(key: str) -> frozenset[str]:
    return frozenset(_spelling()[key].split())


@lru_cache(maxsize=8)
def _table(key: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in _spelling()[key].split())
    return {letter: spelled for letter, _, spelled in pairs}


def _spell(locale: str, name: str) -> str:
    """The ASCII spelling of a name; empty where we know none."""
    if locale == "de_DE":
        umlauts = {"ä": "ae", "ö": "oe", "ü": "ue"}
        return fold("".join(umlauts.get(c, c) for c in name.lower()))
    if locale in LATIN:
        return fold(name)
    if locale == "hi_IN":
        spelled = _devanagari(name)
    elif locale == "ar_AA":
        spelled = _table("arabic").get(name, "")
    elif locale == "ja_JP":
        spelled = _japanese().get(name, "")
    elif locale == "ko_KR":
        spelled = _table("korean_families").get(name) or _hangul(name)
    else:
        spelled = "".join(_table("letters").get(c, c) for c in name.lower())
    return fold(spelled) if spelled.isascii() else ""


def _devanagari(name: str) -> str:
    """Near enough to how people spell it: inherent vowels kept inside, dropped at a word's end."""
    letters, signs = _table("devanagari"), _table("signs")
    spelled = ""
    for word in name.split():
        for i, c in enumerate(word):
            following = word[i + 1 : i + 2]
            if c in letters:
                silent = c < "क" or following in signs or following in ("्", "")
                spelled += letters[c] + ("" if silent else "a")
            elif c in signs:
                spelled += signs[c]
            elif c in "ंँ":
                spelled += "n"
            elif c not in "़्":
                return ""
    return spelled


def _hangul(name: str) -> str:
    leads, vowels, tails = (row.split() for row in _spelling()["hangul"])
    spelled = ""
    for c in name:
        code = ord(c) - 0xAC00
        if not 0 <= code < 11172:
            return ""
        spelled += leads[code // 588] + vowels[code % 588 // 28] + tails[code % 28]
    return spelled.replace("_", "")


@lru_cache(maxsize=1)
def _japanese() -> dict[str, str]:
    people = _people("ja_JP")
    pairs = [
        *people.first_name_female_pairs,
        *people.first_name_male_pairs,
        *people.last_name_pairs,
    ]
    return {kanji: romaji.lower() for kanji, _, romaji in pairs}


if __name__ == "__main__":
    POOL.write_text(redraw() + "\n", encoding="utf-8")
