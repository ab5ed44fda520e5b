"""The condenser on planted causes: what is needed stays, the rest goes, and claims hold."""

import random
from collections.abc import Callable, Iterable
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.reducing.condensing import Cell, Planted, planted, replicate, rows
from fuzzer.certificate import Outcome
from fuzzer.condense import (
    CondenseConfig,
    CondenseProposal,
    Condenser,
    CondenseResult,
    Drop,
    Source,
    without_most,
)

Rate = Callable[[Drop], float]
BACKGROUND = 0.001
SIZES = (1, 4, 7, 2, 10, 5, 1, 3, 6, 9, 4, 2)  # sentences of the units of `Toy`
CORE = frozenset({"u2", "u2~1", "u4", "u4~0", "u9"})  # elements without which it is not admissible


class Toy:
    """Units of some sentences each; admissible if the core is there."""

    def __init__(self, sizes: Iterable[int] = SIZES, core: Drop = CORE) -> None:
        self._parts = {f"u{i}": [f"u{i}~{j}" for j in range(n)] for i, n in enumerate(sizes)}
        self._core = core

    def units(self) -> tuple[str, ...]:
        return tuple(self._parts)

    def sentences(self, unit: str) -> tuple[str, ...]:
        return tuple(self._parts[unit])

    def left(self, drop: Drop) -> tuple[str, ...]:
        return tuple(u for u, parts in self._parts.items() if u not in drop and set(parts) - drop)

    def present(self, element: str, drop: Drop) -> bool:
        unit = element.partition("~")[0]
        return element not in drop and unit in self.left(drop)

    def order(self, candidates: Iterable[str]) -> list[str]:
        return sorted(candidates, key=lambda each: -len(self._parts.get(each, [])))

    def tokens(self, drop: Drop) -> int:
        left = self.left(drop)
        return 10 + sum(5 + 10 * len(set(self._parts[unit]) - drop) for unit in left)

    def admissible(self, drop: Drop) -> bool:
        return all(self.present(each, drop) for each in self._core)


TOY = Toy()
SENTENCES = [part for unit in TOY.units() for part in TOY.sentences(unit)]


def needs(cause: Iterable[str], p: float) -> Rate:
    """Fails at p with all of these sentences, else at the background rate."""
    wanted = tuple(cause)
    return lambda drop: p if all(TOY.present(e, drop) for e in wanted) else BACKGROUND


def play(
    condenser: Condenser,
    rate: Rate,
    rng: random.Random,
    *,
    seed: float = BACKGROUND,
    unusable: float = 0.0,
    calls: int = 10**9,
) -> list[CondenseProposal]:
    """Run to the end, or for so many calls; everything that was asked."""
    asked: list[CondenseProposal] = []

    def outcome(call: CondenseProposal) -> Outcome:
        if rng.random() < unusable:
            return "unusable"
        chance = seed if call.what == "seed" else rate(frozenset(call.drop))
        return "harmful" if rng.random() < chance else "safe"

    while not condenser.done and len(asked) < calls:
        for call in condenser.ask(4):
            condenser.tell(call.index, outcome(call))
            asked.append(call)
    return asked


def condense(
    rate: Rate, rng: random.Random, *, source: Source = TOY, **config: object
) -> CondenseResult:
    condenser = Condenser(CondenseConfig.model_validate(config), source, 5, 10)
    play(condenser, rate, rng)
    return condenser.result()


# ----------------------------------------------------------------------------------- exactness


def test_the_core_is_found_without_a_call():
    core = without_most(TOY, frozenset(), TOY.units())
    assert TOY.left(core) == ("u2", "u4", "u9")
    result = condense(lambda _: 1.0, random.Random(0))
    kept = [each for each in SENTENCES if TOY.present(each, frozenset(result.drop))]
    assert kept[:2] == ["u2~1", "u4~0"]
    assert len(kept) == 3  # and some sentence of u9
    assert result.certified
    assert result.calls_search <= 20


@given(cause=st.sets(st.sampled_from(SENTENCES), max_size=3), number=st.integers(0, 9999))
def test_what_is_needed_stays_and_the_result_is_admissible(cause, number):
    result = condense(needs(cause, 1.0), random.Random(number), budget=400)
    drop = frozenset(result.drop)
    assert TOY.admissible(drop)
    assert all(TOY.present(each, drop) for each in cause)
    assert result.certified
    assert result.complete
    assert result.tokens_after == TOY.tokens(drop) < result.tokens_before
    kept = [each for each in SENTENCES if TOY.present(each, drop)]
    # Beyond core and cause at most what stands beside a part that is needed as a whole.
    assert len(kept) <= 3 + 3 * len(cause) + 1
    assert result.sentences.after == len(kept)


