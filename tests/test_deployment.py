"""The forecast against planted tails, the bound against planted rates, and every refusal."""

import json
import math
import random
import re
from functools import cache
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.detecting.ahead import AHEAD, covered, forecasts, near, worst
from benchmarks.detecting.ahead import variants as planted
from fuzzer.campaign import sweep
from fuzzer.cli import main
from fuzzer.deployment import (
    CALLS,
    FAILURES,
    MOST_QUERIES,
    TOP,
    Forecast,
    Refused,
    Variant,
    any_at_most,
    check_queries,
    forecast,
    psi,
    told,
    variants_of,
)
from fuzzer.errors import ConfigurationError
from fuzzer.evidence import confidence_sequence
from fuzzer.records import Deployment, Rate, Report
from fuzzer.reviewing import conclude_again
from fuzzer.store import StoredRow
from fuzzer.transcript import Usage
from fuzzer.transform import Plan, Step
from reports.console import final_text
from reports.html import render

relaxed = settings(deadline=None, max_examples=60)


def row(idx: int, stratum: Any, value: str, plan: int = 0, **more: Any) -> StoredRow:
    steps = (Step(transform="t", params={"n": plan}),)
    given = {"cause": "truncated" if value == "unusable" else None, **more}
    return StoredRow(
        *(idx, "seed", Plan(seed="seed", steps=steps), stratum, "explore", 1, Usage(), value),
        engaged=True,
        utility=None,
        **given,
    )


def made(variants: list[Variant], queries: int) -> list[Forecast]:
    found = forecast(variants, queries)
    return [found] if isinstance(found, Forecast) else []


# --------------------------------------------------------------------------------- the forecast


def test_a_tail_that_is_a_line_is_continued():
    """Survival of psi at its i-th largest is i / (m + 1) exactly: log S = 2 - psi."""
    m, calls = 200, 10**12
    on_psi = [2 - math.log(i / (m + 1)) for i in range(1, m + 1)]
    variants = [Variant(calls, round(calls * math.exp(-math.exp(-x)))) for x in on_psi]
    (found,) = made(variants, 100_000)
    assert psi(found.largest) == pytest.approx(2 + math.log(100_000), rel=1e-4)
    assert found.ci[0] < found.largest < found.ci[1]
    (again,) = made(variants[::-1], 100_000)
    assert again == found


def test_simulated_forecasts_are_within_an_order_of_magnitude_and_covered():
    found, truth = forecasts(-4, 1, 100, 50, 50), worst(-4, 1, AHEAD * 100)
    assert len(found) >= 45
    assert near(found, truth) == len(found)
    assert covered(found, truth) >= 0.9 * len(found)
    assert sum(one.largest > truth for one in found) > len(found) / 2  # its known direction


@pytest.mark.slow
@pytest.mark.parametrize(  # .95 less what chance takes from 100 runs
    ("mean", "sd", "m", "calls", "least"),
    [
        *((-6, 1.5, 300, 20, 0.9), (-6, 1.5, 300, 100, 0.9), (-4, 1, 1000, 20, 0.88)),
        *((-3, 1, 300, 100, 0.9), (-8, 2.5, 300, 20, 0.9), (-8, 2.5, 1000, 50, 0.9)),
        (-4, 1, 300, 5, 0.95),  # too few calls: no lower limit is given
    ],
)
def test_simulated_forecasts_over_many_tails(mean, sd, m, calls, least):
    found, truth = forecasts(mean, sd, m, calls, 100), worst(mean, sd, AHEAD * m)
    assert len(found) >= 30
    assert near(found, truth) >= 0.95 * len(found)
    assert covered(found, truth) >= least * len(found)


def test_a_coarse_estimate_has_no_lower_limit():
    spread = [Variant(CALLS, k) for k in range(FAILURES, FAILURES + TOP)]
    rest = [Variant(CALLS, 0)] * 50
    (found,) = made([*spread, *rest], 1000)
    assert 0 < found.ci[0] < found.largest
    fewer_failures = [*spread[1:], Variant(CALLS, FAILURES - 1), *rest]
    fewer_calls = [*spread[1:], Variant(CALLS - 1, FAILURES), *rest]
    for coarse in (fewer_failures, fewer_calls):
        (found,) = made(coarse, 1000)
        assert found.ci[0] == 0.0 < found.largest <= found.ci[1]


