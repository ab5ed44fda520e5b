"""Bar 4: what a certificate says, held against the true rates and against fresh draws.

A certificate states of the set and of each knock-out an interval of its failure rate, of the set
that it fails above the cut, and of each knock-out shown so that it fails below. It *holds* if all
of this does: at the true rates, and beside `FRESH` draws of each set that nobody had seen, whose
exact 99% interval has to meet the stated one. Of 2,000 certificates of an error of 5%, 1,884 hold
with a probability of 95%. That the check can tell is shown by ways to state bounds that are wrong:
the usual 95% interval of the same calls (Wald), exact intervals of 80%, and the certificate's own
intervals at a third of their width.

Then type I: worlds in which every certificate is false, as some rate lies exactly at the cut.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.reducing.running import UNTUNED, at_most, drive, plant, replicates, share, spread
from benchmarks.reducing.worlds import (
    GRADED,
    NOISY,
    THRESHOLD,
    Kind,
    Subset,
    World,
    blind_knockout,
    cause,
    leaks,
    seed_itself,
    shared_step,
    steps,
    suppressors,
    two_causes,
    unequal,
)
from fuzzer.evidence import clopper_pearson
from fuzzer.shrink import ShrinkConfig, Shrinker, ShrinkResult

CERTIFICATES, QUICK = 2000, 100
BAR = 0.942  # of them: 1,884 of 2,000
FRESH, FRESH_ALPHA = 20_000, 0.01
BUDGET = 1500
LOST = ((0.0, 0.0), (0.0, 0.0), (0.2, 0.0), (0.0, 0.2))  # shares of safe, harmful: unusable
ALPHA = 0.05


@dataclass(frozen=True)
class Statement:
    """The failure rate of `keep` lies from `low` to `high`."""

    what: str
    keep: Subset
    low: float
    high: float


@dataclass(frozen=True)
class Checked:
    """Of one certificate, by the way its bounds were made: the kinds of statement that fail."""

    attempt: int
    wrong: Mapping[str, frozenset[str]]  # at the true rates
    refuted: Mapping[str, frozenset[str]]  # by fresh draws


Counts = Mapping[Subset, tuple[int, int]]  # (harmful, usable)
Bounds = Callable[[int, int], tuple[float, float]]  # of harmful, usable

OWN, WALD, EXACT, THIRD = "the certificate", "Wald 95%", "exact 80%", "a third as wide"


def mix() -> list[tuple[Kind, int]]:
    """The worlds whose certificates are checked, in turn."""
    found = [(cause(k, p), n) for k, n in ((1, 6), (2, 12), (3, 24)) for p in (1.0, 0.7, 0.3)]
    found += [(leaks(k), n) for k, n in ((1, 8), (2, 16), (3, 24), (4, 30))]
    found += [(seed_itself(p), 8) for p in (0.9, 0.2)]
    found += [(cause(2, 0.5, NOISY), 12), (cause(2, 0.15), 12), (GRADED, 10), (leaks(2), 100)]
    found += [(two_causes(0.5), 24), (unequal(0.8, 0.3), 24), (shared_step(0.6), 16)]
    return [*found, (suppressors(0.6), 16), (blind_knockout(3, 0.6), 16)]


def wald(harmful: int, usable: int) -> tuple[float, float]:
    """The usual interval: 1.96 standard errors; wrong for few calls and for calls that stopped.

    >>> wald(0, 12)
    (0.0, 0.0)
    """
    rate = harmful / usable
    width = 1.96 * math.sqrt(rate * (1 - rate) / usable)
    return max(0.0, rate - width), min(1.0, rate + width)


def exact(harmful: int, usable: int) -> tuple[float, float]:
    """An interval that may err in a fifth of cases, at a number of calls fixed beforehand."""
    return clopper_pearson(usable, harmful, 0.2)


def stated(result: ShrinkResult) -> list[Statement]:
    """What a certificate says."""
    assert result.cut is not None
    said = [
        Statement("rate", result.keep, *result.ci),
        Statement("above", result.keep, result.cut, 1.0),
    ]
    for knockout in result.knockouts:
        keep = result.keep - {knockout.step}
        if knockout.status == "not testable":
            continue
        said.append(Statement("knock-out", keep, *knockout.ci))
        if knockout.status == "below the cut":
            said.append(Statement("below", keep, 0.0, result.cut))
    return said


def remade(said: Sequence[Statement], counts: Counts, bounds: Bounds) -> list[Statement]:
    """The same intervals, made otherwise."""
    return [
        Statement(s.what, s.keep, *bounds(*counts[s.keep]))
        for s in said
        if s.what in ("rate", "knock-out")
    ]


def narrowed(said: Sequence[Statement], counts: Counts) -> list[Statement]:
    """The same intervals, each end two thirds nearer to the rate seen."""
    rates = {keep: harmful / usable for keep, (harmful, usable) in counts.items()}
    return [
        Statement(
            s.what, s.keep, *(rates[s.keep] + (end - rates[s.keep]) / 3 for end in (s.low, s.high))
        )
        for s in said
        if s.what in ("rate", "knock-out")
    ]


def check(number: int) -> Checked | None:
    """The certificate of one replicate; None if it came to none."""
    kinds = mix()
    kind, n = kinds[number % len(kinds)]
    world, prior = plant(kind, n, number)
    config = ShrinkConfig(budget=BUDGET, threshold=THRESHOLD)
    shrinker = Shrinker(config, range(n), *prior)
    rng = random.Random(f"{UNTUNED} {kind.name} {n} certified {number}")
    lost = LOST[number // len(kinds) % len(LOST)]
    log = drive(shrinker, world, rng, config.batch, lost)
    result = shrinker.result()
    if not result.certified:
        return None
    said = stated(result)
    counts = _counts(
        (keep, outcome == "harmful")
        for keep, purpose, outcome in log.calls
        if purpose == "certificate" and outcome != "unusable"
    )
    ways = {
        OWN: said,
        WALD: remade(said, counts, wald),
        EXACT: remade(said, counts, exact),
        THIRD: narrowed(said, counts),
    }
    draws = _fresh_draws(world, {s.keep for s in said}, number)
    return Checked(
        attempt=result.attempt,
        wrong={
            way: frozenset(s.what for s in of if not s.low <= world.rate(s.keep) <= s.high)
            for way, of in ways.items()
        },
        refuted={
            way: frozenset(
                s.what for s in of if s.high < draws[s.keep][0] or draws[s.keep][1] < s.low
            )
            for way, of in ways.items()
        },
    )


def _counts(calls: Iterable[tuple[Subset, bool]]) -> Counts:
    counts: dict[Subset, tuple[int, int]] = {}
    for keep, harmful in calls:
        before = counts.get(keep, (0, 0))
        counts[keep] = before[0] + harmful, before[1] + 1
    return counts


def _fresh_draws(
    world: World, keeps: set[Subset], number: int
) -> dict[Subset, tuple[float, float]]:
    """The exact interval of each set's rate from fresh draws, counted in one draw each."""
    import numpy as np

    rng = np.random.default_rng([number, FRESH])
    ordered = sorted(keeps, key=sorted)
    counts = {keep: int(rng.binomial(FRESH, world.rate(keep))) for keep in ordered}
    return {keep: clopper_pearson(FRESH, k, FRESH_ALPHA) for keep, k in counts.items()}


