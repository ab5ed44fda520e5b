"""The transform graph placed on a drawing: transforms on a circle, edges by how often they failed.

The tables beside it hold every number: pairs of families, pairs of transforms, what was not tried.
A row of D holds many pairs, and one that failed counts for each of them: heat describes.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from fuzzer.records import Coverage, FamilyPair, Report, TransformRow
from reports.charts import FEW, HEATS, heat
from reports.text import line

ARC = 15.0  # of the circle for each transform: a line of its label
GAP = 1.5  # places left free between two families
LEAST = 190.0  # radius
LABEL = 26  # characters of a transform's name
CHARACTER = 7.2  # width of one, in the drawing's units
RING = 14.0  # between the circle and the labels
DRAWN_UNTRIED = 300  # untried pairs from which on they are only listed: a mesh would hide the rest
SHOWN_PAIRS = 40  # in the table that is read first
LISTED_PAIRS = 20_000  # in the lists by transform


class Node(NamedTuple):
    """A transform on the circle; its label runs outwards from it."""

    name: str
    family: str
    x: float
    y: float
    label: str
    label_x: float
    label_y: float
    angle: float  # the label's, in degrees
    anchor: str  # "start" or "end"
    n: int  # rows of D that hold it
    harmful: int
    heat: int
    flagged: bool


class Arc(NamedTuple):
    """The part of the circle that belongs to a family."""

    family: str
    path: Markup
    odd: bool  # every other one, which is drawn otherwise


class Edges(NamedTuple):
    """Pairs of one kind, drawn as one path."""

    kind: str  # "untried", "few", or "heat0" to "heat4"
    says: str
    pairs: int
    path: Markup


class Graph(NamedTuple):
    """A drawing `size` wide and high, with its middle at 0."""

    size: float
    families: tuple[str, ...]  # clockwise from the top
    nodes: tuple[Node, ...]
    arcs: tuple[Arc, ...]
    edges: tuple[Edges, ...]  # what is drawn first, first
    left_out: int  # untried pairs that are not drawn


class Pair(NamedTuple):
    """Two transforms, and the rows of D that held both."""

    first: str
    second: str
    n: int
    harmful: int


class Cell(NamedTuple):
    """A pair of families in the matrix; `found` is None where no pair is possible."""

    found: FamilyPair | None
    heat: int


class MatrixRow(NamedTuple):
    """A family, and its cells up to itself."""

    family: str
    cells: tuple[Cell, ...]


class Listed(NamedTuple):
    """A transform with its pairs, each told in a few words."""

    name: str
    said: tuple[str, ...]


# ----------------------------------------------------------------------------------------- drawing


def graph(report: Report) -> Graph | None:
    """The graph of a report, placed; None where the report does not hold one."""
    found = report.coverage
    if found is None or not found.transforms:
        return None
    known = {row.name: row for row in report.transforms}
    order = _by_family(found.transforms, known)
    families = list(dict.fromkeys(_family(known.get(found.transforms[i])) for i in order))
    slots = len(order) + GAP * len(families)
    radius = max(LEAST, slots * ARC / (2 * math.pi))
    angles = _angles(order, found.transforms, known, slots)
    nodes = tuple(
        _node(found.transforms[i], known.get(found.transforms[i]), angles[i], radius) for i in order
    )
    longest = max((len(node.label) for node in nodes), default=0)
    size = 2 * (radius + RING + CHARACTER * (longest + 3))
    drawn = len(found.untried) <= DRAWN_UNTRIED
    edges = [*_untried(found, angles, radius)] if drawn else []
    return Graph(
        size=round(size),
        families=tuple(families),
        nodes=nodes,
        arcs=tuple(_arcs(families, order, found.transforms, known, angles, radius)),
        edges=(*edges, *_tried(found, angles, radius)),
        left_out=0 if drawn else len(found.untried),
    )


def _family(row: TransformRow | None) -> str:
    return row.family if row else ""


def _by_family(names: Sequence[str], known: dict[str, TransformRow]) -> list[int]:
    """Places of the transforms, families together, each in the order it comes in."""
    families = list(dict.fromkeys(_family(known.get(name)) for name in names))
    return sorted(
        range(len(names)), key=lambda i: (families.index(_family(known.get(names[i]))), i)
    )


def _angles(
    order: Sequence[int], names: Sequence[str], known: dict[str, TransformRow], slots: float
) -> dict[int, float]:
    """The angle of each transform, clockwise from the top, with a gap between families."""
    found, slot, before = {}, 0.0, None
    for i in order:
        family = _family(known.get(names[i]))
        slot += GAP if before not in (None, family) else 0.0
        found[i] = 2 * math.pi * slot / slots
        slot, before = slot + 1, family
    return found


def _at(angle: float, radius: float) -> tuple[float, float]:
    return round(radius * math.sin(angle), 1), round(-radius * math.cos(angle), 1)


def _node(name: str, row: TransformRow | None, angle: float, radius: float) -> Node:
    (x, y), (label_x, label_y) = _at(angle, radius), _at(angle, radius + RING)
    right = angle <= math.pi
    turned = math.degrees(angle) - 90
    n, harmful = (row.n, row.harmful) if row else (0, 0)
    return Node(
        name=name,
        family=_family(row),
        x=x,
        y=y,
        label=line(name, LABEL),
        label_x=label_x,
        label_y=label_y,
        angle=round(turned if right else turned - 180, 1),
        anchor="start" if right else "end",
        n=n,
        harmful=harmful,
        heat=heat(harmful, n),
        flagged=bool(row and row.flagged),
    )


def _arcs(
    families: Sequence[str],
    order: Sequence[int],
    names: Sequence[str],
    known: dict[str, TransformRow],
    angles: dict[int, float],
    radius: float,
) -> Iterable[Arc]:
    for number, family in enumerate(families):
        held = [angles[i] for i in order if _family(known.get(names[i])) == family]
        half = ARC / radius / 3
        (x0, y0), (x1, y1) = _at(held[0] - half, radius + 7), _at(held[-1] + half, radius + 7)
        large = int(held[-1] - held[0] + 2 * half > math.pi)
        path = f"M{x0} {y0}A{radius + 7:.1f} {radius + 7:.1f} 0 {large} 1 {x1} {y1}"
        yield Arc(family, Markup(path), number % 2 == 1)


def _chords(pairs: Iterable[tuple[int, int]], angles: dict[int, float], radius: float) -> Markup:
    """Curves between two places of the circle, bent towards its middle."""
    said = []
    for one, other in pairs:
        (x0, y0), (x1, y1) = _at(angles[one], radius), _at(angles[other], radius)
        middle = f"{(x0 + x1) / 5:.0f} {(y0 + y1) / 5:.0f}"
        said.append(f"M{x0:.0f} {y0:.0f}Q{middle} {x1:.0f} {y1:.0f}")
    return Markup("".join(said))  # numbers of ours only, and long


def _untried(found: Coverage, angles: dict[int, float], radius: float) -> Iterable[Edges]:
    if found.untried:
        path = _chords(found.untried, angles, radius)
        yield Edges("untried", "not tried", len(found.untried), path)


def _tried(found: Coverage, angles: dict[int, float], radius: float) -> Iterable[Edges]:
    few = [(one, other) for one, other, n, _ in found.tried if n < FEW]
    if few:
        yield Edges("few", f"in fewer than {FEW} rows", len(few), _chords(few, angles, radius))
    by_heat = defaultdict(list)
    for one, other, n, harmful in found.tried:
        if n >= FEW:
            by_heat[heat(harmful, n)].append((one, other))
    for level in sorted(by_heat):
        path = _chords(by_heat[level], angles, radius)
        yield Edges(f"heat{level}", HEATS[level], len(by_heat[level]), path)


# ------------------------------------------------------------------------------------------ tables


def matrix(found: Coverage) -> tuple[MatrixRow, ...]:
    """Families by families, below the diagonal and on it."""
    families = tuple(dict.fromkeys(name for row in found.families for name in row.families))
    held = {frozenset(row.families): row for row in found.families}

    def cell(one: str, other: str) -> Cell:
        row = held.get(frozenset((one, other)))
        return Cell(row, heat(row.harmful, row.n) if row else 0)

    return tuple(
        MatrixRow(family, tuple(cell(family, other) for other in families[: place + 1]))
        for place, family in enumerate(families)
    )


def worst_pairs(found: Coverage) -> tuple[Pair, ...]:
    """The pairs that were held by the most failing rows, the first of them."""
    ranked = sorted(found.tried, key=lambda row: (-row[3], row[2], row[0], row[1]))
    return tuple(
        Pair(found.transforms[one], found.transforms[other], n, harmful)
        for one, other, n, harmful in ranked[:SHOWN_PAIRS]
        if harmful
    )


def tried_by_transform(found: Coverage) -> tuple[Listed, ...]:
    """For each transform its pairs with later ones: failing rows of the rows that held both."""
    listed = defaultdict(list)
    ranked = sorted(found.tried, key=lambda row: (row[0], -row[3], row[2], row[1]))
    for one, other, n, harmful in ranked[:LISTED_PAIRS]:
        listed[one].append(f"{line(found.transforms[other], 60)} {harmful:,}/{n:,}")
    return tuple(Listed(found.transforms[one], tuple(said)) for one, said in listed.items())


def untried_by_transform(found: Coverage) -> tuple[Listed, ...]:
    """For each transform the later ones that no usable row of D held it with."""
    listed = defaultdict(list)
    for one, other in found.untried[:LISTED_PAIRS]:
        listed[one].append(line(found.transforms[other], 60))
    return tuple(Listed(found.transforms[one], tuple(said)) for one, said in listed.items())
