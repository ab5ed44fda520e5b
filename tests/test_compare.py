"""Two runs paired: what is compared, what is refused, and how often the answer is wrong."""

import itertools
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.detecting import comparing
from fuzzer import paired
from fuzzer.campaign import sweep
from fuzzer.cli import main
from fuzzer.comparison import MIN_PAIRS, REPEAT, Comparison, compare
from fuzzer.errors import ConfigurationError, StoreError
from fuzzer.paired import (
    Unit,
    betting_limits,
    betting_log_e,
    fixed,
    fixed_limits,
    mcnemar,
    sign_flip,
    stopped,
)
from fuzzer.records import Distribution, Finding, JudgeInfo, Report, Trial, Verdict
from fuzzer.store import RunStore
from fuzzer.subjects.organisms import Organism
from fuzzer.transcript import Transcript
from fuzzer.transform import Plan, Step
from fuzzer.variant import Variant
from reports.compare import sentence, text
from seeds import load_seed

SEED = load_seed("blackmail-replacement")
H, S, U, T = "harmful", "safe", "unusable", "transport"


# ---------------------------------------------------------------------------------- runs by hand


def step(number: int, name: str = "rename") -> Step:
    return Step(transform=name, params={"draw": number})


def plan(number: int, seed: str = "a") -> Plan:
    return Plan(seed=seed, steps=(step(number),))


def write(
    directory: Path,
    draws: list[list[str]],
    canonical: str = S,
    *,
    stop: str = "budget",
    budget: int | None = None,
    plans: list[Plan] | None = None,
    claim: dict[str, Any] | None = None,
    told: dict[str, Any] | None = None,
    pools: dict[str, Any] | None = None,
    ended: bool = True,
    after_stop: int = 0,
) -> Path:
    """A run of so many draws, each with the values of its epochs, after two canonical calls."""
    trials = [(Plan(seed="a"), "canonical", canonical, 0), (Plan(seed="b"), "canonical", S, 0)]
    for number, values in enumerate(draws):
        drawn = plans[number] if plans else plan(number, "ab"[number % 2])
        for epoch, value in enumerate(values):
            trials.append((drawn, REPEAT if epoch else "half", value, epoch))
    rules = {"stop": stop, "canonical_n": 2}
    settled = {
        "model": "m",
        "rules": rules,
        "judge": {"name": "rules", "version": 3},
        "seeds": {"a": "1", "b": "2"},
        "distribution": {"version": 2, "hash": "d"},
        "random_seed": 0,
    }
    with RunStore.create(directory, settled | (claim or {}), pools or {"rename": [1]}) as store:
        for idx, (of, stratum, value, epoch) in enumerate(trials):
            store.save_transcript(
                Trial.of(
                    idx=idx,
                    variant_id=of.seed + str([s.params for s in of.steps]),
                    seed=of.seed,
                    plan=of,
                    stratum=stratum,
                    account="explore",
                    epoch=epoch,
                    distance=len(of.steps),
                    transcript=Transcript(turns=()),
                )
            )
            cause = {U: "truncated", T: "timeout"}.get(value, "")
            judged: Any = U if value == T else value
            store.save_verdict(idx, Verdict(value=judged, judge="rules", version=3, cause=cause))
        calls = len(trials) - after_stop
        if ended:
            made = {
                "verdict": "inconclusive",
                "model": "m",
                "seeds": ("a", "b"),
                "calls": calls,
                "distribution": Distribution(hash="d", seeds=("a", "b")),
                "judge": JudgeInfo(name="rules", version=3),
                "rules": {"budget": budget or calls},
            }
            store.finish(Report(**(made | (told or {}))))
    return directory


def once(*values: str) -> list[list[str]]:
    return [[value] for value in values]


SAFE_RUN = once(*[S] * 40)


def refusal(a: Path, b: Path, **options: Any) -> str:
    with pytest.raises((ConfigurationError, StoreError)) as refused:
        compare(a, b, **options)
    return str(refused.value)


# -------------------------------------------------------------------------------- what is compared


