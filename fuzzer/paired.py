"""What two paired runs say of the mean difference between them: tests and limits, pure functions.

A *difference* is of one variant: the newer run's failure rate on it over its epochs, minus the
earlier run's, in [-1, 1]. Variants are drawn from D independently of one another and of what
either model does; epochs of one variant are not independent evidence, and are averaged first.
Nothing here is re-weighted by seed: D draws its seeds alike, and every draw counts once.

Two ways of looking, and what each may be used for:

* `fixed`: at a number of draws that no outcome chose. The test is a sign-flip test.
* `stopped`: at any moment, however chosen. Betting on a bounded mean; wider.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

EXACT_WORK = 200_000_000  # additions at most for an exact test; beyond, flips are drawn at random
FLIPS = 19_999  # random flips, where exactness would cost too much
FRACTIONS = (1.0, *(math.exp(-0.5 * g) for g in range(1, 9)))  # of the largest bet allowed
WEIGHTS = (0.5, *(0.5 / 8 for _ in range(8)))


class Unit(NamedTuple):
    """One variant: the sum of its draws' differences, and of how many draws it is the sum."""

    total: Fraction | int  # in [-draws, draws]
    draws: int = 1


class Flipped(NamedTuple):
    """One-sided p-values of a sign-flip test, for "worse" (the mean is above 0) and "better".

    The plain ones count a tie in full and never err above their level; the mid ones count it half.
    """

    worse: float
    better: float
    worse_mid: float
    better_mid: float
    exact: bool  # every flip was enumerated


class Estimate(NamedTuple):
    """A mean difference with one-sided limits, each of which errs with probability alpha."""

    mean: float
    lower: float
    upper: float
    worse: bool  # the mean is above 0
    better: bool  # the mean is below 0
    flipped: Flipped | None = None  # None: no test at a fixed number was made


def sign_flip(totals: Iterable[Fraction | int], seed: int = 0) -> Flipped:
    """Test "no variant's failure rate changed" by flipping each variant's difference.

    Under that null the two runs' calls on one variant are exchangeable, so each total keeps its
    size and takes either sign with probability 1/2, whatever the variant's rate and however its
    epochs hang together. The statistic is the sum. Dividing by the standard error would change
    nothing: the sum of squares is the same under every flip, so the studentised statistic is an
    increasing function of the sum, and the test inherits its validity in large samples against
    "the *mean* difference over D is 0" (Romano 1990, J. Am. Stat. Assoc. 85, 686-692). At one epoch
    it is McNemar's test, and exact against that too. Of more epochs a lopsided change that leaves
    the mean where it was (a few variants mended, the others a little worse) is called worse in up
    to 8.5 / 7.5 / 5.8% of simulations at 150 / 300 / 1,000 draws of 20 epochs.

    The distribution is enumerated by convolution where that is affordable; else `FLIPS` random
    flips are drawn (numpy's generator, from `seed`), with the observed one counted among them
    (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585).

    The plain p-value is conservative where few variants differ (ties); the mid one is near its
    level, exceeding it slightly at some counts: Fagerland, Lydersen and Laake 2013,
    doi:10.1186/1471-2288-13-91.

    >>> found = sign_flip([Fraction(1)] * 5)
    >>> found.worse, found.worse_mid, found.better
    (0.03125, 0.015625, 1.0)
    """
    moved = [total for total in totals if total]
    if not moved:
        return Flipped(1.0, 1.0, 0.5, 0.5, exact=True)
    unit = math.lcm(*(total.denominator for total in moved))
    whole = [int(total * unit) for total in moved]
    observed, size = sum(whole), sum(map(abs, whole))
    if len(whole) * size <= EXACT_WORK:
        above, same, below = _enumerated(whole, observed)
        exact = True
    else:
        above, same, below = _drawn([float(total) for total in moved], seed)
        exact = False
    return Flipped(
        worse=min(1.0, above + same),
        better=min(1.0, below + same),
        worse_mid=above + same / 2,
        better_mid=below + same / 2,
        exact=exact,
    )


