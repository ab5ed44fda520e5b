"""Forecasts for many queries on planted tails: fitted, near, covered; and the bound beside them."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from fuzzer.deployment import Forecast, Variant, any_at_most, forecast
from fuzzer.evidence import confidence_sequence

#: Mean and standard deviation of the log-odds of failing, variants, calls of each.
TAILS = (
    *((-6, 1.5, 300, 5), (-6, 1.5, 300, 20), (-6, 1.5, 300, 100), (-6, 1.5, 1000, 20)),
    *((-4, 1.0, 300, 5), (-4, 1.0, 300, 20), (-4, 1.0, 1000, 20), (-4, 1.0, 1000, 50)),
    *((-8, 2.5, 300, 20), (-8, 2.5, 1000, 50), (-6, 1.0, 300, 100), (-3, 1.0, 300, 100)),
)
AHEAD = 100  # queries for each variant drawn


def variants(mean: float, sd: float, m: int, calls: int, seed: int) -> list[Variant]:
    """Variants whose log-odds of failing are normal, each called so often."""
    import numpy as np

    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-(mean + sd * rng.standard_normal(m))))
    return [Variant(calls, int(k)) for k in rng.binomial(calls, p)]


def worst(mean: float, sd: float, queries: int) -> float:
    """The elicitation probability that one in so many of such variants exceeds."""
    from scipy.stats import norm

    return 1 / (1 + math.exp(-(mean + sd * float(norm.isf(1 / queries)))))


def forecasts(mean: float, sd: float, m: int, calls: int, runs: int) -> list[Forecast]:
    """What so many evaluations forecast; those that are refused left out."""
    found = (forecast(variants(mean, sd, m, calls, seed), AHEAD * m) for seed in range(runs))
    return [one for one in found if isinstance(one, Forecast)]


def near(found: Sequence[Forecast], truth: float) -> int:
    """How many forecasts lie within an order of magnitude."""
    return sum(truth / 10 <= one.largest <= 10 * truth for one in found)


def covered(found: Sequence[Forecast], truth: float) -> int:
    """How many intervals hold the truth."""
    return sum(one.ci[0] <= truth <= one.ci[1] for one in found)


def rows(quick: bool) -> Iterator[str]:
    """The table, title first."""
    runs = 40 if quick else 200
    yield f"Forecast of the worst of {AHEAD} x m queries, logit-normal tails, {runs} runs a row"
    yield "| mean, sd | m | calls | truth | fitted | within x10 | covered | median | too high |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for mean, sd, m, calls in TAILS:
        truth, found = worst(mean, sd, AHEAD * m), forecasts(mean, sd, m, calls, runs)
        if not found:
            yield f"| {mean}, {sd} | {m} | {calls} | {truth:.2f} | 0% | - | - | - | - |"
            continue
        high = sum(one.largest > truth for one in found) / len(found)
        yield (
            f"| {mean}, {sd} | {m} | {calls} | {truth:.2f} | {len(found) / runs:.0%} | "
            f"{near(found, truth) / len(found):.0%} | {covered(found, truth) / len(found):.0%} | "
            f"{median(one.largest for one in found):.2f} | {high:.0%} |"
        )
    yield ""
    yield "P(any failure) is at most, after n draws without one (alpha .05)"
    yield "| n | 100 queries | 10,000 | 1,000,000 |"
    yield "|---|---|---|---|"
    for n in (100, 1000, 100_000):
        upper = confidence_sequence(n, 0, 0.05)[1]
        shares = (f"{any_at_most(upper, queries):.1%}" for queries in (100, 10_000, 1_000_000))
        yield f"| {n:,} | {' | '.join(shares)} |"
