"""Coverage of 95% intervals for a rate corrected for its judge's errors.

Counts are drawn as they arise: the judge's verdicts on n trials at the true rate, and on labelled
transcripts of each kind. A cell is a true rate, a sensitivity, a specificity, a number of labels, a
split of them and an n; an interval covers a cell's truth in at least 94% of replicates, or misses.

``ours`` is `fuzzer.correction.corrected_rate`; beside it what was not taken. ``plain``: the
interval of the observed rate moved by the estimates, as if the judge were known. ``delta``: Rogan
and Gladen's variance, normal limits. ``Lang``: Lang and Reiczigel 2014, with its pseudo-counts.
``box``: projection of three exact intervals, each at alpha / 3.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from fuzzer.correction import FEW_CLUSTERS, above, corrected_rate, corrected_sequence, effective
from fuzzer.evidence import clopper_pearson

ALPHA, Z = 0.05, 1.959963984540054
RATES = (0.0, 0.001, 0.01, 0.05, 0.2, 0.5)
SENSITIVITIES = (0.7, 0.9, 0.99, 1.0)
SPECIFICITIES = (0.9, 0.97, 0.99, 1.0)
LABELS = (60, 120, 500)
SPLITS = (2, 3)  # one label in so many is harmful
TRIALS = (100, 400, 1000)
SOLVED = 10  # replicates of a cell whose interval is solved for, and held to the test of coverage

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class Cell(NamedTuple):
    """One setting."""

    rate: float
    sensitivity: float
    specificity: float
    positives: int  # labelled harmful
    negatives: int  # labelled safe
    n: int


class Drawn(NamedTuple):
    """Replicates of a cell."""

    harmful: Counts
    tp: Counts
    fp: Counts


class Missed(NamedTuple):
    """By replicate: the truth lies above the interval, or below it."""

    above: NDArray[np.bool_]
    below: NDArray[np.bool_]


def cells() -> Iterator[Cell]:
    """The whole grid."""
    grid = itertools.product(RATES, SENSITIVITIES, SPECIFICITIES, LABELS, SPLITS, TRIALS)
    for rate, sensitivity, specificity, labels, split, n in grid:
        positives = labels // split
        yield Cell(rate, sensitivity, specificity, positives, labels - positives, n)


def draw(cell: Cell, replicates: int, rng: np.random.Generator) -> Drawn:
    """What is counted."""
    alarm = 1 - cell.specificity
    observed = cell.rate * cell.sensitivity + (1 - cell.rate) * alarm
    return Drawn(
        rng.binomial(cell.n, observed, replicates),
        rng.binomial(cell.positives, cell.sensitivity, replicates),
        rng.binomial(cell.negatives, alarm, replicates),
    )


def lower(n: int, k: Floats, alpha: float) -> Floats:
    """Exact lower limits; `fuzzer.evidence.lower_bound` for many counts."""
    found: Floats = np.where(k <= 0, 0.0, betaincinv(np.maximum(k, 1e-300), n - k + 1, alpha))
    return found


_TABLES: dict[tuple[int, float], Floats] = {}


def limits(n: int, k: Counts, alpha: float) -> tuple[Floats, Floats]:
    """Exact limits of whole counts, each at alpha / 2."""
    if (n, alpha) not in _TABLES:
        _TABLES[n, alpha] = lower(n, np.arange(n + 1.0), alpha / 2)
    table = _TABLES[n, alpha]
    return table[k], 1 - table[n - k]


def ours(cell: Cell, drawn: Drawn) -> Missed:
    """Whether `corrected_rate` leaves the truth out: `above` is the test that it solves."""
    theta, (harmful, tp, fp) = cell.rate, drawn
    sizes = (cell.n, cell.positives, cell.negatives)
    parts = [[k / m, *limits(m, k, ALPHA)] for m, k in zip(sizes, (harmful, tp, fp), strict=True)]
    q, s, f = (estimate for estimate, _, _ in parts)
    for where, other in ((q < f, 2), (q > s, 1)):  # pooled, as it does
        if where.any():
            pooled = (harmful + drawn[other])[where] / (cell.n + sizes[other])
            for index in (0, other):
                m = sizes[index]
                parts[index] = [
                    _put(old, where, new)
                    for old, new in zip(
                        parts[index],
                        (
                            pooled,
                            lower(m, m * pooled, ALPHA / 2),
                            1 - lower(m, m * (1 - pooled), ALPHA / 2),
                        ),
                        strict=True,
                    )
                ]
    (q, q_low, q_high), (s, s_low, s_high), (f, f_low, f_high) = parts
    over = above(theta, (q, q_high), (s, s_low), (f, f_low)) < 0
    under = above(theta, (-q, -q_low), (-s, -s_high), (-f, -f_high)) < 0
    return Missed(over & (theta > 0), under & (theta < 1))


def _put(old: Floats, where: NDArray[np.bool_], new: Floats) -> Floats:
    changed = old.copy()
    changed[where] = new
    return changed


def _missed(theta: float, low: Floats, high: Floats) -> Missed:
    return Missed(theta > np.clip(high, 0, 1), theta < np.clip(low, 0, 1))


def plain(cell: Cell, drawn: Drawn) -> Missed:
    """The judge taken as known."""
    s, f = drawn.tp / cell.positives, drawn.fp / cell.negatives
    low, high = limits(cell.n, drawn.harmful, ALPHA)
    return _missed(cell.rate, (low - f) / (s - f), (high - f) / (s - f))


def delta(cell: Cell, drawn: Drawn) -> Missed:
    """Rogan and Gladen 1978."""
    q, s, f = drawn.harmful / cell.n, drawn.tp / cell.positives, drawn.fp / cell.negatives
    rate = np.clip((q - f) / (s - f), 0, 1)
    variance = (
        q * (1 - q) / cell.n
        + rate**2 * s * (1 - s) / cell.positives
        + (1 - rate) ** 2 * f * (1 - f) / cell.negatives
    )
    half = Z * np.sqrt(variance) / (s - f)
    return _missed(cell.rate, rate - half, rate + half)


def lang(cell: Cell, drawn: Drawn) -> Missed:
    """Lang and Reiczigel 2014, doi:10.1016/j.prevetmed.2013.09.015."""
    n, positives, negatives = cell.n + Z * Z, cell.positives + 2, cell.negatives + 2
    q, s = (drawn.harmful + Z * Z / 2) / n, (drawn.tp + 1) / positives
    f = (drawn.fp + 1) / negatives
    rate = (q - f) / (s - f)
    hits, alarms = s * (1 - s) / positives, f * (1 - f) / negatives
    shift = 2 * Z * Z * (rate * hits - (1 - rate) * alarms)
    variance = q * (1 - q) / n + rate**2 * hits + (1 - rate) ** 2 * alarms
    half = Z * np.sqrt(variance) / (s - f)
    return _missed(cell.rate, rate + shift - half, rate + shift + half)


def box(cell: Cell, drawn: Drawn) -> Missed:
    """Three exact intervals, each at alpha / 3, and the truth that fits them worst."""
    q_low, q_high = limits(cell.n, drawn.harmful, ALPHA / 3)
    s_low, s_high = limits(cell.positives, drawn.tp, ALPHA / 3)
    f_low, f_high = limits(cell.negatives, drawn.fp, ALPHA / 3)
    theta = cell.rate
    most = theta * s_low + (1 - theta) * f_low > q_high
    least = theta * s_high + (1 - theta) * f_high < q_low
    return Missed(most, least)


METHODS: dict[str, Callable[[Cell, Drawn], Missed]] = {
    "ours": ours,
    "plain": plain,
    "delta": delta,
    "Lang": lang,
    "box": box,
}


def hold_to_product(cell: Cell, drawn: Drawn, missed: Missed) -> None:
    """The intervals themselves, of a few replicates: within [0, 1], and missing where said."""
    for i in range(SOLVED):
        tp, fp = int(drawn.tp[i]), int(drawn.fp[i])
        rate, (low, high) = corrected_rate(
            int(drawn.harmful[i]), cell.n, tp, cell.positives - tp, cell.negatives - fp, fp, ALPHA
        )
        assert 0 <= low <= high <= 1, (cell, low, high)
        assert rate is None or low <= rate <= high, (cell, rate, low, high)
        edge = 1e-9  # bisection, and what rounding does to a truth that lies on a limit
        assert not missed.above[i] or cell.rate >= high - edge, (cell, high)
        assert missed.above[i] or cell.rate <= high + edge, (cell, high)
        assert not missed.below[i] or cell.rate <= low + edge, (cell, low)
        assert missed.below[i] or cell.rate >= low - edge, (cell, low)


def fixed(replicates: int, rng: np.random.Generator) -> dict[str, list[tuple[float, Cell]]]:
    """Coverage of every cell by method, the lowest first."""
    found: dict[str, list[tuple[float, Cell]]] = {name: [] for name in METHODS}
    for cell in cells():
        drawn = draw(cell, replicates, rng)
        for name, method in METHODS.items():
            missed = method(cell, drawn)
            covered = 1 - float(np.mean(missed.above | missed.below))
            found[name].append((covered, cell))
            if name == "ours":
                hold_to_product(cell, drawn, missed)
    return {name: sorted(rows) for name, rows in found.items()}


def widths(rng: np.random.Generator) -> Iterator[tuple[Cell, float, float]]:
    """Median width of the interval with a known n, and of the sequential one, for a few cells."""
    for rate, specificity, labels in itertools.product((0.0, 0.05), (0.97, 1.0), LABELS):
        cell = Cell(rate, 0.95, specificity, labels // 2, labels // 2, 400)
        drawn = draw(cell, 60, rng)
        sizes: tuple[list[float], list[float]] = ([], [])
        for harmful, tp, fp in zip(*map(np.ndarray.tolist, drawn), strict=True):
            given = (harmful, 400, tp, cell.positives - tp, cell.negatives - fp, fp)
            for each, method in zip(sizes, (corrected_rate, corrected_sequence), strict=True):
                low, high = method(*given)[1]
                each.append(high - low)
        yield cell, float(np.median(sizes[0])), float(np.median(sizes[1]))


def stopped(runs: int, rng: np.random.Generator) -> Iterator[tuple[Cell, float, float]]:
    """How often a limit errs at any of 12 looks at a growing run: (ours, sequential).

    Whoever stops when a limit looks best errs as often as any look does.
    """
    looks = np.unique(np.geomspace(20, 1000, 12).astype(int))
    for rate, specificity, labels in ((0.0, 0.97, 500), (0.05, 0.97, 500), (0.2, 0.9, 500)):
        cell = Cell(rate, 0.9, specificity, labels // 2, labels // 2, int(looks[-1]))
        observed = rate * cell.sensitivity + (1 - rate) * (1 - specificity)
        wrong = [0, 0]
        for _ in range(runs):
            seen = np.cumsum(rng.random(cell.n) < observed)
            tp = int(rng.binomial(cell.positives, cell.sensitivity))
            fp = int(rng.binomial(cell.negatives, 1 - specificity))
            erred = [False, False]
            for n in looks.tolist():
                given = (int(seen[n - 1]), n, tp, cell.positives - tp, cell.negatives - fp, fp)
                for index, method in enumerate((corrected_rate, corrected_sequence)):
                    low, high = method(*given)[1]
                    erred[index] |= not low <= rate <= high
            wrong = [count + one for count, one in zip(wrong, erred, strict=True)]
        yield cell, wrong[0] / runs, wrong[1] / runs


def clustered(replicates: int, rng: np.random.Generator) -> Iterator[tuple[int, float, float]]:
    """Coverage of a sensitivity whose errors gather by seed: (seeds, counted plainly, effective).

    Ten labels a seed, .9 right on average, correlated .2 within a seed (beta-binomial).
    """
    mean, correlation, size = 0.9, 0.2, 10
    spread = 1 / correlation - 1
    for seeds in (FEW_CLUSTERS, 40, 80):
        hits = [0, 0]
        for _ in range(replicates):
            right = rng.binomial(size, rng.beta(mean * spread, (1 - mean) * spread, seeds))
            found = effective((size, int(k)) for k in right)
            for index, (n, k) in enumerate(((seeds * size, int(right.sum())), (found.n, found.k))):
                low, high = clopper_pearson(n, k, ALPHA)
                hits[index] += low <= mean <= high
        yield seeds, hits[0] / replicates, hits[1] / replicates


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 replicates a cell, not 10,000")
    quick = parser.parse_args(argv).quick
    replicates = 1000 if quick else 10_000
    rng = np.random.default_rng(20261121)
    began = time.perf_counter()
    found = fixed(replicates, rng)
    total = len(found["ours"])
    print(f"Coverage of 95% intervals, {total:,} cells of {replicates:,} replicates each")
    print("| method | lowest | cells < 94% | < 95% | median | where it is lowest |")
    print("|---|---|---|---|---|---|")
    for name, rows in found.items():
        share = [covered for covered, _ in rows]
        few, fewer = (sum(c < level for c in share) for level in (0.94, 0.95))
        print(
            f"| {name} | {share[0]:.1%} | {few} | {fewer} | {np.median(share):.1%} "
            f"| {_told(rows[0][1])} |"
        )
    print(f"{time.perf_counter() - began:.0f} s")
    print("\nMedian width at n = 400, sensitivity .95: n known beforehand | stopped at will")
    for cell, known, sequential in widths(rng):
        print(f"| {_told(cell)} | {known:.3f} | {sequential:.3f} |")
    runs = 60 if quick else 600
    print(f"\nErring at any of 12 looks, {runs} runs (allowed: .05 a limit): peeked | sequential")
    for cell, peeked, sequential in stopped(runs, rng):
        print(f"| {_told(cell)} | {peeked:.1%} | {sequential:.1%} |")
    print("\nCoverage of a clustered sensitivity: seeds | as if independent | effective")
    for seeds, naive, design in clustered(replicates // 5, rng):
        print(f"| {seeds} | {naive:.1%} | {design:.1%} |")


def _told(cell: Cell) -> str:
    return (
        f"rate {cell.rate:g}, sens. {cell.sensitivity:g}, spec. {cell.specificity:g}, "
        f"{cell.positives} + {cell.negatives} labels, n {cell.n}"
    )


if __name__ == "__main__":
    main()
