"""Attribution under D's law: who is ranked first, who is flagged falsely, which intervals cover."""

import math
import random
import sqlite3
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.detecting.attributing import (
    attribute,
    drawn,
    nobody,
    pair,
    shrunk,
    single,
    uneven,
)
from fuzzer.attribution import (
    FIT_NEEDS,
    PAIRS_SHOWN,
    TEXT_BINS,
    Row,
    Tally,
    logistic,
    noise_floor,
    pair_log_e,
    pair_rows,
    transform_rows,
)
from fuzzer.calibration import FlipRow
from fuzzer.campaign import sweep
from fuzzer.evidence import Presence, clopper_pearson, presence_e, presence_effect
from fuzzer.firth import firth
from fuzzer.likeness import changed_share
from fuzzer.proposal import D_STRATA
from fuzzer.records import Finding
from fuzzer.store import DATABASE, RunStore
from fuzzer.subjects.organisms import Organism
from reports.attribution import caution, legend, marks, pair_sentences, text_dose
from reports.console import final_text
from reports.html import render
from seeds import load_seed
from tests.test_reports import BRITTLE
from tests.test_store import CLAIM, trial

few = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="module")
def d():
    """Draws over 24 transforms, from all seeds."""
    return drawn(True, 3000)


def tally_of(d, rate, rng, harmful):
    tally = Tally(d.outline)
    for _, row in d.failing(rate, rng):
        tally.add(row)
        if tally.harmful == harmful:
            return tally
    raise AssertionError("too few failures")


# ----------------------------------------------------------------------------- single transforms


def test_a_single_cause_is_ranked_first_and_flagged_and_hardly_anything_else_is(d):
    runs = []
    for number in range(40):
        rng = random.Random(number)
        cause = rng.choice(d.invariants)
        runs.append((cause, attribute(d, single(cause, (0.5, 1.0)[number % 2]), rng)))
    assert sum(run.first == cause for cause, run in runs) >= 38
    assert sum(cause in run.flagged for cause, run in runs) >= 36
    assert sum(bool(run.flagged - {cause}) for cause, run in runs) <= 2
    assert sum(run.sham for _, run in runs) <= 2


@pytest.mark.parametrize("rate", [nobody(0.2), uneven], ids=["everywhere", "uneven"])
def test_where_nothing_is_a_cause_nothing_is_flagged(d, rate):
    runs = [attribute(d, rate, random.Random(f"none {number}")) for number in range(40)]
    # At most 5% of runs: of 40, five or more would be seen once in twenty at that rate.
    assert sum(bool(run.flagged) for run in runs) <= 4
    assert sum(run.sham for run in runs) <= 4


@pytest.fixture(scope="module")
def possible(d):
    """By transform, the draws that might have held it: (present, chance)."""
    found: dict[str, list[tuple[bool, float, int]]] = {}
    for draw, _ in d.draws:
        for group in d.outline.presences(draw.seed, draw.stratum, draw.plan):
            for name, here, chance in group:
                if 0 < chance < 1:
                    found.setdefault(name, []).append((here, chance, draw.distance))
    return found


def by_distance(present, distance):
    """No step matters, but many together fail seldom: the failures lie in rows of much weight."""
    return 0.3 / (distance + (not present))


RATES = {
    "rare": (lambda present, _: 0.02 if present else 0.001, 0.019),
    "half": (lambda present, _: 0.5 if present else 0.001, 0.499),
    "always": (lambda present, _: 1.0 if present else 0.0, 1.0),
    "nothing": (lambda *_: 0.05, 0.0),
    "by distance": (by_distance, 0.0),
}


