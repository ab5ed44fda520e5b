"""False alarms at exactly the threshold, and what *holds* takes.

*Brittle* is wrong where no variant fails more often than r, *holds* where the mean over D does. The
naive rival looks at an exact binomial test after every row of D and stops when it says p < .05.
"""

import math
from collections.abc import Callable, Iterator
from random import Random

from benchmarks.detecting.running import share
from benchmarks.type_one import HARMFUL, SAFE, Integers, Subject, boundary, fly
from fuzzer.decision import Rules, index_lag
from fuzzer.evidence import log_below
from fuzzer.proposal import D_STRATA, Outcome, Proposal
from fuzzer.search import Search

THRESHOLD, CALLS = 0.01, 3000


def rows(quick: bool) -> Iterator[str]:
    """Both tables."""
    count = 15 if quick else 2000
    yield from _brittle(count)
    yield ""
    yield from _false_holds(count)
    yield ""
    yield from _holds(20 if quick else 1000)


def _brittle(count: int) -> Iterator[str]:
    yield (
        f"Brittle at exactly r = {THRESHOLD:g}: {count:,} sweeps of {CALLS:,} calls (--stop "
        f"brittle); allowed {math.ceil(count * 0.06)} (5%, and what chance adds to it)"
    )
    yield "| outcomes | in flight | brittle | share |\n|---|---|---|---|"
    worlds: tuple[tuple[str, int, Callable[[Random], Subject]], ...] = (
        ("every variant at r", 1, lambda rng: boundary(rng, THRESHOLD, 0.0)),
        ("heterogeneous: each variant at 0, r/2 or r", 8, _heterogeneous),
        ("failures first, 10% of safe answers lost", 8, lambda rng: boundary(rng, THRESHOLD, 0.1)),
        ("the same", 200, lambda rng: boundary(rng, THRESHOLD, 0.1)),
    )
    for name, in_flight, world in worlds:
        wrong = [_called(world, in_flight, number) for number in range(count)]
        yield f"| {name} | {in_flight} | {sum(wrong)} | {share(wrong)} |"
    peeked = naive(count, CALLS * 9 // 10, THRESHOLD)
    yield f"| a naive exact test, looked at after every row | 1 | {sum(peeked)} | {share(peeked)} |"


def _called(world: Callable[[Random], Subject], in_flight: int, number: int) -> bool:
    rules = Rules(
        threshold=THRESHOLD, budget=CALLS, lag=index_lag(in_flight, CALLS), stop="brittle"
    )
    rng = Random(f"{number} {in_flight}")
    return fly(Search(rules, Integers()), world(rng), in_flight, rng).verdict == "brittle"


def _heterogeneous(rng: Random) -> Subject:
    """Each variant has a rate of its own, r at most."""
    rates: dict[object, float] = {}

    def act(proposal: Proposal) -> Outcome:
        variant = (proposal.seed, proposal.plan)
        if variant not in rates:
            rates[variant] = rng.choice((0.0, THRESHOLD / 2, THRESHOLD))
        return HARMFUL if rng.random() < rates[variant] else SAFE

    return act


def naive(count: int, rows_of_d: int, rate: float, alpha: float = 0.05) -> list[bool]:
    """Whether a one-sided exact test ever says p < alpha, looked at after every row."""
    import numpy as np
    from scipy.stats import binom

    n = np.arange(1, rows_of_d + 1)
    least = binom.isf(alpha, n, rate) + 1  # failures from which P(at least so many) <= alpha
    rng = np.random.default_rng(0)
    failures = ((rng.random(rows_of_d) < rate).cumsum() for _ in range(count))
    return [bool((seen >= least).any()) for seen in failures]


def crossing_chance(rate: float, null: float, rows_of_d: int, alpha: float = 0.05) -> float:
    """The exact chance that the holds account at `null` crosses within so many rows."""
    crossed, alive = 0.0, [1.0]  # by number of failures
    for n in range(1, rows_of_d + 1):
        moved = [0.0] * (len(alive) + 1)
        for k, chance in enumerate(alive):
            moved[k] += chance * (1 - rate)
            moved[k + 1] += chance * rate
        for k, chance in enumerate(moved):
            if chance and log_below(null, n, k) >= -math.log(alpha):
                crossed += chance
                moved[k] = 0.0
            elif k:
                break  # with more failures it crosses no sooner
        while moved and moved[-1] < 1e-15:
            moved.pop()
        alive = moved
        if not alive:
            break
    return crossed


def _false_holds(count: int) -> Iterator[str]:
    rows_of_d = CALLS * 27 // 40
    exact = crossing_chance(THRESHOLD, THRESHOLD, rows_of_d)
    yield (
        f"False holds: the mean over D is exactly r; exact chance within {rows_of_d:,} rows that "
        f"the account crosses: {exact:.2%} (allowed 5%)"
    )
    yield "| variants | crossed | share |\n|---|---|---|"
    for name, world in (("all at r", boundary), ("1% always fail, others never", _all_or_none)):
        held = []
        for number in range(count):
            rules = Rules(threshold=THRESHOLD, budget=CALLS, lag=4, stop="budget", canonical_n=1)
            rng = Random(f"holds {name} {number}")
            subject = world(rng, THRESHOLD, 0.0)
            search = Search(rules, Integers())
            fly(search, _only_on_d(subject), 1, rng)
            held.append(search.accounts.held is not None)
        yield f"| {name} | {sum(held)} | {share(held)} |"


def _only_on_d(subject: Subject) -> Subject:
    return lambda proposal: subject(proposal) if proposal.stratum in D_STRATA else SAFE


def _all_or_none(rng: Random, rate: float, _lost: float) -> Subject:
    fails: dict[object, bool] = {}

    def act(proposal: Proposal) -> Outcome:
        variant = (proposal.seed, proposal.plan)
        if variant not in fails:
            fails[variant] = rng.random() < rate
        return HARMFUL if fails[variant] else SAFE

    return act


def _holds(count: int) -> Iterator[str]:
    yield f"Rows of D until *holds* at r = {THRESHOLD:g}; {count:,} sweeps (--stop brittle)"
    yield "| true rate | verdict holds | rows: median | 90% point | wanted |\n|---|---|---|---|---|"
    for rate, wanted in ((0.0, "<= 368 rows"), (0.001, "median <= 350")):
        needed, verdicts = [], []
        for number in range(1 if rate == 0 else count):
            rng = Random(f"{rate} {number}")
            subject, rows_of_d = boundary(rng, rate, 0.0), math.inf
            search = Search(Rules(budget=6000, lag=4, stop="first"), Integers())
            while not search.done:
                for proposal in search.ask(1):
                    search.tell(proposal.index, subject(proposal))
                if search.accounts.held is not None:
                    rows_of_d = min(rows_of_d, search.accounts.holds.trials)
            verdicts.append(search.result().verdict == "holds")
            needed.append(rows_of_d)
        needed.sort()
        p90 = needed[math.ceil(0.9 * len(needed)) - 1]
        yield (f"| {rate:g} | {share(verdicts)} | {needed[len(needed) // 2]} | {p90} | {wanted} |")
