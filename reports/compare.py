"""A comparison of two runs on a terminal: the verdict, the difference, and what it rests on.

Directories, models, seeds and plans are others' text: all pass `reports.text`.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.screen import as_text, put
from reports.text import interval, line, percent, plan_phrase, plural, points

if TYPE_CHECKING:
    from fuzzer.comparison import Change, Comparison, Found, Group, Side
    from fuzzer.transform import Step

SHOWN = 8  # changed variants, findings and seeds; the record holds more
STEPS_SHOWN = 4
WIDEST = 96  # columns of a table
_STYLES = {"no_worse": "bold green", "worse": "bold red", "undetermined": "bold magenta"}


def show(found: "Comparison", *, stream: TextIO | None = None) -> None:
    """Print a comparison on standard output."""
    put(lambda width: _blocks(found, width), stream)


def text(found: "Comparison", width: int = 80) -> str:
    """The same as plain text."""
    return as_text(lambda columns: _blocks(found, columns), width)


def _blocks(found: "Comparison", width: int) -> list[RenderableType]:
    blocks: list[RenderableType] = [Text(sentence(found), style=_STYLES[found.verdict]), Text()]
    for name, side in (("A", found.a), ("B", found.b)):
        blocks.append(Text(_side(name, side)))
    blocks += [Text(), _table(found, width)]
    if len(found.seeds) > SHOWN:
        blocks.append(Text("Seeds with the largest differences; --json has them all."))
    blocks += [Text(), Text(method_sentence(found))]
    blocks += [
        Text(said)
        for said in (canonical_sentence(found), lost_sentence(found), worst_sentence(found))
        if said
    ]
    blocks += [Text(line(note, 400)) for note in found.notes]
    blocks += _changed("Newly failing", found.newly_failing, found.newly_failing_count)
    blocks += _changed("Newly passing", found.newly_passing, found.newly_passing_count)
    blocks += _findings("Findings of B that A has not:", found.new_findings)
    blocks += _findings("Findings of A that B has not:", found.gone_findings)
    return blocks


def sentence(found: "Comparison") -> str:
    """The verdict as a sentence."""
    d, level = found.mutated, percent(1 - found.alpha)
    margin = in_points(found.margin)
    seen = f"{in_points(d.difference)} on {plural(d.pairs, 'paired draw')}"
    if found.verdict == "no_worse":
        return (
            f"No worse: on average over D, B fails less than {margin.lstrip('+')} more often than "
            f"A ({seen}; at most {limit(d.upper, upper=True)} [{level}])."
        )
    if found.verdict == "worse":
        least = f"; at least {limit(d.lower, upper=False)} [{level}]" if d.lower > 0 else ""
        return f"Worse: on average over D, B fails more often than A ({seen}{least})."
    most = limit(d.upper, upper=True)
    return (
        f"Undetermined: on average over D, B may fail up to {most} points [{level}] more often "
        f"than A, and the margin is {margin.lstrip('+')} ({seen}); that it is worse is not shown."
    )


def in_points(difference: float) -> str:
    """A difference with its unit; one that is none is "0 points".

    >>> in_points(0.01), in_points(-0.025), in_points(0.0)
    ('+1 point', '-2.5 points', '0 points')
    """
    shown = points(difference)
    return f"{shown} point" if shown in ("+1", "-1") else f"{shown} points"


def limit(value: float, *, upper: bool) -> str:
    """A limit of a difference in points: two digits, rounded away from what it bounds.

    >>> limit(0.0431, upper=True), limit(0.0431, upper=False), limit(-0.0431, upper=False)
    ('+4.4', '+4.3', '-4.4')
    """
    size = abs(100 * value)
    if size < 1e-9:
        return "0"
    scale = 10.0 ** (1 - math.floor(math.log10(size)))
    outward = (value > 0) == upper
    cut = math.ceil(size * scale - 1e-6) if outward else math.floor(size * scale + 1e-6)
    return f"{'+' if value > 0 else '-'}{cut / scale:.{max(0, round(math.log10(scale)))}f}"


def between(lower: float, upper: float) -> str:
    """Both limits of a difference, in points.

    >>> between(-0.0431, 0.0)
    '[-4.4, 0]'
    """
    return f"[{limit(lower, upper=False)}, {limit(upper, upper=True)}]"


def _side(name: str, side: "Side") -> str:
    epochs = f", {side.epochs} calls each" if side.epochs > 1 else ""
    return (
        f"{name}  {line(side.model, 40)} in {line(side.directory, 60)}: {side.verdict}; "
        f"{side.calls:,} of {side.budget:,} calls, {side.ended}; "
        f"{plural(side.draws, 'draw')} from D{epochs}."
    )


def _table(found: "Comparison", width: int) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
        width=min(width, WIDEST),
    )
    table.add_column("", overflow="ellipsis", no_wrap=True, ratio=1)  # no number is cut for a name
    limits = f"B - A, points [{percent(1 - found.alpha)}]"
    for column in ("pairs", "A fails", "B fails", limits):
        table.add_column(column, justify="right", no_wrap=True)
    _row(table, "draws from D", found.mutated)
    for group in _largest(found.by_seed):
        _row(table, f"  {line(group.name, 30)}", group)
    if found.canonical is not None:
        _row(table, "seeds as they are", found.canonical)
        for group in _largest(found.canonical_by_seed):
            _row(table, f"  {line(group.name, 30)}", group)
    return table


def _largest(groups: "Iterable[Group]") -> "list[Group]":
    listed = list(groups)
    if len(listed) < 2:
        return []
    return sorted(listed, key=lambda group: -abs(group.difference))[:SHOWN]


def _row(table: Table, name: str, group: "Group") -> None:
    table.add_row(
        Text(name),
        f"{group.pairs:,}",
        rate_or_limit(group.rate_a, group.at_most_a),
        rate_or_limit(group.rate_b, group.at_most_b),
        f"{points(group.difference)} {between(group.lower, group.upper)}",
    )


def rate_or_limit(rate: float, at_most: float | None) -> str:
    """A rate; a zero with its limit."""
    return percent(rate) if at_most is None else f"0, <={percent(at_most)}"


def method_sentence(found: "Comparison") -> str:
    """Which limits these are, why, and how often they err."""
    d = found.mutated
    level = percent(found.alpha)
    if d.method == "stopped":
        how = (
            f"Betting confidence sequence over {plural(d.pairs, 'paired draw')}, because "
            f"{found.why}: each limit errs with at most {level}, whenever a run ends. "
            "`sweep --stop budget` of both gives a sharper test."
        )
    else:
        p = d.p_worse if d.p_worse is not None else 1.0
        drawn = "" if d.exact else ", over random flips"
        how = (
            f"Sign-flip test over {plural(d.variants, 'variant')} in "
            f"{plural(d.pairs, 'paired draw')}, because {found.why}: p = {p:.2g} that B is "
            f'worse, one-sided (mid p{drawn}); it is against "no variant changed", and for the '
            f"mean over D an approximation beyond one epoch. Each limit errs with about {level}."
        )
    how += " Every draw counts once; seeds are drawn alike, and their rows are not adjusted."
    if found.mcnemar is not None:
        m = found.mcnemar
        how += (
            f" Of the pairs {m.newly} newly fail and {m.no_longer} no longer do"
            f" (McNemar, two-sided p = {m.p:.2g}"
            + ("; a description)." if d.method == "fixed" else "; not valid at such a stop).")
        )
    return how


def canonical_sentence(found: "Comparison") -> str:
    """What must be known of the seeds as they are; empty where nothing must."""
    group = found.canonical
    if group is None:
        return "No canonical call pairs, so nothing is said of the seeds as they are."
    if group.lower > 0 or (group.p_worse is not None and group.p_worse <= found.alpha):
        return "The seeds as they are fail more often in B; the verdict above is on D alone."
    return ""


def lost_draws(found: "Comparison") -> list[tuple[int, str]]:
    """How many draws do not pair, by reason; those there are."""
    lost = found.lost
    parts = [
        (lost.only_a, "drawn in A only, B having ended"),
        (lost.only_b, "drawn in B only, A having ended"),
        (lost.unusable, "without a usable pair of answers"),
        (lost.cut, "cut off by the end of a run"),
        (lost.differing, "of different variants"),
    ]
    return [(n, why) for n, why in parts if n]


def lost_sentence(found: "Comparison") -> str:
    """The same in a sentence; empty where every draw pairs."""
    told = "; ".join(f"{n:,} {why}" for n, why in lost_draws(found))
    return f"Draws that do not pair, and are left out: {told}." if told else ""


def worst_sentence(found: "Comparison") -> str:
    """What the answers that could not be judged might hide; empty where there are none."""
    worst = found.worst
    if worst is None:
        return ""
    return (
        f"Unusable answers: {worst.unusable_a:,} in A, {worst.unusable_b:,} in B. Were all of B's "
        f"harmful and all of A's safe, B - A would be {points(worst.difference)} points "
        f"{between(worst.lower, worst.upper)}."
    )


def _changed(title: str, changes: "tuple[Change, ...]", count: int) -> list[RenderableType]:
    if not count:
        return []
    head = f"{title}: {plural(count, 'variant')}. One call decides little; each is where to look."
    blocks: list[RenderableType] = [Text(), Text(head)]
    for change in changes[:SHOWN]:
        said = (
            f"{line(change.seed, 40)}: {_steps(change.plan)} "
            f"(A {change.harmful_a} of {change.calls}, B {change.harmful_b} of {change.calls})"
        )
        blocks.append(Padding(Text(said), (0, 0, 0, 2)))
    if (more := count - SHOWN) > 0:
        blocks.append(Text(f"  and {more:,} more; --json lists more"))
    return blocks


def _steps(plan: "tuple[Step, ...]") -> str:
    """A plan as drawn, which may be long: nothing has shrunk it."""
    more = len(plan) - STEPS_SHOWN
    told = " + ".join(line(step.transform, 40) for step in plan[:STEPS_SHOWN])
    if more <= 0:
        return plan_phrase(plan, {})
    return f"{told} and {plural(more, 'more step')}"


def _findings(title: str, found: "tuple[Found, ...]") -> list[RenderableType]:
    if not found:
        return []
    blocks: list[RenderableType] = [Text(), Text(title)]
    for each in found[:SHOWN]:
        said = (
            f"{line(each.id, 12)} {line(each.seed, 40)}: {plan_phrase(each.minimal_plan, {})}, "
            f"{percent(each.rate)} {interval(each.ci)}"
            + ("" if each.fresh else " of replays, which run high")
            + ("" if each.certified else "; not certified minimal")
        )
        blocks.append(Padding(Text(said), (0, 0, 0, 2)))
    if (more := len(found) - SHOWN) > 0:
        blocks.append(Text(f"  and {more:,} more; --json lists more"))
    return blocks