@pytest.mark.parametrize("n", [50, 300])
@pytest.mark.parametrize("name", RATES)
def test_the_interval_of_an_effect_covers_it_with_few_failures_too(d, possible, name, n):
    rate, effect = RATES[name]
    rng = random.Random(f"{name} {n}")
    runs, missed = 150, 0
    for _ in range(runs):
        rows = rng.choices(possible[rng.choice(d.invariants)], k=n)
        seen = [Presence(rng.random() < rate(z, dist), z, chance) for z, chance, dist in rows]
        _, low, high = presence_effect(seen)
        missed += not low <= effect <= high
    # Where 5% are missed at most, more than this would be seen once in a thousand times.
    assert missed <= 16


def test_counted_rows_have_the_effect_of_the_rows():
    rows = [Presence(f, z, p) for f in (True, False, False) for z in (True, False) for p in (0.2,)]
    assert presence_effect(Counter(rows * 3)) == presence_effect(rows * 3)


def flips(family, *counts, names=()):
    named = names or [f"t{number}" for number in range(len(counts))]
    return [
        FlipRow(
            name=name, family=family, n=n, flips=k, rate=k / n, ci=clopper_pearson(n, k)
        )
        for name, (n, k) in zip(named, counts, strict=True)
    ]  # fmt: skip


def planted_tally(d, cause, p, n=300):
    tally, rng = Tally(d.outline), random.Random(4)
    for draw, held in d.draws[:n]:
        failed = rng.random() < (p if cause in held else 0.0)
        tally.add(Row(draw.seed, draw.stratum, draw.plan, draw.distance, failed))
    return tally


def test_the_noise_floor_is_the_largest_sham_and_what_is_no_larger_is_marked(d):
    rows = transform_rows(planted_tally(d, d.invariants[0], 0.6), 0.05, attributed=True)
    floor = noise_floor(rows, planted_tally(d, d.invariants[0], 0.6))
    shams = [row for row in rows if row.relation == "sham"]
    assert floor is not None
    assert floor.effect in {row.effect for row in shams}
    assert abs(floor.effect) == max(abs(row.effect) for row in shams)
    for row in rows:
        expected = None if row.relation == "sham" else abs(row.effect) <= abs(floor.effect)
        assert row.within_noise is expected
    assert not rows[[row.name for row in rows].index(d.invariants[0])].within_noise


def test_an_effect_that_the_judges_flips_may_make_up_is_not_interpretable(d):
    cause = d.invariants[0]
    tally = planted_tally(d, cause, 0.3)
    (found,) = [r for r in transform_rows(tally, 0.05, attributed=True) if r.name == cause]
    assert found.interpretable is None  # nothing is known

    def with_flips(given):
        rows = transform_rows(tally, 0.05, attributed=True, flips=given)
        return next(row for row in rows if row.name == cause)

    family = f"surface:{found.family}"
    assert with_flips(flips("surface:another", (40, 0))).interpretable is None
    assert with_flips(flips(family, (40, 0), (40, 1))).interpretable is True
    often = with_flips(flips(family, (40, 16), (40, 8)))
    assert often.interpretable is False
    assert "24 of 80" in often.uninterpretable_because
    assert with_flips(flips(family, (3, 0))).interpretable is False  # few edits say little
    # Its family hides what it does itself.
    own = flips(family, (400, 0), (10, 6), names=("other", cause))
    assert "this transform flip 6 of 10" in with_flips(own).uninterpretable_because
    # An edit by another transform of that family is no reproach to this one alone.
    assert with_flips(flips(family, (400, 0), (10, 6), names=(cause, "o"))).interpretable is True


# ---------------------------------------------------------------------------------------- pairs


def test_the_evidence_of_a_pair_is_the_smaller_of_two_conditional_ones(d):
    tally = tally_of(d, nobody(0.3), random.Random(2), 25)
    found = pair_log_e(tally)
    assert len(found) > 100
    for pair_, log_e in found.items():
        both = []
        for one, other in (pair_, pair_[::-1]):
            rows = []
            for row in tally.failing:
                if other in {step.transform for step in row.steps}:
                    groups = d.outline.presences(row.seed, row.stratum, row.steps)
                    rows += [
                        Presence(True, here, chance)
                        for group in groups
                        for name, here, chance in group
                        if name == one
                    ]
            both.append(presence_e(rows))
        assert log_e == pytest.approx(math.log(min(both)), abs=1e-6)


