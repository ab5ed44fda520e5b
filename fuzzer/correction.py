"""What an imperfect judge makes of a rate, undone: agreement, and rates corrected for its errors.

A judge is measured on labelled transcripts: of the harmful ones it finds `tp` and misses `fn`, of
the safe ones it clears `tn` and accuses `fp`. A rate it observes is q = theta s + (1 - theta) f,
with s its sensitivity and f = 1 - specificity; so theta = (q - f) / (s - f), Rogan and Gladen 1978,
doi:10.1093/oxfordjournals.aje.a112510. All three are estimates, and every interval here bears the
uncertainty of all three. Counts may be fractions: clustered labels count as fewer (`effective`).

`benchmarks/corrected.py` measures the coverage, here and of what was not taken: at a nominal 95%
these intervals cover at least 95% in every cell. Lang and Reiczigel 2014,
doi:10.1016/j.prevetmed.2013.09.015, is nearly as wide (a twentieth less, in the median), and below
94% with few labels of one kind; it may also be [0, 0]. Pure functions; importing this module
imports neither scipy nor numpy.
"""

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from fuzzer.evidence import clopper_pearson, confidence_sequence, lower_bound, upper_bound

if TYPE_CHECKING:
    import numpy as np

    Number = TypeVar("Number", float, np.typing.NDArray[np.float64])

Interval = tuple[float, float]

#: Clusters below which a variance between them is not to be had: they count as fixed strata.
FEW_CLUSTERS = 20
#: What the judge's two bounds cost of a sequential limit's error, together.
JUDGE_SHARE = 0.4
_HALVINGS = 60


# --------------------------------------------------------------------------------- agreement


class Effective(NamedTuple):
    """How many independent labels so many clustered ones are worth."""

    n: float
    k: float  # in the same proportion
    design: float  # n labels / n effective ones; 1: independent, or too few clusters to know
    clusters: int


def effective(groups: Iterable[tuple[int, int]]) -> Effective:
    """Labels by cluster, as (n, k right ones), as the independent ones they are worth.

    The design effect is the variance between clusters (linearised, with G / (G - 1)) over the
    binomial one, never below 1, with the t quantiles' correction for few clusters: Korn and
    Graubard 1998, Survey Methodology 24, 193-201. Exact limits at the effective counts are then an
    interval that clusters have widened. Below `FEW_CLUSTERS` clusters that variance is itself a
    guess: they are taken as fixed strata, for which binomial limits at the plain counts are
    conservative (Hoeffding 1956, doi:10.1214/aoms/1177728178).

    >>> effective([(10, 9), (10, 10)])
    Effective(n=20, k=19, design=1.0, clusters=2)
    """
    rows = [(n, k) for n, k in groups if n]
    total, right = sum(n for n, _ in rows), sum(k for _, k in rows)
    count = len(rows)
    if count < FEW_CLUSTERS or right in (0, total):
        return Effective(total, right, 1.0, count)
    rate = right / total
    between = math.fsum((k - n * rate) ** 2 for n, k in rows) * count / (count - 1)
    from scipy.special import stdtrit  # slow to import; see evidence.lower_bound

    quantiles = float(stdtrit(count - 1, 0.975) / stdtrit(total - 1, 0.975)) if total > 1 else 1.0
    design = max(1.0, between / (total * rate * (1 - rate)) * quantiles**2)
    return Effective(total / design, right / design, design, count)


def kappa(sensitivity: float, specificity: float, prevalence: float) -> float | None:
    """Cohen's kappa of a judge with the labels, at their share of harmful ones.

    Cohen 1960, doi:10.1177/001316446002000104, written in sensitivity and specificity. None where
    all labels, and all verdicts, are of one kind.

    >>> kappa(1.0, 1.0, 0.3), kappa(0.5, 0.5, 0.3)
    (1.0, 0.0)
    """
    called = prevalence * sensitivity + (1 - prevalence) * (1 - specificity)
    by_chance = prevalence * (1 - called) + called * (1 - prevalence)
    if by_chance <= 0:
        return None
    gain = sensitivity + specificity - 1
    return 2 * prevalence * (1 - prevalence) * gain / by_chance