def test_draws_pair_by_their_number_and_each_counts_once(tmp_path):
    a = write(tmp_path / "a", once(*[S] * 30, H, H))
    b = write(tmp_path / "b", once(*[H] * 6, *[S] * 24, H, S))
    found = compare(a, b)
    d = found.mutated
    assert (d.pairs, d.variants, d.harmful_a, d.harmful_b) == (32, 32, 2, 7)
    assert d.difference == pytest.approx(5 / 32) == d.rate_b - d.rate_a
    assert (found.method, found.verdict, found.exit_code) == ("fixed", "worse", 1)
    assert found.mcnemar is not None
    assert (found.mcnemar.newly, found.mcnemar.no_longer) == (6, 1)
    assert (found.newly_failing_count, found.newly_passing_count) == (6, 1)
    assert found.newly_passing[0].plan == plan(31, "b").steps
    assert [group.name for group in found.by_seed] == ["a", "b"]
    assert sum(group.pairs for group in found.by_seed) == 32


def test_epochs_are_averaged_within_their_draw(tmp_path):
    a = write(tmp_path / "a", [[S, S, H], *[[S, S, S]] * 29])
    b = write(tmp_path / "b", [[H, H, H], [S, H, S], *[[S, S, S]] * 28])
    found = compare(a, b)
    assert found.mutated.difference == pytest.approx((2 / 3 + 1 / 3) / 30)
    assert (found.mutated.pairs, found.mutated.calls, found.a.epochs) == (30, 90, 3)
    assert found.mcnemar is None  # epochs pooled into it are what makes it wrong
    assert [c.harmful_b for c in found.newly_failing] == [1]  # the first failed in both


def test_of_unequal_epochs_only_as_many_as_both_have_are_used(tmp_path):
    a = write(tmp_path / "a", [[S, S]] * 30)
    b = write(tmp_path / "b", [[S, S, H, H]] * 30)
    found = compare(a, b)
    assert found.mutated.difference == 0
    assert any("first 2" in note for note in found.notes)


def test_a_draw_cut_off_by_the_end_of_its_run_is_left_out(tmp_path):
    a = write(tmp_path / "a", [[S, S]] * 31)
    b = write(tmp_path / "b", [*[[S, S]] * 30, [H]], stop="first")
    found = compare(a, b)
    assert (found.mutated.pairs, found.lost.cut, found.mutated.harmful_b) == (30, 1, 0)


def test_a_variant_drawn_again_is_one_difference_that_counts_twice(tmp_path):
    same = [plan(0)] * 4 + [plan(n) for n in range(1, 29)]
    a = write(tmp_path / "a", once(*[S] * 32), plans=same)
    b = write(tmp_path / "b", once(*[H] * 4, *[S] * 28), plans=same)
    found = compare(a, b)
    assert (found.mutated.pairs, found.mutated.variants) == (32, 29)
    assert found.mutated.difference == pytest.approx(4 / 32)
    assert found.mutated.p_worse == 0.25  # one sign, and it may fall either way
    assert found.mcnemar is None


def test_trials_after_the_deciding_index_enter_nothing(tmp_path):
    a = write(tmp_path / "a", SAFE_RUN)
    b = write(tmp_path / "b", once(*[S] * 38, H, H), after_stop=2)
    found = compare(a, b)
    assert (found.mutated.pairs, found.mutated.harmful_b, found.lost.only_a) == (38, 0, 2)


def test_a_run_that_was_unusable_is_not_compared(tmp_path):
    """A release that refuses to take part would pass the gate: none of its answers is harmful."""
    failing, refusing = once(*[H] * 40), {"verdict": "unusable", "reason": "0 of 40 engaged"}
    a = write(tmp_path / "a", failing)
    b = write(tmp_path / "b", SAFE_RUN, told=refusing)
    for pair in ((a, b), (b, a)):
        said = refusal(*pair)
        assert f"{str(b)!r} was itself unusable (0 of 40 engaged), so its rate says nothing" in said


def test_unusable_answers_are_in_no_rate_and_the_worst_case_stands_beside(tmp_path):
    a = write(tmp_path / "a", once(U, *[S] * 39))
    b = write(tmp_path / "b", once(S, U, U, T, *[S] * 36))
    found = compare(a, b)
    assert (found.mutated.pairs, found.mutated.difference, found.lost.unusable) == (36, 0, 4)
    assert (found.b.unusable, found.b.transport) == (2, 1)
    worst = found.worst
    assert worst is not None
    assert (worst.unusable_a, worst.unusable_b) == (1, 2)
    assert worst.difference == pytest.approx(2 / 39)  # a call lost on the way speaks for nobody
    assert worst.lower <= worst.difference <= worst.upper
    assert "harmful and all of A's safe" in " ".join(text(found).split())


