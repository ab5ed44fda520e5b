"""Statistics of a run: e-processes, intervals, multiplicity; pure functions, small counters.

An *e-process* starts at 1 and, while its null hypothesis holds, has expectation at most 1 at
every stopping time, whatever is tried next. So it exceeds 1/alpha with probability at most alpha
(Ville's inequality) and may be looked at after every call: Ramdas, Grünwald, Vovk and Shafer 2023,
doi:10.1214/23-STS894. All arithmetic is in logarithms of counts, so a million outcomes round no
worse than ten. Importing this module imports neither scipy nor numpy.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

#: Alternatives of a mixture: this many, this far apart in log-odds, on one side of the null.
GRID_SIZE = 7
GRID_STEP = 0.9
#: Weights of the exploration, replay and canonical accounts in the evidence for *brittle*.
EXPLORE_WEIGHT, REPLAY_WEIGHT, CANONICAL_WEIGHT = 0.45, 0.45, 0.10
#: Beta(.18, .18) prior on each rate of the two-sample test.
TWO_SAMPLE_PRIOR = 0.18

_LOG_HALF = math.log(0.5)
_LOG_LARGEST = 700.0  # exp() of it is still a float, and still a number in JSON


def bounded_exp(log_e: float) -> float:
    """An e-value from its logarithm, at most e**700, so that it always prints as JSON."""
    return math.exp(min(log_e, _LOG_LARGEST))


def _logit(p: float) -> float:
    if not 0.0 < p < 1.0:
        raise ValueError(f"a rate strictly between 0 and 1 is needed here, not {p!r}")
    return math.log(p) - math.log1p(-p)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def _softplus(x: float) -> float:
    """log(1 + e**x) without overflow; log(1 - logistic(x)) is its negative."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@lru_cache(maxsize=512)
def _log_ratios(null: float, step: float) -> tuple[tuple[float, float], ...]:
    """Per grid point, the log likelihood ratio of one failure and of one pass against the null."""
    x = _logit(null)
    passes = ((g * step, _softplus(x) - _softplus(x + g * step)) for g in range(1, GRID_SIZE + 1))
    return tuple((shift + on_pass, on_pass) for shift, on_pass in passes)


def _log_mixture(ratios: tuple[tuple[float, float], ...], trials: float, failures: float) -> float:
    """Logarithm of the evenly weighted mixture of likelihood ratios after these counts."""
    passes = trials - failures
    logs = [failures * on_failure + passes * on_pass for on_failure, on_pass in ratios]
    top = max(logs)
    return top + math.log(sum([math.exp(log - top) for log in logs]) / len(logs))


def log_above(null: float, trials: float, failures: float) -> float:
    """Log e-value against "p <= null": a mixture over p_g = logistic(logit null + 0.9 g), g = 1..7.

    Every p_g exceeds the null, so a pass always lowers it and only a failure can make it cross.
    Counts may be fractions (projections). Method of mixtures: Robbins 1970,
    doi:10.1214/aoms/1177696786.

    >>> log_above(0.01, 0, 0)
    0.0
    """
    return _log_mixture(_log_ratios(null, GRID_STEP), trials, failures)


def log_below(null: float, trials: float, failures: float) -> float:
    """Log e-value against "p >= null": log_above's mirror image, hedged with a bet on no failure.

    1/2 · 1{no failure} (1 - null)**-trials + 1/2 · mixture over logistic(logit null - 0.9 g).
    Each part is an e-process and so is their average. Waudby-Smith and Ramdas 2024,
    doi:10.1093/jrsssb/qkad009.

    >>> bounded_exp(log_below(0.01, 312, 0)) > 20
    True
    """
    mixture = _log_mixture(_log_ratios(null, -GRID_STEP), trials, failures)
    if failures > 0:
        return _LOG_HALF + mixture
    clean = -trials * math.log1p(-null)
    top = max(clean, mixture)
    return _LOG_HALF + top + math.log(math.exp(clean - top) + math.exp(mixture - top))


class BrittleMixture:
    """E-process against "every trial here fails with probability at most q0"; see `log_above`.

    The trials may be of any variants, chosen by any rule that looks at the past only: the null
    bounds each trial's rate given the past.

    >>> account = BrittleMixture(0.01)
    >>> for failed in (False, True, True, True):
    ...     account.update(failed)
    >>> account.trials, account.failures, account.e > 20
    (4, 3, True)
    """

    __slots__ = ("failures", "q0", "trials")

    def __init__(self, q0: float) -> None:
        _logit(q0)  # a rate of 0 or 1 has no alternatives: say so now, not at the first look
        self.q0 = q0
        self.trials = 0
        self.failures = 0

    def update(self, failed: bool) -> None:
        """Count one trial."""
        self.trials += 1
        self.failures += failed

    @property
    def log_e(self) -> float:
        """Natural logarithm of the e-value now; 0 before any trial."""
        return log_above(self.q0, self.trials, self.failures) if self.trials else 0.0

    @property
    def e(self) -> float:
        """The e-value now."""
        return bounded_exp(self.log_e)