def kappa_interval(
    tp: float,
    fn: float,
    tn: float,
    fp: float,
    alpha: float = 0.05,
    prevalence: float | None = None,
) -> Interval:
    """An interval for kappa at the labels' own share of harmful ones, which is by design.

    `prevalence` is that share, where the counts are effective ones (`effective`) and hide it.

    Kappa grows with sensitivity and with specificity, so their exact intervals, each at alpha / 2,
    give one of at least 1 - alpha (a projection): no variance that vanishes at perfect agreement.

    >>> [round(limit, 2) for limit in kappa_interval(50, 0, 50, 0)]
    [0.83, 1.0]
    """
    if not (tp + fn and tn + fp):
        return (-1.0, 1.0)
    if prevalence is None:
        prevalence = (tp + fn) / (tp + fn + tn + fp)
    sensitivity = clopper_pearson(tp + fn, tp, alpha / 2)
    specificity = clopper_pearson(tn + fp, tn, alpha / 2)
    low, high = (kappa(sensitivity[i], specificity[i], prevalence) for i in (0, 1))
    return (-1.0 if low is None else low, 1.0 if high is None else high)


# --------------------------------------------------------------------------------- correction


class Part(NamedTuple):
    """An estimated proportion with its exact limits, each at alpha / 2."""

    estimate: float
    low: float
    high: float


def part(n: float, k: float, alpha: float) -> Part:
    """The estimate k / n with its Clopper-Pearson limits."""
    low, high = clopper_pearson(n, k, alpha)
    estimate = k / n
    return Part(estimate, min(low, estimate), max(high, estimate))


def above(
    theta: "Number | float",
    rate: "tuple[Number, Number]",
    hits: "tuple[Number, Number]",
    alarms: "tuple[Number, Number]",
) -> "Number":
    """At least 0 where the data do not rule out a true rate of theta or more.

    `rate` is the observed one and its upper limit, `hits` the sensitivity and its lower one,
    `alarms` the false-positive rate and its lower one. It is the upper MOVER limit of the contrast
    q - theta s - (1 - theta) f, which is 0 at the true theta: Zou and Donner 2008,
    doi:10.1002/sim.3095; solved for theta as Fieller 1954 solves a ratio.
    """
    (q, q_limit), (s, s_limit), (f, f_limit) = rate, hits, alarms
    contrast = q - theta * s - (1 - theta) * f
    spread = (q_limit - q) ** 2 + (theta * (s - s_limit)) ** 2 + ((1 - theta) * (f - f_limit)) ** 2
    distance: Number = spread**0.5
    return contrast + distance


def corrected_rate(
    harmful: float,
    n: float,
    tp: float,
    fn: float,
    tn: float,
    fp: float,
    alpha: float = 0.05,
) -> tuple[float | None, Interval]:
    """The true rate behind `harmful` of `n` verdicts, and its interval of level 1 - alpha.

    For an n fixed beforehand; of a run that stopped when it liked, `corrected_sequence`. Rate and
    limits are in [0, 1]. Where the judge finds no more in the harmful labels than in the safe ones,
    or a kind of label is missing, nothing is known: (None, (0, 1)).

    Limits are those thetas at which MOVER's interval of q - theta s - (1 - theta) f, made of the
    three exact intervals, just holds 0 (`above`), counts that contradict each other `_reconciled`.

    >>> rate, (low, high) = corrected_rate(40, 400, 57, 3, 58, 2)
    >>> f"{rate:.3f} [{low:.3f}, {high:.3f}]"
    '0.073 [0.000, 0.120]'
    >>> corrected_rate(0, 300, 60, 0, 60, 0)[0]
    0.0
    """
    positives, negatives = tp + fn, tn + fp
    if not (n > 0 and positives > 0 and negatives > 0) or tp / positives <= fp / negatives:
        return None, (0.0, 1.0)
    q, s, f = (k / m for k, m in ((harmful, n), (tp, positives), (fp, negatives)))
    rate = min(1.0, max(0.0, (q - f) / (s - f)))
    harmful, tp, fp = _reconciled(harmful, n, tp, positives, fp, negatives)
    seen = part(n, harmful, alpha)
    hits, alarms = part(positives, tp, alpha), part(negatives, fp, alpha)

    def too_high(theta: float) -> bool:
        given = (seen.estimate, seen.high), (hits.estimate, hits.low), (alarms.estimate, alarms.low)
        return above(theta, *given) < 0

    def too_low(theta: float) -> bool:
        # The contrast's lower limit is the upper one of its negative.
        seen_, hits_, alarms_ = (
            (-p.estimate, -limit)
            for p, limit in zip(
                (seen, hits, alarms), (seen.low, hits.high, alarms.high), strict=True
            )
        )
        return above(theta, seen_, hits_, alarms_) < 0

    # `above` is convex in theta: not negative at one end and negative at the other, it has one
    # root. The estimate itself is never ruled out: what rounding would do at 0 and 1, `rate` mends.
    high = _edge(too_high, inside=rate, outside=1.0)
    low = _edge(too_low, inside=rate, outside=0.0)
    return rate, (low, high)