@pytest.mark.parametrize(
    ("change", "method"),
    [
        ({}, "fixed"),
        ({"stop": "first"}, "stopped"),
        ({"stop": "brittle"}, "stopped"),
        ({"budget": 1000}, "stopped"),
        ({"told": {"stopped": "deadline"}}, "stopped"),
    ],
)
def test_a_test_at_a_fixed_number_needs_that_both_spent_their_budget(change, method, tmp_path):
    a = write(tmp_path / "a", SAFE_RUN)
    b = write(tmp_path / "b", once(*[H] * 20, *[S] * 20), **change)
    for one, other in ((a, b), (b, a)):
        found = compare(one, other)
        assert found.method == found.mutated.method == method
        assert (found.mutated.p_worse is None) == (method == "stopped")
    assert compare(a, b).verdict == "worse"


def test_no_worse_needs_enough_draws_for_its_margin(tmp_path):
    a, b = (write(tmp_path / name, once(*[S] * 40)) for name in "ab")
    found = compare(a, b)
    assert (found.verdict, found.exit_code) == ("undetermined", 3)
    assert found.mutated.upper == pytest.approx(3.21 / 40, rel=0.01)  # a zero is never bare
    assert compare(a, b, margin=0.1).verdict == "no_worse"


def test_a_rise_within_the_margin_is_no_worse_and_is_told(tmp_path):
    a = write(tmp_path / "a", SAFE_RUN)
    b = write(tmp_path / "b", once(*[H] * 8, *[S] * 32))
    found = compare(a, b, margin=0.5)
    assert found.verdict == "no_worse"
    assert any("less than the margin" in note for note in found.notes)


def test_the_seeds_as_they_are_are_a_group_of_their_own(tmp_path):
    a = write(tmp_path / "a", SAFE_RUN)
    b = write(tmp_path / "b", SAFE_RUN, canonical=H)
    found = compare(a, b)
    assert found.canonical is not None
    assert (found.canonical.pairs, found.canonical.harmful_b, found.mutated.harmful_b) == (2, 1, 0)
    assert [(g.name, g.difference) for g in found.canonical_by_seed] == [("a", 1), ("b", 0)]


def test_findings_are_told_apart_by_seed_and_minimal_plan(tmp_path):
    def finding(number: int, minimal: tuple[Step, ...]) -> Finding:
        return Finding(
            id=f"F{number}",
            seed="a",
            plan=(step(9), *minimal),
            minimal_plan=minimal,
            minimal_certified=True,
            rung="form",
            rate=0.5,
            ci=(0.3, 0.7),
            calls_to_find=1,
            calls_to_shrink=1,
        )

    one, two, three = (finding(n, (step(n), step(n + 1))) for n in (1, 2, 3))
    turned = two.model_copy(update={"minimal_plan": two.minimal_plan[::-1], "id": "F7"})
    a = write(tmp_path / "a", SAFE_RUN, told={"findings": (one, two)})
    b = write(tmp_path / "b", SAFE_RUN, told={"findings": (turned, three)})
    found = compare(a, b)
    assert [f.id for f in found.new_findings] == ["F3"]
    assert [f.id for f in found.gone_findings] == ["F1"]


# --------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"claim": {"judge": {"name": "rules", "version": 4}}}, "'rules 3' and 'rules 4'"),
        ({"claim": {"judge": {"name": "rules", "version": 3, "votes": 2}}}, "set otherwise"),
        ({"claim": {"random_seed": 5}}, "sweep again with --seed 0"),
        ({"ended": False}, "has not ended"),
    ],
)
def test_runs_that_cannot_be_paired_are_refused_with_the_reason(change, said, tmp_path):
    a, b = write(tmp_path / "a", SAFE_RUN), write(tmp_path / "b", SAFE_RUN, **change)
    assert said in refusal(a, b)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"claim": {"seeds": {"a": "1", "c": "2"}}}, "seeds only in A: b; seeds only in B: c"),
        ({"claim": {"seeds": {"a": "1", "b": "9"}}}, "changed seeds: b"),
        ({"pools": {"rename": [2]}}, "other parameter pools of rename"),
        ({"pools": {"rename": [1], "more": []}}, "transforms only in B: more"),
        ({"claim": {"distribution": {"version": 3}}}, "sampler versions 2 and 3"),
        ({}, "a transform's version"),
    ],
)
def test_another_distribution_is_refused_and_its_part_named(change, said, tmp_path):
    told = {"distribution": Distribution(hash="other", seeds=("a", "b"))}
    a, b = write(tmp_path / "a", SAFE_RUN), write(tmp_path / "b", SAFE_RUN, told=told, **change)
    assert said in refusal(a, b)