# ----------------------------------------------------------------------------------------- type I


@dataclass(frozen=True)
class AtCut:
    """A world without a true certificate: some rate lies exactly at the cut."""

    name: str
    kind: Kind
    cut: float
    lost: tuple[float, float] = (0.0, 0.0)  # shares of safe and of harmful calls that are unusable


def boundaries() -> list[AtCut]:
    """The cells of the second table."""
    alone, two = steps(0.001, 0.2), steps(0.001, 0.001, 0.1)
    leak, low = steps(0.001, 0.2, 0.8), steps(0.001, 0.05, 0.3)
    ladder = steps(0.01, 0.01, 0.2, 0.7, 0.7)
    half = (0.5, 0.0), (0.0, 0.5)
    return [
        AtCut("set at the cut", alone, 0.2),
        AtCut("set at the cut", two, 0.1),
        AtCut("knock-outs at the cut", leak, 0.2),
        AtCut("knock-outs at the cut", low, 0.05),
        AtCut("both", ladder, 0.2),
        *(AtCut("set at the cut", alone, 0.2, lost) for lost in half),
        *(AtCut("knock-outs at the cut", leak, 0.2, lost) for lost in half),
        *(AtCut("both", ladder, 0.2, lost) for lost in half),
    ]


def at_cut(cell: AtCut, number: int) -> tuple[bool, int]:
    """Whether one replicate is certified, and at which attempt it ended."""
    world, prior = plant(cell.kind, 8, number)
    config = ShrinkConfig(budget=300, threshold=THRESHOLD, cut=cell.cut, alpha=ALPHA)
    shrinker = Shrinker(config, range(8), *prior)
    rng = random.Random(f"{UNTUNED} {cell.name} {cell.kind.name} {cell.lost} {number}")
    drive(shrinker, world, rng, config.batch, cell.lost)
    result = shrinker.result()
    return result.certified, result.attempt