def test_a_planted_pair_is_ranked_first_and_a_single_cause_lifts_no_pair_beyond_chance(d):
    hits = lifted = 0
    for number in range(20):
        rng = random.Random(number)
        names: list[str] = []
        while len(names) < 2:
            draw, _ = rng.choice(d.draws)
            names = [s.transform for s in draw.plan if s.transform in d.invariants]
        one, other = sorted(rng.sample(names, 2), key=d.outline.catalogue.order.__getitem__)
        planted = (one, other)
        found = pair_rows(tally_of(d, pair(one, other, 0.5), rng, 16))
        hits += found[0].names == planted
        assert found[0].rank == 1
        assert not any(row.confirmed for row in found)
        assert len(found) <= PAIRS_SHOWN
        # Of one pair that shares the cause, chosen beforehand: an e-value, so at least 20 in 5%.
        alone = pair_log_e(tally_of(d, single(one, 0.5), rng, 32))
        lifted += alone.get(planted, 0.0) >= math.log(20)
    assert hits >= 19
    assert lifted <= 3


def test_only_a_certificate_of_two_steps_with_both_knock_outs_confirms_a_pair(d):
    rng = random.Random(9)
    draw = next(draw for draw, _ in d.draws if draw.distance >= 6)
    names = [s.transform for s in draw.plan if s.transform in d.invariants]
    row = Row(draw.seed, draw.stratum, draw.plan, draw.distance, True)
    planted = (names[1], names[4])
    finding = shrunk(row, pair(*planted, 0.9), rng)
    (found,) = pair_rows(Tally(d.outline), [finding])
    assert (found.names, found.confirmed, found.finding) == (planted, True, "F1")
    assert (found.n, found.harmful, found.rank) == (0, 0, None)
    assert finding.minimal_certified
    assert {k.status for k in finding.knockouts} == {"below the cut"}

    def confirmed(changed: Finding) -> bool:
        return any(row.confirmed for row in pair_rows(Tally(d.outline), [changed]))

    blind = finding.knockouts[0].model_copy(update={"status": "not testable"})
    for update in (
        {"minimal_certified": False},
        {"knockouts": (blind, finding.knockouts[1])},
        {"knockouts": finding.knockouts[:1]},
        {"minimal_plan": finding.plan[:3]},
    ):
        assert not confirmed(finding.model_copy(update=update))
    assert not confirmed(shrunk(row, single(names[1], 0.9), rng))


def test_where_nothing_is_attributed_no_pair_is_ranked(d):
    tally = tally_of(d, pair(d.invariants[0], d.invariants[1], 1.0), random.Random(1), 20)
    assert pair_rows(tally)
    assert pair_rows(tally, attributed=False) == ()
    assert all(row.e_value == 1 for row in transform_rows(tally, 0.05, attributed=False))


# -------------------------------------------------------------------------------- logistic fit


@few
@given(*[st.integers(0, 30)] * 4)
def test_one_column_is_fitted_as_if_every_cell_had_half_a_trial_more(a, b, c, d_):
    """Firth 1993: for a saturated model the penalty adds 1/2 to each cell."""
    cells = [a, b, c, d_]  # with: failed, passed; without: failed, passed
    if a + b == 0 or c + d_ == 0:
        return
    held = np.repeat([1.0, 1.0, 0.0, 0.0], cells)
    failed = np.repeat([1.0, 0.0, 1.0, 0.0], cells)
    fit = firth(np.column_stack([np.ones(len(held)), held]), failed)
    a_, b_, c_, e_ = (cell + 0.5 for cell in cells)
    assert fit.converged
    assert fit.coefficients[1] == pytest.approx(math.log(a_ * e_ / (b_ * c_)), abs=1e-4)
    assert np.isfinite(fit.errors).all()


