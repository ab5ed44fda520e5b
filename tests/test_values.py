"""Values on planted outcomes: exact without noise, rarely wrong with it, never a blind answer."""

import asyncio
import math
import random
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.reducing import valuing
from benchmarks.reducing.valuing import WORLDS, Planted, said, step
from fuzzer.certificate import Outcome
from fuzzer.distribution import Distribution
from fuzzer.judges.rules import RulesJudge
from fuzzer.subjects.organisms import Organism
from fuzzer.transform import Plan, Step
from fuzzer.values import (
    PoolValues,
    Steps,
    ValueConfig,
    ValueProposal,
    ValueResult,
    ValueShrinker,
    ValueSource,
)
from fuzzer.variant import Variant
from mutators import CATALOGUE
from seeds import load_seed

Tell = Callable[[ValueProposal], Outcome]


def drive(shrinker: ValueShrinker, tell: Tell, at_once: int = 8) -> ValueResult:
    """Run to the end."""
    while not shrinker.done:
        for call in shrinker.ask(at_once):
            shrinker.tell(call.index, tell(call))
    return shrinker.result()


def coin(rate: Callable[[Steps], float], rng: random.Random) -> Tell:
    return lambda call: "harmful" if rng.random() < rate(call.steps) else "safe"


def always(fails: Callable[[Steps], bool]) -> Tell:
    return lambda call: "harmful" if fails(call.steps) else "safe"


ONE = Planted({"draw": range(30)}, 30, random.Random(1))


def searching(
    found: Steps | None = None, source: ValueSource = ONE, calls: int = 6, **config: float
) -> ValueShrinker:
    """A search for simpler values of what failed in each of so many calls."""
    found = found or (step("a", {"draw": 17}),)
    return ValueShrinker(ValueConfig.model_validate(config), found, source, calls, calls)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(WORLDS)),
    seed=st.integers(0, 2**32),
    batch=st.integers(1, 8),
    calls=st.integers(4, 20),
)
def test_without_noise_the_answer_is_always_exact(name, seed, batch, calls):
    world = WORLDS[name](random.Random(seed))
    shrinker = ValueShrinker(
        ValueConfig(budget=400, batch=batch), world.found, world.source, calls, calls
    )
    result = drive(shrinker, always(world.fails))
    assert world.right(result)
    assert world.fails(result.steps)
    assert result.state == ("certified" if result.changed else "unchanged")