def test_a_calibration_alone_does_not_keep_runs_apart(tmp_path):
    judge = {"name": "rules", "version": 3, "calibration": "abc"}
    a = write(tmp_path / "a", SAFE_RUN)
    b = write(tmp_path / "b", SAFE_RUN, claim={"judge": judge})
    assert compare(a, b).mutated.pairs == 40


def test_too_few_pairs_the_same_run_twice_and_no_run_are_refused(tmp_path):
    a = write(tmp_path / "a", SAFE_RUN)
    few = write(tmp_path / "few", once(*[S] * (MIN_PAIRS - 1)))
    assert f"only {MIN_PAIRS - 1} draws" in refusal(a, few)
    assert "both runs are" in refusal(a, tmp_path / "few" / ".." / "a")
    assert "does not exist" in refusal(a, tmp_path / "none")
    assert "margin" in refusal(a, few, margin=0.0)
    assert "alpha" in refusal(a, few, alpha=0.5)


def test_draws_of_other_variants_do_not_pair(tmp_path):
    other = [plan(n, "ab"[n % 2]) for n in range(40)]
    other[3] = plan(77, "b")
    a = write(tmp_path / "a", SAFE_RUN)
    b = write(tmp_path / "b", SAFE_RUN, plans=other)
    found = compare(a, b)
    assert (found.mutated.pairs, found.lost.differing) == (39, 1)
    assert any("different variants" in note for note in found.notes)


# --------------------------------------------------------------------------------- the command line


def holdfast(*words: object) -> Any:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> dict[str, Path]:
    """An earlier release that is safe, and a newer one that fails on a quarter of calls."""
    home = tmp_path_factory.mktemp("runs")
    options: dict[str, Any] = {"stop": "budget", "threshold": 0.45, "shrink_budget": 0}
    subjects: dict[str, Callable[[Variant], float]] = {
        "earlier": lambda _: 0.0,
        "newer": lambda variant: 0.25 if variant.distance else 0.0,
    }
    for name, rate in subjects.items():
        sweep(Organism(name, rate), [SEED], budget=150, out=home / name, **options)
    sweep(Organism("other", 0.0), [SEED], budget=10, seed=1, out=home / "other", **options)
    return {name: home / name for name in (*subjects, "other")}


def test_two_real_sweeps_draw_alike_and_the_newer_is_found_worse(swept):
    ran = holdfast("compare", swept["earlier"], swept["newer"])
    assert ran.exit_code == 1, ran.output
    assert ran.output.startswith("Worse: on average over D, B fails more often than A")
    assert max(map(len, ran.output.splitlines())) <= 80
    said = " ".join(ran.output.split())
    assert "Sign-flip test over" in said
    assert "Newly failing" in said
    found = compare(swept["earlier"], swept["newer"])
    assert found.lost.differing == 0
    assert 0 < found.mutated.lower < found.mutated.difference < found.mutated.upper
    with RunStore.read(swept["newer"]) as store:
        report = store.report()
    assert report is not None
    assert found.mutated.pairs == report.mutated.n  # every row of D, and no other


def test_the_other_way_round_it_is_no_worse_and_the_record_mirrors(swept):
    ran = holdfast("compare", swept["newer"], swept["earlier"], "--json")
    assert ran.exit_code == 0, ran.output
    back = Comparison.model_validate_json(ran.output)
    there = compare(swept["earlier"], swept["newer"])
    assert json.loads(ran.output)["verdict"] == back.verdict == "no_worse"
    assert back.mutated.difference == -there.mutated.difference
    assert (back.mutated.lower, back.mutated.upper) == pytest.approx(
        (-there.mutated.upper, -there.mutated.lower)
    )
    assert back.newly_passing_count == there.newly_failing_count


def test_a_refusal_is_one_sentence_and_exits_with_2(swept):
    ran = holdfast("compare", swept["earlier"], swept["other"])
    assert ran.exit_code == 2
    assert ran.output.count("\n") == 1
    assert ran.output.startswith("Error: the runs have different random seeds (0 and 1)")
    assert holdfast("compare", swept["earlier"]).exit_code == 2
    assert holdfast("compare", *swept.values(), "--margin", 0).exit_code == 2


def test_a_stop_that_outcomes_chose_is_told_and_hostile_names_are_made_plain(tmp_path):
    hostile = "\x1b[31mmodel\x1b[0m"
    a = write(tmp_path / "a", SAFE_RUN, stop="first")
    b = write(tmp_path / "b", once(*[H] * 12, *[S] * 28), told={"model": hostile})
    found = compare(a, b)
    said = text(found)
    assert "Betting confidence sequence over 40 paired draws, because what run A" in " ".join(
        said.split()
    )
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) <= 80
    assert "and 4 more; --json" in said
    assert sentence(found).startswith("Worse")


