"""A comparison of two runs: how often it is wrong, and what it finds.

Variants fail at rates of their own. Under "shared" no variant's rate changed between releases;
under "redrawn" every variant's did and the mean did not; "skewed" and "mended" are lopsided
changes that leave the mean as it was, where the test is approximate. Beside the sign-flip test
stands what is easily done instead: McNemar's test (two-sided, normal) with all epochs pooled.
"Peeked" looks after every draw.
"""

import math
import random
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from benchmarks.type_one import SAFE, Integers
from fuzzer.paired import (
    FRACTIONS,
    WEIGHTS,
    Unit,
    betting_log_e,
    fixed_limits,
    sign_flip,
    stopped,
)
from fuzzer.proposal import D_STRATA, Outcome, Proposal
from fuzzer.search import Rules, Search, index_lag

ALPHA = 0.05
DRAWS = 300
Rates = NDArray[np.float64]
Counts = NDArray[np.int64]

#: Mean and concentration of a beta law of rates over variants.
PROFILES = {"mean 5%": (0.05, 0.5), "mean 20%": (0.2, 1.0)}


def beta(
    generator: np.random.Generator, mean: float, weight: float, size: tuple[int, ...]
) -> Rates:
    """Rates of variants."""
    if mean <= 0:
        return np.zeros(size)
    return generator.beta(mean * weight, (1 - mean) * weight, size)


def shared(
    generator: np.random.Generator, mean: float, weight: float, size: tuple[int, int]
) -> tuple[Rates, Rates]:
    """Both releases fail alike on every variant."""
    rates = beta(generator, mean, weight, size)
    return rates, rates


def redrawn(
    generator: np.random.Generator, mean: float, weight: float, size: tuple[int, int]
) -> tuple[Rates, Rates]:
    """Every variant's rate is drawn again; the mean over D is what it was."""
    return beta(generator, mean, weight, size), beta(generator, mean, weight, size)


def skewed(
    generator: np.random.Generator, mean: float, weight: float, size: tuple[int, int]
) -> tuple[Rates, Rates]:
    """A twentieth of D now always fails, and the rest less often: the mean is what it was."""
    before = beta(generator, mean, weight, size)
    gain = 0.05 * (1 - mean) / 0.95
    after = np.where(generator.random(size) < 0.05, 1.0, before * (1 - gain / mean))
    return before, after


def mended(
    generator: np.random.Generator, mean: float, weight: float, size: tuple[int, int]
) -> tuple[Rates, Rates]:
    """The other way round: a twentieth is mended and the rest fails a little more often."""
    before, after = skewed(generator, mean, weight, size)
    return after, before


def risen(
    generator: np.random.Generator, mean: float, shift: float, size: tuple[int, int]
) -> tuple[Rates, Rates]:
    """So large a share of D now always fails that the mean rises by `shift`."""
    before = beta(generator, mean, 1.0, size)
    return before, np.where(generator.random(size) < shift / (1 - mean), 1.0, before)


def counted(generator: np.random.Generator, rates: tuple[Rates, Rates], epochs: int) -> Counts:
    """B's failures minus A's, per variant."""
    before, after = rates
    return generator.binomial(epochs, after) - generator.binomial(epochs, before)


def share(hits: int, of: int) -> str:
    """A share of replicates in percent, with its Monte-Carlo error."""
    p = hits / of
    return f"{100 * p:5.1f} ±{196 * math.sqrt(p * (1 - p) / of):3.1f}"