@pytest.mark.parametrize(("p", "most"), [(1.0, 10), (0.5, 40)])
@pytest.mark.parametrize("name", ["any value", "any values, 2 steps"])
def test_where_any_value_will_do_few_calls_tell(name, p, most):
    runs = [valuing.replicate(name, p, number) for number in range(40)]
    calls = sorted(run.result.calls_search for run in runs)
    assert calls[len(calls) // 2] <= most
    assert sum(run.right for run in runs) >= 36


@pytest.mark.parametrize("name", ["one of 30 values", "one locale, any draw", "from m on, of 24"])
def test_under_noise_the_answer_is_mostly_right(name):
    runs = [valuing.replicate(name, 0.5, number) for number in range(14)]
    assert sum(run.right for run in runs) >= 13
    assert sum(run.false for run in runs) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("p", [1.0, 0.5])
@pytest.mark.parametrize("name", sorted(WORLDS))
def test_under_noise_the_answer_is_right_in_nearly_all_of_400_replicates(name, p):
    runs = [valuing.replicate(name, p, number) for number in range(400)]
    assert sum(run.right for run in runs) >= 0.95 * 400
    assert sum(run.false for run in runs) <= 0.05 * 400


@pytest.mark.parametrize("replicates", [40, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("rate", "wrong"), [(0.35, "any value"), (0.45, "this value only"), (0.4, "any value")]
)
def test_a_claim_on_other_values_errs_at_most_at_its_level_however_often_one_looks(
    rate, wrong, replicates
):
    """The values found fail at .8; all others, the default too, on one side of the cut of .4."""
    found = (step("a", {"draw": 17}),)
    claims = 0
    for replicate in range(replicates):
        rng = random.Random(f"{rate} {replicate}")
        config = ValueConfig(budget=60, cut=0.4, batch=8)
        shrinker = ValueShrinker(config, found, ONE, 16, 20)
        result = drive(shrinker, coin(lambda steps: 0.8 if steps == found else rate, rng))
        claims += result.rows[0].verdict == wrong
    assert claims <= 0.05 * replicates


def test_the_interval_of_other_values_holds_their_mean_rate():
    """Half of the values fail, at .8: the mean over the pool without the one found."""
    source = Planted({"draw": range(40)}, 40, random.Random(2))
    found = (Step(transform="a", params=source.pool[1]),)

    def rate(steps: Steps) -> float:
        return 0.8 if steps == found or (steps and steps[0].params["draw"] % 2 == 0) else 0.0

    others = [rate((each,)) for each in source.others(found[0]) if each != found[0]]
    mean = sum(others) / len(others)
    misses = tried = 0
    for replicate in range(60):
        rng = random.Random(f"interval {replicate}")
        shrinker = ValueShrinker(ValueConfig(budget=80, cut=0.3), found, source, 16, 20)
        row = drive(shrinker, coin(rate, rng)).rows[0]
        tried += row.n > 0
        misses += row.n > 0 and not row.ci[0] <= mean <= row.ci[1]
    assert tried == 60
    assert misses <= 0.05 * 60


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(WORLDS)),
    seed=st.integers(0, 2**32),
    share=st.floats(0, 1),
    batch=st.integers(1, 6),
)
def test_blind_steps_are_never_the_answer_nor_asked_again(name, seed, share, batch):
    world = WORLDS[name](random.Random(seed))

    def blind(steps: Steps) -> bool:
        chosen = random.Random(f"{seed} {[each.key for each in steps]}").random() < share
        return chosen and steps != world.found

    shrinker = ValueShrinker(ValueConfig(batch=batch), world.found, world.source, 6, 6)
    told: list[Steps] = []
    while not shrinker.done:
        round_ = shrinker.ask(batch)
        assert not {call.steps for call in round_} & set(told)
        for call in round_:
            if blind(call.steps):
                told.append(call.steps)
            shrinker.tell(
                call.index,
                "blind" if blind(call.steps) else "harmful" if world.fails(call.steps) else "safe",
            )
    result = shrinker.result()
    assert not blind(result.steps)
    assert world.fails(result.steps)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(sorted(WORLDS)),
    seed=st.integers(0, 2**32),
    stop=st.integers(0, 120),
    p=st.sampled_from([1.0, 0.5, 0.2]),
    unusable=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_an_interrupt_at_any_call_leaves_a_valid_result(name, seed, stop, p, unusable):
    rng = random.Random(seed)
    world = WORLDS[name](rng)
    shrinker = ValueShrinker(ValueConfig(budget=80), world.found, world.source, 9, 12)
    for _ in range(stop):
        for call in shrinker.ask(1):
            lost = rng.random() < unusable
            harmful = rng.random() < (p if world.fails(call.steps) else 0.001)
            shrinker.tell(call.index, "unusable" if lost else "harmful" if harmful else "safe")
    result = shrinker.result()
    assert (result.state == "interrupted") is not shrinker.done
    assert result.certified is (result.state == "certified")
    assert result.changed is (result.steps != world.found)
    assert result.calls_search + result.calls_certificate <= min(stop, 80)
    for one, row in zip(world.found, result.rows, strict=True):
        assert row.found == one.params
        assert set(row.matter) <= set(row.found)
        assert row.harmful <= row.n
        drawn = [(row.n, row.harmful, row.ci), *((f.n, f.harmful, f.ci) for f in row.fields)]
        for n, failed, (low, high) in drawn:
            assert 0 <= low <= high <= 1
            assert n == 0 or low <= failed / n <= high + 1e-9
    assert ValueResult.model_validate_json(result.model_dump_json()) == result
    if unusable == 1.0:
        assert not result.changed
        assert all(row.verdict == "open" for row in result.rows)


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(sorted(WORLDS)),
    seed=st.integers(0, 2**32),
    budgets=st.tuples(st.integers(0, 90), st.integers(0, 90)),
)
def test_a_larger_budget_goes_on_where_a_smaller_one_ended(name, seed, budgets):
    def calls(budget: int) -> list[ValueProposal]:
        world = WORLDS[name](random.Random(seed))
        shrinker = ValueShrinker(ValueConfig(budget=budget), world.found, world.source, 9, 12)
        made: list[ValueProposal] = []
        while not shrinker.done:
            for call in shrinker.ask(4):
                made.append(call)
                odds = 0.6 if world.fails(call.steps) else 0.001
                harmful = random.Random(f"{seed} {call.index}").random() < odds
                shrinker.tell(call.index, "harmful" if harmful else "safe")
        return made

    few, many = sorted(budgets)
    made = calls(few)
    assert len(made) <= few
    assert calls(many)[: len(made)] == made


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(sorted(WORLDS)), seed=st.integers(0, 2**32), batch=st.integers(1, 9))
def test_order_of_completion_and_number_in_flight_change_nothing(name, seed, batch):
    def run(most: int, rng: random.Random) -> tuple[list[ValueProposal], ValueResult]:
        world = WORLDS[name](random.Random(seed))
        config = ValueConfig(budget=80, batch=batch)
        shrinker = ValueShrinker(config, world.found, world.source, 9, 12)
        asked: list[ValueProposal] = []
        waiting: list[ValueProposal] = []
        while not shrinker.done:
            new = shrinker.ask(rng.randint(0, most))
            asked += new
            waiting += new
            rng.shuffle(waiting)
            for _ in range(rng.randint(0, len(waiting))):
                call = waiting.pop()
                odds = 0.6 if world.fails(call.steps) else 0.001
                harmful = random.Random(f"{seed} {call.index}").random() < odds
                shrinker.tell(call.index, "harmful" if harmful else "safe")
        assert [call.index for call in asked] == list(range(len(asked)))
        return asked, shrinker.result()

    in_order = run(1, random.Random(0))
    assert run(16, random.Random(1)) == in_order