# ----------------------------------------------------------------------------------------- tables


def rows(quick: bool) -> Iterator[str]:
    """Both tables."""
    yield from holding(QUICK if quick else CERTIFICATES)
    yield "\nEvery certificate is false: a rate lies exactly at the cut (bar: at most 5%)"
    yield from erring(replicates(quick) // (2 if quick else 1))


def erring(count: int) -> Iterator[str]:
    """The second table."""
    yield f"{count} replicates a row\n"
    yield (
        f"{'':<24}{'world':<30}{'cut':>5}{'unusable':>20}{'attempts > 1':>18}{'certified':>13}"
        f"{'at 2nd or later':>17}"
    )
    met = []
    for cell in boundaries():
        runs = spread(partial(at_cut, cell), count)
        false = [certified for certified, _ in runs]
        again = [attempt > 1 for _, attempt in runs]
        met.append(sum(false) <= ALPHA * len(runs))
        lost = {(0.5, 0.0): "half of the safe", (0.0, 0.5): "half of the harmful"}
        yield (
            f"{cell.name:<24}{cell.kind.name:<30}{cell.cut:>5}{lost.get(cell.lost, ''):>20}"
            f"{share(again):>18}{at_most(false):>13}"
            f"{at_most([c and a for c, a in zip(false, again, strict=True)]):>17}"
        )
    yield f"\nbar met in {sum(met)} of {len(met)} rows"


def holding(wanted: int) -> Iterator[str]:
    """The first table."""
    checked: list[Checked] = []
    tried = 0
    while len(checked) < wanted:
        found = spread(check, wanted - len(checked), start=tried)
        tried += wanted - len(checked)
        checked += [one for one in found if one is not None]
    yield f"{wanted} certificates of {tried} shrinks over {len(mix())} kinds of world"
    yield f"bar: at least {math.ceil(BAR * wanted)} hold by either measure; other bounds must not\n"
    yield f"{'':<22}{'true rates':>11}{'':>17}{'fresh draws':>12}{'':>17}  bar    false statements"
    for way in (OWN, WALD, EXACT, THIRD):
        true = [not one.wrong[way] for one in checked]
        fresh = [not one.refuted[way] for one in checked]
        met = min(sum(true), sum(fresh)) >= BAR * wanted
        kinds = sorted({what for one in checked for what in one.wrong[way]})
        wrong = (f"{what} {sum(what in one.wrong[way] for one in checked)}" for what in kinds)
        yield (
            f"{way:<22}{sum(true):>11}{share(true):>17}{sum(fresh):>12}{share(fresh):>17}"
            f"  {'met' if met else 'missed':<7}{', '.join(wrong) or 'none'}"
        )
    later = [bool(one.wrong[OWN]) for one in checked if one.attempt > 1]
    yield f"\nof a second or later attempt: {len(later)}, {sum(later)} of them wrong"