def type_one(replicates: int) -> Iterator[str]:
    """False "worse" at a fixed number of draws."""
    yield f"False 'worse' in {DRAWS} draws, one-sided level 5% (percent of {replicates:,})"
    yield f"{'null':20}{'epochs':>7}{'sign-flip':>12}{'plain p':>12}{'pooled McNemar':>16}"
    nulls: dict[str, Callable[..., tuple[Rates, Rates]]] = {
        "shared": shared,
        "redrawn": redrawn,
        "skewed": skewed,
        "mended": mended,
    }
    for name, null in nulls.items():
        for told, (mean, weight) in PROFILES.items():
            if name in ("skewed", "mended") and mean < 0.1:
                continue  # no rate is left to fall
            for epochs in (1, 5, 20):
                generator = np.random.default_rng([len(name), epochs, int(100 * mean)])
                mid = plain = pooled = 0
                for _ in range(replicates):
                    before, after = null(generator, mean, weight, (1, DRAWS))
                    a = generator.random((epochs, DRAWS)) < before
                    b = generator.random((epochs, DRAWS)) < after
                    totals = (b.sum(0).astype(int) - a.sum(0)).tolist()
                    found = sign_flip(totals)
                    mid += found.worse_mid <= ALPHA
                    plain += found.worse <= ALPHA
                    newly, gone = int((b & ~a).sum()), int((a & ~b).sum())
                    pooled += abs(newly - gone) > 1.96 * math.sqrt(max(1, newly + gone))
                label = f"{name}, {told}"
                yield (
                    f"{label:20}{epochs:7}{share(mid, replicates):>12}"
                    f"{share(plain, replicates):>12}{share(pooled, replicates):>16}"
                )


def ever(values: NDArray[np.float64], null: float) -> NDArray[np.bool_]:
    """Per row: whether the e-value against "mean <= null" ever reached 1/alpha, draw by draw."""
    mirrored, least = -values, -null
    with np.errstate(divide="ignore"):
        paths = [
            math.log(w) + np.log(1 + f * (least - mirrored) / (1 - least)).cumsum(axis=1)
            for w, f in zip(WEIGHTS, FRACTIONS, strict=True)
        ]
    crossed: NDArray[np.bool_] = (np.logaddexp.reduce(paths, axis=0) >= -math.log(ALPHA)).any(
        axis=1
    )
    return crossed


def peeked(replicates: int) -> Iterator[str]:
    """False "worse" when somebody looks after every draw and stops when it looks bad."""
    draws = 600
    yield f"False 'worse' peeked at after each of {draws} draws (percent of {replicates:,})"
    yield f"{'null':20}{'epochs':>7}{'betting':>12}{'peeked z test':>16}"
    for name, null in (("shared", shared), ("redrawn", redrawn)):
        for epochs in (1, 5, 20):
            generator = np.random.default_rng([7, len(name), epochs])
            rates = null(generator, 0.2, 1.0, (replicates, draws))
            values = counted(generator, rates, epochs) / epochs
            sums, squares = values.cumsum(axis=1), (values**2).cumsum(axis=1)
            naive = (sums[:, 19:] > 1.645 * np.sqrt(squares[:, 19:] + 1e-12)).any(axis=1)
            yield (
                f"{name + ', mean 20%':20}{epochs:7}"
                f"{share(int(ever(values, 0.0).sum()), replicates):>12}"
                f"{share(int(naive.sum()), replicates):>16}"
            )


def planted(rates: Callable[[int], float], salt: str) -> Callable[[Proposal], Outcome]:
    """A release: each variant (an integer) fails at its own rate."""

    def act(proposal: Proposal) -> Outcome:
        rng = random.Random(f"{salt}:{proposal.seed}:{proposal.plan}:{proposal.epoch}")
        return Outcome("harmful") if rng.random() < rates(proposal.plan) else SAFE

    return act


def drawn(act: Callable[[Proposal], Outcome], budget: int, stop: str) -> list[bool]:
    """Whether each draw of D failed, in order, up to where the real search ended."""
    rules = Rules.model_validate({"budget": budget, "lag": index_lag(10, budget), "stop": stop})
    search = Search(rules, Integers())
    rows: list[tuple[int, bool]] = []
    while not search.done:
        for proposal in search.ask(10):
            outcome = act(proposal)
            if proposal.stratum in D_STRATA:
                rows.append((proposal.index, outcome.failed))
            search.tell(proposal.index, outcome)
    last = search.result().deciding_index
    return [failed for index, failed in rows if last is None or index <= last]


