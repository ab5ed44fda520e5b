"""A replayed corpus on a terminal: each entry then and now, what changed, and what is claimed.

All of it but figures is others' text (a corpus may come from anywhere), and passes `reports.text`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.screen import as_text, put
from reports.text import at_most, interval, line, money, percent, plural

if TYPE_CHECKING:
    from fuzzer.replay_run import Replayed, Row

NAMED = 6  # entries of which the same is said
SAID = 300  # characters of a sentence that quotes a corpus or a judge
_STATES = {
    "still_fails": ("still fails", "bold red"),
    "fails_no_more": ("below cut", "bold green"),
    "undecided": ("undecided", "bold magenta"),
    "not_testable": ("not testable", "bold magenta"),
}
_STYLES = {
    "still_fails": "bold red",
    "fails_no_more": "bold green",
    "undecided": "bold magenta",
    "unusable": "bold magenta",
}


def to_json(found: "Replayed") -> str:
    """The report as JSON, in ASCII."""
    return found.model_dump_json(indent=2, ensure_ascii=True) + "\n"


def show(found: "Replayed", directory: str = "", *, stream: TextIO | None = None) -> None:
    """Print a replay on standard output."""
    put(lambda _: _blocks(found, directory), stream)


def brief(found: "Replayed", directory: str, *, stream: TextIO | None = None) -> None:
    """Print the verdict as a sentence, and where the run is kept."""
    kept = f"Report: {line(directory, 200)}/replay.json"
    put(lambda _: [Text(sentence(found)), Text(kept, no_wrap=True)], stream)


def text(found: "Replayed", directory: str = "", width: int = 80) -> str:
    """The same as plain text."""
    return as_text(lambda _: _blocks(found, directory), width)


def _blocks(found: "Replayed", directory: str) -> list[RenderableType]:
    blocks: list[RenderableType] = [
        Text(sentence(found), style=_STYLES[found.verdict]),
        Text(),
        _table(found),
    ]
    notes = _joined(found.entries)
    if notes:
        blocks += [Text(), *(Padding(Text(note), (0, 0, 0, 2)) for note in notes)]
    blocks += [Text(), Text(claim(found)), Text(_spent(found, directory))]
    return blocks


def sentence(found: "Replayed") -> str:
    """The verdict as a sentence."""
    states = [row.state for row in found.entries]
    tested = len(states) - states.count("not_testable")
    failing, fixed = states.count("still_fails"), states.count("fails_no_more")
    if found.verdict == "still_fails":
        maybe = "Provisional: " if found.provisional else ""
        return (
            f"{maybe}{failing} of {_entries(len(states))} still "
            f"{'fails' if failing == 1 else 'fail'}: more often than {percent(found.threshold)}."
        )
    if found.verdict == "fails_no_more":
        least = max(row.ci[1] for row in found.entries)
        level = percent(1 - found.alpha)
        return (
            f"Nothing fails any more, at its cut: {_each(tested)} fails less often than that; none "
            f"more often than {at_most(least)} [{level}]."
        )
    if found.verdict == "unusable":
        return (
            "Unusable: too many answers could not be judged, or did not take part, for any verdict."
        )
    rest = len(states) - fixed
    return (
        f"Undecided: {fixed} of {_entries(len(states))} are below their cut, and "
        f"of {rest} nothing is shown."
    )


def claim(found: "Replayed") -> str:
    """What may be wrong with the verdict, and what it takes for granted."""
    alpha = percent(found.alpha)
    given = (
        "Calls of an entry are taken as independent draws at one rate, and the judge "
        f"({line(found.judge, 60)}) at its word."
    )
    if found.verdict == "still_fails":
        shown = (
            f"That any entry named so fails at most {percent(found.threshold)} of the time has "
            f"probability at most {alpha}, over all entries together."
        )
        if found.provisional:
            shown += " Some failures are one judge's word, and unconfirmed."
    elif found.verdict == "fails_no_more":
        shown = (
            "That some entry fails as often as its cut all the same has probability at most "
            f"{alpha}; a rate below the cut is not excluded."
        )
    elif found.verdict == "unusable":
        shown = (
            "That an entry seldom failed shows nothing here: what was not judged, or not engaged "
            "with, might have."
        )
    else:
        shown = f'"Below cut" of a single entry errs with probability at most {alpha}.'
    return f"{shown} Each limit of an interval errs with at most {alpha}, at any stop. {given}"


def _table(found: "Replayed") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    table.add_column("", no_wrap=True, overflow="ellipsis", max_width=8)
    table.add_column("seed", no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column("what it takes", no_wrap=True, overflow="ellipsis", ratio=4)
    table.add_column("then", justify="right", no_wrap=True)
    table.add_column("now", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in found.entries:
        said, style = _STATES[row.state]
        if found.verdict == "unusable" and row.state == "fails_no_more":
            said, style = "no verdict", "bold magenta"  # it is not cleared by not taking part
        table.add_row(
            line(row.finding, 8),
            Text(line(row.seed, 60)),
            Text(_takes(row)),
            "-" if row.recorded.rate is None else percent(row.recorded.rate),
            _now(row),
            Text(said + ("?" if row.provisional else ""), style=style),
        )
    return table


def _takes(row: "Row") -> str:
    names = " + ".join(line(step.transform, 40) for step in row.plan) or "nothing: the seed itself"
    return f"{names}, less {plural(len(row.drop), 'part')}" if row.drop else names


def _now(row: "Row") -> str:
    """How often it failed now, with its interval; a zero with its limit.

    Unusable answers are in the interval, and not in the count.
    """
    if row.state == "not_testable":
        return "not called"
    if row.n == 0:
        return "none usable" if row.calls else "not called"
    if row.harmful == 0:
        return f"0/{row.n}, <={at_most(row.ci[1])}"
    return f"{row.harmful}/{row.n} {interval(row.ci)}"


def _joined(rows: "Iterable[Row]") -> list[str]:
    """What is to be said of entries, once where it is the same of several."""
    said: dict[str, list[str]] = {}
    for row in rows:
        for note in _notes(row):
            said.setdefault(note, []).append(line(row.finding, 12))
    return [f"{_named(names)}: {note}." for note, names in said.items()]


def _named(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _notes(row: "Row") -> list[str]:
    said = []
    if row.state == "not_testable":
        said.append(f"not testable: {line(row.reason, SAID)}")
    elif row.reason:
        said.append(f"undecided: {line(row.reason, SAID)}")
    if row.unusable:
        said.append(f"{row.unusable} of {plural(row.calls, 'answer')} could not be judged")
    if row.transport:
        said.append(f"{row.transport} of {plural(row.calls, 'call')} were lost on the way")
    if 2 * row.engaged < row.n:
        said.append(f"declined to take part in {row.n - row.engaged} of {plural(row.n, 'answer')}")
    if row.provisional:
        said.append("still fails by one judge's word, unconfirmed")
    return said + [line(change, SAID) for change in row.mismatches]


def _spent(found: "Replayed", directory: str) -> str:
    extra = f" and {found.after_stop} that were in flight" if found.after_stop else ""
    cost = "" if found.cost_usd is None else f", {money(found.cost_usd)}"
    early = f" It ended early: {line(found.stopped_because, SAID)}." if found.stopped else ""
    where = f" Kept in {line(directory, 200)}." if directory else ""
    return f"{plural(found.calls, 'call')}{extra}{cost} on {line(found.model, 60)}.{early}{where}"


def _each(n: int) -> str:
    return "the one entry" if n == 1 else f"each of {n:,} entries"


def _entries(n: int) -> str:
    return f"{n:,} {'entry' if n == 1 else 'entries'}"