def test_every_call_of_the_same_steps_is_another_epoch():
    shrinker = searching()
    seen = set()
    while not shrinker.done:
        for call in shrinker.ask(4):
            assert (call.steps, call.epoch) not in seen
            seen.add((call.steps, call.epoch))
            assert call.epoch == 0 or (call.steps, call.epoch - 1) in seen
            shrinker.tell(call.index, "harmful" if call.steps else "safe")


def test_values_that_fresh_calls_contradict_are_given_up_for_those_found():
    """The default fails in its first calls, and never in those of the certificate."""
    found = (step("a", {"draw": 17}),)

    def tell(call: ValueProposal) -> Outcome:
        lucky = call.steps == (ONE.default(found[0]),) and call.purpose == "search"
        return "harmful" if call.steps == found or lucky else "safe"

    result = drive(searching(), tell)
    assert result.calls_certificate > 0
    assert (result.steps, result.changed, result.certified) == (found, False, False)
    assert result.rate is None


def test_a_step_that_the_simpler_values_can_do_without_refutes_them():
    """At the default of `b` the plan fails without `a`: what was found is minimal, that is not."""
    found = (step("a", {"draw": 17}), step("b", {"draw": 3}))

    def fails(steps: Steps) -> bool:
        return steps == found or (bool(steps) and steps[-1] == step("b", {"draw": 0}))

    result = drive(searching(found, budget=200), always(fails))
    assert result.calls_certificate > 0
    assert (result.steps, result.certified) == (found, False)


def test_a_later_attempt_on_a_finding_may_err_less():
    def alpha(attempts: int) -> float:
        config = ValueConfig(alpha=0.06)
        return ValueShrinker(config, (), ONE, 4, 4, attempts).result().alpha

    assert [alpha(attempts) for attempts in (0, 1, 2)] == pytest.approx([0.03, 0.01, 0.005])


@pytest.mark.parametrize("attempts", [0, 1, 4])
def test_what_earlier_attempts_cost_is_taken_off_the_e_value(attempts):
    """Weights 1 / (a (a + 1)) over all attempts on a finding keep its e-value one."""
    steps = (step("a", {"draw": 17}),)
    shrinker = ValueShrinker(ValueConfig(), steps, ONE, 6, 6, attempts)
    result = drive(shrinker, always(lambda kept: bool(kept)))
    assert result.certified
    needed = math.log(1 / shrinker.config.alpha)
    assert needed <= result.log_e <= needed + 1  # it stopped at the call that sufficed


def test_a_step_of_one_value_only_asks_for_nothing():
    class Fixed(Planted):
        def default(self, step: Step) -> Step:
            return Step(transform=step.transform)

    result = drive(
        searching((Step(transform="sham"),), Fixed({}, 1, random.Random(0))), always(bool)
    )
    assert result.calls_search == 0
    assert (result.rows[0].verdict, result.state) == ("any value", "unchanged")


def test_no_budget_no_calls():
    shrinker = searching(budget=0)
    assert shrinker.done
    assert shrinker.ask(4) == []
    result = shrinker.result()
    assert (result.state, result.rows[0].verdict) == ("unresolved within budget", "open")
    assert result.rows[0].ci == (0.0, 1.0)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValidationError, match=r"cut=0.005 must not lie below threshold=0.01"):
        ValueConfig(cut=0.005)
    with pytest.raises(ValueError, match="failures=3 must lie between 0 and calls=2"):
        ValueShrinker(ValueConfig(), (), ONE, 3, 2)
    shrinker = searching()
    with pytest.raises(ValueError, match="Proposal 0 is not waiting"):
        shrinker.tell(0, "safe")


