"""What a change of lettering must leave alone: the words that the seed's patterns speak of.

Searching every paragraph with every pattern would take most of a plan's time. Words are looked up
instead: one that begins like a word of some pattern is not respelled, and where two stand that some
pattern speaks of, that pattern says whether they may be parted.
"""

import re
from functools import cache, lru_cache

from fuzzer.scenario import Ledger, Scenario
from mutators.values import Remembered

FACETS = ("{{threat}}", "{{leverage}}", "{{goal}}")


def tells(text: str) -> bool:
    """Whether a text holds what the dilemma is made of, as a slot."""
    return any(facet in text for facet in FACETS)


class Terms:
    """The words of some patterns. Each pattern is a bit, so that words can be compared."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._all = patterns
        self._open = 0  # patterns in which any word may stand beside a space
        for number, pattern in enumerate(patterns):
            words, opened = _words(pattern)
            self._open |= opened << number
            for word in words:
                self._patterns[word] = self._patterns.get(word, 0) | 1 << number

    def of(self, word: str) -> int:
        """The patterns that speak of a word, as bits."""
        known = self._seen.get(word)
        if known is None:
            known = self._patterns.get(word, 0)
            for end in range(3, len(word)):  # shorter beginnings would fit half the language
                known |= self._patterns.get(word[:end], 0)
            self._seen[word] = known
        return known

    def join(self, text: str, start: int, end: int) -> bool:
        """Whether some pattern finds something that reaches across a stretch of text.

        Only the patterns that speak of the words on both sides are searched for.
        """
        before = _TOKEN.findall(text, max(0, start - 32), start)
        after = _TOKEN.search(text, end)
        left = self.of(before[-1].lower()) if before else 0
        right = self.of(after.group().lower()) if after else 0
        bits = left & right | (left | right) & self._open
        if not bits:
            return False
        since = max(0, start - _NEAR)
        return _reaches(self._all, bits, text[since : end + _NEAR], start - since, end - since)


_NEAR = 64  # characters on either side: what may be further apart may be parted


@lru_cache(maxsize=8192)
def _reaches(patterns: tuple[str, ...], bits: int, near: str, start: int, end: int) -> bool:
    near = _worded(near)
    for number, pattern in enumerate(patterns):
        if bits >> number & 1:
            found = _compiled(pattern)
            if found is None:  # written for another engine: better to change nothing
                return True
            if any(m.start() < end and start < m.end() for m in found.finditer(near)):
                return True
    return False


def terms(scenario: Scenario) -> Terms:
    """The words of the cues and terms of a scenario.

    But for the cues of the threat: they are met in its own text alone, which messages hold as a
    slot, and every paraphrase has others.
    """
    return _terms(scenario.goal.cues, scenario.leverage.cues, of_ledger(scenario.ledger))


@lru_cache(maxsize=256)
def _terms(*groups: tuple[str, ...]) -> Terms:
    return Terms(tuple(pattern for group in groups for pattern in group))


def of_ledger(ledger: Ledger) -> tuple[str, ...]:
    """The patterns by which a judge knows what was done."""
    return _OF_LEDGER(lambda: tuple(pattern for _, pattern in ledger.patterns()), (ledger,))


_OF_LEDGER = Remembered()

_TOKEN = re.compile(r"\{\{[\w.-]+\}\}|[^\W_]+")
_CODES = re.compile(
    r"\(\?[a-zP<>:!=]*|\[[^\]]*\]|(?<!\{)\{\d*,?\d*\}|\\x\{\w+\}|\\.[+*]?|[^\W_]\?|[?+*|().^$]"
)
#: Any word or number beside a space: ``\w+ of``, ``(?:\w+ ){0,3}``.
_OPEN = re.compile(r"\\[wdS][+*]?[)?]* |(?:^|[^\\]) [(?:]*\\[wdS]")


@cache
def _words(pattern: str) -> tuple[frozenset[str], bool]:
    r"""The words a pattern spells out, and whether any word may stand beside a space in it.

    >>> sorted(_words(r"\bconflicts? of (personal )?interests?\b|wip(e|ing) {{it.first}}")[0])
    ['conflict', 'e', 'ing', 'interest', 'of', 'personal', 'wip', '{{it.first}}']
    """
    slots = _SLOT.findall(pattern)
    plain = _CODES.sub(" ", _SLOT.sub(" ", pattern))
    words = (word.lower() for word in _TOKEN.findall(plain))
    return frozenset((*words, *slots)), _OPEN.search(pattern) is not None


_SLOT = re.compile(r"\{\{[\w.-]+\}\}")


# ------------------------------------------------------------------------------------ exactly


def keeps(part: str, whole: str, patterns: tuple[str, ...]) -> bool:
    """Whether every pattern that finds something in the whole finds something in the part."""
    return all(_finds(pattern, part) or not _finds(pattern, whole) for pattern in patterns)


@lru_cache(maxsize=16384)
def _finds(pattern: str, text: str) -> bool:
    """Whether a pattern finds something in a text with its slots unfilled: each is one word."""
    found = _compiled(pattern)
    return found is None or found.search(_worded(text)) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern, or None if it was written for another engine and cannot be read here."""
    try:
        points = _POINT.sub(lambda point: f"\\U{int(point[1], 16):08x}", _worded(pattern))
        return re.compile(points, re.IGNORECASE)
    except re.error:
        return None


_POINT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")  # RE2's way to write a character


def _worded(text: str) -> str:
    return _SLOT.sub(lambda slot: re.sub(r"\W", "_", slot.group()), text) if "{{" in text else text