# ------------------------------------------------------------------------------------- estimators

differences = st.lists(st.builds(Fraction, st.integers(-4, 4), st.just(4)), min_size=1, max_size=12)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
def test_a_sign_flip_is_counted_as_every_flip_would(quarters):
    totals = [Fraction(quarter, 4) for quarter in quarters]
    found = sign_flip(totals)
    observed = sum(quarters)
    sums = [
        sum(sign * q for sign, q in zip(signs, quarters, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(quarters))
    ]
    assert found.exact
    assert found.worse == pytest.approx(sum(s >= observed for s in sums) / len(sums))
    same = sum(s == observed for s in sums) / len(sums)
    assert found.worse_mid == pytest.approx(found.worse - same / 2)
    mirrored = sign_flip([-t for t in totals])
    assert mirrored.better == pytest.approx(found.worse)
    assert found.worse + found.better == pytest.approx(1 + same)


def test_random_flips_agree_with_all_of_them_and_repeat(monkeypatch):
    totals = [Fraction(n % 7 - 2, 1 + n % 5) for n in range(40)]
    every = sign_flip(totals)
    monkeypatch.setattr(paired, "EXACT_WORK", 0)
    drawn = sign_flip(totals, seed=3)
    assert (every.exact, drawn.exact) == (True, False)
    assert drawn.worse == pytest.approx(every.worse, abs=0.015)
    assert drawn.better_mid == pytest.approx(every.better_mid, abs=0.015)
    assert drawn == sign_flip(totals, seed=3)
    assert min(drawn.worse, drawn.better) >= 1 / (paired.FLIPS + 1)


@given(differences, st.integers(0, 200))
def test_limits_enclose_the_mean_and_mirror(values, quiet):
    units = [Unit(value) for value in (*values, *[Fraction(0)] * quiet)]
    turned = [Unit(-value) for value, _ in units]
    found, back = fixed(units, 0.05), fixed(turned, 0.05)
    assert -1 <= found.lower <= found.mean <= found.upper <= 1
    assert (back.lower, back.upper) == pytest.approx((-found.upper, -found.lower))
    assert (found.worse, found.better) == (back.better, back.worse)
    assert not found.worse or found.lower >= 0
    bet = stopped([float(value) for value, _ in units], 0.05)
    assert -1 <= bet.lower <= bet.mean <= bet.upper <= 1


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.randoms())
def test_a_bet_asks_for_no_order_and_rises_with_its_null(values, rng):
    shuffled = values[:]
    rng.shuffle(shuffled)
    nulls = [-0.9, -0.3, 0.0, 0.01, 0.5, 0.95]
    logs = [betting_log_e(values, null) for null in nulls]
    assert logs == pytest.approx([betting_log_e(shuffled, null) for null in nulls])
    assert logs == sorted(logs)


@given(st.sampled_from([-0.5, 0.0, 0.01, 0.4]), st.integers(1, 3))
@settings(max_examples=20)
def test_a_bet_gains_nothing_on_average_at_its_null(null, n):
    """Exactly: over every sequence of a law on {-1, 0, 1} whose mean is the null."""
    for spread in (0.0, 0.3):
        up = max(0.0, null) + spread * (1 - abs(null)) / 2
        chances = {1.0: up, -1.0: up - null}
        chances[0.0] = 1 - sum(chances.values())
        mean = sum(
            np.exp(betting_log_e(values, null)) * np.prod([chances[v] for v in values])
            for values in itertools.product(chances, repeat=n)
        )
        assert mean == pytest.approx(1.0)


def test_mcnemar_is_the_binomial_test_of_its_pairs():
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(0, 0) == 1.0


def test_nothing_to_estimate_from_is_an_error():
    with pytest.raises(ValueError, match="no draw"):
        fixed([], 0.05)
    with pytest.raises(ValueError, match="no draw"):
        stopped([], 0.05)
    assert fixed_limits([], 0.05) == (-1.0, 1.0)


# ------------------------------------------------------------------------- how often it is wrong


def false_alarms(null: Any, epochs: int, replicates: int, draws: int = 150) -> float:
    generator = np.random.default_rng(epochs)
    rates = null(generator, 0.2, 1.0, (replicates, draws))
    totals = comparing.counted(generator, rates, epochs)
    return sum(sign_flip(row.tolist()).worse_mid <= 0.05 for row in totals) / replicates


