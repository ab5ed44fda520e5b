"""Rates corrected for a judge's errors: intervals that cover, and never leave [0, 1]."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.corrected import METHODS, Cell, draw, hold_to_product, stopped
from fuzzer.correction import (
    FEW_CLUSTERS,
    corrected_interval,
    corrected_rate,
    corrected_sequence,
    effective,
    kappa,
    kappa_interval,
)
from fuzzer.evidence import clopper_pearson, confidence_sequence, lower_bound, upper_bound

counts = st.integers(0, 400)
rates = st.floats(0, 1)


@given(
    st.integers(1, 2000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), *[counts] * 4
)
def test_nothing_leaves_the_unit_interval_and_the_estimate_is_inside(seen, tp, fn, tn, fp):
    n, harmful = seen
    for method in (corrected_rate, corrected_sequence):
        rate, (low, high) = method(harmful, n, tp, fn, tn, fp)
        assert 0 <= low <= high <= 1
        if rate is None:
            assert (low, high) == (0, 1)
            assert tp * (tn + fp) <= fp * (tp + fn) or not (tp + fn and tn + fp)
        else:
            assert low <= rate <= high


def test_whoever_stops_when_it_looks_best_is_not_misled():
    for cell, peeked, sequential in stopped(12, np.random.default_rng(2)):
        assert sequential <= 0.05, cell
        assert sequential <= peeked, cell


@given(st.integers(0, 300), st.integers(1, 500), st.integers(1, 500))
def test_a_judge_known_to_be_perfect_changes_little(harmful, positives, negatives):
    _, (low, high) = corrected_rate(harmful, 300, 10**7, 0, 10**7, 0)
    assert (low, high) == pytest.approx(clopper_pearson(300, harmful), abs=1e-4)
    _, (wide_low, wide_high) = corrected_rate(harmful, 300, positives, 0, negatives, 0)
    assert wide_low <= low + 1e-6
    assert wide_high >= high - 1e-6


def test_more_labels_and_more_trials_say_more():
    widths = [
        (lambda ci: ci[1] - ci[0])(corrected_rate(40 * m, 400 * m, 57 * m, 3 * m, 59 * m, m)[1])
        for m in (1, 2, 4, 16, 64)
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 6


def test_fewer_harmful_verdicts_than_false_alarms_do_not_make_a_certain_zero():
    rate, (low, high) = corrected_rate(0, 1000, 58, 2, 58, 2)
    assert (rate, low) == (0, 0)
    assert 0.003 < high < 0.01
    _, (low, wide) = corrected_sequence(0, 1000, 58, 2, 58, 2)
    assert low == 0
    assert 0.003 < wide < 0.01
    assert corrected_sequence(0, 400, 40, 5, 60, 3)[1][1] > confidence_sequence(400, 0, 0.05)[1]
    assert corrected_rate(1000, 1000, 50, 10, 60, 0)[0] == 1
    assert corrected_rate(1000, 1000, 50, 10, 60, 0)[1][0] < 0.997


@pytest.mark.parametrize(
    "given_", [(0, 0, 9, 1, 9, 1), (1, 9, 0, 0, 9, 1), (1, 9, 9, 1, 0, 0), (5, 9, 5, 5, 5, 5)]
)
def test_without_trials_labels_or_a_telling_judge_nothing_is_known(given_):
    assert corrected_rate(*given_) == (None, (0.0, 1.0))
    assert corrected_sequence(*given_) == (None, (0.0, 1.0))


@pytest.mark.parametrize(
    "cell",
    [
        Cell(0.0, 0.9, 0.9, 30, 30, 1000),
        Cell(0.0, 0.7, 1.0, 20, 40, 100),
        Cell(0.001, 1.0, 0.99, 30, 30, 1000),
        Cell(0.01, 0.7, 0.97, 60, 60, 400),
        Cell(0.05, 0.99, 0.99, 166, 334, 400),
        Cell(0.5, 0.7, 1.0, 250, 250, 400),
        Cell(0.2, 1.0, 1.0, 166, 334, 400),
    ],
    ids=lambda cell: "-".join(map(str, cell)),
)
def test_intervals_cover_in_the_hardest_cells_of_the_benchmark(cell):
    drawn = draw(cell, 10_000, np.random.default_rng(7))
    missed = METHODS["ours"](cell, drawn)
    assert 1 - np.mean(missed.above | missed.below) >= 0.945
    hold_to_product(cell, drawn, missed)


def test_what_the_benchmark_rejects_does_miss():
    cell = Cell(0.001, 1.0, 0.99, 30, 30, 1000)
    drawn = draw(cell, 2000, np.random.default_rng(7))
    for name in ("plain", "delta"):
        missed = METHODS[name](cell, drawn)
        assert 1 - np.mean(missed.above | missed.below) < 0.9


@pytest.mark.slow
def test_intervals_cover_in_every_cell_of_the_benchmark():
    from benchmarks.corrected import fixed

    lowest, cell = fixed(10_000, np.random.default_rng(5))["ours"][0]
    assert lowest >= 0.94, cell


@given(rates, rates, *[st.integers(0, 200)] * 4, st.data())
def test_an_interval_moves_to_every_truth_that_its_bounds_allow(a, b, tp, fn, tn, fp, data):
    observed = (min(a, b), max(a, b))
    low, high = corrected_interval(observed, tp, fn, tn, fp, 0.02)
    assert 0 <= low <= high <= 1
    bounds = [
        (lower_bound(n, k, 0.01), upper_bound(n, k, 0.01))
        for n, k in ((tp + fn, tp), (tn + fp, fp))
    ]
    (s_low, s_high), (f_low, f_high) = bounds
    s = data.draw(st.floats(s_low, s_high))
    f = data.draw(st.floats(f_low, f_high))
    theta = data.draw(rates)
    assume(s > f)
    q = theta * s + (1 - theta) * f
    if observed[0] <= q <= observed[1]:
        assert low - 1e-9 <= theta <= high + 1e-9


@given(rates, rates, rates)
def test_kappa_is_cohens(sensitivity, specificity, prevalence):
    found = kappa(sensitivity, specificity, prevalence)
    called = prevalence * sensitivity + (1 - prevalence) * (1 - specificity)
    agreed = prevalence * sensitivity + (1 - prevalence) * specificity
    chance = prevalence * called + (1 - prevalence) * (1 - called)
    if found is None:
        assert math.isclose(chance, 1)
    elif 1 - chance > 1e-6:
        assert found == pytest.approx((agreed - chance) / (1 - chance), abs=1e-6)


@given(*[st.integers(0, 200)] * 4)
def test_kappas_interval_holds_it(tp, fn, tn, fp):
    low, high = kappa_interval(tp, fn, tn, fp)
    assert -1 <= low <= high <= 1
    assume(tp + fn and tn + fp)
    found = kappa(tp / (tp + fn), tn / (tn + fp), (tp + fn) / (tp + fn + tn + fp))
    assert found is not None
    assert low - 1e-9 <= found <= high + 1e-9


def test_kappas_interval_covers():
    rng = np.random.default_rng(3)
    truth = kappa(0.9, 0.95, 0.5) or 0.0
    tp, tn = rng.binomial(50, 0.9, 2000).tolist(), rng.binomial(50, 0.95, 2000).tolist()
    cis = [kappa_interval(a, 50 - a, b, 50 - b) for a, b in zip(tp, tn, strict=True)]
    assert np.mean([low <= truth <= high for low, high in cis]) >= 0.95


clusters = st.lists(
    st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=60
)


@given(clusters)
def test_clustered_labels_never_count_for_more(groups):
    found = effective(groups)
    total, right = sum(n for n, _ in groups), sum(k for _, k in groups)
    assert found.clusters == len(groups)
    assert 0 < found.n <= total or not total
    assert found.n * found.design == pytest.approx(total)
    if total:
        assert found.k * total == pytest.approx(right * found.n)
    if len(groups) < FEW_CLUSTERS:
        assert (found.n, found.k, found.design) == (total, right, 1)


def test_errors_that_gather_in_some_seeds_are_worth_as_many_labels_as_seeds():
    # Ten labels of each seed, all right or all wrong: one would do.
    found = effective([(10, 10)] * 30 + [(10, 0)] * 10)
    assert 35 < found.n < 41
    assert 0.95 < effective([(10, 9)] * 40).n / 400 <= 1


@pytest.mark.slow
def test_a_clustered_proportion_is_covered():
    from benchmarks.corrected import clustered

    for seeds, naive, design in clustered(2000, np.random.default_rng(11)):
        assert design >= 0.94, seeds
        assert naive < 0.9, seeds


def test_importing_it_imports_neither_scipy_nor_numpy():
    code = "import sys, fuzzer.correction; print({'scipy', 'numpy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
