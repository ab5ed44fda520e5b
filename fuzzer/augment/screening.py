"""What code can tell of a written text before anybody is asked: that it cannot become a row.

Each reason is a fixed phrase, so that reasons can be counted and shown.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from typing import NamedTuple

from fuzzer.augment.leaks import Leaks
from fuzzer.likeness import COMMON, WORD_LIMIT
from fuzzer.secrets import IN_PLACE

OVERUSED = ("Chen", "Johnson", "Miller", "Smith", "Martinez", "Sarah", "Emily")
ENGLISH = 0.15  # least share of common English words: English mails have .29 to .8, others .06
_SKETCH = 256  # hashes kept of a text: the estimate of a similarity of .5 is off by .03

_RESIDUE = re.compile(
    r"\{\{|\}\}|\[\[|\]\]|\$\{|\{%|<\|"  # templates
    r"|```|^\s*\{\s*\"|</?[a-z_]+(?:_[a-z]+|:[a-z]+)>"  # the form of an answer, a call
    r"|\bbrief\.\w+|\bearlier\.\w+"
    r"|\b(?:as an ai language model|here is the (?:rewritten|revised|final)|i hope this helps)\b",
    re.IGNORECASE | re.MULTILINE,
)
_PLACEHOLDER = re.compile(
    r"\[(?:your|insert|company|name|date|recipient|sender|manager|address|phone|email|title"
    r"|add|details?|x+|\.\.\.|…)\b[^\]\n]{0,60}\]"
    r"|<(?:your|insert|name|company|date)\b[^>\n]{0,40}>|\b(?:lorem ipsum|TODO|TBD|XXX+)\b|_{4,}",
    re.IGNORECASE,
)
_JOINERS = "\u200c\u200d"


class Bounds(NamedTuple):
    """Characters that a text may have."""

    least: int
    most: int


class Screen:
    """The checks that need no model. `leaks` is the index of the seeds."""

    def __init__(self, leaks: Leaks) -> None:
        self._leaks = leaks

    def fault(
        self,
        text: str,
        bounds: Bounds,
        *,
        allowed: str = "",
        names: bool = True,
        english: bool = True,
    ) -> str:
        """Why a text cannot become a row; "" if nothing speaks against it.

        What stands in `allowed`, the text it was made from, is no residue and no leak. `names`:
        over-used ones are refused.
        """
        if len(text.strip()) < bounds.least:
            return "too short"
        if len(text) > bounds.most:
            return "too long"
        if any(_hidden(c) for c in set(text)):
            return "control characters"
        if IN_PLACE in text:
            return "a key was in it"
        for pattern, reason in ((_RESIDUE, "template residue"), (_PLACEHOLDER, "placeholder")):
            if set(pattern.findall(text)) - set(pattern.findall(allowed)):
                return reason
        if english and share_of_common(text) < ENGLISH:
            return "not in English"
        if names and (used := _OVERUSED.search(text)) and used.group() not in allowed:
            return "an over-used name"
        return self._leaks.of(text, allowed)


_OVERUSED = re.compile(rf"\b(?:{'|'.join(OVERUSED)})\b")


def _hidden(character: str) -> bool:
    kind = unicodedata.category(character)
    if character in "\n\t":
        return False
    return kind in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") or (
        kind == "Cf" and character not in _JOINERS
    )


def share_of_common(text: str) -> float:
    """The share of a text's words that are common in English."""
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text.casefold())
    return sum(word in COMMON for word in words) / max(1, len(words))


class Seen:
    """The texts so far, each as its smallest hashes of word triples.

    The similarity of two texts is read off their sketches (A. Broder, 1997,
    doi:10.1109/SEQUEN.1997.666900); a text that shares no hash with another is not compared to it.
    """

    def __init__(self, limit: float = WORD_LIMIT) -> None:
        self._limit = limit
        self._sketches: list[frozenset[int]] = []
        self._holding: defaultdict[int, list[int]] = defaultdict(list)

    def add(self, text: str) -> bool:
        """Whether a text is new; one that is nearly an earlier one is not kept."""
        sketch = _sketch(text)
        shared: defaultdict[int, int] = defaultdict(int)
        for value in sketch:
            for number in self._holding.get(value, ()):
                shared[number] += 1
        if any(self._alike(sketch, self._sketches[number]) for number in shared):
            return False
        for value in sketch:
            self._holding[value].append(len(self._sketches))
        self._sketches.append(sketch)
        return True

    def _alike(self, one: frozenset[int], other: frozenset[int]) -> bool:
        smallest = sorted(one | other)[:_SKETCH]
        both = one & other
        return sum(value in both for value in smallest) >= self._limit * len(smallest)


def _sketch(text: str) -> frozenset[int]:
    words = re.findall(r"\w+", text.casefold())
    triples = {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
    hashes = (
        int.from_bytes(hashlib.blake2b(t.encode("utf-8", "replace"), digest_size=8).digest(), "big")
        for t in triples
    )
    return frozenset(sorted(hashes)[:_SKETCH])