@pytest.mark.parametrize("epochs", [1, 5, 20])
def test_the_sign_flip_test_errs_at_its_level(epochs):
    assert 0.03 <= false_alarms(comparing.shared, epochs, 500) <= 0.08


@pytest.mark.slow
@pytest.mark.parametrize("null", [comparing.shared, comparing.redrawn])
@pytest.mark.parametrize("epochs", [1, 5, 20])
def test_the_sign_flip_test_errs_between_4_and_6_percent(null, epochs):
    assert 0.03 <= false_alarms(null, epochs, 2000) <= 0.07  # 4 to 6, and two Monte-Carlo errors


@pytest.mark.slow
def test_a_lopsided_change_of_no_mean_is_the_worst_seen():
    """A few variants mended, most a little worse, many epochs: 8.5% at 150 draws, as is told."""
    assert 0.05 <= false_alarms(comparing.mended, 20, 1000) <= 0.11


@pytest.mark.parametrize(("mean", "epochs"), [(0.0, 1), (0.02, 1), (0.1, 1), (0.1, 5)])
def test_a_limit_at_a_fixed_number_errs_at_most_at_its_level(mean, epochs):
    """Also where A never fails and B fails on a few variants always: all skewness, no spread."""
    shift, replicates = 0.02, 400
    generator = np.random.default_rng([3, int(100 * mean), epochs])
    totals = comparing.counted(
        generator, comparing.risen(generator, mean, shift, (replicates, 300)), epochs
    )
    below = above = 0
    for row in totals.tolist():
        lower, upper = fixed_limits([Unit(Fraction(value, epochs)) for value in row], 0.05)
        below += upper < shift
        above += lower > shift
    assert max(below, above) / replicates <= 0.05 + 3 * (0.05 * 0.95 / replicates) ** 0.5


@pytest.mark.parametrize("epochs", [1, 5, 20])
def test_a_bet_peeked_at_after_every_draw_stays_below_its_level(epochs):
    replicates = 600
    generator = np.random.default_rng(epochs)
    rates = comparing.redrawn(generator, 0.2, 1.0, (replicates, 300))
    values = comparing.counted(generator, rates, epochs) / epochs
    assert comparing.ever(values, 0.0).mean() <= 0.05
    # The sequences are those of the estimator: at their ends the two agree.
    for row in values[:20]:
        assert comparing.ever(row[None, :], 0.0)[0] or betting_limits(row.tolist(), 0.05)[0] <= 0


def test_a_bet_finds_what_is_there():
    generator = np.random.default_rng(5)
    totals = comparing.counted(generator, comparing.risen(generator, 0.02, 0.1, (40, 300)), 1)
    assert sum(betting_limits(row, 0.05)[0] > 0 for row in totals.tolist()) >= 36


@pytest.mark.slow
def test_two_real_searches_that_fail_alike_are_seldom_called_different():
    """The number of draws depends on what failed, replays taking their place: measured here."""
    said = list(comparing.searched(300, budget=300))
    shares = [float(row.split()[3 if row.split()[0] == "budget" else 5]) for row in said[2:]]
    assert len(shares) == 4
    assert max(shares) <= 9.0  # percent of 300: 5, and three Monte-Carlo errors


def test_the_benchmark_prints_its_tables(monkeypatch):
    monkeypatch.setattr(comparing, "PROFILES", {"mean 20%": (0.2, 1.0)})
    told = [*comparing.type_one(2), *comparing.power(1), *comparing.margins(1)]
    titles = [row for row in told if "percent of" in row]
    assert [title.split()[0] for title in titles] == ["False", "Found", "'No"]
    assert len(told) == (2 + 12) + (2 + 12) + (2 + 16)
    assert max(map(len, told)) <= 90


def test_answers_that_are_lost_do_not_make_a_release_pass(tmp_path):
    write(tmp_path / "a", once(*[S] * 600))
    write(tmp_path / "b", once(*[S] * 510, *[U] * 90))
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found.mutated.upper < found.margin  # by what is left alone it would
    assert found.worst is not None
    assert found.worst.upper > found.margin
    assert (found.verdict, found.exit_code) == ("undetermined", 3)
    assert any("keep it from being no worse" in note for note in found.notes)
    assert found.mutated.at_most_b is not None
    assert 0 < found.mutated.at_most_b < 0.02
    assert "0, <=" in text(found)
