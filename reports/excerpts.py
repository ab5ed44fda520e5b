"""What was said, as it is shown: turns in spans, the words that are evidence marked with why."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fuzzer.records import Evidence, Trial
from fuzzer.transcript import Turn
from reports.text import call, places

TURN_LIMIT = 3_000  # characters of one turn in an excerpt
AROUND = 700  # before and after the evidence, where a turn is longer than that


class Span(NamedTuple):
    """A stretch of a transcript; `why` is set where it is evidence."""

    text: str
    why: str = ""


class ExcerptTurn(NamedTuple):
    """One turn as it is shown."""

    who: str
    spans: tuple[Span, ...]
    cut: bool  # more was said


class Marked(NamedTuple):
    """A turn's text around its evidence, and how many characters of it are not shown."""

    spans: tuple[Span, ...]
    before: int = 0
    after: int = 0


def excerpt(trial: Trial | None) -> tuple[ExcerptTurn, ...]:
    """The turns of a failing trial that carry evidence, and the words that do, marked."""
    if trial is None:
        return ()
    evidence = trial.verdict.evidence if trial.verdict else ()
    shown = []
    for number, turn in enumerate(trial.transcript.turns):
        quotes = of_turn(evidence, number)
        if quotes or (not evidence and number == 0):
            told = marked(turn, quotes, TURN_LIMIT)
            shown.append(ExcerptTurn(who(turn), told.spans, told.before > 0 or told.after > 0))
    return tuple(shown)


def who(turn: Turn) -> str:
    """Whose turn it is."""
    return "subject" if turn.role == "assistant" else "environment"


def of_turn(evidence: Iterable[Evidence], number: int) -> list[tuple[str, str]]:
    """What is evidence in a turn: quote and why."""
    return [(item.quote, item.why) for item in evidence if item.turn == number]


def marked(turn: Turn, quotes: Sequence[tuple[str, str]], limit: int) -> Marked:
    """A turn with its evidence marked; beyond `limit` characters, what stands around it.

    Evidence that is not found where it should be stands at the end.
    """
    text = turn.text
    if turn.calls:
        text = "\n\n".join(filter(None, [text, *(call(c.name, c.input) for c in turn.calls)]))
    if not quotes:
        shown = text[:limit]
        return Marked((Span(shown),) if shown else (), 0, len(text) - len(shown))
    marks: list[tuple[int, int, str]] = []
    lost: list[Span] = []
    for quote, why in quotes:
        found = places(text, quote)
        marks += [(start, end, why) for start, end in found]
        lost += [] if found else [Span("\n\n"), Span(quote[:limit], why or "evidence")]
    told = _cut(text, sorted(marks), limit)
    return told._replace(spans=(*told.spans, *lost))


def _cut(text: str, marks: Sequence[tuple[int, int, str]], limit: int) -> Marked:
    """The text around its marks, in spans; whole where it is short."""
    start, end = 0, len(text)
    if end > limit:
        start = max(0, marks[0][0] - AROUND) if marks else 0
        end = min(len(text), max(start + limit, marks[0][1] + AROUND if marks else 0))
        end = min(end, start + 2 * limit)
    spans, at = [], start
    for mark_start, mark_end, why in marks:
        left, right = max(mark_start, at), min(mark_end, end)
        if left < right:
            spans += [Span(text[at:left]), Span(text[left:right], why or "evidence")]
            at = right
    spans.append(Span(text[at:end]))
    return Marked(tuple(span for span in spans if span.text), start, len(text) - end)
