"""What code can tell of a written text before anybody is asked: that it cannot become a row.

Each reason is a fixed phrase, so that reasons can be counted and shown.
"""

import hashlib
import re
import unicodedata
from array import array
from typing import NamedTuple

from fuzzer.augment.writing.leaks import Leaks
from fuzzer.likeness import COMMON, WORD_LIMIT
from fuzzer.secrets import IN_PLACE

OVERUSED = ("Chen", "Johnson", "Miller", "Smith", "Martinez", "Sarah", "Emily")
ENGLISH = 0.15  # least share of common English words: English mails have .29 to .8, others .06

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
    """The texts so far, each as the smallest hash of its word triples in each of some buckets.

    One-permutation MinHash (P. Li, A. Owen and C.-H. Zhang, 2012, arXiv:1208.1259), looked up by
    bands of buckets: a text is compared to those alone that agree with it in a whole band.
    """

    def __init__(self, limit: float = WORD_LIMIT) -> None:
        self._limit = limit
        self._signatures: list[array[int]] = []
        self._holding: dict[int, list[int]] = {}

    def add(self, text: str) -> bool:
        """Whether a text is new; one that is nearly an earlier one is not kept."""
        signature = _signature(text)
        bands = [
            hash((start, *signature[start : start + _BAND])) for start in range(0, _BUCKETS, _BAND)
        ]
        near = {number for band in bands for number in self._holding.get(band, ())}
        if any(_alike(signature, self._signatures[number]) >= self._limit for number in near):
            return False
        for band in bands:
            self._holding.setdefault(band, []).append(len(self._signatures))
        self._signatures.append(signature)
        return True


_BUCKETS, _BAND = 126, 3  # of two texts half alike, 99.6% agree in some band
_EMPTY = 2**64 - 1


def _alike(one: "array[int]", other: "array[int]") -> float:
    """About the Jaccard similarity of the triples of two texts."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if (a, b) != (_EMPTY, _EMPTY)]
    return sum(a == b for a, b in pairs) / max(1, len(pairs))


def _signature(text: str) -> "array[int]":
    words = re.findall(r"\w+", text.casefold())
    smallest = array("Q", [_EMPTY]) * _BUCKETS
    for start in range(max(1, len(words) - 2)):
        triple = " ".join(words[start : start + 3]).encode("utf-8", "replace")
        value = int.from_bytes(hashlib.blake2b(triple, digest_size=8).digest(), "big")
        rest, bucket = divmod(value, _BUCKETS)
        smallest[bucket] = min(smallest[bucket], rest)
    return smallest