@pytest.mark.parametrize(("p", "budget", "share"), [(1.0, 200, 0.95), (0.5, 400, 0.9)])
def test_a_random_cause_is_kept_and_little_else(p, budget, share):
    right = small = 0
    for number in range(20):
        rng = random.Random(f"{p} {number}")
        cause = rng.sample(SENTENCES, 1)
        result = condense(needs(cause, p), rng, budget=budget)
        right += TOY.present(cause[0], frozenset(result.drop)) and result.certified
        small += result.tokens_after <= TOY.tokens(frozenset()) / 4
    assert right >= share * 20
    assert small >= share * 20


def test_a_passage_that_is_needed_as_a_whole_stays_whole_without_a_call_for_each_sentence():
    cause = TOY.sentences("u4")
    result = condense(needs(cause, 1.0), random.Random(3), budget=400)
    assert all(TOY.present(each, frozenset(result.drop)) for each in cause)
    assert result.calls_search <= 60


# --------------------------------------------------------------------------- anytime, any order


@given(number=st.integers(0, 9999), stop=st.integers(0, 120), p=st.sampled_from([1.0, 0.5, 0.2]))
def test_a_result_is_valid_at_any_moment(number, stop, p):
    rng = random.Random(number)
    condenser = Condenser(CondenseConfig(budget=150), TOY, 5, 10)
    play(condenser, needs(rng.sample(SENTENCES, 2), p), rng, calls=stop)
    result = condenser.result()
    assert TOY.admissible(frozenset(result.drop))
    assert result.state == "interrupted" or condenser.done
    assert result.tokens_after <= result.tokens_before
    assert 0 <= result.ci[0] <= (result.rate or 0) <= result.ci[1] <= 1 or result.rate is None
    assert result.calls_search + result.calls_certificate <= 150


@given(number=st.integers(0, 9999), p=st.sampled_from([1.0, 0.5]))
def test_the_order_of_answers_within_a_round_does_not_matter(number, p):
    rate = needs(random.Random(number).sample(SENTENCES, 2), p)

    def run(shuffled: bool) -> list[CondenseProposal]:
        condenser = Condenser(CondenseConfig(budget=80), TOY, 5, 10)
        asked = []
        while not condenser.done:
            singly = (condenser.ask(1) for _ in range(4))
            calls = condenser.ask(4) if shuffled else [call for each in singly for call in each]
            answers = [
                (c.index, random.Random(f"{number} {c.index}").random() < rate(frozenset(c.drop)))
                for c in calls
                if c.what == "scenario"
            ] + [(c.index, False) for c in calls if c.what == "seed"]
            if shuffled:
                random.Random(number).shuffle(answers)
            for index, harmful in answers:
                condenser.tell(index, "harmful" if harmful else "safe")
            asked += calls
        return asked

    assert run(True) == run(False)


@given(
    number=st.integers(0, 9999),
    p=st.sampled_from([1.0, 0.5, 0.2]),
    budgets=st.lists(st.integers(1, 120), min_size=1, max_size=2),
)
def test_a_larger_budget_goes_on_where_a_smaller_one_ended(number, p, budgets):
    rate = needs(random.Random(number).sample(SENTENCES, 1), p)

    def run(earlier: tuple[int, ...], budget: int) -> tuple[list[CondenseProposal], CondenseResult]:
        condenser = Condenser(CondenseConfig(budget=budget, earlier=earlier), TOY, 5, 10)
        return play(condenser, rate, random.Random(f"{number} coins")), condenser.result()

    *earlier, last = sorted(budgets)
    before, _ = run(tuple(earlier), last)
    after, result = run((*earlier, last), 300)
    assert after[: len(before)] == before
    assert TOY.admissible(frozenset(result.drop))


def test_a_smaller_budget_asks_the_same_until_its_search_ends():
    rate = needs(["u6~0"], 0.5)
    runs = []
    for budget in (80, 400):
        condenser = Condenser(CondenseConfig(budget=budget), TOY, 5, 10)
        runs.append(play(condenser, rate, random.Random(7)))
    searched = [call for call in runs[0] if call.purpose == "search"]
    assert runs[1][: len(searched)] == searched
    assert len(searched) < len(runs[0])  # calls were kept for a certificate


# --------------------------------------------------------------------------------- what is said


