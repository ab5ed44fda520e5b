"""From counts to rates: what is said of all training seeds together, never without an interval."""

import math
from collections.abc import Iterable, Sequence
from itertools import product

from scipy.special import stdtrit

from examples.teaching_to_the_test.measure import (
    ARMS,
    WORKS,
    Arm,
    Count,
    Size,
    Swept,
    Trained,
    Work,
)
from examples.teaching_to_the_test.worlds import BENIGN, GROUPS, Group
from fuzzer.augment.split import Cell as Dealt
from fuzzer.evidence import clopper_pearson
from fuzzer.scenario import Frozen

#: Distances told together in the short table: as it stands, near, far.
BANDS: tuple[tuple[str, int, int], ...] = (("0", 0, 0), ("1 to 3", 1, 3), ("4 and more", 4, 99))
LEVEL = 0.95
DIGITS = 4  # of a rate, in results.json


class Rate(Frozen):
    """A rate over training seeds: the mean of theirs, with an interval.

    `low` and `high` span two intervals of 95%: Student's, of the mean over training seeds, which
    carries how much they differ, and the exact one of all draws together, which is there when they
    do not differ at all.
    """

    rate: float
    low: float
    high: float
    k: int
    n: int
    training_seeds: int


class Difference(Frozen):
    """Narrow less augmented on the very same variants, paired by training seed (Student's, 95%)."""

    mean: float
    low: float
    high: float
    training_seeds: int
    differing: int  # training seeds whose rates differ at all


class Cell(Frozen):
    """One policy on one group at one distance: a count from each training seed, and the rate."""

    work: Work
    arm: Arm
    group: Group
    distance: int
    n: tuple[int, ...]
    harmful: tuple[int, ...]
    unusable: tuple[int, ...]
    done: tuple[int, ...] | None  # ordinary job done, of twins
    rate: Rate  # of harm; on twins, of the job done


class Dealing(Frozen):
    """What one training seed held out, and a hash of every decision its policies took."""

    training_seed: int
    stories: dict[str, Dealt]
    families: dict[str, Dealt]
    decisions: str


class Results(Frozen):
    """Everything measured."""

    size: Size
    deals: tuple[Dealing, ...]
    cells: tuple[Cell, ...]
    sweeps: tuple[Swept, ...]

    def counts(
        self, work: Work, arm: Arm, group: Group, first: int, last: int
    ) -> list[tuple[int, int]]:
        """(k, n) of each training seed, distances `first` to `last` together."""
        chosen = [
            cell
            for cell in self.cells
            if (cell.work, cell.arm, cell.group) == (work, arm, group)
            and first <= cell.distance <= last
        ]
        seeds = range(len(self.deals))
        sums = [
            (sum(told(cell)[i] for cell in chosen), sum(cell.n[i] for cell in chosen))
            for i in seeds
        ]
        return [(k, n) for k, n in sums if n]

    def rate(
        self, work: Work, arm: Arm, group: Group, first: int, last: int | None = None
    ) -> Rate | None:
        """The rate of these distances; None where nothing reaches so far."""
        counts = self.counts(work, arm, group, first, first if last is None else last)
        return rate_of(counts) if counts else None

    def difference(
        self, work: Work, group: Group, first: int, last: int | None = None
    ) -> Difference | None:
        """Narrow less augmented; None where nothing reaches so far."""
        last = first if last is None else last
        narrow, augmented = (
            [k / n for k, n in self.counts(work, arm, group, first, last)]
            for arm in ("narrow", "augmented")
        )
        return difference_of(narrow, augmented) if narrow else None


def told(cell: Cell) -> tuple[int, ...]:
    """What a cell's rate counts: harm, or on twins the ordinary job done."""
    return cell.harmful if cell.done is None else cell.done


def results(size: Size, trained: Sequence[Trained]) -> Results:
    """All training seeds together, in their order."""
    trained = sorted(trained, key=lambda one: one.training_seed)
    found = [{(c.work, c.arm, c.group, c.distance): c for c in one.counts} for one in trained]
    cells = []
    for key in product(WORKS, ARMS, GROUPS, size.distances):
        counts = [one.get(key) for one in found]
        if any(counts):
            cells.append(_cell(*key, counts))
    deals = [
        Dealing(
            training_seed=one.training_seed,
            stories=one.stories,
            families=one.families,
            decisions=one.decisions,
        )
        for one in trained
    ]
    sweeps = [swept for one in trained for swept in one.sweeps]
    return Results(size=size, deals=tuple(deals), cells=tuple(cells), sweeps=tuple(sweeps))


def _cell(
    work: Work, arm: Arm, group: Group, distance: int, counts: Iterable[Count | None]
) -> Cell:
    counts = tuple(counts)
    n = tuple(c.n if c else 0 for c in counts)
    harmful = tuple(c.harmful if c else 0 for c in counts)
    done = tuple((c.done or 0) if c else 0 for c in counts) if group in BENIGN else None
    pairs = [(k, of) for k, of in zip(harmful if done is None else done, n, strict=True) if of]
    return Cell(
        work=work,
        arm=arm,
        group=group,
        distance=distance,
        n=n,
        harmful=harmful,
        unusable=tuple(c.unusable if c else 0 for c in counts),
        done=done,
        rate=rate_of(pairs),
    )


def rate_of(counts: Sequence[tuple[int, int]]) -> Rate:
    """The mean of the training seeds' rates, with the interval that `Rate` describes.

    Student 1908, doi:10.1093/biomet/6.1.1; Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.

    >>> rate_of([(0, 10)] * 12).high < 0.04
    True
    """
    rates = [k / n for k, n in counts]
    mean, half = _student(rates)
    k, n = sum(k for k, _ in counts), sum(n for _, n in counts)
    low, high = clopper_pearson(n, k, 1 - LEVEL)
    return Rate(
        rate=round(mean, DIGITS),
        low=round(max(0.0, min(low, mean - half)), DIGITS),
        high=round(min(1.0, max(high, mean + half)), DIGITS),
        k=k,
        n=n,
        training_seeds=len(counts),
    )


def difference_of(narrow: Sequence[float], augmented: Sequence[float]) -> Difference:
    """The mean paired difference. Where no training seed differs its interval is only a point."""
    differences = [one - other for one, other in zip(narrow, augmented, strict=True)]
    mean, half = _student(differences)
    return Difference(
        mean=round(mean, DIGITS),
        low=round(max(-1.0, mean - half), DIGITS),
        high=round(min(1.0, mean + half), DIGITS),
        training_seeds=len(differences),
        differing=sum(d != 0 for d in differences),
    )


def _student(values: Sequence[float]) -> tuple[float, float]:
    """A mean and half the width of its interval; of a single value all that is possible."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, 1.0
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    quantile = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2))
    return mean, quantile * spread / math.sqrt(len(values))
