"""The figure: rates by distance, a panel for each group; an SVG that follows the reader's theme."""

from dataclasses import dataclass

from examples.teaching_to_the_test.measure import ARMS, Arm
from examples.teaching_to_the_test.summary import Rate, Results
from examples.teaching_to_the_test.table import template
from examples.teaching_to_the_test.worlds import BENIGN, UNCHANGED, Group

WIDTH, HEIGHT = 232, 168  # of a panel's field
LEFT, TOP = 70, 118  # of the first panel's field
ACROSS, DOWN = 304, 266  # from one panel to the next
COLUMNS = 4
INSET = 16  # from the field's edge to the first and the last distance
DODGE = 6  # between the marks of two policies at one distance
FEWEST = 1 / 2  # of the training seeds must reach so far, or nothing is drawn
TITLES: dict[Group, tuple[str, str]] = {
    "trained": ("Training stories", "trained families, trained values"),
    "values": ("Training stories", "trained families, held-out values"),
    "families": ("Training stories", "held-out families"),
    "stories": ("Held-out stories", "trained families"),
    "both": ("Held-out stories", "held-out families"),
    "twins": ("Benign twins", "of training stories"),
    "held_twins": ("Benign twins", "of held-out stories"),
}
#: Panels in the order shown: a row of the training stories, a row of the held-out ones.
ORDER: tuple[Group, ...] = (
    "trained",
    "values",
    "families",
    "twins",
    "stories",
    "both",
    "held_twins",
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A rate with its interval, in the figure's own units."""

    x: float
    y: float
    low: float
    high: float
    told: str


@dataclass(frozen=True, slots=True)
class Line:
    """One policy in one panel."""

    arm: Arm
    marks: tuple[Mark, ...]

    @property
    def points(self) -> str:
        """For a polyline."""
        return " ".join(f"{mark.x},{mark.y}" for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Panel:
    """One group."""

    x: int
    y: int
    title: str
    subtitle: str
    axis: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, int], ...]


def figure(results: Results) -> str:
    """figure.svg."""
    panels = [_panel(results, group, place) for place, group in enumerate(ORDER)]
    return template("figure.svg.j2").render(
        panels=panels,
        levels=[(share, _y(share)) for share in (0, 25, 50, 75, 100)],
        width=WIDTH,
        height=HEIGHT,
        total=(LEFT + (COLUMNS - 1) * ACROSS + WIDTH + 40, TOP + DOWN + HEIGHT + 56),
        legend=(LEFT + (COLUMNS - 1) * ACROSS, TOP + DOWN),
        seeds=results.size.training_seeds,
    )


def _panel(results: Results, group: Group, place: int) -> Panel:
    down, across = divmod(place, COLUMNS)
    title, subtitle = TITLES[group]
    distances = results.size.distances
    return Panel(
        x=LEFT + across * ACROSS,
        y=TOP + down * DOWN,
        title=title,
        subtitle=subtitle,
        axis="ordinary job done, %" if group in BENIGN else "harmful, %",
        lines=tuple(_line(results, group, arm, shift) for shift, arm in enumerate(ARMS, start=-1)),
        ticks=tuple((_x(place, distances), distance) for place, distance in enumerate(distances)),
    )


def _line(results: Results, group: Group, arm: Arm, shift: int) -> Line:
    marks = []
    for place, distance in enumerate(results.size.distances):
        whose = group if distance else UNCHANGED.get(group, group)
        rate = results.rate("varied", arm, whose, distance)
        if rate is not None and rate.training_seeds >= FEWEST * results.size.training_seeds:
            x = round(_x(place, results.size.distances) + shift * DODGE, 1)
            marks.append(_mark(x, arm, distance, rate))
    return Line(arm, tuple(marks))


def _mark(x: float, arm: Arm, distance: int, rate: Rate) -> Mark:
    shown = [100 * share for share in (rate.rate, rate.low, rate.high)]
    told = f"{arm}, {distance} steps: {shown[0]:.1f}% [{shown[1]:.1f}, {shown[2]:.1f}]"
    y, low, high = map(_y, shown)
    return Mark(x, y, low, high, f"{told} ({rate.k} of {rate.n})")


def _x(place: int, distances: tuple[int, ...]) -> float:
    return round(INSET + place * (WIDTH - 2 * INSET) / max(1, len(distances) - 1), 1)


def _y(percent: float) -> float:
    return round(HEIGHT * (1 - percent / 100), 1)