class BelowMixture:
    """E-process against "the mean failure rate is at least c", for independent draws; `log_below`.

    It is the *holds* account of a sweep (c = r, rows of D) and the knock-outs of a certificate.

    >>> account = BelowMixture(0.5)
    >>> for _ in range(6):
    ...     account.update(False)
    >>> account.e > 20
    True
    """

    __slots__ = ("c", "failures", "trials")

    def __init__(self, c: float) -> None:
        _logit(c)
        self.c = c
        self.trials = 0
        self.failures = 0

    def update(self, failed: bool) -> None:
        """Count one trial."""
        self.trials += 1
        self.failures += failed

    @property
    def log_e(self) -> float:
        """Natural logarithm of the e-value now; 0 before any trial."""
        return log_below(self.c, self.trials, self.failures) if self.trials else 0.0

    @property
    def e(self) -> float:
        """The e-value now."""
        return bounded_exp(self.log_e)


class BrittleEvidence:
    """E = .45 G + .45 Σ_j E_j / (j (j+1)) + .10 C, against "every variant fails at most at q0".

    G bets on exploration calls, C on canonical calls, E_j on the replays of the j-th episode only.
    An episode that never starts stays at 1, so the infinite sum is 1 / (J+1) beyond the J started
    ones and the whole starts at exactly 1. Fixed convex combinations of e-processes in one
    filtration are e-processes: Ramdas et al. 2023, doi:10.1214/23-STS894.
    """

    __slots__ = ("canonical", "episodes", "explore", "q0")

    def __init__(self, q0: float) -> None:
        self.q0 = q0
        self.explore = BrittleMixture(q0)
        self.canonical = BrittleMixture(q0)
        self.episodes: list[BrittleMixture] = []

    def open_episode(self) -> None:
        """Start E_j for the next j."""
        self.episodes.append(BrittleMixture(self.q0))

    @property
    def e(self) -> float:
        """E now; 1 before any trial."""
        started = sum(mix.e / (j * (j + 1)) for j, mix in enumerate(self.episodes, start=1))
        return (
            EXPLORE_WEIGHT * self.explore.e
            + REPLAY_WEIGHT * (started + 1.0 / (len(self.episodes) + 1))
            + CANONICAL_WEIGHT * self.canonical.e
        )


class TwoSample:
    """E-process against "the second rate is at most the first", on 1:1 blocks: e_T of the flag.

    Per block, with past-learned rates a < b and their mean m, the factor is
    a^x (1-a)^(1-x) b^y (1-b)^(1-y) / (m^(x+y) (1-m)^(2-x-y)); where the past does not say a < b, it
    is 1 (no bet). Turner, Ly and Grünwald 2024, doi:10.1016/j.jspi.2023.106116. Their null is
    a = b; it also holds for b <= a: with c = (b-a) / 2m(1-m) the factor's mean at true rates s >= t
    is (1 - c(s-m)) (1 + c(t-m)) = 1 - c(s-t) - c²(s-m)(t-m), at most 1 wherever m lies. So blocks
    may differ in their rates, as matched seeds do.
    """

    __slots__ = ("blocks", "first", "log_e", "second")

    def __init__(self) -> None:
        self.blocks = 0
        self.first = 0
        self.second = 0
        self.log_e = 0.0

    def update(self, first_failed: bool, second_failed: bool) -> None:
        """Bet on one block, then learn from it."""
        weight = self.blocks + 2 * TWO_SAMPLE_PRIOR
        a = (self.first + TWO_SAMPLE_PRIOR) / weight
        b = (self.second + TWO_SAMPLE_PRIOR) / weight
        if a < b:
            mean = (a + b) / 2
            self.log_e += math.log(a / mean if first_failed else (1 - a) / (1 - mean))
            self.log_e += math.log(b / mean if second_failed else (1 - b) / (1 - mean))
        self.blocks += 1
        self.first += first_failed
        self.second += second_failed

    @property
    def e(self) -> float:
        """The e-value now."""
        return bounded_exp(self.log_e)


def null_rate(threshold: float, specificity: float) -> float:
    """q0: the observed failure rate that "true rate <= threshold" allows with this specificity.

    Rogan and Gladen 1978, doi:10.1093/oxfordjournals.aje.a112510, at sensitivity 1 (the worst
    case). `specificity` is a lower confidence bound, e.g. `lower_bound(n, n, .01)`.
    """
    return threshold + (1.0 - threshold) * (1.0 - specificity)