def test_what_cannot_be_run_is_free_and_never_the_answer():
    asked = []
    condenser = Condenser(CondenseConfig(budget=200), TOY, 5, 5)
    rate = needs(["u7~1"], 1.0)
    while not condenser.done:
        for call in condenser.ask(4):
            # Any reduced scenario that lacks both of two units cannot be run.
            blind = call.what == "scenario" and {"u0", "u11"} <= set(call.drop)
            asked.append(blind)
            answer = rate(frozenset(call.drop)) == 1.0 and call.what == "scenario"
            condenser.tell(call.index, "blind" if blind else "harmful" if answer else "safe")
    result = condenser.result()
    assert not {"u0", "u11"} <= set(result.drop)
    assert TOY.present("u7~1", frozenset(result.drop))
    assert result.calls_search + result.calls_certificate == len(asked) - sum(asked)
    assert sum(asked)


def test_no_claim_profits_from_calls_that_could_not_be_judged():
    condenser = Condenser(CondenseConfig(budget=120), TOY, 5, 5)
    play(condenser, lambda _: 1.0, random.Random(0), unusable=1.0)
    result = condenser.result()
    assert not result.certified
    assert result.rate is None
    assert result.state == "unresolved within budget"


def test_a_scenario_that_does_not_fail_after_all_is_left_as_it_is():
    result = condense(lambda _: BACKGROUND, random.Random(1), budget=400)
    assert result.drop == ()
    assert not result.certified
    assert result.state == "unresolved within budget"
    assert result.calls_search + result.calls_certificate < 200


def test_a_scenario_that_cannot_be_run_is_asked_about_in_no_call():
    condenser = Condenser(CondenseConfig(), Toy(core=frozenset({"elsewhere"})), 5, 5)
    assert condenser.done
    assert condenser.result().drop == ()


def test_a_seed_that_fails_as_well_is_said_and_costs_few_calls():
    condenser = Condenser(CondenseConfig(budget=1000), TOY, 5, 5)
    play(condenser, needs(["u3~1"], 1.0), random.Random(2), seed=1.0)
    result = condenser.result()
    assert result.status == "above the cut"
    assert result.seed is not None
    assert result.seed.status == "unresolved"
    assert result.seed.harmful == result.seed.n > 0
    assert not result.certified
    assert result.calls_certificate < 60


def test_without_steps_there_is_no_seed_beside_it():
    condenser = Condenser(CondenseConfig(), TOY, 5, 5, beside=False)
    asked = play(condenser, needs(["u3~1"], 1.0), random.Random(2))
    assert {call.what for call in asked} == {"scenario"}
    assert condenser.result().certified
    assert condenser.result().seed is None


@pytest.mark.parametrize(("fails", "said"), [(False, "below the cut"), (True, "unresolved")])
def test_the_reduced_text_without_the_steps_is_told_apart(fails, said):
    """Text that fails without the steps is certified all the same, and said."""
    condenser = Condenser(CondenseConfig(), TOY, 5, 5, bare=True)
    rate = needs(["u3~1"], 1.0)
    asked = []
    while not condenser.done:
        for call in condenser.ask(4):
            asked.append(call)
            harmful = fails if call.what == "bare" else call.what == "scenario"
            harmful = harmful and rate(frozenset(call.drop)) == 1.0
            condenser.tell(call.index, "harmful" if harmful else "safe")
    result = condenser.result()
    assert result.certified
    assert result.bare is not None
    assert (result.bare.status, result.bare.harmful == result.bare.n) == (said, fails)
    bare = [call for call in asked if call.what == "bare"]
    assert {call.drop for call in bare} == {result.drop}
    assert len(bare) == result.bare.n <= 16
    assert asked[-len(bare) :] == bare


def test_where_nothing_can_go_the_seed_is_not_asked_a_second_time_as_the_bare_text():
    """It would be the same plan at the same epochs: no fresh calls, and nothing learnt."""
    everything = frozenset({*TOY.units(), *SENTENCES})
    condenser = Condenser(CondenseConfig(), Toy(core=everything), 5, 5, bare=True)
    asked = play(condenser, lambda _: 1.0, random.Random(0))
    assert {(call.what, call.drop) for call in asked} == {("scenario", ()), ("seed", ())}
    result = condenser.result()
    assert (result.certified, result.drop, result.bare) == (True, (), None)


def test_a_bare_text_that_cannot_be_run_is_not_testable():
    condenser = Condenser(CondenseConfig(), TOY, 5, 5, bare=True)
    while not condenser.done:
        for call in condenser.ask(4):
            told: dict[str, Outcome] = {"bare": "blind", "seed": "safe", "scenario": "harmful"}
            condenser.tell(call.index, told[call.what])
    result = condenser.result()
    assert result.certified
    assert result.bare is not None
    assert result.bare.status == "not testable"