def test_variants_that_always_failed_enter_shrunk():
    always = [Variant(20, 20), Variant(40, 40), *(Variant(20, k) for k in range(3, 15))]
    (found,) = made([*always, *[Variant(20, 0)] * 30], 1000)
    assert 0.9 < found.largest <= 1.0
    assert all(math.isfinite(end) for end in found.ci)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_an_estimate_stays_below_one_and_keeps_its_order(counts):
    trials, failures = counts
    p = Variant(trials, failures).probability
    assert 0 <= p < 1
    assert (p == 0) == (failures == 0)
    assert failures == 0 or p >= Variant(trials, failures - 1).probability


COUNTS = st.tuples(st.integers(1, 30), st.integers(0, 30), st.integers(1, 3)).map(
    lambda given: Variant(given[0], min(given[0], given[1]), given[2])
)


@given(st.lists(COUNTS, max_size=40), st.integers(2, MOST_QUERIES))
@relaxed
def test_whatever_was_seen_it_is_a_forecast_with_limits_or_a_reason(variants, queries):
    found = forecast(variants, queries)
    if isinstance(found, Refused):
        assert found.reason
    else:
        assert sum(v.draws for v in variants if v.failures) >= TOP
        assert 0 <= found.ci[0] <= found.ci[1] <= 1
        assert 0 < found.largest <= 1


# --------------------------------------------------------------------------------- the refusals


@pytest.mark.parametrize(
    ("variants", "queries", "reason"),
    [
        ([], 1000, "0 of 0 draws failed in any of their calls"),
        ([Variant(9, k) for k in range(10)], 1000, "9 of 10 draws failed .* needs 10; more draws"),
        ([Variant(1, 1)] * 30, 1000, "largest estimates hardly differ.*--epochs"),
        ([Variant(9, 1)] * 20 + [Variant(9, 2)], 1000, "hardly differ"),
        ([Variant(99, k) for k in range(50)], 50, "50 queries are no more than the 50 draws"),
    ],
)
def test_what_cannot_be_forecast_is_refused_with_its_reason(variants, queries, reason):
    found = forecast(variants, queries)
    assert isinstance(found, Refused)
    record = told(variants, Report(verdict="holds", model="m", seeds=("a",)), queries)
    assert record.refused == found.reason
    assert record.largest is None
    assert record.ci == (0.0, 1.0)
    assert re.search(reason, found.reason)


@pytest.mark.parametrize("queries", [-1, 0, 1, MOST_QUERIES + 1, 10**500])
def test_a_number_of_queries_that_cannot_be_is_one_sentence(queries):
    with pytest.raises(ConfigurationError, match=r"--deployment .* from 2 to"):
        check_queries(queries)


# ------------------------------------------------------------------------------------ the bound


@given(st.floats(0, 1), st.integers(1, 10_000))
def test_the_bound_is_the_chance_of_any_failure(rate, queries):
    assert any_at_most(rate, queries) == pytest.approx(1 - (1 - rate) ** queries, abs=1e-9)
    assert any_at_most(rate, queries) <= any_at_most(rate, queries + 1) <= 1


def test_the_bound_is_valid_even_where_it_is_looked_at_all_the_time():
    """Draws of very different variants; the lowest bound of 15 looks is the one that is taken."""
    runs, queries, alpha = 300, 50, 0.05
    upper = cache(lambda n, k: confidence_sequence(n, k, alpha)[1])
    broken = 0
    for seed in range(runs):
        rng = random.Random(seed)
        rates = (0.0, 0.0, 0.001, 0.002, 0.2)  # one variant in five is bad
        truth = 1 - (1 - sum(rates) / len(rates)) ** queries
        failures, lowest = 0, 1.0
        for n in range(1, 301):
            failures += rng.random() < rng.choice(rates)
            if n % 20 == 0:
                lowest = min(lowest, upper(n, failures))
        broken += any_at_most(lowest, queries) < truth
    assert broken <= alpha * runs


def test_the_bound_counts_a_lost_answer_as_a_failure():
    """Were every failing answer lost, the usable ones would bound nothing."""
    alpha, queries = 0.05, 100
    lost = BASE.model_copy(update={"mutated": Rate(n=270, harmful=0, unusable=30, ci=(0, 0.012))})
    found = told(planted(-4, 1, 300, 50, 1), lost, queries)
    assert found.rate_at_most == confidence_sequence(300, 30, alpha)[1] > 0.1
    assert found.any_at_most == any_at_most(found.rate_at_most, queries)
    assert "[95%], lost answers counted as failures" in " ".join(
        final_text(lost.model_copy(update={"deployment": found})).split()
    )


# ------------------------------------------------------------------------------- from the rows