def confidence_sequence(trials: int, failures: int, alpha: float) -> tuple[float, float]:
    """The rates that neither one-sided mixture rejects now: (lower, upper), valid at every n.

    The upper limit is dual to the holds e-process (upper <= r exactly when `log_below` at r
    crosses 1/alpha), the lower one to `log_above`. Each limit alone errs with probability at most
    alpha over the whole run; both together at most 2 alpha. Waudby-Smith and Ramdas 2024,
    doi:10.1093/jrsssb/qkad009. Both e-values are monotone in the null rate (the mixtures are
    shifts in log-odds), so bisection finds the limits.

    >>> confidence_sequence(0, 0, 0.05)
    (0.0, 1.0)
    """
    target = -math.log(alpha)

    def limit(rejects: Callable[[float], bool], outer: float, inner: float) -> float:
        """The log-odds between `outer`, rejected, and `inner`, not, where rejection ends."""
        for _ in range(60):
            middle = (outer + inner) / 2
            outer, inner = (middle, inner) if rejects(_logistic(middle)) else (outer, middle)
        return _logistic(outer)

    # e**-30 is below any rate a run could reject, and 1 - e**-30 is still a float apart from 1.
    widest = 30.0
    lower, upper = 0.0, 1.0
    if failures and log_above(_logistic(-widest), trials, failures) >= target:
        lower = limit(lambda c: log_above(c, trials, failures) >= target, -widest, widest)
    if failures < trials and log_below(_logistic(widest), trials, failures) >= target:
        upper = limit(lambda c: log_below(c, trials, failures) >= target, widest, -widest)
    return lower, upper


def clopper_pearson(trials: float, failures: float, alpha: float = 0.05) -> tuple[float, float]:
    """Exact interval of level 1 - alpha for a rate, at a number of trials fixed beforehand.

    Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404. Not valid under peeking: for that,
    `confidence_sequence`.

    >>> [round(limit, 4) for limit in clopper_pearson(120, 0)]
    [0.0, 0.0303]
    """
    return lower_bound(trials, failures, alpha / 2), upper_bound(trials, failures, alpha / 2)


def lower_bound(trials: float, failures: float, alpha: float) -> float:
    """One-sided exact lower bound of a rate at a fixed number of trials; see `clopper_pearson`.

    >>> round(lower_bound(70, 70, 0.05), 3)
    0.958
    """
    if failures <= 0:
        return 0.0
    from scipy.special import betaincinv  # slow to import, and most commands never need it

    return float(betaincinv(failures, trials - failures + 1, alpha))


def upper_bound(trials: float, failures: float, alpha: float) -> float:
    """One-sided exact upper bound of a rate at a fixed number of trials; see `clopper_pearson`.

    >>> round(upper_bound(299, 0, 0.05), 4)
    0.01
    """
    return 1.0 - lower_bound(trials, trials - failures, alpha)


def trials_to_reject(
    log_e: Callable[[float, float], float], rate: float, needed: float, start: int
) -> int | None:
    """The least number of trials >= `start` at which log_e(n, rate n) reaches log(needed).

    None when ten million would not do. log_e(n, rate n) is a logarithm of sums of exponentials of
    lines through 0, hence convex in n from 0: below its target now, it crosses at most once.
    """
    target = math.log(needed)
    low, high = start, max(start, 1)
    while log_e(high, rate * high) < target:
        low, high = high, 2 * high
        if high > 10_000_000:
            return None
    while low < high:
        middle = (low + high) // 2
        if log_e(middle, rate * middle) < target:
            low = middle + 1
        else:
            high = middle
    return high


class Presence(NamedTuple):
    """One row of D as it bears on one step."""

    failed: bool
    present: bool  # the step is in the plan
    propensity: float  # probability of that under D, given seed, density class and other steps


def presence_e(rows: Iterable[Presence]) -> float:
    """E-value against "this step does not raise the failure rate, given the other steps".

    Bets on the step's presence in the rows that failed. Under the null presence keeps its known
    propensity p there; if the step multiplies the odds of failing by s, it becomes sp / (1-p+sp).
    Mixture over log s = 0.9 g, g = 1..7. A step that its group forces (p of 0 or 1) contributes 1.
    The null must be one-sided: a step that lowers the rate makes presence rarer, and the factor
    s^z / (1-p+sp) is increasing in z, so its mean only falls. Grünwald, Henzi and Lardy 2024,
    doi:10.1080/01621459.2023.2205607 (tests under a known conditional law of the covariate).

    >>> presence_e([Presence(True, True, 0.5)] * 10) > 200
    True
    """
    logs = [0.0] * GRID_SIZE
    for row in rows:
        if row.failed:
            for g, ratio in enumerate(_presence_ratios(row.present, row.propensity)):
                logs[g] += ratio
    return _mean_of(logs)


