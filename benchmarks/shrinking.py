"""Shrinking on planted outcomes, through ask / tell: calls, rounds, exactness, certificates.

A world says how often each subset of a plan fails; a replicate plants one at random, replays the
plan as a search would have done, and shrinks. *Exact*: the planted set; where there is no single
one (two causes, suppressors ...): a set above the cut with every knock-out below it. *False*: a
certificate for anything else. *Limit*: the calls that any method needs on average to name k of n
steps through such a channel with an error of 5% (statistics.md, section 3).
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fuzzer.evidence import log_above
from fuzzer.shrink import ShrinkConfig, Shrinker, ShrinkResult

Rate = Callable[[frozenset[int]], float]
World = Callable[[int, random.Random], Rate]

BACKGROUND = 0.001
THRESHOLD = 0.01
ERROR = 0.05  # of the information limit


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    name: str
    world: World
    n: int
    budget: int = 200
    batch: int = 4
    limit: float = math.nan


@dataclass(frozen=True)
class Replicate:
    """What one shrink came to."""

    result: ShrinkResult
    rounds: int
    right: bool


def planted(k: int, p: float) -> World:
    """All of k steps together fail with rate p, anything else with the background rate."""

    def world(n: int, rng: random.Random) -> Rate:
        cause = frozenset(rng.sample(range(n), k))
        return lambda keep: p if cause <= keep else BACKGROUND

    return world


def two_causes(p: float) -> World:
    """Either of two disjoint pairs suffices."""

    def world(n: int, rng: random.Random) -> Rate:
        steps = rng.sample(range(n), 4)
        one, other = frozenset(steps[:2]), frozenset(steps[2:])
        return lambda keep: p if one <= keep or other <= keep else BACKGROUND

    return world


def suppressed(p: float) -> World:
    """A pair fails unless a suppressor is present without the step that masks it; two of those."""

    def world(n: int, rng: random.Random) -> Rate:
        a, b, c, c_mask, d, d_mask = rng.sample(range(n), 6)

        def rate(keep: frozenset[int]) -> float:
            silent = (c in keep and c_mask not in keep) or (d in keep and d_mask not in keep)
            return p if {a, b} <= keep and not silent else BACKGROUND

        return rate

    return world


def graded(n: int, rng: random.Random) -> Rate:
    """Six steps add 1.5 log-odds each: rates of .88, .62, .27, .08 ..."""
    six = frozenset(rng.sample(range(n), 6))
    return lambda keep: 1 / (1 + math.exp(7 - 1.5 * len(keep & six)))


def itself(p: float) -> World:
    """The seed fails without any step."""
    return lambda _n, _rng: lambda _keep: p


def replays(p: float, rng: random.Random) -> tuple[int, int]:
    """(failures, calls) of an episode: replayed until supported, given up and begun anew at 30."""
    failures = calls = 0
    while log_above(THRESHOLD, calls, failures) < math.log(2 / 0.05):
        calls += 1
        failures += rng.random() < p
        if calls == 30:
            failures = calls = 0
    return failures, calls


def replicate(cell: Cell, number: int) -> Replicate:
    """One planted world, shrunk; the same number gives the same replicate."""
    rng = random.Random(f"{cell.name} {cell.n} {cell.batch} {number}")
    rate = cell.world(cell.n, rng)
    config = ShrinkConfig(budget=cell.budget, batch=cell.batch, threshold=THRESHOLD)
    shrinker = Shrinker(config, range(cell.n), *replays(rate(frozenset(range(cell.n))), rng))
    rounds = 0
    while not shrinker.done:
        rounds += 1
        for call in shrinker.ask(cell.batch):
            harmful = rng.random() < rate(call.keep)
            shrinker.tell(call.index, "harmful" if harmful else "safe")
    result = shrinker.result()
    return Replicate(result, rounds, _is_minimal(rate, result))


def _is_minimal(rate: Rate, result: ShrinkResult) -> bool:
    # Without a cut no certificate was tried; in a world of one cause any cut tells the same.
    cut = result.cut or 2 * BACKGROUND
    above = rate(result.keep) > cut
    return above and all(rate(result.keep - {step}) < cut for step in result.keep)


def _entropy(p: float) -> float:
    return -sum(x * math.log2(x) for x in (p, 1 - p) if x > 0)


def capacity(p: float, b: float = BACKGROUND) -> float:
    """Bits that one call tells at most: p if the cause is among the steps kept, else b.

    >>> round(capacity(0.5, 0.0), 3), round(capacity(0.1), 4)
    (0.322, 0.0506)
    """

    def bits(q: float) -> float:
        return _entropy(q * p + (1 - q) * b) - q * _entropy(p) - (1 - q) * _entropy(b)

    return max(bits(q / 2000) for q in range(2001))


def limit(n: int, k: int, p: float) -> float:
    """Fano's bound on the calls that name k of n steps with an error of 5%.

    >>> round(limit(24, 2, 0.5), 1)
    23.4
    """
    return ((1 - ERROR) * math.log2(math.comb(n, k)) - _entropy(ERROR)) / capacity(p)


def cells(*, quick: bool) -> list[Cell]:
    """The rows of the table; the quick ones take half a minute."""
    sizes = (24,) if quick else (16, 24, 200)
    rows = [
        Cell(f"k={k} p={p}", planted(k, p), n, batch=batch, limit=limit(n, k, p), budget=budget)
        for p, budget in ((1.0, 200), (0.5, 200), (0.1, 3000))
        for n in sizes
        for k in (1, 2, 3)
        for batch in ((4, 8) if quick or n == 200 or p == 0.1 else (1, 4, 8))
        if not (quick and p == 0.1) and not (n == 200 and p < 0.5)
    ]
    rows += [Cell(f"seed itself p={p}", itself(p), 24) for p in (1.0, 0.5)]
    for p, budget in ((1.0, 200), (0.5, 200), (0.5, 600)):
        rows.append(Cell(f"two causes p={p}", two_causes(p), 24, budget))
        rows.append(Cell(f"suppressors p={p}", suppressed(p), 24, budget))
    return [*rows, Cell("graded", graded, 24, 600), Cell("graded", graded, 24, 2000)]


HEADER = (
    f"{'world':<20}{'n':>4}{'batch':>6}{'budget':>7}  {'search':>9}{'all calls':>11}{'rounds':>7}"
    f"{'exact':>7}{'cert.':>7}{'false':>7}{'limit':>7}{'search':>8}{'all':>7}"
)


def row(cell: Cell, runs: Sequence[Replicate]) -> str:
    """One line: medians / 90% points, shares, and medians as multiples of the limit."""

    def quantiles(values: Sequence[int]) -> tuple[int, int]:
        ordered = sorted(values)
        return ordered[len(ordered) // 2], ordered[math.ceil(0.9 * len(ordered)) - 1]

    search, search_90 = quantiles([r.result.calls_search for r in runs])
    calls, calls_90 = quantiles([r.result.calls_search + r.result.calls_certificate for r in runs])
    rounds, _ = quantiles([r.rounds for r in runs])
    exact, certified, false = (
        sum(flags) / len(runs)
        for flags in (
            [r.right for r in runs],
            [r.result.certified for r in runs],
            [r.result.certified and not r.right for r in runs],
        )
    )
    bound = "" if math.isnan(cell.limit) else f"{cell.limit:.1f}"
    ratios = (
        ("", "") if not bound else (f"x{search / cell.limit:.2f}", f"x{calls / cell.limit:.2f}")
    )
    return (
        f"{cell.name:<20}{cell.n:>4}{cell.batch:>6}{cell.budget:>7}  {f'{search}/{search_90}':>9}"
        f"{f'{calls}/{calls_90}':>11}{rounds:>7}{exact:>7.1%}{certified:>7.0%}{false:>7.1%}"
        f"{bound:>7}{ratios[0]:>8}{ratios[1]:>7}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.shrinking", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows, 40 replicates each")
    parser.add_argument("--replicates", type=int, help="per row (default 400, quick 40)")
    options = parser.parse_args(argv)
    replicates = options.replicates or (40 if options.quick else 400)
    started = time.perf_counter()
    print(f"{replicates} replicates per row; calls are median/90%; background {BACKGROUND}")
    print(HEADER)
    for cell in cells(quick=options.quick):
        print(row(cell, [replicate(cell, i) for i in range(replicates)]), flush=True)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