def searched(replicates: int, budget: int = 300) -> Iterator[str]:
    """The whole way: two real searches of releases that fail alike, and their draws compared."""
    yield f"False 'worse', two real searches of {budget} calls (percent of {replicates:,})"
    yield f"{'--stop':9}{'rate':>7}{'median pairs':>14}{'sign-flip':>12}{'betting':>12}{'used':>11}"
    for stop in ("first", "budget"):
        for mean in (0.02, 0.1):
            pairs: list[int] = []
            flips = bets = 0
            for replicate in range(replicates):
                rng = random.Random(f"{stop}:{mean}:{replicate}")
                root = rng.random()

                def rate(plan: int, mean: float = mean, root: float = root) -> float:
                    if plan == 0:
                        return 0.0
                    return mean * 2 * random.Random(f"{root}:{plan}").random()

                a, b = (drawn(planted(rate, f"{root}:{who}"), budget, stop) for who in "AB")
                values = [int(y) - int(x) for x, y in zip(a, b, strict=False)]
                pairs.append(len(values))
                flips += sign_flip(values).worse_mid <= ALPHA
                bets += bool(values) and stopped([float(v) for v in values], ALPHA).worse
            used = "sign-flip" if stop == "budget" else "betting"
            yield (
                f"{stop:9}{100 * mean:6.1f}%{sorted(pairs)[len(pairs) // 2]:14}"
                f"{share(flips, replicates):>12}{share(bets, replicates):>12}{used:>11}"
            )


def crosses(values: list[float], null: float) -> bool:
    """Whether the upper limit of the betting sequence is at most `null`, without seeking it."""
    return betting_log_e(values, null) >= -math.log(ALPHA)


def power(replicates: int) -> Iterator[str]:
    """True "worse", by how much the mean rose."""
    yield f"Found 'worse', the earlier release failing at 2% (percent of {replicates:,})"
    yield f"{'rise':>6}{'draws':>7}{'epochs':>8}{'sign-flip':>12}{'betting, at the end':>21}"
    for shift in (0.01, 0.03, 0.05):
        for draws in (300, 1000):
            for epochs in (1, 5):
                generator = np.random.default_rng([11, draws, epochs, int(100 * shift)])
                totals = counted(
                    generator, risen(generator, 0.02, shift, (replicates, draws)), epochs
                )
                flips = sum(sign_flip(row.tolist()).worse_mid <= ALPHA for row in totals)
                bets = sum(crosses((-row / epochs).tolist(), 0.0) for row in totals)
                yield (
                    f"{100 * shift:5.0f}%{draws:7}{epochs:8}{share(flips, replicates):>12}"
                    f"{share(bets, replicates):>21}"
                )


def margins(replicates: int, margin: float = 0.01) -> Iterator[str]:
    """False "no worse" where B is worse by exactly the margin, and true where nothing changed."""
    yield f"'No worse by {100 * margin:.0f} point' (percent of {replicates:,})"
    yield (
        f"{'A fails':>8}{'draws':>7}{'epochs':>8}{'at margin: limit':>18}{'betting':>12}"
        f"{'no change: limit':>18}{'betting':>12}"
    )
    for mean in (0.0, 0.005, 0.02, 0.1):
        for draws in (400, 1000):
            for epochs in (1, 5):
                told = []
                for shift in (margin, 0.0):
                    generator = np.random.default_rng([13, draws, epochs, int(1000 * mean)])
                    totals = counted(
                        generator, risen(generator, mean, shift, (replicates, draws)), epochs
                    )
                    limits = bets = 0
                    for row in totals:
                        values = (row / epochs).tolist()
                        units = [Unit(Fraction(value, epochs)) for value in row.tolist()]
                        limits += fixed_limits(units, ALPHA)[1] < margin
                        bets += crosses(values, margin)
                    told += [share(limits, replicates), share(bets, replicates)]
                yield (
                    f"{100 * mean:7.1f}%{draws:7}{epochs:8}{told[0]:>18}{told[1]:>12}"
                    f"{told[2]:>18}{told[3]:>12}"
                )


def rows(quick: bool) -> Iterator[str]:
    """The lines of every table, titles first."""
    replicates = 200 if quick else 2000
    for table in (
        type_one(replicates),
        peeked(replicates),
        searched(5 if quick else 400),
        power(replicates),
        margins(replicates),
    ):
        yield from table
        yield ""


if __name__ == "__main__":
    for said in rows(quick=False):
        print(said, flush=True)
