"""Certificates: bets foreseen keep the e-process an e-process, and latch; seeded error rates."""

import math
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fuzzer.certificate import (
    Bet,
    Certificate,
    foresee_above,
    foresee_below,
    log_above_betting,
    log_below_betting,
)

Test = Callable[[float, int, int, Sequence[Bet]], float]  # null, calls, failures, bets: log e-value
rates = st.floats(0.01, 0.95)
seen = st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def expectation(log_e, rate: float, calls: int) -> float:
    """Of an e-value after a fixed number of calls at a true rate: exact."""
    return math.fsum(
        math.comb(calls, k) * rate**k * (1 - rate) ** (calls - k) * math.exp(log_e(k))
        for k in range(calls + 1)
    )


@settings(max_examples=80, deadline=None)
@given(rates, seen, st.integers(1, 25), st.floats(0.05, 1))
def test_no_bet_on_what_a_search_saw_gains_on_average_where_the_claim_is_false(
    cut, counts, calls, share
):
    above, below = foresee_above(cut, *counts), foresee_below(cut, *counts)
    assert math.isclose(sum(bet.weight for bet in below), 1, abs_tol=0.01)
    false = cut * share  # a rate up to the cut
    assert expectation(lambda k: log_above_betting(cut, calls, k, above), false, calls) <= 1 + 1e-9
    false = 1 - (1 - cut) * share  # a rate from the cut on
    assert expectation(lambda k: log_below_betting(cut, calls, k, below), false, calls) <= 1 + 1e-9


@settings(max_examples=80, deadline=None)
@given(rates, rates, rates, seen, seen)
def test_what_rejects_a_rate_rejects_those_beyond_it(cut, one, other, counts, fresh):
    low, high = sorted((one, other))
    assume(high - low > 1e-3)
    failures, calls = fresh
    bets = foresee_above(cut, *counts)
    if log_above_betting(high, calls, failures, bets) > math.log(2):
        assert log_above_betting(low, calls, failures, bets) > math.log(2)
    bets = foresee_below(cut, *counts)
    if log_below_betting(low, calls, failures, bets) > math.log(2):
        assert log_below_betting(high, calls, failures, bets) > math.log(2)


def crossing(test: Test, cut: float, bets: Sequence[Bet], alpha: float, calls: int) -> float:
    """The probability that a test at its cut ever crosses 1/alpha in so many calls: exact."""
    going, crossed = {0: 1.0}, 0.0
    for n in range(1, calls + 1):
        after: dict[int, float] = {}
        for failures, mass in going.items():
            after[failures] = after.get(failures, 0.0) + mass * (1 - cut)
            after[failures + 1] = after.get(failures + 1, 0.0) + mass * cut
        over = {k for k in after if test(cut, n, k, bets) >= -math.log(alpha)}
        crossed += sum(after[k] for k in over)
        going = {k: mass for k, mass in after.items() if k not in over}
    return crossed


@pytest.mark.parametrize("alpha", [0.05, 0.025])
@pytest.mark.parametrize("cut", [0.02, 0.3, 0.6])
def test_a_claim_at_its_cut_is_proved_with_probability_at_most_alpha_exactly(cut, alpha):
    """Looked at after every call, whatever the search before it saw."""
    for seen in ((0, 0), (9, 10), (0, 12), (3, 30)):
        above, below = foresee_above(cut, *seen), foresee_below(cut, *seen)
        both: list[tuple[Test, Sequence[Bet]]] = [
            (log_above_betting, above),
            (log_below_betting, below),
        ]
        for test, bets in both:
            assert crossing(test, cut, bets, alpha, 120) <= alpha


@pytest.mark.parametrize(("own", "knockout"), [(0.3, 0.0), (0.9, 0.3)])
@pytest.mark.parametrize("runs", [60, pytest.param(6000, marks=pytest.mark.slow)])
def test_a_rate_at_the_cut_is_proved_in_at_most_alpha_of_runs(runs, own, knockout):
    """Watched at every call, with bets from a search that ran high, and luck in few runs.

    Up to three standard errors above alpha: the exact probability (above) nearly is alpha.
    """
    wrong = 0
    for run in range(runs):
        rng = random.Random(f"{own} at the cut {run}")
        bets = foresee_above(0.3, 9, 10)
        certificate = Certificate(0.3, bets, 0.05, 2, foreseen=[foresee_below(0.3)] * 2)
        for _ in range(60):
            for number in certificate.wanted(4):
                rate = own if number == 0 else knockout if number == 1 else 0.0
                certificate.tell(number, "harmful" if rng.random() < rate else "safe")
        wrong += certificate.certified
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_no_claim_gets_more_calls_in_a_round_than_it_may_need():
    certificate = Certificate(0.5, 0.95, 0.025, 1)
    rounds = []
    while wanted := certificate.wanted(8):
        rounds.append(wanted)
        for number in wanted:
            certificate.tell(number, "safe" if number else "harmful")
    assert certificate.certified
    assert [len(each) for each in rounds] == [8, 4]
    assert certificate.log_e >= math.log(40)


def test_the_e_value_of_all_claims_is_the_smallest_and_stays_once_proved():
    certificate = Certificate(0.4, [Bet(0.9, 0.5), Bet(0.7, 0.5)], 0.05, 1)
    assert certificate.log_e == 0.0
    while not certificate.certified:
        for number in certificate.wanted(1):
            certificate.tell(number, "safe" if number else "harmful")
    before = certificate.log_e
    for _ in range(30):
        certificate.tell(0, "safe")
    assert certificate.log_e == before >= math.log(20)
    assert certificate.interval(0)[0] >= 0.4
