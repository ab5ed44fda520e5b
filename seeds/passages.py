"""The passages that tell goal, threat and leverage: cut out of a text, and found again by cues."""

import re
from collections.abc import Iterator

from fuzzer.errors import SeedError
from fuzzer.patterns import compiled
from fuzzer.scenario import parse_slots
from seeds.slotting import Doubts, Slotter
from seeds.sources import FACETS

_MARKS = dict(zip(FACETS, "\ue000\ue001\ue002", strict=True))  # hold a passage's place


def cut(facet: str, quote: str, texts: dict[str, str], doubts: Doubts) -> str:
    """Take a passage out of the one text it stands in, leave a mark, and give it as it stood.

    The mark is a paragraph of its own. Raises `SeedError` unless the quote stands exactly once, and
    where that facet may be told.
    """
    found = [(where, match) for where, text in texts.items() for match in _find(text, quote)]
    if len(found) != 1:
        times = f"stands {len(found)} times ({', '.join(where for where, _ in found)})"
        raise SeedError(
            f"{facet}.quote: {times if found else 'stands nowhere in the text'}; copy a passage "
            "that stands there once"
        )
    where, match = found[0]
    if where.startswith("message-") == (facet == "goal"):
        there = "the prompt" if facet == "goal" else "a message"
        raise SeedError(
            f"{facet}.quote: stands in {where}, and a {facet} is told in {there}; quote it from "
            "there (messages are known by lines From:, To: and Subject:)"
        )
    before, after = texts[where][: match.start()], texts[where][match.end() :]
    if not (re.search(r"(?:^|\n\s*\n)\s*$", before) and re.match(r"\s*(?:$|\n\s*\n)", after)):
        doubts.note(f"the {facet} stood within a paragraph and is now one of its own", where)
    kept = (before.rstrip(), _MARKS[facet], after.lstrip())
    texts[where] = "\n\n".join(part for part in kept if part)
    return match.group()


def _find(text: str, quote: str) -> Iterator[re.Match[str]]:
    """Where a quote stands, however its lines are broken; a full stop left off belongs to it."""
    words = r"\s+".join(map(re.escape, quote.split()))
    ending = "" if quote[-1] in ".!?" else "[.!?]?"
    return re.finditer(rf"(?<!\w){words}(?!\w){ending}", text)


def marked(facet: str, text: str) -> bool:
    """Whether this is where the passage stood."""
    return _MARKS[facet] in text


def unmarked(text: str) -> str:
    """The text with the slot of each passage where its mark is."""
    for facet, mark in _MARKS.items():
        text = text.replace(mark, f"{{{{{facet}}}}}")
    return text


def cues(facet: str, text: str, given: list[str], slotter: Slotter) -> list[str]:
    """Those of the given cues that find the passage; made from its words where none does."""
    plain = unfilled(text)
    fitting = []
    for cue in given:
        if compiled(cue).search(plain):
            fitting.append(cue)
        else:
            slotter.doubts.note(
                f"{cue!r} does not occur in the passage and is left out", f"{facet}.cues"
            )
    if fitting:
        return fitting
    made = _made(text, slotter.names)
    slotter.doubts.note(
        f"made from the passage: {', '.join(map(repr, made))}; see whether they tell it from "
        "other text",
        f"{facet}.cues",
    )
    return made


def _made(text: str, names: frozenset[str]) -> list[str]:
    """Up to three runs of words, with no name and across no slot: from start, middle and end."""
    literals = [part for part in parse_slots(text) if isinstance(part, str)]
    for size in (3, 2, 1):
        runs = []
        for literal in literals:
            words = re.findall(r"\w+", literal.lower())
            found = (words[at : at + size] for at in range(0, len(words) - size + 1, size))
            runs += [run for run in found if names.isdisjoint(run)]
        if runs:
            chosen = (runs[0], runs[len(runs) // 2], runs[-1])
            return list(dict.fromkeys(r"\W+".join(run) for run in chosen))
    return []


def unfilled(text: str) -> str:
    """The text with a stand-in for every slot, as the loader reads it."""
    parts = parse_slots(text)
    return "".join(p if isinstance(p, str) else "12:00" if p[0] == "clock" else "X" for p in parts)
