"""Every e-process against exact expectations; every interval against its definition."""

import itertools
import math
import random
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer import evidence
from fuzzer.evidence import (
    BelowMixture,
    BrittleEvidence,
    BrittleMixture,
    Presence,
    TwoSample,
    bounded_exp,
    clopper_pearson,
    confidence_sequence,
    e_bh,
    log_above,
    log_below,
    lower_bound,
    null_rate,
    presence_e,
    presence_effect,
    trials_to_reject,
)

RATES = st.floats(0.001, 0.5)
FRACTIONS = st.floats(0.0, 1.0)

relaxed = settings(deadline=None, max_examples=60)  # two shared cores: time proves nothing


def expectation(log_e: Callable[[int, int], float], n: int, p: float) -> float:
    """Exact mean of exp(log_e(n, K)), K binomial(n, p)."""
    return math.fsum(
        math.comb(n, k) * p**k * (1 - p) ** (n - k) * math.exp(log_e(n, k)) for k in range(n + 1)
    )


@relaxed
@given(RATES, st.integers(1, 30))
def test_the_mixtures_are_martingales_at_the_null(null, n):
    assert expectation(lambda n, k: log_above(null, n, k), n, null) == pytest.approx(1, abs=1e-9)
    assert expectation(lambda n, k: log_below(null, n, k), n, null) == pytest.approx(1, abs=1e-9)


@relaxed
@given(RATES, st.integers(1, 30), FRACTIONS)
def test_the_mixtures_are_supermartingales_inside_the_null(null, n, fraction):
    below, above = null * fraction, null + (1 - null) * fraction
    assert expectation(lambda n, k: log_above(null, n, k), n, below) <= 1 + 1e-9
    assert expectation(lambda n, k: log_below(null, n, k), n, above) <= 1 + 1e-9