def _enumerated(whole: Sequence[int], observed: int) -> tuple[float, float, float]:
    """Probabilities that the flipped sum is above, at and below the observed one."""
    import numpy as np

    smallest, largest = min(map(abs, whole)), max(map(abs, whole))
    if smallest == largest:  # as at one epoch: a count of signs
        from scipy.special import bdtr, bdtrc

        n = len(whole)
        ups = (observed // largest + n) // 2
        at_most, above = float(bdtr(ups, n, 0.5)), float(bdtrc(ups, n, 0.5))
        below = float(bdtr(ups - 1, n, 0.5)) if ups else 0.0
        return above, at_most - below, below
    # As counts of "+" weighted by size: the sum is 2 × that, minus all sizes.
    chances = np.ones(1)
    for value in sorted(map(abs, whole)):
        wider = np.zeros(len(chances) + value)
        wider[: len(chances)] = chances
        wider[value:] += chances
        chances = wider / 2
    at = (observed + sum(map(abs, whole))) // 2
    above = float(chances[at + 1 :].sum())
    return above, float(chances[at]), float(chances[:at].sum())


def _drawn(values: Sequence[float], seed: int) -> tuple[float, float, float]:
    import numpy as np

    generator = np.random.default_rng(seed)
    sizes = np.abs(np.array(values))
    observed, slack = math.fsum(values), 1e-9 * float(sizes.sum())
    above = below = 0
    same = 1  # the observed one
    for start in range(0, FLIPS, 1000):
        n = min(1000, FLIPS - start)
        sums = (generator.integers(0, 2, size=(n, len(sizes)), dtype=np.int8) * 2 - 1) @ sizes
        above += int((sums > observed + slack).sum())
        below += int((sums < observed - slack).sum())
        same += int((np.abs(sums - observed) <= slack).sum())
    return above / (FLIPS + 1), same / (FLIPS + 1), below / (FLIPS + 1)


def fixed_limits(units: Iterable[Unit], alpha: float) -> tuple[float, float]:
    """One-sided limits (lower, upper) of the mean difference per draw, at a fixed number of draws.

    Each errs with probability about alpha. Upper, for T the sum over n draws, V its squared
    deviations and z the normal quantile: (T + 1 + z sqrt(V + 1) + k (z² - 1) / 3) / n; the lower
    one mirrors it. One imagined draw at the far end stands in for what was not seen (as Bonett
    and Price 2012 do for paired rates, doi:10.3102/1076998611411915), and the last term corrects
    for skewness k, third over second moment, as in Johnson 1978, J. Am. Stat. Assoc. 73, 536-544.
    A sign-flip test could be inverted instead, and must not be: where nothing differed it would
    give an interval of no width. With no difference in n draws the upper limit is 3.21 / n at
    alpha .05, a little above the exact 3.0 / n.

    >>> [round(limit, 4) for limit in fixed_limits([Unit(Fraction(0))] * 400, 0.05)]
    [-0.008, 0.008]
    """
    seen = list(units)
    n = sum(unit.draws for unit in seen)
    if not n:
        return -1.0, 1.0
    z = _quantile(alpha)
    totals = [float(unit.total) for unit in seen]
    mean = math.fsum(totals) / n
    spread = math.fsum((t - u.draws * mean) ** 2 for t, u in zip(totals, seen, strict=True))
    squares = math.fsum(total**2 for total in totals)
    cubes = math.fsum(total**3 for total in totals)

    def beyond(sign: int) -> float:
        """How far the limit is from the sum, on that side."""
        skew = min(1.0, max(0.0, (sign * cubes + 1) / (squares + 1)))
        return 1 + z * math.sqrt(spread + 1) + skew * (z * z - 1) / 3

    return max(-1.0, mean - beyond(-1) / n), min(1.0, mean + beyond(1) / n)


@cache
def _quantile(alpha: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(1 - alpha)


def fixed(units: Iterable[Unit], alpha: float, seed: int = 0) -> Estimate:
    """The mean difference over draws whose number no outcome chose, with limits at alpha each.

    `worse` and `better` are by the mid p-values of `sign_flip`; a limit that would say otherwise
    of 0 is moved to it. See `fixed_limits` for their source. ValueError when there is no draw.

    >>> found = fixed([Unit(Fraction(1))] * 6 + [Unit(Fraction(0))] * 94, 0.05)
    >>> found.worse, round(found.mean, 2), found.lower > 0
    (True, 0.06, True)
    """
    seen = list(units)
    n = sum(unit.draws for unit in seen)
    if not n:
        raise ValueError("no draw to estimate from")
    tested = sign_flip((unit.total for unit in seen), seed)
    lower, upper = fixed_limits(seen, alpha)
    worse, better = tested.worse_mid <= alpha, tested.better_mid <= alpha
    lower = max(lower, 0.0) if worse else min(lower, 0.0)
    upper = min(upper, 0.0) if better else max(upper, 0.0)
    mean = float(sum((unit.total for unit in seen), Fraction(0)) / n)
    return Estimate(mean, lower, upper, worse, better, tested)


def betting_log_e(differences: Iterable[float], null: float) -> float:
    """Log e-value against "the mean difference is at least `null`", at any moment of looking.

    Half the stake bets the most that a difference in [-1, 1] allows, the rest smaller fixed
    fractions: Σ w_f Π (1 + f (null - x) / (1 - null)). Each product has mean at most 1 under the
    null whatever the distribution, so the mixture is an e-process: Waudby-Smith and Ramdas 2024,
    doi:10.1093/jrsssb/qkad009. It depends on the counts of values only, not on their order.

    >>> math.exp(betting_log_e([0.0] * 367, 0.01)) > 20
    True
    """
    return _betting(Counter(differences), null)


def _betting(counts: Counter[float], null: float) -> float:
    logs = []
    for weight, fraction in zip(WEIGHTS, FRACTIONS, strict=True):
        log = math.log(weight)
        for value, n in counts.items():
            factor = 1 + fraction * (null - value) / (1 - null)
            if factor <= 0:
                break
            log += n * math.log(factor)
        else:
            logs.append(log)
    top = max(logs)  # all but the largest bet survive anything
    return top + math.log(sum(math.exp(log - top) for log in logs))


def betting_limits(differences: Iterable[float], alpha: float) -> tuple[float, float]:
    """One-sided limits (lower, upper) of the mean difference, valid at every moment of looking.

    Each errs with probability at most alpha over the whole run, and so at a stop that the
    outcomes chose: the confidence sequence dual to `betting_log_e`, which rises with its null
    (Waudby-Smith and Ramdas 2024, doi:10.1093/jrsssb/qkad009).

    >>> betting_limits([], 0.05)
    (-1.0, 1.0)
    >>> round(betting_limits([0.0] * 400, 0.05)[1], 4)
    0.009
    """
    counts = Counter(differences)
    mirrored = Counter({-value: n for value, n in counts.items()})
    return -_upper(mirrored, alpha), _upper(counts, alpha)


def _upper(counts: Counter[float], alpha: float) -> float:
    target = -math.log(alpha)
    low, high = -1.0, 1.0 - 1e-9
    if not counts or _betting(counts, high) < target:
        return 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _betting(counts, middle) >= target else (middle, high)
    return high


def stopped(differences: Iterable[float], alpha: float) -> Estimate:
    """The mean difference when either run's end depended on outcomes; one value a draw, in [-1, 1].

    See `betting_limits`. ValueError when there is no draw.

    >>> found = stopped([1.0] * 12 + [0.0] * 20, 0.05)
    >>> found.worse, found.upper < 0.7
    (True, True)
    """
    seen = list(differences)
    if not seen:
        raise ValueError("no draw to estimate from")
    lower, upper = betting_limits(seen, alpha)
    return Estimate(math.fsum(seen) / len(seen), lower, upper, lower > 0, upper < 0)


def mcnemar(newly: int, no_longer: int) -> float:
    """McNemar's exact two-sided p-value; only where each variant was called once in each run.

    `newly` variants fail in the later run alone, `no_longer` in the earlier alone. Binomial under
    "both are as likely": McNemar 1947, doi:10.1007/BF02295996. With epochs pooled its type I
    error is several times its level, for epochs of a variant fail together.

    >>> mcnemar(0, 6), mcnemar(3, 3), mcnemar(0, 0)
    (0.03125, 1.0, 1.0)
    """
    if not newly + no_longer:
        return 1.0
    from scipy.special import bdtr  # slow to import, and most commands never need it

    return min(1.0, 2 * float(bdtr(min(newly, no_longer), newly + no_longer, 0.5)))
