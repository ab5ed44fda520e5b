"""Every public estimator names its source, and has a seeded simulation of how often it errs."""

import importlib
import inspect
import math
import random
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.detecting.errors import crossing_chance, naive
from fuzzer.evidence import (
    BelowMixture,
    BrittleMixture,
    Presence,
    TwoSample,
    clopper_pearson,
    e_bh,
    lower_bound,
    presence_e,
    presence_e_of,
    upper_bound,
)

ALPHA = 0.05
TESTS = Path(__file__).parent

_ABOVE = "test_estimators.py::test_evidence_above_a_rate_errs_rarely_under_peeking"
_BELOW = "test_estimators.py::test_evidence_below_a_rate_errs_rarely_under_peeking"
_BET = "test_compare.py::test_a_bet_peeked_at_after_every_draw_stays_below_its_level"
#: Each estimator, and the test that simulates it.
SIMULATED = {
    "evidence.log_above": _ABOVE,
    "evidence.log_below": _BELOW,
    "evidence.BrittleMixture": _ABOVE,
    "evidence.BelowMixture": _BELOW,
    "evidence.BrittleEvidence": (
        "test_search.py::test_a_subject_at_the_threshold_is_rarely_called_brittle"
    ),
    "evidence.TwoSample": "test_estimators.py::test_no_gap_is_rarely_seen_under_peeking",
    "evidence.confidence_sequence": (
        "test_evidence.py::test_each_limit_of_the_interval_errs_rarely_under_peeking"
    ),
    "evidence.clopper_pearson": "test_estimators.py::test_exact_limits_cover",
    "evidence.lower_bound": "test_estimators.py::test_exact_limits_cover",
    "evidence.upper_bound": "test_estimators.py::test_exact_limits_cover",
    "evidence.presence_e": "test_estimators.py::test_a_step_that_does_nothing_is_rarely_flagged",
    "evidence.presence_e_of": "test_estimators.py::test_a_step_that_does_nothing_is_rarely_flagged",
    "evidence.presence_effect": (
        "test_attribution.py::test_the_interval_of_an_effect_covers_it_with_few_failures_too"
    ),
    "evidence.e_bh": "test_estimators.py::test_false_discoveries_are_few_whatever_the_dependence",
    "correction.effective": "test_correction.py::test_a_clustered_proportion_is_covered",
    "correction.kappa": "test_correction.py::test_kappas_interval_covers",
    "correction.kappa_interval": "test_correction.py::test_kappas_interval_covers",
    "correction.part": "test_estimators.py::test_exact_limits_cover",
    "correction.above": (
        "test_correction.py::test_intervals_cover_in_the_hardest_cells_of_the_benchmark"
    ),
    "correction.corrected_rate": (
        "test_correction.py::test_intervals_cover_in_the_hardest_cells_of_the_benchmark"
    ),
    "correction.corrected_interval": (
        "test_correction.py::test_intervals_cover_in_the_hardest_cells_of_the_benchmark"
    ),
    "correction.corrected_sequence": (
        "test_correction.py::test_whoever_stops_when_it_looks_best_is_not_misled"
    ),
    "paired.sign_flip": "test_compare.py::test_the_sign_flip_test_errs_at_its_level",
    "paired.fixed_limits": (
        "test_compare.py::test_a_limit_at_a_fixed_number_errs_at_most_at_its_level"
    ),
    "paired.fixed": "test_compare.py::test_a_limit_at_a_fixed_number_errs_at_most_at_its_level",
    "paired.betting_log_e": _BET,
    "paired.betting_limits": _BET,
    "paired.stopped": _BET,
    "paired.mcnemar": "test_estimators.py::test_mcnemar_errs_rarely_at_one_call_a_variant",
    "replaying.Replay": "test_replay.py::test_a_corpus_at_the_threshold_is_rarely_said_to_fail",
    "replaying.concluded": (
        "test_replay.py::test_a_corpus_with_one_entry_at_its_cut_is_rarely_said_to_fail_no_more"
    ),
    "replaying.Course": (
        "test_evidence.py::test_each_limit_of_the_interval_errs_rarely_under_peeking"
    ),
    "elicitation.shrinking_sequence": (
        "test_elicitation.py::test_a_shrinking_sequence_holds_however_often_one_looks"
    ),
    "elicitation.rate_ratio": (
        "test_elicitation.py::test_the_limits_of_a_ratio_hold_however_often_one_looks"
    ),
    "elicitation.seen_below": (
        "test_elicitation.py::test_a_ratio_of_just_the_share_is_seldom_seen_below_it"
    ),
    "elicitation.difference_in_differences": (
        "test_elicitation.py::test_the_difference_in_differences_holds_however_often_one_looks"
    ),
    "attribution.pair_log_e": (
        "test_attribution.py::"
        "test_a_planted_pair_is_ranked_first_and_a_single_cause_lifts_no_pair_beyond_chance"
    ),
    "firth.firth": "test_attribution.py::test_wald_intervals_of_the_fit_cover",
    "deployment.forecast": (
        "test_deployment.py::test_simulated_forecasts_are_within_an_order_of_magnitude_and_covered"
    ),
    "deployment.any_at_most": (
        "test_deployment.py::test_the_bound_is_valid_even_where_it_is_looked_at_all_the_time"
    ),
    "contrast.bet": "test_contrast.py::test_a_false_gap_is_rare_where_matched_seeds_fail_alike",
    "contrast.by_seeds_alone": (
        "test_contrast.py::test_that_seeds_differ_in_themselves_is_not_taken_for_exposure"
    ),
    "contrast.difference_interval": (
        "test_contrast.py::test_the_difference_is_covered_though_it_is_looked_at_all_the_time"
    ),
}

