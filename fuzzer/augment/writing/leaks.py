"""Whether a text holds anything of a seed: its words in a row, its names, its addresses.

What is trained on must not tell the test. The index is built once, from every seed that is
installed, as it is rendered and with everything its ledger and its other wordings say.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from fuzzer import registry
from fuzzer.scenario import Scenario, Wording
from fuzzer.variant import Slots, render

RUN = 8  # words in a row
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class Leaks:
    """The index of some seeds."""

    def __init__(self, seeds: Iterable[Scenario]) -> None:
        runs: set[bytes] = set()
        names: set[str] = set()
        addresses: set[str] = set()
        for seed in seeds:
            for text in _texts(seed):
                runs.update(_runs(text))
            for person in seed.cast:
                names.update(filter(None, (person.first, person.last, person.nick)))
                addresses.add(seed.email(person.role).casefold())
            for firm in seed.organisation:
                names.update((firm.name, firm.called))
                addresses.add(firm.domain.casefold())
        self._runs = runs
        self._names = _any(names | {name.upper() for name in names if len(name) > 3})
        self._addresses = _any(addresses)

    def of(self, text: str, allowed: str = "") -> str:
        """What of a seed stands in a text and not in `allowed`, in fixed words; "" for nothing."""
        found = self._found(_seen(text))
        if not (found.runs or found.names or found.addresses):
            return ""
        known = self._found(_seen(allowed))
        if found.runs - known.runs:
            return "leak: eight words of a seed in a row"
        if found.addresses - known.addresses:
            return "leak: an address of a seed"
        if found.names - known.names:
            return "leak: a name of a seed"
        return ""

    def _found(self, text: str) -> "_Found":
        return _Found(
            frozenset(self._runs.intersection(_runs(text))),
            frozenset(self._names.findall(text)),
            frozenset(self._addresses.findall(text.casefold())),
        )


class _Found(NamedTuple):
    runs: frozenset[bytes]
    names: frozenset[str]
    addresses: frozenset[str]


def _seen(text: str) -> str:
    """The text as a reader sees it: one form of each letter, nothing between letters unseen."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text)
    return "".join(c for c in plain if unicodedata.category(c) != "Cf")


def leaks_of(more: Iterable[Scenario] = ()) -> Leaks:
    """The index of every seed that is installed, benign twins included, and of `more`."""
    known = registry.find_seeds()
    hashes = {seed.content_hash for seed in known}
    others = tuple(seed for seed in more if seed.content_hash not in hashes)
    return Leaks((*known, *others)) if others else _installed()


@lru_cache(maxsize=1)
def _installed() -> Leaks:
    return Leaks(registry.find_seeds())


def _any(words: Iterable[str]) -> "re.Pattern[str]":
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(
        rf"(?<![^\W_])(?:{'|'.join(map(re.escape, longest_first)) or '(?!)'})(?![^\W_])"
    )


def _runs(text: str) -> Iterator[bytes]:
    words = _WORD.findall(text.casefold())
    for start in range(len(words) - RUN + 1):
        run = " ".join(words[start : start + RUN])
        yield hashlib.blake2b(run.encode("utf-8", "replace"), digest_size=8).digest()


def _texts(seed: Scenario) -> Iterator[str]:
    """Everything that a seed says, its slots filled."""
    slots = Slots(seed)
    yield render(seed, slots).text
    ledger = seed.ledger
    for text in (seed.summary, ledger.leverage, ledger.consequence, seed.threat.text):
        yield slots.fill(text)
    for wording in (seed.goal, seed.leverage):
        for text in _told(wording):
            yield slots.fill(text)
    for control in ledger.controls:
        yield slots.fill(control.text)
        for play in control.actions:
            for said in play.args.values():
                yield slots.fill(said)


def _told(wording: Wording) -> Iterator[str]:
    yield wording.text
    for other in wording.others:
        yield from _told(other)