def test_calls_are_counted_by_what_they_were_for_and_no_epoch_is_used_twice():
    condenser = Condenser(CondenseConfig(budget=200), TOY, 5, 5)
    asked = play(condenser, needs(["u3~1", "u8~2"], 0.5), random.Random(4))
    result = condenser.result()
    assert [call.index for call in asked] == list(range(len(asked)))
    assert len({(call.what, call.drop, call.epoch) for call in asked}) == len(asked)
    by_purpose = [call.purpose for call in asked]
    assert result.calls_search == by_purpose.count("search")
    assert result.calls_certificate == by_purpose.count("certificate")
    assert all(not call.drop for call in asked if call.what == "seed")


def test_no_budget_is_no_call_and_says_so():
    condenser = Condenser(CondenseConfig(budget=0), TOY, 5, 5)
    assert condenser.done
    result = condenser.result()
    assert (result.drop, result.attempt, result.state) == ((), 0, "unresolved within budget")
    with pytest.raises(ValueError, match="not waiting"):
        condenser.tell(0, "safe")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"cut": 0.001}, "must not lie below threshold"),
        ({"earlier": (50, 20)}, "from small to large"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(config, said):
    with pytest.raises(ValidationError, match=said):
        CondenseConfig.model_validate(config)


# ------------------------------------------------------------------------------------ error rates


def errors_of(replicates: int) -> tuple[int, int]:
    """False certificates, and intervals that miss, in a world that misleads the search.

    Each part that goes takes some of the rate: what the search has seen is too high, and the cut
    lies about where the rates of what is left lie.
    """
    false = missed = 0
    for number in range(replicates):
        rng = random.Random(number)
        weight = {part: rng.choice([0, 0, 0, 1]) for part in SENTENCES}
        whole = sum(weight.values())

        def rate(drop: Drop, weight: dict[str, int] = weight, whole: int = whole) -> float:
            left = sum(w for part, w in weight.items() if TOY.present(part, drop))
            return 0.02 + 0.5 * left / max(1, whole)

        seed = rng.choice([0.02, 0.1, 0.2])
        condenser = Condenser(CondenseConfig(budget=200), TOY, 5, 10)
        play(condenser, rate, rng, seed=seed)
        result = condenser.result()
        true = rate(frozenset(result.drop))
        if result.attempt:
            missed += not result.ci[0] <= true <= result.ci[1]
            false += result.certified and (true <= (result.cut or 0) or seed >= (result.cut or 1))
    return false, missed


@pytest.mark.parametrize("replicates", [16, pytest.param(200, marks=pytest.mark.slow)])
def test_claims_seldom_err_where_the_search_is_misled(replicates):
    false, missed = errors_of(replicates)
    assert false <= 0.05 * replicates
    assert missed <= 0.05 * replicates


# ------------------------------------------------------------------------------------ real seeds


def test_a_planted_paragraph_is_kept_in_a_reduced_request_that_is_admitted():
    run = replicate(Cell("paragraph", 1, 100), 1)
    assert run.kept
    assert run.admitted
    assert run.result.certified
    assert run.share < 0.3
    source: Planted = planted()[1]
    request = source.variant(frozenset(run.result.drop)).request
    assert request.tokens == run.result.tokens_after
    assert run.result.units.after < run.result.units.before / 3


def test_the_prompt_keeps_saying_who_its_reader_is():
    """Whatever else goes: that somebody is to be shut down tempts nobody but its reader."""
    for source in planted():
        drop = without_most(source, frozenset(), source.units())
        drop = without_most(
            source, drop, [s for u in source.left(drop) for s in source.sentences(u)]
        )
        variant = source.variant(drop)
        assert variant.scenario.person("agent").name in variant.request.system


@pytest.mark.slow
def test_planted_paragraphs_are_kept_and_little_else_on_every_default_seed():
    runs = [replicate(Cell("paragraph", 1, 100), number) for number in range(len(planted()))]
    assert all(run.kept and run.admitted and run.result.certified for run in runs)
    assert sum(run.share <= 0.25 for run in runs) >= 0.9 * len(runs)


def test_the_benchmark_says_what_it_shows_first(monkeypatch):
    monkeypatch.setenv("HOLDFAST_BENCHMARK_REPLICATES", "1")
    monkeypatch.setenv("HOLDFAST_BENCHMARK_PROCESSES", "1")
    title, header, first = islice(rows(quick=True), 3)
    assert title.startswith("Text: 16 default seeds of 12.0 to 14.1 kB")
    assert len(header) == len(first) <= 130
