"""A judge's calibration on a terminal: what it called what, how sure that is, where it was wrong.

Ids, quotes and file names come from whoever wrote the transcripts: all pass `reports.text`.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.screen import as_text, put
from reports.text import interval, line, percent, plural

if TYPE_CHECKING:
    from fuzzer.calibration import Calibration, Disagreement, Estimate, Group, Verdicts

EDITS_SHOWN = 8
SHOWN = 20  # disagreements; the record holds all
VALUES = ("harmful", "safe", "refer", "unusable")


def show(calibration: "Calibration", stored: str = "", *, stream: TextIO | None = None) -> None:
    """Print a calibration on standard output; `stored` is the file it was written to, if any."""
    put(lambda _: _blocks(calibration, stored), stream)


def text(calibration: "Calibration", stored: str = "", width: int = 80) -> str:
    """The same as plain text."""
    return as_text(lambda _: _blocks(calibration, stored), width)


def _blocks(found: "Calibration", stored: str) -> list[RenderableType]:
    blocks: list[RenderableType] = [_head(found), Text(), _confusion(found.overall), Text()]
    blocks += [_figures(found), Text(_sure(found))]
    for title, groups in (("behaviour", found.by_behaviour), ("channel", found.by_channel)):
        blocks += [Text(), _by(title, groups)]
    if found.flips:
        blocks += [Text(), Text(_astray(found)), _flips(found)]
    blocks += _disagreements(found)
    if found.undecided:
        told = plural(len(found.undecided), "transcript")
        blocks += [Text(), Text(f"Not decided: {told}, listed in --json.")]
    if stored:
        blocks += [Text(), Text(f"Stored as {line(stored, 120)} ({found.hash}).")]
    return blocks


def _head(found: "Calibration") -> Text:
    judge = f"{line(found.judge, 40) or 'a judge without a name'} {found.version}"
    labels = f"{found.overall.harmful.n:,} labelled harmful, {found.overall.safe.n:,} safe"
    head = Text(f"Calibration of {judge}: {plural(found.n_labels, 'transcript')}", style="bold")
    return head.append(f" ({labels}) of {plural(found.overall.seeds, 'seed')}.", style="not bold")


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number, column in enumerate(columns):
        justify = "left" if number < left else "right"
        table.add_column(column, justify=justify, overflow="ellipsis", no_wrap=True)  # type: ignore[arg-type]
    return table


def _confusion(overall: "Group") -> Table:
    table = _table("label (down), verdict (across)", *VALUES)
    rows: tuple[tuple[str, Verdicts], ...] = (("harmful", overall.harmful), ("safe", overall.safe))
    for label, verdicts in rows:
        table.add_row(label, *(f"{getattr(verdicts, value):,}" for value in VALUES))
    return table


def _figures(found: "Calibration") -> Table:
    overall = found.overall
    table = _table("", "found", "share", "interval, %", "99% bound")
    rows: tuple[tuple[str, Estimate, float | None], ...] = (
        ("sensitivity of the decided", overall.sensitivity, found.sens_L),
        ("specificity of the decided", overall.specificity, found.spec_L),
        ("harmful or referred, of harmful", overall.flagged_sensitivity, None),
        ("called safe, of safe", overall.flagged_specificity, None),
    )
    for name, estimate, bound in rows:
        told = "" if bound is None else _at_least(bound)
        table.add_row(name, _counted(estimate), _share(estimate), interval(estimate.ci), told)
    referred, n = overall.referred, max(1, overall.n)
    table.add_row(
        "referred, of all", f"{referred:,} of {overall.n:,}", percent(referred / n), "", ""
    )
    agreement = overall.agreement
    if agreement.kappa is not None:
        low, high = agreement.ci
        table.add_row("kappa", "", f"{agreement.kappa:.2f}", f"{low:.2f} to {high:.2f}", "")
    return table


def _counted(estimate: "Estimate") -> str:
    return f"{estimate.k:,} of {estimate.n:,}"


def _at_least(bound: float) -> str:
    """A lower bound, rounded down."""
    return f"≥ {math.floor(1000 * bound) / 10:.1f}%"


def _share(estimate: "Estimate") -> str:
    return "–" if estimate.rate is None else percent(estimate.rate)


def _sure(found: "Calibration") -> str:
    level = percent(1 - found.alpha)
    seeds = plural(found.overall.seeds, "seed")
    if found.clustered:
        return f"Intervals are {level}, clustered by seed ({seeds}); bounds are one-sided."
    return (
        f"Intervals are exact, {level}; {seeds} are too few to cluster on, so they count as fixed "
        "strata: nothing is said of other seeds. Bounds are one-sided."
    )


def _by(title: str, groups: "Iterable[Group]") -> Table:
    table = _table(title, "sensitivity", "specificity", "kappa", "refer", "unusable")
    for group in groups:
        kappa = group.agreement.kappa
        table.add_row(
            Text(line(group.name, 18)),
            _brief(group.sensitivity),
            _brief(group.specificity),
            "–" if kappa is None else f"{kappa:.2f}",
            f"{group.referred:,}",
            f"{group.unusable:,}",
        )
    return table


def _brief(estimate: "Estimate") -> str:
    if not estimate.n:
        return "–"
    return f"{estimate.k}/{estimate.n} {interval(estimate.ci)}"


def _astray(found: "Calibration") -> str:
    n, flips = sum(row.n for row in found.flips), sum(row.flips for row in found.flips)
    softened = sum(row.softened for row in found.flips)
    return (
        f"Led astray by edits whose effect is known: {flips:,} of {n:,}; {softened:,} more were "
        "referred before or after."
    )


def _flips(found: "Calibration") -> Table:
    """The edits that led it astray, the most frequent first; else those tried most."""
    wrong = [row for row in found.flips if row.flips]
    rows = sorted(wrong or found.flips, key=lambda row: (-row.rate, -row.n, row.name))
    table = _table("edit", "flips", "of", "interval, %")
    for row in rows[:EDITS_SHOWN]:
        name = f"{row.family}: {row.name}" if row.family else row.name
        table.add_row(Text(line(name, 46)), f"{row.flips:,}", f"{row.n:,}", interval(row.ci))
    return table


def _disagreements(found: "Calibration") -> list[RenderableType]:
    rows = found.disagreements
    if not rows:
        return [Text(), Text("Every verdict it decided is that of the label.")]
    blocks: list[RenderableType] = [Text(), Text(f"{plural(len(rows), 'disagreement')}:")]
    for row in rows[:SHOWN]:
        blocks.append(Text(f"  {line(row.link, 200)}", no_wrap=True))  # to be clicked: never cut
        blocks.append(Padding(Text(_told(row)), (0, 0, 0, 4)))
    if (more := len(rows) - SHOWN) > 0:
        blocks.append(Text(f"  and {more:,} more (--json has them all)"))
    return blocks


def _told(row: "Disagreement") -> str:
    where = f"{line(row.id, 40)}, {line(row.seed, 40)}, {line(row.channel, 10)}"
    said = f"{where}: labelled {row.label}, judged {row.verdict}"
    why = f" ({line(row.why, 80)})" if row.why else ""
    quote = f": “{line(row.quote, 120)}”" if row.quote else ""
    return f"{said}{why}{quote}"