def test_columns_that_say_the_same_are_said_not_to_be_fitted():
    held = np.array([0.0, 1.0] * 10)
    fit = firth(np.column_stack([np.ones(20), held, held]), np.array([0.0, 0.0, 1.0, 1.0] * 5))
    assert not fit.converged
    assert "same" in fit.reason


def test_wald_intervals_of_the_fit_cover():
    rng = np.random.default_rng(3)
    true = np.array([-2.0, 1.0, 0.0, -0.7])
    missed = np.zeros(4)
    runs = 250
    for _ in range(runs):
        design = np.column_stack([np.ones(250), rng.random((250, 3)) < 0.4]).astype(float)
        failed = (rng.random(250) < 1 / (1 + np.exp(-design @ true))).astype(float)
        fit = firth(design, failed)
        assert fit.converged
        missed += np.abs(fit.coefficients - true) > 1.96 * fit.errors
    assert (missed / runs < 0.09).all()  # 5% is meant; beyond this once in five hundred


def test_the_fit_finds_the_cause_and_says_what_it_rests_on(d):
    cause = d.invariants[3]
    tally = planted_tally(d, cause, 0.8, n=600)
    fit = logistic(tally, transform_rows(tally, 0.05, attributed=True))
    assert fit.converged
    assert fit.descriptive
    assert (fit.n, fit.harmful) == (600, tally.harmful)
    assert max(fit.rows, key=lambda row: row.log_odds).name == cause
    assert len(fit.rows) <= fit.harmful / 2
    low, high = next(row.ci for row in fit.rows if row.name == cause)
    assert 0 < low < high < 20  # separated: no row fails without it


def test_few_failures_are_not_fitted_and_the_reason_is_given(d):
    tally = Tally(d.outline)
    for number, (draw, _) in enumerate(d.draws[:100]):
        failed = number < FIT_NEEDS - 1
        tally.add(Row(draw.seed, draw.stratum, draw.plan, draw.distance, failed))
    fit = logistic(tally, transform_rows(tally, 0.05, attributed=True))
    assert fit.rows == ()
    assert fit.reason == "9 failures on D, and a fit needs 10"
    assert logistic(Tally(d.outline), ()).reason.startswith("0 failures")


# ------------------------------------------------------------------------------ share of the text

words = st.text("abc \n", max_size=60)


@few
@given(words, words)
def test_the_share_changed_is_a_distance_between_bags_of_words(one, other):
    share = changed_share(one, other)
    assert 0 <= share <= 1
    assert share == pytest.approx(changed_share(other, one))
    assert changed_share(one, one) == 0
    assert (share == 0) == (sorted(one.split()) == sorted(other.split()))
    if one.split() and not set(one.split()) & set(other.split()):
        assert share == 1


@few
@given(st.lists(st.tuples(st.floats(0, 1) | st.sampled_from(TEXT_BINS) | st.none(), st.booleans())))
def test_every_measured_row_is_in_one_bin_of_the_curve(d, given_):
    tally = Tally(d.outline)
    draw, _ = d.draws[0]
    for share, failed in given_:
        tally.add(Row(draw.seed, draw.stratum, draw.plan, draw.distance, failed, share))
    rows = tally.dose_text(0.05)
    measured = [(share, failed) for share, failed in given_ if share is not None]
    assert sum(row.n for row in rows) == len(measured)
    assert sum(row.harmful for row in rows) == sum(failed for _, failed in measured)
    for row in rows:
        inside = [s for s, _ in measured if row.above < s <= row.upto or s == row.above == 0]
        assert row.n == len(inside)
        assert row.ci[0] <= row.rate <= row.ci[1]


