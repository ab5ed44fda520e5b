"""The worst of a million queries, forecast from draws of D: an extrapolation, beside a sure bound.

Each draw of D has an elicitation probability, the chance that one call of it fails; N queries drawn
as D draws meet about the 1/N quantile of these. With --epochs several calls of each draw estimate
it, and the tail of the estimates is followed outward: Jones et al. 2025, "Forecasting Rare Language
Model Behaviors", arXiv:2502.16797. Whatever the tail, the chance of any failure in N queries has a
bound that assumes no more than independent draws. Descriptive: no verdict rests on any of it.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from fuzzer.errors import ConfigurationError
from fuzzer.evidence import confidence_sequence
from fuzzer.proposal import D_STRATA
from fuzzer.records import Deployment, Interval, Rate, Report
from fuzzer.store import RunStore, StoredRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUERIES = "deployment"  # key in the store: how many queries the run's report looks ahead to
REPEAT: str = "repeat"  # stratum of a draw's further calls
TOP = 10  # the largest estimates, which the line is fitted to; with fewer above 0 none is
DISTINCT = 3  # different values among them that say anything of a slope
#: With fewer calls of each of the largest, or fewer failures, they are the luckiest of many rather
#: than the worst, and no lower limit was found to hold (tests/test_deployment.py).
CALLS, FAILURES = 20, 3
MOST_QUERIES = 10**12
REPLICATES = 1000
#: What a limit leaves out of the simulated law. 2.5% would be the law's own; logit-normal tails
#: bend, and with these limits the intervals held the truth about as often as they say.
TAIL = 0.005
_CELLS = 2_000_000  # of a simulated table held at once


class Variant(NamedTuple):
    """What the calls of one variant of D came to."""

    trials: int  # usable
    failures: int
    draws: int = 1  # how often D drew it; its calls are shared by these

    @property
    def probability(self) -> float:
        """The estimate of its failure probability.

        An estimate of exactly 1 has no place on the scale of `psi`, so it is shrunk by half a call;
        one of 0 has none either, and stays 0: it is counted and not fitted.

        >>> Variant(10, 4).probability, Variant(10, 10).probability, Variant(10, 0).probability
        (0.4, 0.95, 0.0)
        """
        return min(self.failures, self.trials - 0.5) / self.trials


class Forecast(NamedTuple):
    """The largest elicitation probability among so many queries."""

    largest: float
    ci: Interval  # 95%, of the tail's line; lower end 0 where the estimates are too coarse for one


class Refused(NamedTuple):
    """No forecast, and why."""

    reason: str


def psi(probability: float) -> float:
    """-log(-log p): the scale on which many tails of probabilities are straight.

    >>> round(psi(0.5), 3), round(psi(0.99), 3)
    (0.367, 4.6)
    """
    return -math.log(-math.log(probability))


def any_at_most(rate: float, queries: int) -> float:
    """The most that P(any failure in so many queries) can be, at a failure rate of at most `rate`.

    1 - (1 - rate)^N, for independent draws of D called once each. It is as sure as `rate` is, and
    says little where N is far beyond the draws that `rate` rests on.

    >>> any_at_most(0.01, 100) < 0.64, any_at_most(1.0, 5)
    (True, 1.0)
    """
    return 1.0 if rate >= 1 else -math.expm1(queries * math.log1p(-rate))


def check_queries(queries: int) -> int:
    """The number of queries to look ahead to; `ConfigurationError` where it cannot be one."""
    if not 2 <= queries <= MOST_QUERIES:
        shown = queries if abs(queries) <= MOST_QUERIES else "so large a number"
        raise ConfigurationError(
            f"--deployment {shown} is not possible; give how many queries to look ahead to, from "
            f"2 to {MOST_QUERIES}"
        )
    return queries


def forecast(variants: Sequence[Variant], queries: int) -> Forecast | Refused:
    """Extrapolate the largest elicitation probability among `queries` draws; or say why not.

    The log of the share of draws with at least a probability, i / (m + 1) at the i-th largest of
    m, is regressed (OLS) on its psi over the ten largest, and the line read where that share is
    1/queries: Jones et al. 2025, arXiv:2502.16797, section 3; gate on ten estimates above 0.

    The interval is ours. If the line were the law, (forecast - truth) / scale would have a law that
    depends on neither the line's place nor its slope, so simulated tails give its quantiles; once
    with the probabilities known and once each estimated from as many calls as it had, and the wider
    limits stand, each leaving out only `TAIL` of that law. It covers the scatter of the ten, the
    noise of their calls and the bend of logit-normal tails, on which it held the truth in 92 to
    100% of simulations (benchmarks/detecting/ahead.py); not a rare mode that no draw met, nor every
    other bend. Simulated with a seed of its own, so a report repeats.
    """
    drawn = [variant for variant in variants for _ in range(variant.draws)]
    ranked = sorted(drawn, key=lambda variant: -variant.probability)
    top = ranked[:TOP]
    if why := _refused(drawn, top, queries):
        return Refused(why)
    slope, intercept = _line([psi(variant.probability) for variant in top], len(drawn))
    far = (-math.log(queries) - intercept) / slope
    low, high = _limits(slope, intercept, [v.trials for v in drawn], far, queries)
    coarse = any(v.trials < CALLS or v.failures < FAILURES for v in top)
    return Forecast(_probability(far), (0.0 if coarse else _probability(low), _probability(high)))


def with_deployment(report: Report, store: RunStore, queries: int | None = None) -> Report:
    """The report of a run with its forecast for so many queries (None: as the run was told).

    Raises `ConfigurationError` for a number that cannot be one.
    """
    queries = store.get(QUERIES) if queries is None else queries
    if queries is None:
        return report
    check_queries(queries)
    counted = takewhile(lambda row: row.idx < report.calls, store.rows())
    return report.model_copy(update={"deployment": told(variants_of(counted), report, queries)})


def told(variants: Sequence[Variant], report: Report, queries: int) -> Deployment:
    """The record of a forecast, made or refused, beside the bound that holds whatever the tail."""
    found = forecast(variants, queries)
    rate = _rate_at_most(report.mutated, report.alpha)
    made = {"largest": found.largest, "ci": found.ci} if isinstance(found, Forecast) else {}
    return Deployment(
        queries=queries,
        draws=sum(variant.draws for variant in variants),
        trials=sum(variant.trials for variant in variants),
        above_zero=sum(variant.draws for variant in variants if variant.failures),
        refused=found.reason if isinstance(found, Refused) else "",
        rate_at_most=rate,
        any_at_most=any_at_most(rate, queries),
        **made,
    )


def _rate_at_most(mutated: Rate, alpha: float) -> float:
    """The upper limit of the mutated rate, every unusable answer counted as a failure.

    What was lost may be what failed: left out, it would make the bound say less than it knows.
    """
    if not mutated.unusable:
        return mutated.ci[1]
    lost = mutated.unusable
    return confidence_sequence(mutated.n + lost, mutated.harmful + lost, alpha)[1]


def variants_of(rows: Iterable[StoredRow]) -> tuple[Variant, ...]:
    """The variants that D drew, with the usable calls of their draws and of the draws' repeats.

    Replays, all-on, far and canonical rows are chosen by what was seen or by design, and no draws
    of D. A variant without a usable call is left out, as from every rate.
    """
    draws: Counter[object] = Counter()
    calls: dict[object, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row.stratum not in D_STRATA and row.stratum != REPEAT:
            continue
        key = (row.seed, row.plan)
        draws[key] += row.stratum in D_STRATA
        if row.value in ("harmful", "safe"):
            calls[key][0] += 1
            calls[key][1] += row.value == "harmful"
    return tuple(Variant(n, k, draws[key]) for key, (n, k) in calls.items() if draws[key])


# ------------------------------------------------------------------------------------------ inside


def _refused(drawn: Sequence[Variant], top: Sequence[Variant], queries: int) -> str:
    """Why nothing can be forecast; "" where it can."""
    failing = sum(variant.failures > 0 for variant in drawn)
    if failing < TOP:
        return (
            f"{failing} of {len(drawn):,} draws failed in any of their calls, and a line through "
            f"the tail needs {TOP}; more draws, or more calls of each (--epochs), may do"
        )
    if len({variant.probability for variant in top}) < DISTINCT:
        return (
            f"the {TOP} largest estimates hardly differ, so that no line can be laid through them; "
            "call each draw more often (--epochs)"
        )
    if queries <= len(drawn):
        return (
            f"{queries:,} queries are no more than the {len(drawn):,} draws that were made: the "
            "mutated rate says it"
        )
    return ""


def _probability(on_psi: float) -> float:
    """The inverse of `psi`."""
    return math.exp(-math.exp(min(-on_psi, 700.0)))


def _heights(draws: int) -> list[float]:
    """Log survival at the largest estimates, the largest first."""
    return [math.log(rank / (draws + 1)) for rank in range(1, TOP + 1)]


def _line(on_psi: Sequence[float], draws: int) -> tuple[float, float]:
    """Slope (below 0) and intercept of log survival on psi, by least squares."""
    heights = _heights(draws)
    x, y = math.fsum(on_psi) / TOP, math.fsum(heights) / TOP
    over = math.fsum((one - x) ** 2 for one in on_psi)
    slope = math.fsum((a - x) * (b - y) for a, b in zip(on_psi, heights, strict=True)) / over
    return slope, y - slope * x


def _limits(
    slope: float, intercept: float, trials: Sequence[int], far: float, queries: int
) -> Interval:
    """The 95% limits of `far` on the scale of psi, under the fitted line; see `forecast`."""
    import numpy as np

    rng = np.random.default_rng(0)
    calls = np.asarray(trials)
    at_once = max(1, _CELLS // len(calls))
    known, estimated = [], []
    for start in range(0, REPLICATES, at_once):
        size = (min(at_once, REPLICATES - start), len(calls))
        true = (-rng.standard_exponential(size) - intercept) / slope
        with np.errstate(over="ignore"):  # far below every estimate: a probability of 0
            failures = rng.binomial(calls, np.exp(-np.exp(-true)))
        with np.errstate(divide="ignore"):  # an estimate of 0 lies at minus infinity
            seen = -np.log(-np.log(np.minimum(failures, calls - 0.5) / calls))
        known.append(_pivots(true, far, queries))
        estimated.append(_pivots(seen, far, queries))
    limits = []
    for kind in (known, estimated):
        pivots = np.concatenate(kind)
        if len(pivots):
            low, high = np.quantile(pivots, (TAIL, 1 - TAIL))
            limits.append((far + high / slope, far + low / slope))
    return float(min(low for low, _ in limits)), float(max(high for _, high in limits))


def _pivots(table: "NDArray[np.float64]", far: float, queries: int) -> "NDArray[np.float64]":
    """(Forecast - truth) / scale of each row of simulated psi; rows that cannot be fitted not."""
    import numpy as np

    top = -np.sort(np.partition(-table, TOP - 1, axis=1)[:, :TOP], axis=1)
    top = top[np.isfinite(top).all(axis=1) & (top[:, 0] > top[:, -1])]
    heights = np.asarray(_heights(table.shape[1]))
    x, y = top.mean(axis=1), heights.mean()
    centred = top - x[:, None]
    slopes = (centred * (heights - y)).sum(axis=1) / (centred**2).sum(axis=1)
    forecasts = x + (-math.log(queries) - y) / slopes
    pivots: NDArray[np.float64] = (forecasts - far) * -slopes
    return pivots
