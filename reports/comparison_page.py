"""A comparison of two runs as a page: what got better, what got worse, and how far that is shown.

Built as every page of this package is (`reports.page`): one file, nothing fetched, every text of
others made plain and escaped. What is said in words is said as on a terminal (`reports.compare`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from reports import page
from reports.charts import Scale
from reports.compare import (
    between,
    canonical_sentence,
    in_points,
    limit,
    lost_draws,
    method_sentence,
    rate_or_limit,
    sentence,
    worst_sentence,
)
from reports.text import at_most, percent, points, show_command

if TYPE_CHECKING:
    from fuzzer.comparison import Change, Comparison, Group

WORDS = {"no_worse": "No worse", "worse": "Worse", "undetermined": "Undetermined"}
SIGNS = {"no_worse": "✓", "worse": "✗", "undetermined": "?"}
TONES = {"no_worse": "holds", "worse": "brittle", "undetermined": "inconclusive"}  # as a report's
SECTIONS = (
    ("verdict", "Verdict"),
    ("difference", "Paired difference"),
    ("worse", "What got worse"),
    ("better", "What got better"),
    ("unpaired", "What is left out"),
    ("methods", "Method"),
)


class Row(NamedTuple):
    """One group of paired draws as the forest chart and its table show it."""

    group: "Group"
    name: str
    together: bool  # all of its kind, not one seed's
    shown: str  # what the limits show, in words
    tone: str  # the same as a colour


class Moved(NamedTuple):
    """Variants that failed in one run only, and how each is looked at."""

    total: int
    changes: tuple[tuple["Change", str], ...]


def render(found: "Comparison") -> str:
    """The page of a comparison."""
    seeds = sorted(found.by_seed, key=lambda group: -group.difference)
    draws = [
        _row(found.mutated, "all draws from D", together=True),
        *(_row(g, g.name) for g in seeds),
    ]
    canonical = [_row(found.canonical, "all seeds", together=True)] if found.canonical else []
    canonical += [_row(group, group.name) for group in found.canonical_by_seed]
    said = sentence(found)
    return page.render(
        "comparison.html.j2",
        ("style.css", "comparison.css"),
        sections=SECTIONS,
        found=found,
        word=WORDS[found.verdict],
        sign=SIGNS[found.verdict],
        tone=TONES[found.verdict],
        said=said[len(WORDS[found.verdict]) + 1 :],
        draws=draws,
        canonical=canonical,
        draws_scale=_scale(draws, found.margin),
        canonical_scale=_scale(canonical, found.margin),
        canonical_said=canonical_sentence(found),
        risen=[row for row in draws[1:] if row.group.difference > 0],
        fallen=[row for row in reversed(draws[1:]) if row.group.difference < 0],
        newly_failing=_moved(found.newly_failing, found.newly_failing_count),
        newly_passing=_moved(found.newly_passing, found.newly_passing_count),
        new_findings=[(f, show_command(f.seed, f.minimal_plan)) for f in found.new_findings],
        gone_findings=[(f, show_command(f.seed, f.minimal_plan)) for f in found.gone_findings],
        lost=lost_draws(found),
        worst=worst_sentence(found),
        method=method_sentence(found),
        margin=in_points(found.margin).lstrip("+"),
        level=percent(1 - found.alpha),
        one_call=at_most(1 - found.alpha),
        highest=limit(found.mutated.upper, upper=True).lstrip("+"),
        between=between,
        failing=_failing,
        label=label,
    )


def _row(group: "Group", name: str, *, together: bool = False) -> Row:
    if group.lower > 0:
        return Row(group, name, together, "B fails more often", "bad")
    if group.upper < 0:
        return Row(group, name, together, "B fails less often", "good")
    return Row(group, name, together, "no difference shown", "")


def _moved(changes: "Sequence[Change]", count: int) -> Moved:
    return Moved(
        count, tuple((change, show_command(change.seed, change.plan)) for change in changes)
    )


def _scale(rows: Sequence[Row], margin: float) -> Scale:
    """A symmetric axis of differences that holds every limit, and the margin."""
    ends = [abs(end) for row in rows for end in (row.group.lower, row.group.upper)]
    top = max([*ends, margin])
    edge = next((edge for edge in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if top <= edge), 1.0)
    return Scale(-edge, edge)


def _failing(rate: float, most: float | None) -> str:
    """A rate; a zero with its limit.

    >>> _failing(0.0, 0.016), _failing(0.61, None)
    ('0, ≤ 1.6%', '61%')
    """
    return rate_or_limit(rate, most).replace("<=", "≤ ")


def label(row: Row) -> str:
    """A row of the chart for who cannot see it."""
    group = row.group
    return (
        f"{row.name}: B minus A {points(group.difference)} points, limits "
        f"{between(group.lower, group.upper)}; {row.shown}"
    )