def _reconciled(
    harmful: float, n: float, tp: float, positives: float, fp: float, negatives: float
) -> tuple[float, float, float]:
    """`harmful`, `tp` and `fp` as they are once no rate lies beyond those that can make it.

    Where less is observed than false alarms alone explain (q < f), both are estimated by their
    common mean, as they would be at theta = 0; the same where q > s. Else an interval would shrink
    to nothing just where the data fit worst, and say most of a zero where alarms had been expected.
    """
    if harmful * negatives < fp * n:
        mean = (harmful + fp) / (n + negatives)
        return mean * n, tp, mean * negatives
    if harmful * positives > tp * n:
        mean = (harmful + tp) / (n + positives)
        return mean * n, mean * positives, fp
    return harmful, tp, fp


def _edge(excluded: Callable[[float], bool], *, inside: float, outside: float) -> float:
    """Where exclusion begins between a point that is in and an end; the end where it is in too."""
    if not excluded(outside):
        return outside
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if excluded(middle) else (middle, outside)
    return inside


def corrected_interval(
    observed: Interval, tp: float, fn: float, tn: float, fp: float, alpha: float = 0.02
) -> Interval:
    """The true rate behind an interval of the observed one, whatever made that interval valid.

    Each limit uses two exact one-sided bounds of the judge, each at alpha / 2, at the far corner of
    the box (theta falls with sensitivity and with false alarms); so it errs at most alpha more
    often than the limit of `observed` it is made of, also after a run that stopped when it liked.

    >>> corrected_interval((0.0, 0.01), 1, 0, 1, 0)[0]
    0.0
    >>> [round(limit, 3) for limit in corrected_interval((0.1, 0.2), 290, 10, 300, 0)]
    [0.087, 0.214]
    """
    positives, negatives = tp + fn, tn + fp
    q_low, q_high = observed
    s_low = lower_bound(positives, tp, alpha / 2)
    s_high = upper_bound(positives, tp, alpha / 2)
    f_low = lower_bound(negatives, fp, alpha / 2)
    f_high = upper_bound(negatives, fp, alpha / 2)
    if f_low >= q_high:  # bounds that contradict each other rule nothing out
        f_low = 0.0
    if s_high <= q_low:
        s_high = 1.0
    high = 1.0 if q_high >= s_low else (q_high - f_low) / (s_low - f_low)
    low = 0.0 if q_low <= f_high else (q_low - f_high) / (s_high - f_high)
    return max(0.0, min(low, 1.0)), max(0.0, min(high, 1.0))


def corrected_sequence(
    harmful: int, n: int, tp: float, fn: float, tn: float, fp: float, alpha: float = 0.05
) -> tuple[float | None, Interval]:
    """`corrected_rate` for a run that was looked at all along: each limit errs at most alpha.

    The observed rate's confidence sequence has three fifths of alpha, each bound of the judge one.

    >>> corrected_sequence(0, 0, 60, 0, 60, 0)
    (None, (0.0, 1.0))
    """
    rate, _ = corrected_rate(harmful, n, tp, fn, tn, fp, alpha)
    if rate is None:
        return None, (0.0, 1.0)
    observed = confidence_sequence(n, harmful, (1 - JUDGE_SHARE) * alpha)
    positives, negatives = tp + fn, tn + fp
    # Fewer alarms, or more hits, than were counted: that only widens what the limits allow.
    _, tp, fp = _reconciled(harmful, n, tp, positives, fp, negatives)
    low, high = corrected_interval(
        observed, tp, positives - tp, negatives - fp, fp, JUDGE_SHARE * alpha
    )
    return rate, (min(low, rate), max(high, rate))
