"""Figures placed on drawings: scales, evidence towards its thresholds, curves, heat.

Nothing here is a picture yet: a template draws what is placed, beside a table of the same numbers.
Horizontal places are percentages of the width, so that a drawing is as wide as its column.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fuzzer.records import Interval, Report, SeedFamily
from reports.text import at_most, figure, percent, points

DIGIT = 9.0  # width of a digit in a curve's units: 13 px, in whatever font the reader has
FEW = 10  # draws below which a point of a curve stands hollow, and a cell without a shade
HEAT = (0.25, 0.50, 0.75)  # shares of failing rows from which on the next heat begins


class Scale(NamedTuple):
    """A horizontal axis, 0 to 100 wide."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a value lies, in percent of the width; what lies outside, at the nearer end."""
        inside = min(max(value, self.low), self.high)
        return round(100 * (inside - self.low) / (self.high - self.low), 2)

    @property
    def ends(self) -> tuple[str, ...]:
        """What stands at its ends, and at 0 where that lies between them."""
        if self.low < 0:
            return points(self.low), "0", points(self.high)
        return percent(self.low), percent(self.high)


def rate_scale(intervals: Iterable[Interval]) -> Scale:
    """An axis from 0 to the first round figure beyond every interval."""
    top = max((high for _, high in intervals), default=1.0)
    rounds = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    return Scale(0.0, next((edge for edge in rounds if top <= edge), 1.0))


def effect_scale(report: Report) -> Scale:
    """A symmetric axis for differences of rates."""
    rows = [row.ci for row in report.transforms if row.n]
    rows += [report.shams.ci] if report.shams and report.shams.n else []
    top = max((abs(end) for ci in rows for end in ci), default=1.0)
    edge = next((edge for edge in (0.02, 0.05, 0.1, 0.2, 0.5) if top <= edge), 1.0)
    return Scale(-edge, edge)


# ---------------------------------------------------------------------------------------- evidence


class EvidenceBar(NamedTuple):
    """An e-value on its way to what it needs, on a logarithmic axis.

    `left` and `width` span from 1, which is no evidence, to the e-value; `goal` is where the
    threshold lies. `beyond` says on which side the bar ends outside the drawing.
    """

    claim: str
    e_value: float
    needed: float
    reached: bool
    left: float
    width: float
    goal: float
    beyond: str  # "", "left" or "right"


class EvidenceAxis(NamedTuple):
    """Both claims on one axis."""

    bars: tuple[EvidenceBar, ...]
    ticks: tuple[tuple[float, str], ...]  # place and label


def evidence_axis(report: Report) -> EvidenceAxis:
    """The evidence for either claim: from a hundredth to a hundred times what it needs, in logs."""
    found, at = report.evidence, percent(report.threshold)
    claims = (
        (f"brittle: some variant fails more often than {at}", found.e_brittle, found.needed),
        (f"holds: the mean over D is at most {at}", found.e_holds, found.needed_holds),
    )
    most = max(10.0, found.needed, found.needed_holds) * 100
    scale = Scale(-2.0, math.log10(most))
    none = scale.at(0.0)
    bars = []
    for claim, e_value, needed in claims:
        log = math.log10(max(e_value, 1e-300))
        end = scale.at(log)
        beyond = "right" if log > scale.high else "left" if log < scale.low else ""
        bars.append(
            EvidenceBar(
                claim=claim,
                e_value=e_value,
                needed=needed,
                reached=e_value >= needed,
                left=min(end, none),
                width=round(abs(end - none), 2),
                goal=scale.at(math.log10(max(needed, 1e-300))),
                beyond=beyond,
            )
        )
    marks = [0.01, 1.0, *sorted({found.needed, found.needed_holds})]
    ticks = tuple((scale.at(math.log10(max(mark, 0.01))), figure(mark)) for mark in marks)
    return EvidenceAxis(tuple(bars), ticks)


# ------------------------------------------------------------------------------------------ curves


class DosePoint(NamedTuple):
    """A row of the dose curve, placed on its drawing."""

    distance: int
    n: int
    harmful: int
    rate: float
    ci: Interval
    x: float
    y: float
    top: float
    bottom: float
    few: bool


class Label(NamedTuple):
    """What stands below a place of the axis."""

    x: float
    text: str


class Dose(NamedTuple):
    """Failure rate by distance, placed on a drawing of 640 by 240."""

    points: tuple[DosePoint, ...]
    paths: tuple[str, ...]  # lines between neighbouring distances that enough draws stand for
    ticks: tuple[tuple[float, str], ...]  # y, label
    labels: tuple[Label, ...]  # of distances, as many as there is room for
    threshold: float  # its y