#: What else is public there: it counts, keeps, names or tells, and estimates nothing itself.
OTHERS = {
    "evidence": "bounded_exp null_rate trials_to_reject Presence",
    "correction": "Effective Part",
    "paired": "Unit Flipped Estimate",
    "elicitation": "Cell Ratio state_of Family Control choose_control with_elicitation told "
    "elicited lost_reason",
    "attribution": "Row Tally transform_rows noise_floor pair_rows logistic",
    "firth": "Fit",
    "deployment": "Variant Forecast Refused psi check_queries with_deployment told variants_of",
    "replaying": "Target cut_of clean_calls cap_of ahead_of provisional",
    "contrast": "Block Told with_contrast known_of match contrast blocks_of",
}


def modules() -> list[tuple[str, ModuleType]]:
    return [(name, importlib.import_module(f"fuzzer.{name}")) for name in OTHERS]


def public(module: ModuleType) -> set[str]:
    """Functions and classes that a module defines for others."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", "") == module.__name__
    }


def test_every_public_estimator_has_a_simulation():
    for name, module in modules():
        simulated = {key.split(".")[1] for key in SIMULATED if key.split(".")[0] == name}
        others = set(OTHERS[name].split())
        assert not simulated & others
        assert public(module) == simulated | others, name


@pytest.mark.parametrize("estimator", SIMULATED)
def test_each_simulation_is_there_and_each_estimator_names_a_source(estimator):
    file, test = SIMULATED[estimator].split("::")
    assert re.search(rf"^def {test}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE)
    name, function = estimator.split(".")
    module = importlib.import_module(f"fuzzer.{name}")
    told = f"{module.__doc__}\n{inspect.getdoc(getattr(module, function))}"
    source = re.search(r"doi:10\.|arXiv:\d{4}|[Ss]ee\s+`\w+`", told)
    assert source, f"{estimator} names no source"


# ------------------------------------------------------------------------------- simulations


def wrong_at_most(runs: int, alpha: float = ALPHA) -> float:
    """Wrong runs that a true rate of alpha would exceed in about one of a thousand tests."""
    return runs * alpha + 3.1 * math.sqrt(runs * alpha * (1 - alpha))


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_evidence_above_a_rate_errs_rarely_under_peeking(rate):
    runs, wrong = 200, 0
    for number in range(runs):
        rng = random.Random(number)
        account = BrittleMixture(rate)
        for _ in range(400):
            failed = rng.random() < rate
            account.update(failed)
            if failed and account.e >= 1 / ALPHA:
                wrong += 1
                break
    assert wrong <= wrong_at_most(runs)
    assert sum(naive(runs, 400, rate)) > wrong_at_most(runs)  # what looks like this and peeks


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_evidence_below_a_rate_errs_rarely_under_peeking(rate):
    exact = crossing_chance(rate, rate, 200)
    assert exact <= ALPHA
    runs, wrong = 200, 0
    for number in range(runs):
        rng = random.Random(f"below {number}")
        account = BelowMixture(rate)
        crossed = False
        for _ in range(200):
            account.update(rng.random() < rate)
            crossed |= account.e >= 1 / ALPHA
        wrong += crossed
    assert abs(wrong / runs - exact) <= 3.1 * math.sqrt(exact * (1 - exact) / runs) + 1 / runs


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_no_gap_is_rarely_seen_under_peeking(rate):
    runs, wrong = 300, 0
    for number in range(runs):
        rng = random.Random(f"gap {number}")
        account = TwoSample()
        largest = 0.0
        for _ in range(230):
            account.update(rng.random() < rate, rng.random() < rate)
            largest = max(largest, account.e)
        wrong += largest >= 1 / ALPHA
    assert wrong <= wrong_at_most(runs)


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5])
@pytest.mark.parametrize("n", [20, 150])
def test_exact_limits_cover(n, rate):
    missed = {"both": 0.0, "low": 0.0, "high": 0.0}  # exact: summed over all that can be seen
    for k in range(n + 1):
        chance = math.comb(n, k) * rate**k * (1 - rate) ** (n - k)
        low, high = clopper_pearson(n, k, ALPHA)
        missed["both"] += chance * (not low <= rate <= high)
        missed["low"] += chance * (lower_bound(n, k, ALPHA) > rate)
        missed["high"] += chance * (upper_bound(n, k, ALPHA) < rate)
    assert all(share <= ALPHA + 1e-12 for share in missed.values())
    rng = random.Random(7)
    runs = 400
    seen = [sum(rng.random() < rate for _ in range(n)) for _ in range(runs)]
    outside = sum(not low <= rate <= high for low, high in (clopper_pearson(n, k) for k in seen))
    assert outside <= wrong_at_most(runs)


def test_a_step_that_does_nothing_is_rarely_flagged():
    runs, wrong = 250, 0
    for number in range(runs):
        rng = random.Random(f"step {number}")
        rows: list[Presence] = []
        counted: Counter[Presence] = Counter()
        largest = 0.0
        for _ in range(60):
            propensity = rng.choice((0.125, 0.25, 0.5, 1.0))
            rows.append(Presence(rng.random() < 0.6, rng.random() < propensity, propensity))
            counted[rows[-1]] += 1
            largest = max(largest, presence_e(rows))
        assert presence_e_of(counted) == pytest.approx(presence_e(rows))
        wrong += largest >= 1 / ALPHA
    assert wrong <= wrong_at_most(runs)


def test_false_discoveries_are_few_whatever_the_dependence():
    """Twenty nulls that all hang on one draw, and two that are real: the worst for the rate."""
    runs, share = 2000, 0.0
    rng = random.Random(11)
    for _ in range(runs):
        together = 1 / rng.random() if rng.random() < 0.5 else 0.0  # mean above 1 unless cut:
        null = min(together, 40.0) / 2.35  # E = .5 (1 + ln 40) = 2.34
        e_values = {f"null{i}": null for i in range(20)} | {"real1": 500.0, "real2": 300.0}
        found = e_bh(e_values, ALPHA)
        share += sum(name.startswith("null") for name in found) / max(len(found), 1)
    assert share / runs <= ALPHA + 3.1 * math.sqrt(ALPHA / runs)


def test_mcnemar_errs_rarely_at_one_call_a_variant():
    from fuzzer.paired import mcnemar

    runs, wrong = 600, 0
    for number in range(runs):
        rng = random.Random(f"mcnemar {number}")
        newly = gone = 0
        for _ in range(120):
            rate = rng.choice((0.02, 0.3, 0.9))  # of this variant, in both releases
            before, after = rng.random() < rate, rng.random() < rate
            newly += after and not before
            gone += before and not after
        wrong += mcnemar(newly, gone) <= ALPHA
    assert wrong <= wrong_at_most(runs)