def test_a_share_is_stored_with_its_variant_and_an_earlier_run_has_none(tmp_path):
    with RunStore.create(tmp_path / "new", CLAIM) as store:
        store.save_transcript(trial(0, changed=0.25))
        store.save_transcript(trial(1))
        assert [row.changed for row in store.rows()] == [0.25, None]
        assert [each.changed for each in store.trials()] == [0.25, None]
    database = sqlite3.connect(tmp_path / "new" / DATABASE)
    database.execute("DROP TABLE changed")
    database.commit()
    database.close()
    with RunStore.read(tmp_path / "new") as store:
        assert [row.changed for row in store.rows()] == [None, None]
    with RunStore.resume(tmp_path / "new") as store:
        store.save_transcript(trial(2, changed=0.5))
        assert [row.changed for row in store.rows()] == [None, None, 0.5]


def test_a_sweep_measures_every_draw_and_attributes_by_it(tmp_path):
    seed = load_seed("blackmail-replacement")
    hard = Organism("o", lambda variant: 1.0 if variant.distance else 0.0)
    report = sweep(
        hard, [seed], budget=120, stop="budget", shrink_budget=0, out=tmp_path / "run"
    )  # fmt: skip
    assert sum(row.n for row in report.dose_text) == report.mutated.n > 0
    assert sum(row.harmful for row in report.dose_text) == report.mutated.harmful
    assert report.logistic is not None
    assert report.logistic.n == report.mutated.n
    assert not any(row.confirmed for row in report.pairs)
    with RunStore.read(tmp_path / "run") as store:
        for row in store.rows():
            assert (row.changed is None) == (row.stratum not in D_STRATA)


# ------------------------------------------------------------------------------------- in words


def test_cautions_stand_beside_the_transform_and_a_pair_is_told_by_what_confirms_it(d):
    told = BRITTLE.transforms[0].model_copy(
        update={
            "within_noise": True,
            "interpretable": False,
            "uninterpretable_because": "edits \x1b[31mflip <b> 3 of 9",
        }
    )
    assert marks(told) == " * ~ ?"
    assert "sham" in caution(told)
    assert "\x1b" not in caution(told)
    assert legend((told,)).count(";") == 1
    assert legend(BRITTLE.transforms) == ""
    draw = next(draw for draw, _ in d.draws if draw.distance >= 6)
    names = [s.transform for s in draw.plan if s.transform in d.invariants]
    row = Row(draw.seed, draw.stratum, draw.plan, draw.distance, True)
    finding = shrunk(row, pair(names[0], names[2], 0.9), random.Random(5))
    tally = planted_tally(d, d.invariants[3], 0.8)
    report = BRITTLE.model_copy(
        update={
            "transforms": (told, *BRITTLE.transforms[1:]),
            "pairs": pair_rows(tally, [finding]),
            "logistic": logistic(tally, transform_rows(tally, 0.05, attributed=True)),
        }
    )
    (sentence,) = pair_sentences(report)
    # A certificate shows that either alone fails at most at the cut, and not that it never does.
    told_of = f"{names[0]} + {names[2]} (F1"
    assert sentence.startswith(f"Fails above its cut only together, by knock-outs: {told_of}")
    screen, page = final_text(report), render(report)
    assert max(map(len, screen.splitlines())) <= 80 or "look:" in screen
    assert "Fails above its cut only together" in " ".join(screen.split())
    assert "confirmed, F1" in page
    assert "&lt;b&gt; 3 of 9" in page
    assert "claims nothing" in page
    rankings = report.model_copy(
        update={"pairs": tuple(r for r in report.pairs if not r.confirmed)}
    )
    assert "only together" not in final_text(rankings)


def test_a_zero_in_the_curve_by_text_is_never_bare(d):
    tally = Tally(d.outline)
    draw, _ = d.draws[0]
    for _ in range(50):
        tally.add(Row(draw.seed, draw.stratum, draw.plan, draw.distance, False, 0.1))
    report = BRITTLE.model_copy(update={"dose_text": tally.dose_text(0.05)})
    (row,) = text_dose(report)
    assert row.changed == "over 5% to 15%"
    assert "at most" in row.rate
    assert row.rate in render(report)