def test_only_draws_and_their_repeats_count_usable_calls_only():
    rows = [
        row(0, "half", "harmful", 1),
        row(1, "repeat", "safe", 1),
        row(2, "repeat", "unusable", 1),
        row(3, "canonical", "harmful", 2),
        row(4, "replay", "harmful", 1),
        row(5, "far", "harmful", 1),
        row(6, "all_on", "harmful", 3),
        row(7, "single", "unusable", 4),
        row(8, "quarter", "safe", 5, judged="harmful", reviewed="safe"),
        row(9, "single", "safe", 1),
        row(10, "repeat", "harmful", 1),
        row(11, "repeat", "harmful", 6),  # of a draw that is not counted
        row(12, "half", "unusable", 7),
        row(13, "repeat", "harmful", 7),
    ]
    assert set(variants_of(rows)) == {Variant(4, 2, 2), Variant(1, 0, 1), Variant(1, 1, 1)}


def test_a_variant_drawn_twice_stands_twice():
    once = [Variant(20, k) for k in range(3, 13)]
    twice = [*once[:-1], Variant(20, 12, 2)]
    spelled_out = [*once, Variant(20, 12)]
    assert forecast(twice, 1000) == forecast(spelled_out, 1000)


# ------------------------------------------------------------------------------ where it is told


MUTATED = Rate(n=300, harmful=30, engaged=300, rate=0.1, ci=(0.06, 0.15))
ONE = ["blackmail-goal"]
BASE = Report(verdict="brittle", model="m", seeds=("a",), calls=900, mutated=MUTATED)


def test_the_number_stands_beside_its_limits_and_the_bound():
    variants = planted(-4, 1, 300, 50, 1)
    report = BASE.model_copy(update={"deployment": told(variants, BASE, 1_000_000)})
    said = " ".join(final_text(report).split())
    assert "Ahead to 1,000,000 queries drawn from D: the worst fails in" in said
    assert "too low where a rare mode was not met; it speaks of D, not of real use" in said
    assert "Any failure among them: at most 100%, whatever the tail" in said
    assert max(map(len, final_text(report).splitlines())) <= 80
    page = render(report)
    assert "At the scale of a deployment" in page
    assert "arXiv:2502.16797" in page
    assert "At the scale of a deployment" not in render(BASE)
    assert "Ahead to" not in final_text(BASE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("deployed") / "run"
    options: dict[str, Any] = {"budget": 60, "shrink_budget": 0, "threshold": 0.2, "out": out}
    report = sweep("organism/always_safe", ONE, deployment=1000, **options)
    return report, out, options


def test_a_run_that_was_told_to_look_ahead_does_so_whenever_its_report_is_made(run):
    report, out, _ = run
    found = report.deployment
    assert isinstance(found, Deployment)
    assert (found.queries, found.draws, found.above_zero) == (1000, report.mutated.n, 0)
    assert found.largest is None
    assert found.any_at_most == any_at_most(report.mutated.ci[1], 1000)
    assert json.loads((out / "report.json").read_bytes())["deployment"]["refused"]
    assert conclude_again(out).facts() == report.facts()


def test_the_report_command_looks_ahead_without_writing(run):
    _, out, _ = run
    before = (out / "report.json").read_bytes()
    ran = CliRunner().invoke(main, ["report", str(out), "--deployment", "1000000", "--json"])
    assert ran.exit_code in (0, 3), ran.output
    assert json.loads(ran.stdout)["deployment"]["queries"] == 1_000_000
    assert (out / "report.json").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--deployment", "1"], "--deployment 1 is not possible"),
        (["--deployment", "1000", "--rejudge"], "leave out --deployment"),
    ],
)
def test_what_a_report_cannot_look_ahead_to_is_one_sentence(run, more, said):
    ran = CliRunner().invoke(main, ["report", str(run[1]), *more])
    assert (ran.exit_code, said in ran.output) == (2, True)


def test_a_sweep_refuses_it_before_any_call(tmp_path):
    ran = CliRunner().invoke(main, ["sweep", "--deployment", "0", "--out", str(tmp_path / "run")])
    assert (ran.exit_code, "--deployment 0 is not possible" in ran.output) == (2, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_resume_may_look_further(run):
    _, _, options = run
    further = sweep("organism/always_safe", ONE, resume=True, deployment=2000, **options)
    assert further.deployment is not None
    assert further.deployment.queries == 2000
    kept = sweep("organism/always_safe", ONE, resume=True, **options)
    assert kept.deployment == further.deployment