def dose_curve(report: Report) -> Dose | None:
    """The dose curve of a report, placed; nothing where no draw from D has been answered."""
    rows = [row for row in report.dose if row.n]
    if not rows:
        return None
    scale = rate_scale([row.ci for row in rows])
    first, last = min(r.distance for r in rows), max(r.distance for r in rows)
    spread = max(last - first, 1)

    def y(rate: float) -> float:
        return round(200 - 1.85 * scale.at(rate), 1)

    placed = tuple(
        DosePoint(
            *(row.distance, row.n, row.harmful, row.rate, row.ci),
            x=round(75 + 530 * (row.distance - first) / spread, 1),
            y=y(row.rate),
            top=y(row.ci[1]),
            bottom=y(row.ci[0]),
            few=row.n < FEW,
        )
        for row in sorted(rows, key=lambda row: row.distance)
    )
    ticks = tuple((y(scale.high * part), percent(scale.high * part)) for part in (0, 0.5, 1))
    labels = tuple(Label(p.x, f"{p.distance}") for p in placed)
    return Dose(placed, _lines(placed), ticks, _with_room(labels), y(report.threshold))


def _lines(points: tuple[DosePoint, ...]) -> tuple[str, ...]:
    """Lines that join what may be read as a shape: no point of few draws, no distance undrawn."""
    runs: list[list[DosePoint]] = []
    for point in (point for point in points if not point.few):
        if runs and runs[-1][-1].distance + 1 == point.distance:
            runs[-1].append(point)
        else:
            runs.append([point])
    return tuple(" ".join(f"{p.x},{p.y}" for p in run) for run in runs if len(run) > 1)


def _with_room(labels: Sequence[Label]) -> tuple[Label, ...]:
    """Labels of an axis, left to right, without those that would touch; the last is kept."""
    *others, last = labels
    kept: list[Label] = []
    for label in others:
        if _apart(label, last) and (not kept or _apart(kept[-1], label)):
            kept.append(label)
    return (*kept, last)


def _apart(left: Label, right: Label) -> bool:
    """Whether two centred labels leave a gap of a digit between them."""
    return right.x - left.x >= DIGIT * ((len(left.text) + len(right.text)) / 2 + 1)


# -------------------------------------------------------------------------------------------- heat


def heat(harmful: int, n: int) -> int:
    """How hot a share of failing rows is: 0 for none, then 1 to 4 by quarters.

    >>> heat(0, 9), heat(1, 9), heat(1, 4), heat(5, 9), heat(9, 9)
    (0, 1, 2, 3, 4)
    """
    if not n or not harmful:
        return 0
    return 1 + sum(harmful / n >= edge for edge in HEAT)


#: What each heat stands for, in words.
HEATS = ("none failed", "up to 25%", "25% to 50%", "50% to 75%", "75% and more")


class HeatRow(NamedTuple):
    """A seed's cells, one for each family of the map; None where a family does not apply."""

    seed: str
    cells: tuple[SeedFamily | None, ...]


class HeatMap(NamedTuple):
    """Seeds by families."""

    families: tuple[str, ...]
    rows: tuple[HeatRow, ...]

    @property
    def undrawn(self) -> int:
        """Cells that apply, and that no usable row of D held."""
        return sum(cell is not None and not cell.n for row in self.rows for cell in row.cells)


def heat_map(report: Report) -> HeatMap | None:
    """Seeds by families, both in the order of the report; None where it does not tell them."""
    found = {(cell.seed, cell.family): cell for cell in report.seed_families}
    if not found:
        return None
    families = tuple(dict.fromkeys(cell.family for cell in report.seed_families))
    seeds = dict.fromkeys(cell.seed for cell in report.seed_families)
    rows = (
        HeatRow(seed, tuple(found.get((seed, family)) for family in families)) for seed in seeds
    )
    return HeatMap(families, tuple(rows))


# ------------------------------------------------------------------------------------ key figures


def headline_rate(n: int, harmful: int, ci: Interval) -> str:
    """A rate as a large figure: a zero is never bare.

    >>> headline_rate(100, 0, (0.0, 0.0306)), headline_rate(50, 20, (0.3, 0.5))
    ('≤ 3.1%', '40%')
    >>> headline_rate(0, 0, (0.0, 1.0))
    '–'
    """
    if not n:
        return "–"
    return f"≤ {at_most(ci[1])}" if not harmful else percent(harmful / n)