# ---------------------------------------------------------------------------- the real catalogue

SOURCE = PoolValues(CATALOGUE, CATALOGUE.pools)


def test_numbers_have_an_order_and_words_have_none():
    def towards(name: str, field: str, value: object) -> list[object]:
        return list(SOURCE.towards(Step(transform=name, params={field: value}), field))

    assert towards("add_unrelated_mails", "count", 4) == [1, 2, 3, 4]
    assert towards("rewrap_mails", "width", 70) == [72, 71, 70]
    assert towards("flood_inbox", "count", 20) == [9, 12, 16, 20]
    assert towards("rename_people", "locale", "ja_JP") == ["en_US", "ja_JP"]
    assert towards("sign_mails", "varied", True) == [False, True]


def test_every_transform_with_a_pool_has_its_default_and_every_value_in_it():
    for name, pool in CATALOGUE.pools.items():
        default = SOURCE.default(Step(transform=name))
        assert default in SOURCE.others(default)
        for each in pool[:8]:
            assert set(each.params) == set(default.params)
            for field in default.params:
                ladder = SOURCE.towards(each, field)
                assert (ladder[0], ladder[-1]) == (default.params[field], each.params[field])


SEED = load_seed("blackmail-replacement")


@cache
def distribution() -> Distribution:
    return Distribution(CATALOGUE, [SEED], CATALOGUE.pools, RulesJudge().decide)


def organism(fails: Callable[[Plan], float]) -> Tell:
    """What a planted subject does, judged by the rules; blind where a value does nothing."""
    subject = Organism("planted", lambda variant: fails(variant.plan))
    judge = RulesJudge()

    def tell(call: ValueProposal) -> Outcome:
        plan = CATALOGUE.ordered(SEED.name, call.steps)
        if CATALOGUE.applied(SEED, plan) is None:
            return "blind"
        if not distribution().admissible(SEED.name, plan):
            return "blind"
        variant: Variant = distribution().variant(SEED.name, plan)
        verdict = judge.decide(variant, asyncio.run(subject.act(variant, call.epoch)))
        assert verdict.value in ("harmful", "safe")
        return "harmful" if verdict.value == "harmful" else "safe"

    return tell


def params_of(plan: Plan, name: str) -> dict[str, object]:
    return next((each.params for each in plan.steps if each.transform == name), {})


def test_any_japanese_name_is_told_from_this_one():
    pool = CATALOGUE.pools["rename_people"]
    found = next(each for each in pool if each.params["locale"] == "ja_JP" and each.params["draw"])
    shrinker = ValueShrinker(ValueConfig(), (found,), SOURCE, 6, 6)
    tell = organism(lambda plan: params_of(plan, "rename_people").get("locale") == "ja_JP")
    result = drive(shrinker, tell, 4)
    (row,) = result.rows
    assert (row.simplest["locale"], row.simplest["draw"]) == ("ja_JP", 0)
    assert said(result, "some values", "locale")
    verdicts = {each.name: each.verdict for each in row.fields}
    assert (verdicts["locale"], verdicts["draw"]) == ("this value only", "any value")
    assert result.state == "certified"


def test_a_count_is_lowered_to_where_it_starts_to_fail_beside_a_step_of_any_value():
    mails = Step(transform="add_unrelated_mails", params={"count": 7, "start": 31})
    dates = Step(transform="restyle_dates", params={"dates": "long", "zone": "GMT"})

    def fails(plan: Plan) -> float:
        enough = int(str(params_of(plan, "add_unrelated_mails").get("count", 0))) >= 4
        return 0.9 if enough and params_of(plan, "restyle_dates") else 0.0

    shrinker = ValueShrinker(ValueConfig(budget=200), (mails, dates), SOURCE, 9, 10)
    result = drive(shrinker, organism(fails), 4)
    assert result.steps[0].params == {"count": 4, "start": 0}
    assert result.steps[1] == CATALOGUE.default_step("restyle_dates")
    assert [row.verdict for row in result.rows] == ["some values", "any value"]
    assert result.rows[0].matter == ("count",)
    assert next(each for each in result.rows[0].fields if each.name == "count").stops
    assert result.certified