@pytest.mark.parametrize("null", [0.001, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_every_alternative_lies_beyond_the_null_and_weighs_one(null):
    for step in (evidence.GRID_STEP, -evidence.GRID_STEP):
        for on_failure, on_pass in evidence._log_ratios(null, step):
            assert (on_failure > 0) == (step > 0)
            assert (on_pass < 0) == (step > 0)
            mean = null * math.exp(on_failure) + (1 - null) * math.exp(on_pass)
            assert mean == pytest.approx(1, abs=1e-12)


@relaxed
@given(st.floats(0.001, 0.5), st.integers(1, 1_000_000), st.integers(1, 1_000_000))
def test_without_a_failure_no_evidence_of_brittleness_ever_grows(r, explored, canonical):
    account = BrittleEvidence(r)
    account.explore.trials, account.canonical.trials = explored, canonical
    assert account.e <= 1


@pytest.mark.parametrize("r", [0.001, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("failures", [0, 1, 500_000, 1_000_000])
def test_a_million_outcomes_are_as_safe_as_ten(r, failures):
    for account in (BrittleMixture(r), BelowMixture(r)):
        account.trials, account.failures = 1_000_000, failures
        assert math.isfinite(account.log_e)
        assert 0 <= account.e <= math.exp(700)


@relaxed
@given(RATES, st.lists(st.booleans(), max_size=60))
def test_counting_equals_multiplying(r, outcomes):
    """The mixture from counts is the mean of seven running products."""
    above, products = BrittleMixture(r), [1.0] * 7
    for failed in outcomes:
        above.update(failed)
        for g, (on_failure, on_pass) in enumerate(evidence._log_ratios(r, 0.9)):
            products[g] *= math.exp(on_failure if failed else on_pass)
    assert above.log_e == pytest.approx(math.log(sum(products) / 7), abs=1e-9)


History = tuple[tuple[str | int, bool], ...]


def crossing_chance(
    account: Callable[[History], float],
    policy: Callable[[History], str | int],
    p: float,
    level: float,
    depth: int,
) -> float:
    """Exact chance that E reaches `level` within `depth` calls of an adaptive policy."""

    def walk(history: History) -> float:
        if account(history) >= level:
            return 1.0
        if len(history) == depth:
            return 0.0
        where = policy(history)
        return p * walk((*history, (where, True))) + (1 - p) * walk((*history, (where, False)))

    return walk(())


@pytest.mark.parametrize("q0", [0.05, 0.2, 0.5])
def test_an_adaptive_policy_that_chases_failures_cannot_cross_more_often_than_alpha(q0):
    def replay_failures(history: History) -> str | int:
        fails = [j for j, (where, failed) in enumerate(history) if where == "explore" and failed]
        replays = [where for where, _ in history if where != "explore"]
        if fails and (not replays or history[-1] == (replays[-1], True) or len(replays) < 3):
            return len(fails)
        return "explore"

    def e_value(history: History) -> float:
        account = BrittleEvidence(q0)
        for where, failed in history:
            if isinstance(where, str):
                account.explore.update(failed)
                if failed:
                    account.open_episode()
            else:
                account.episodes[where - 1].update(failed)
        return account.e

    for level in (1.5, 3.0, 10.0):
        chance = crossing_chance(e_value, replay_failures, q0, level, depth=11)
        assert chance <= 1 / level


def test_an_episode_counts_one_until_it_has_begun():
    account = BrittleEvidence(0.01)
    assert account.e == pytest.approx(1)
    for _ in range(20):
        account.open_episode()
        assert account.e == pytest.approx(1)


@pytest.mark.parametrize(("failures", "rows"), [(0, 309), (1, 754), (2, 1013)])
def test_the_rows_that_holds_needs(failures, rows):
    assert math.exp(log_below(0.01, rows, failures)) >= 20
    assert math.exp(log_below(0.01, rows - 1, failures)) < 20


def test_a_rate_without_alternatives_is_refused():
    for rate in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match="strictly between"):
            BrittleMixture(rate)
        with pytest.raises(ValueError, match="strictly between"):
            BelowMixture(rate)


# -- two samples -----------------------------------------------------------------------------------


@relaxed
@given(
    st.lists(st.tuples(FRACTIONS, FRACTIONS), min_size=1, max_size=4),
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12),
)
def test_no_gap_gives_no_evidence_of_one_whatever_came_before(rates, past):
    """Exact mean over all outcomes of the next blocks, each with its own far rate <= canonical."""
    base = TwoSample()
    for block in past:
        base.update(*block)
    mean = 0.0
    for outcomes in itertools.product([False, True], repeat=2 * len(rates)):
        test, chance = TwoSample(), 1.0
        test.blocks, test.first, test.second = base.blocks, base.first, base.second
        for (a, share), first, second in zip(rates, outcomes[::2], outcomes[1::2], strict=True):
            b = a * share
            chance *= (a if first else 1 - a) * (b if second else 1 - b)
            test.update(first, second)
        mean += chance * test.e
    assert mean <= 1 + 1e-9


def test_a_gap_is_found_in_about_a_hundred_blocks():
    rng, needed = random.Random(1), []
    for _ in range(200):
        test = TwoSample()
        while test.e < 20 and test.blocks < 500:
            test.update(False, rng.random() < 0.1)
        needed.append(test.blocks)
    assert 40 <= sorted(needed)[100] <= 75


# -- intervals -------------------------------------------------------------------------------------


@relaxed
@given(st.integers(1, 3000), st.integers(0, 3000), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_interval_is_dual_to_the_accounts(n, k, alpha):
    k = min(k, n)
    lower, upper = confidence_sequence(n, k, alpha)
    assert 0 <= lower <= k / n <= upper <= 1
    target = -math.log(alpha)
    if upper < 1:
        assert log_below(upper * 0.999, n, k) < target <= log_below(upper, n, k) + 1e-9
    if lower > 0:
        inside = lower + 0.001 * (1 - lower)
        assert log_above(lower, n, k) + 1e-9 >= target > log_above(inside, n, k)


def test_the_interval_reaches_the_threshold_when_holds_does():
    assert confidence_sequence(309, 0, 0.05)[1] <= 0.01 < confidence_sequence(308, 0, 0.05)[1]


def test_each_limit_of_the_interval_errs_rarely_under_peeking():
    rng, missed = random.Random(3), [0, 0]
    for _ in range(60):
        failures, ever = 0, [False, False]
        for n in range(1, 301):
            failures += rng.random() < 0.1
            lower, upper = (log_above(0.1, n, failures), log_below(0.1, n, failures))
            ever[0] |= lower >= math.log(20)
            ever[1] |= upper >= math.log(20)
        missed = [count + now for count, now in zip(missed, ever, strict=True)]
    assert max(missed) <= 8


@relaxed
@given(st.integers(1, 400), st.integers(0, 400))
def test_clopper_pearson_agrees_with_scipy(n, k):
    from scipy.stats import binomtest

    k = min(k, n)
    expected = binomtest(k, n).proportion_ci(0.95, method="exact")
    assert clopper_pearson(n, k) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_what_clean_negatives_show_of_a_judge():
    assert lower_bound(70, 70, 0.05) == pytest.approx(0.958, abs=5e-4)
    assert lower_bound(598, 598, 0.05) >= 0.995 > lower_bound(597, 597, 0.05)
    assert null_rate(0.01, 1.0) == 0.01
    assert null_rate(0.01, 0.99) == pytest.approx(0.0199)


def test_importing_evidence_imports_no_numerics():
    code = "import sys, fuzzer.evidence; print({'scipy', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@relaxed
@given(st.floats(0, 0.009), st.integers(0, 400))
def test_the_projection_finds_the_first_number_that_rejects(rate, start):
    def log_e(n: float, k: float) -> float:
        return log_below(0.02, n, k)

    found = trials_to_reject(log_e, rate, 20, start)
    assert found is not None
    assert found >= start
    assert log_e(found, rate * found) >= math.log(20)
    assert found == start or log_e(found - 1, rate * (found - 1)) < math.log(20)


def test_a_rate_on_the_wrong_side_never_rejects():
    assert trials_to_reject(lambda n, k: log_below(0.01, n, k), 0.02, 20, 10) is None


# -- attribution -----------------------------------------------------------------------------------


@relaxed
@given(st.lists(FRACTIONS, min_size=1, max_size=7))
def test_a_step_that_does_nothing_earns_nothing(propensities):
    """Exact mean over which of the failing rows carry the step."""
    mean = 0.0
    for present in itertools.product([False, True], repeat=len(propensities)):
        chance, rows = 1.0, []
        for p, here in zip(propensities, present, strict=True):
            chance *= p if here else 1 - p
            rows.append(Presence(True, here, p))
        mean += chance * presence_e(rows) if chance else 0.0
    assert mean == pytest.approx(1, abs=1e-9)


def test_rows_that_passed_and_steps_that_were_forced_say_nothing():
    rows = [Presence(False, True, 0.5), Presence(True, True, 1.0), Presence(True, False, 0.0)]
    assert presence_e(rows) == pytest.approx(1)
    assert presence_e([]) == pytest.approx(1)


def test_a_step_always_there_when_it_fails_is_flagged_and_its_companions_are_not():
    rng = random.Random(5)
    rows: dict[str, list[Presence]] = {name: [] for name in "abcdefgh"}
    for _ in range(32):
        for name, mine in rows.items():
            mine.append(Presence(True, name == "c" or rng.random() < 0.5, 0.5))
    assert e_bh({name: presence_e(mine) for name, mine in rows.items()}, 0.05) == ("c",)


def test_an_impossible_row_is_refused():
    with pytest.raises(ValueError, match="cannot be"):
        presence_e([Presence(True, True, 0.0)])
    with pytest.raises(ValueError, match="cannot be"):
        presence_e([Presence(True, False, 1.5)])


def test_the_effect_is_the_difference_that_was_planted():
    rng, rows = random.Random(7), []
    for _ in range(20_000):
        p = rng.choice([0.25, 0.5])
        present = rng.random() < p
        rows.append(Presence(rng.random() < (0.3 if present else 0.1), present, p))
    effect, lower, upper = presence_effect(rows)
    assert lower < 0.2 < upper
    assert effect == pytest.approx(0.2, abs=0.03)
    assert presence_effect(rows[:1]) == (0.0, -1.0, 1.0)


def test_e_bh_takes_the_largest_set_that_qualifies():
    assert e_bh({}, 0.05) == ()
    assert e_bh({"a": 59.0, "b": 1.0, "c": 1.0}, 0.05) == ()
    assert e_bh({"a": 60.0, "b": 1.0, "c": 1.0}, 0.05) == ("a",)
    assert e_bh({"b": 30.0, "a": 30.0, "c": 20.0}, 0.05) == ("a", "b", "c")


def test_an_e_value_always_prints_as_a_number():
    assert math.isfinite(bounded_exp(1e9))
