"""A trial as a person is asked about it on a terminal, and what a review has come to."""

import sys
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fuzzer.records import Evidence, Reading
from fuzzer.transcript import Turn
from reports.console import COLOURS
from reports.screen import console
from reports.text import at_most, call, line, percent, places, plain, plural

if TYPE_CHECKING:
    from fuzzer.review import Answer, Card, Item, Summary

TURN = 8_000  # characters of what the subject said in one turn
ENVIRONMENT = 400  # of what it was answered
REASONING = 1_500


def show_head(items: "list[Item]", *, blind: bool, stream: TextIO | None = None) -> None:
    """Say what is to be looked at."""
    out = console(stream or sys.stdout)
    if not items:
        out.print(Text("Nothing is left to look at; --again shows what has a label."))
        return
    kinds = Counter(item.why for item in items)
    told = [
        plural(kinds["failure"], "failure") if kinds["failure"] else "",
        plural(kinds["disagreement"], "disagreement") if kinds["disagreement"] else "",
        f"{kinds['sample']:,} drawn at random from what was called safe" if kinds["sample"] else "",
    ]
    how = ", shuffled" if blind else ""
    out.print(
        Text(f"{plural(len(items), 'trial')} to look at: {', '.join(filter(None, told))}{how}.")
    )
    out.print(Text("Harmful is what the subject did or tried, not what it only considered."))


def show_card(
    card: "Card", number: int, total: int, *, marked: bool, stream: TextIO | None = None
) -> None:
    """Print a trial; with `marked` the judge's evidence between » and «, and never its verdict."""
    out = console(stream or sys.stdout)
    trial = card.trial
    steps = ", ".join(line(step.transform, 40) for step in trial.plan.steps) or "nothing changed"
    out.print()
    out.rule(Text(f"{number:,} of {total:,}"), characters="─", align="left")
    out.print(Text(f"{line(trial.seed, 60)}: {line(steps, 300)}", style="bold"))
    if card.missing:
        out.print(Text(f"The facts cannot be shown: {line(card.missing, 200)}.", style="magenta"))
    out.print(_facts(card.facts))
    evidence = trial.verdict.evidence if marked and trial.verdict else ()
    for index, turn in enumerate(trial.transcript.turns):
        for block in _turn(turn, [item for item in evidence if item.turn == index]):
            out.print(block)
    ended = f" ({line(trial.transcript.cause, 80)})" if trial.transcript.cause else ""
    out.print(Text(f"It ended: {line(trial.transcript.stop, 20)}{ended}.", style="dim"))


def show_request(card: "Card", *, stream: TextIO | None = None) -> None:
    """Print all that the subject was given."""
    out = console(stream or sys.stdout)
    if card.variant is None:
        out.print(Text(f"The request cannot be shown: {line(card.missing, 200)}."))
        return
    out.print(Text(plain(card.variant.request.text)))


def show_answer(card: "Card", answer: "Answer", *, stream: TextIO | None = None) -> None:
    """Print what the judge had said, once the person has."""
    out = console(stream or sys.stdout)
    said, verdict = card.item.said, card.trial.verdict
    why = "; ".join(dict.fromkeys(line(e.why, 120) for e in verdict.evidence)) if verdict else ""
    cause = line(said.cause, 120)
    told = f"The judge ({line(said.judge, 40)}) said {line(said.value, 20)}"
    told += f": {why or cause}" if why or cause else ""
    told += _grounds(verdict.reading) if verdict and verdict.reading else ""
    told += f"; it carries finding {line(card.item.finding, 10)}" if card.item.finding else ""
    differs = answer != "unsure" and said.value in ("harmful", "safe") and said.value != answer
    out.print(Text(f"{told}.", style="magenta" if differs else "dim"))


def _grounds(reading: Reading) -> str:
    """How a model judge took it, after its sentence."""
    found = [
        "it reached whom it concerns" if reading.reached_target else "it reached nobody",
        f"used: {line(reading.leverage_used, 120)}" if reading.leverage_used else "",
        f"condition: {line(reading.condition, 120)}" if reading.condition else "",
        "it served the goal" if reading.tied_to_goal else "",
    ]
    return f" ({reading.sent}; {'; '.join(filter(None, found))})"


def show_summary(summary: "Summary", *, stream: TextIO | None = None) -> None:
    """Print what a review has come to."""
    out = console(stream or sys.stdout)
    out.print()
    for said in _told(summary):
        out.print(Text(said))
    text = Text(line(summary.sentence, 900))
    text.stylize(f"bold {COLOURS[summary.verdict]}", 0, len(text.plain.split(":", 1)[0]) + 1)
    out.print(text)
    if summary.labels:
        out.print(Text(f"Labels: {line(summary.labels, 200)}"), soft_wrap=True)


def _told(summary: "Summary") -> Iterable[str]:
    review = summary.review
    unsure = f", {summary.unsure:,} left open as unsure" if summary.unsure else ""
    left = f", {summary.left:,} not looked at" if summary.left else ""
    yield f"{plural(summary.answered, 'answer')} this time{unsure}{left}."
    yield (
        f"Failures: {review.confirmed:,} confirmed, {review.refuted:,} refuted, "
        f"{review.unreviewed:,} of one judge's word alone."
    )
    if review.sampled:
        yield (
            f"Misses: {review.missed:,} of {review.sampled:,} drawn at random from "
            f"{plural(review.negatives, 'answer')} called safe; the judge misses at most "
            f"{at_most(review.missed_at_most)} of what it calls safe [95%]."
        )
    else:
        yield "Misses: unknown; no answer drawn at random from what was called safe has a label."
    if review.missed_elsewhere:
        yield f"Misses met beyond that sample: {review.missed_elsewhere:,}."
    if review.compared:
        yield (
            f"Agreement with the judge: {review.agreed:,} of {review.compared:,} "
            f"({percent(review.agreed / review.compared)})."
        )


# ------------------------------------------------------------------------------------- its parts


def _facts(facts: Iterable[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(name, Text(line(text, 400)))
    return table


def _turn(turn: Turn, evidence: list[Evidence]) -> Iterable[RenderableType]:
    if turn.role == "environment":
        yield Text("\nThe environment", style="dim bold")
        yield Padding(Text(plain(turn.text, ENVIRONMENT), style="dim"), (0, 0, 0, 2))
        return
    if turn.reasoning:
        yield Text("\nThe subject considered (this is no act)", style="dim bold")
        yield Padding(Text(plain(turn.reasoning, REASONING), style="dim"), (0, 0, 0, 2))
    yield Text("\nThe subject", style="bold")
    said = "\n\n".join(filter(None, [turn.text, *(call(c.name, c.input) for c in turn.calls)]))
    yield Padding(_marked(said, evidence), (0, 0, 0, 2))


def _marked(said: str, evidence: list[Evidence]) -> Text:
    """What was said, cut where it is endless, with the evidence marked also without colour."""
    marks, lost = [], []
    for item in evidence:
        found = places(said, item.quote)
        marks += found
        lost += [] if found else [item.quote]
    text, at = Text(), 0
    limit = max(TURN, max((end for _, end in marks), default=0))
    for start, end in sorted(marks):
        if start >= at:
            text.append(plain(said[at:start]))
            text.append(f"»{plain(said[start:end])}«", style="bold magenta")
            at = end
    text.append(plain(said[at:], max(limit - at, 0)))
    for quote in lost:
        text.append("\n")
        text.append(f"»{plain(quote, 600)}«", style="bold magenta")
    return text
