"""A text taken apart into what a reader could miss of it, and joined again without some of it.

A sentence; or, where a line says something by itself, the line: an item of a list, a greeting, a
line of a signature, a quoted passage. What stands in quotation marks or brackets stays whole, and
so do slots. Full stops are those of English and of the other languages that scenarios come in; the
rules are few and err towards too long pieces, since what is cut in the middle cannot be read.
"""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple


class Piece(NamedTuple):
    """A sentence, and the white space before it."""

    gap: str
    text: str


class Pieces(NamedTuple):
    """A text, taken apart; `tail` is the white space at its end."""

    pieces: tuple[Piece, ...]
    tail: str

    def without(self, gone: Collection[str]) -> str:
        """The text without the sentences of these hashes; "" if nothing is left.

        Between two sentences stands the widest gap of those that stood between them: paragraphs
        stay apart, and no blank line is doubled.
        """
        kept: list[str] = []
        gap = ""
        for piece in self.pieces:
            gap = max(gap, piece.gap, key=lambda each: (each.count("\n"), each == piece.gap))
            if sentence_hash(piece.text) not in gone:
                kept.append((gap if kept else self.pieces[0].gap) + piece.text)
                gap = ""
        return "".join([*kept, self.tail]) if kept or not self.pieces else ""


def sentence_hash(text: str) -> str:
    """What a sentence is known by: hash of its words (hex, 4 bytes)."""
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=4).hexdigest()


_SLOT = re.compile(r"\{\{[^{}]*\}\}")
_MASK = "\ue000"  # stands for each character of a slot
_BREAK = re.compile(r"[^\S\n]*\n\s*")
_QUOTED = re.compile(r"[|>]")  # passages of such lines stay whole
_ITEM = re.compile(r"(?:[-*•·–—‣◦]|\d{1,3}[.)]|[a-z][.)]|[A-Z]\)|#{1,6})\s|[|>`<]")  # stays whole
# Behind a full stop comes white space; behind one of Chinese or Japanese nothing need come.
_STOPS = r"""[.!?…؟۔।॥]+['"”“’»«)\]]*"""
_WIDE_STOPS = r"[。！？]+[」』”’）]*"
_END = re.compile(rf"{_STOPS}(?=\s+\S)|{_WIDE_STOPS}(?=\s*\S)")
_ENDED = re.compile(rf"(?:{_STOPS}|{_WIDE_STOPS}|[:：])\Z")
_LETTERS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")  # "J", "z.B", "U.S"
_WRAPPED = 45  # columns from which on a line without a full stop goes on in the next


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


#: What ends in a full stop, but no sentence.
_SHORT = _words(
    "mr mrs ms dr prof st jr sr rev hon gen col capt lt sgt messrs vs cf approx "
    "hr frl dipl ing mag bzw ca usw vgl zzgl inkl evtl ggf geb bspw sog abt str "
    "mme mmes mlle mgr sra srta dra ud uds sig sigra dott avv egr gent spett "
    "dhr mevr drs inż hab"
)
#: What ends none before a figure.
_SHORT_BEFORE_FIGURE = _words("no nr nos fig figs art abs para par sec p pp vol núm čl ziff kap s")
_CLOSED_BY = {
    **{"(": ")", "[": "]", "“": "”", "„": "“", "«": "»", "»": "«", '"': '"'},
    **{"「": "」", "『": "』", "（": "）"},
}


@lru_cache(maxsize=4096)
def split(text: str, language: str = "en", *, lines: bool = False) -> Pieces:
    r"""Take a text apart into sentences; with `lines` into its lines, as in a file of data.

    Joined again they are the text.

    >>> [piece.text for piece in split("Dear Dr. May,\n\nit is done. {{it.first}}").pieces]
    ['Dear Dr. May,', 'it is done.', '{{it.first}}']
    """
    plain = _SLOT.sub(lambda slot: _MASK * len(slot[0]), text)
    pieces = []
    before = 0
    for start, end in _spans(plain, language, lines):
        pieces.append(Piece(text[before:start], text[start:end]))
        before = end
    return Pieces(tuple(pieces), text[before:])


def _spans(plain: str, language: str, lines: bool) -> Iterator[tuple[int, int]]:
    for start, end in _lines(plain, lines):
        if not lines and _ITEM.match(plain, start) is None:
            for stop in [start + each for each in _stops(plain[start:end], language)]:
                yield start, stop
                start = end - len(plain[stop:end].lstrip())
        yield start, end


def _lines(plain: str, lines: bool) -> Iterator[tuple[int, int]]:
    """Where each line begins and ends; wrapped lines are one, and so is a quoted passage."""
    start = len(plain) - len(plain.lstrip())
    last = start  # where the last of several wrapped lines begins
    stop = len(plain.rstrip())
    for found in _BREAK.finditer(plain, start, stop):
        goes_on = found[0].count("\n") == 1 and _goes_on(
            plain[last : found.start()], plain[found.end() : found.end() + 4]
        )
        last = found.end()
        if lines or not goes_on:
            yield start, found.start()
            start = last
    if start < stop:
        yield start, stop


def _goes_on(line: str, following: str) -> bool:
    """Whether a line goes on in the next, given how that one begins."""
    if quoted := _QUOTED.match(line):
        return following.startswith(quoted[0])
    if _ITEM.match(following) or _ENDED.search(line):
        return False
    # A slot counts as a name of eight letters would, and a wide character twice.
    shown = re.sub(f"{_MASK}+", "x" * 8, line)
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in shown) >= _WRAPPED


def _stops(line: str, language: str) -> list[int]:
    """Where its sentences end, but for the last."""
    inside = _inside(line)
    return [
        found.end()
        for found in _END.finditer(line)
        if found.end() not in inside and _ends(line, found, language)
    ]


def _ends(line: str, stop: re.Match[str], language: str) -> bool:
    """Whether a full stop ends a sentence, by the word before it and the sign behind it."""
    if stop[0][0] in "。！？":
        return True
    following = line[stop.end() :].lstrip()[0]
    if following.islower():
        return False
    if stop[0] != ".":
        return True
    word = re.split(r"[\s(\[\"'“„«「]", line[: stop.start()])[-1]
    figure = following.isdigit()
    # "am 3. März": the ordinals of German, Danish, Finnish, Czech and others; English has none.
    ordinal = word.isdigit() and len(word) <= 2 and not language.startswith("en")
    short = word.lower() in _SHORT or (figure and word.lower() in _SHORT_BEFORE_FIGURE)
    return not (ordinal or short or (_LETTERS.fullmatch(word) and word != "I"))


def _inside(line: str) -> frozenset[int]:
    """The places inside quotation marks and brackets; none if those do not match."""
    opened: list[str] = []
    found = []
    for place, sign in enumerate(line):
        if opened:
            found.append(place)
        if opened and sign == _CLOSED_BY[opened[-1]]:
            opened.pop()
        elif sign in _CLOSED_BY:
            opened.append(sign)
    return frozenset() if opened else frozenset(found)
