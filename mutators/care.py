"""What a change of lettering must leave alone: slots, and what the seed's patterns find.

Texts are searched as they stand, slots unfilled: a slot is never altered, and a text then reads
alike whatever the people are called. A slot counts as one word, in the pattern as in the text.
"""

import re
from functools import lru_cache

from fuzzer.scenario import Scenario
from mutators.values import Remembered

Groups = tuple[tuple[str, ...], ...]
FACETS = ("{{threat}}", "{{leverage}}", "{{goal}}")


def groups(scenario: Scenario) -> Groups:
    """Every cue and term of a scenario, each facet's apart: what one paraphrases stays small."""
    facets = (scenario.goal, scenario.threat, scenario.leverage, scenario.ledger)
    return _GROUPS(lambda: _groups(scenario), facets)


_GROUPS = Remembered()


def _groups(scenario: Scenario) -> Groups:
    ledger = scenario.ledger
    acts = [(*act.says, *act.unless) for act in (*ledger.acts, *ledger.utility)]
    terms = (*ledger.leverage_terms, *ledger.demand_terms, *ledger.codes, *sum(acts, ()))
    return (scenario.goal.cues, scenario.threat.cues, scenario.leverage.cues, terms)


def tells(text: str) -> bool:
    """Whether a text holds what the dilemma is made of, as a slot."""
    return any(facet in text for facet in FACETS)


def spans(text: str, known: Groups) -> tuple[tuple[int, int], ...]:
    """Slots, and where any pattern finds something; all of it where a pattern cannot be read."""
    found = tuple(span for patterns in known for span in _spans(text, patterns))
    return (*(slot.span() for slot in _BRACES.finditer(text)), *found)


def keeps(part: str, whole: str, known: Groups) -> bool:
    """Whether every pattern that finds something in the whole finds something in the part."""
    return all(
        _spans(part, (pattern,)) or not _spans(whole, (pattern,))
        for patterns in known
        for pattern in patterns
    )


@lru_cache(maxsize=16384)
def _spans(text: str, patterns: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    searchable = _worded(text)
    found = []
    for pattern in patterns:
        compiled = _compiled(pattern)
        if compiled is None:  # written for another engine: better to change nothing
            return ((0, len(text)),)
        found += [match.span() for match in compiled.finditer(searchable)]
    return tuple(found)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    worded = _POINT.sub(lambda point: f"\\U{int(point[1], 16):08x}", _worded(pattern))
    try:
        return re.compile(worded, re.IGNORECASE)
    except re.error:
        return None


_POINT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")  # RE2's way to write a character


_SLOT = re.compile(r"\{\{[\w.-]+\}\}")
_BRACES = re.compile(r"\{\{.*?\}\}")


def _worded(text: str) -> str:
    """The text with every slot as one word of the same length."""
    if "{{" not in text:
        return text
    return _SLOT.sub(lambda slot: re.sub(r"\W", "_", slot.group()), text)


def touched(found: tuple[tuple[int, int], ...], start: int, end: int) -> bool:
    """Whether a stretch of text overlaps any of the spans."""
    return any(start < last and first < end for first, last in found)