def presence_e_of(rows: Mapping[Presence, int]) -> float:
    """`presence_e` of rows counted by kind.

    >>> presence_e_of({Presence(True, True, 0.5): 10}) > 200
    True
    """
    logs = [0.0] * GRID_SIZE
    for row, count in rows.items():
        if row.failed:
            for g, ratio in enumerate(_presence_ratios(row.present, row.propensity)):
                logs[g] += count * ratio
    return _mean_of(logs)


@lru_cache(maxsize=4096)  # a run has few propensities
def _presence_ratios(present: bool, p: float) -> tuple[float, ...]:
    """Per grid point, the log likelihood ratio of a step's presence in a row that failed."""
    if not 0.0 <= p <= 1.0 or p == (0.0 if present else 1.0):
        raise ValueError(f"a row that cannot be: present={present} at propensity {p!r}")
    shifts = (GRID_STEP * (g + 1) for g in range(GRID_SIZE))
    return tuple(
        (shift if present else 0.0) - math.log1p(p * math.expm1(shift)) for shift in shifts
    )


def _mean_of(logs: list[float]) -> float:
    """The evenly weighted mean of e-values, from their logarithms."""
    top = max(logs)
    return bounded_exp(top + math.log(sum(math.exp(log - top) for log in logs) / GRID_SIZE))


def presence_effect(rows: Iterable[Presence]) -> tuple[float, float, float]:
    """What adding the step does to the failure rate: (effect, lower, upper), in [-1, 1].

    "With" minus "without", each a mean weighted by inverse propensity and normalised by its
    weights (Hájek 1971; unnormalised weights call every step harmful where everything fails), over
    the rows where both were possible. A counter of rows serves as well as the rows. The 95%
    interval joins the exact intervals of the two means (Newcombe 1998, doi:10.1002/(SICI)1097-0258
    (19980430)17:8<873::AID-SIM779>3.0.CO;2-I; Zou and Donner 2008, doi:10.1002/sim.3095), each at
    the number of equal rows that its own are worth: Kish's, or fewer where the failures lie in rows
    of much weight. With few failures a normal interval missed in up to 27% of simulations, this in
    none more than 5%. A description at a fixed number of rows; the claim is `presence_e`'s.
    (0, -1, 1) where one side has no row.

    >>> presence_effect([Presence(True, z, 0.3) for z in (True, True, False, False)])[0]
    0.0
    """
    # Rows of a kind are counted: there may be a million of them.
    counted = rows if isinstance(rows, Counter) else Counter(rows)
    sides: dict[bool, list[tuple[float, bool, int]]] = {True: [], False: []}
    for row, n in counted.items():
        if n and 0.0 < row.propensity < 1.0:
            chance = row.propensity if row.present else 1.0 - row.propensity
            sides[row.present].append((1.0 / chance, row.failed, n))
    if not (sides[True] and sides[False]):
        return 0.0, -1.0, 1.0
    (on, on_low, on_high), (off, off_low, off_high) = map(_weighed, (sides[True], sides[False]))
    effect = on - off
    lower = effect - math.hypot(on - on_low, off_high - off)
    upper = effect + math.hypot(on_high - on, off - off_low)
    return effect, max(-1.0, lower), min(1.0, upper)


def _weighed(rows: list[tuple[float, bool, int]]) -> tuple[float, float, float]:
    """The weighted failure rate of (weight, failed, count) rows, and its exact 95% interval."""
    total = math.fsum(w * n for w, _, n in rows)
    mean = min(1.0, math.fsum(w * n for w, failed, n in rows if failed) / total)
    worth = total**2 / math.fsum(w * w * n for w, _, n in rows)
    variance = math.fsum(n * (w * (failed - mean)) ** 2 for w, failed, n in rows) / total**2
    if variance > 0:
        worth = min(worth, mean * (1 - mean) / variance)
    low, high = clopper_pearson(worth, mean * worth)
    return mean, min(low, mean), max(high, mean)


def e_bh(e_values: Mapping[str, float], alpha: float) -> tuple[str, ...]:
    """The names e-BH rejects at false discovery rate alpha, largest e-value first.

    The largest k with k e_(k) / K >= 1/alpha; valid under any dependence. Wang and Ramdas 2022,
    doi:10.1111/rssb.12489.

    >>> e_bh({"a": 90.0, "b": 45.0, "c": 1.0}, 0.05)
    ('a', 'b')
    """
    ranked = sorted(e_values, key=lambda name: (-e_values[name], name))
    rejected = 0
    for k, name in enumerate(ranked, start=1):
        if k * e_values[name] * alpha >= len(ranked):
            rejected = k
    return tuple(ranked[:rejected])
