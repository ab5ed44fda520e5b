"""Neighbours and epochs: several failures are found, and what finds them proves nothing."""

import random
from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.detecting.several import disjoint, findings
from benchmarks.detecting.worlds import Cause, Need, failing, two_dozen, whole
from fuzzer import sweep
from fuzzer.accounts import Accounts
from fuzzer.decision import Rules
from fuzzer.distribution import Distribution
from fuzzer.graph import Catalogue
from fuzzer.judges.rules import RulesJudge
from fuzzer.outline import Outline, contains
from fuzzer.preparation import choose_pools
from fuzzer.proposal import D_STRATA, Outcome, Proposal
from fuzzer.reviewing import conclude_again
from fuzzer.search import Search
from fuzzer.store import RunStore
from fuzzer.subjects.organisms import Organism
from fuzzer.transform import Plan
from fuzzer.variant import Variant
from mutators import CATALOGUE
from seeds import load_seed

SAFE, HARMFUL = Outcome("safe"), Outcome("harmful")
relaxed = settings(deadline=None, max_examples=12)


def world(number: int, p: float = 1.0) -> tuple[Outline, tuple[Cause, ...]]:
    outline = two_dozen()
    outline.random_seed = number
    return outline, disjoint(outline, 1, p, random.Random(number))


def told(proposal: Proposal, rate: Any, number: int) -> Outcome:
    """An outcome as a function of index and plan alone."""
    luck = random.Random(f"{number} {proposal.index}").random()
    return HARMFUL if luck < rate(proposal.seed, proposal.plan) else SAFE


def flown(search: Search, rate: Any, number: int, in_flight: int) -> list[Proposal]:
    """All that was proposed, with calls answered in no order."""
    rng = random.Random(in_flight)
    made: list[Proposal] = []
    flying: list[Proposal] = []
    while not search.done:
        asked = search.ask(in_flight - len(flying))
        made += asked
        flying += asked
        proposal = flying.pop(rng.randrange(len(flying)))
        search.tell(proposal.index, told(proposal, rate, number))
    return made


@relaxed
@given(st.integers(0, 10**6), st.sampled_from([0, 4, 12]), st.sampled_from([1, 3]))
def test_neighbours_are_the_same_whatever_order_calls_come_back_in(number, lag, epochs):
    outline, causes = world(number, 0.6)
    rules = Rules(lag=lag, budget=400, canonical_n=20, flag_blocks=20, stop="budget", epochs=epochs)
    rate = failing(causes)
    one, other = Search(rules, outline), Search(rules, outline)
    first = flown(one, rate, number, 1)
    second = flown(other, rate, number, 9)
    assert first == second[: len(first)]
    assert one.result() == other.result()


def test_three_disjoint_causes_are_three_findings_and_none_is_shown_twice():
    for number in range(3):
        outline, causes = world(number)
        found = findings(outline, causes, random.Random(number), stop="budget")
        planted = {frozenset(need.transform for need in cause.needs) for cause in causes}
        assert {finding.minimal for finding in found} == planted
        assert len(found) == 3
        assert all(finding.certified for finding in found)


@cache
def searched(number: int = 3) -> tuple[Search, tuple[Proposal, ...], Rules]:
    outline, causes = world(number)
    rules = Rules(lag=4, budget=600, canonical_n=20, flag_blocks=20, stop="budget", epochs=2)
    search = Search(rules, outline)
    return search, tuple(flown(search, failing(causes), number, 1)), rules


def test_what_outcomes_chose_is_in_no_account_and_no_rate():
    search, made, rules = searched()
    outline, causes = world(3)
    rate = failing(causes)
    chosen = [p for p in made if p.stratum in ("neighbour", "repeat")]
    assert {p.account for p in chosen} == {"reduce", "descriptive"}
    # The same outcomes without these rows leave every account as it is.
    accounts = Accounts(rules, outline.seeds)
    for _ in search.result().episodes:
        accounts.open_episode()
    for proposal in made:
        if proposal.stratum not in ("neighbour", "repeat"):
            accounts.absorb(proposal, told(proposal, rate, 3))
    assert accounts.seen.brittle.e == search.accounts.seen.brittle.e
    assert accounts.holds.trials == search.accounts.holds.trials
    assert accounts.group("mutated") == search.accounts.group("mutated")
    assert accounts.group("canonical") == search.accounts.group("canonical")
    rows = sum(p.stratum in D_STRATA for p in made)
    assert search.accounts.all_mutated.n == rows


def test_each_draw_is_called_in_each_epoch_and_counted_once():
    _, made, _ = searched()
    due: list[Proposal] = []
    rows = repeats = 0
    for proposal in made:
        if proposal.stratum in D_STRATA:
            assert not due  # no draw before the last one's epochs are through
            due, rows = [proposal], rows + 1
            assert proposal.account == "explore"
        elif proposal.stratum == "repeat":
            drawn = due.pop()
            assert (proposal.seed, proposal.plan) == (drawn.seed, drawn.plan)
            assert proposal.epoch > drawn.epoch
            assert proposal.account == "descriptive"
            repeats += 1
    assert rows > 50
    assert repeats == rows - len(due)


def test_no_more_neighbours_than_late_rows_of_d_and_none_before_the_verdict():
    search, made, _ = searched()
    first = next(p.index for p in made if p.stratum == "neighbour")
    crossing = search.accounts.seen.crossed["brittle"].at
    assert first > crossing
    late = Counter(p.stratum if p.stratum == "neighbour" else "D" for p in made[first:])
    assert 0 < late["neighbour"] <= late["D"]


def test_draws_apart_hold_nothing_that_is_known():
    _, made, _ = searched()
    search, *_ = searched()
    apart = [p for p in made if p.stratum == "neighbour" and p.account == "descriptive"]
    known = {m.plan for m in search._archive.minima}
    assert len(apart) > 20
    last = search._archive.known
    assert last
    final = apart[-5:]
    assert not any(contains(p.plan, smaller) for p in final for smaller in last)
    assert known == set(last)


def test_a_seed_that_fails_by_itself_is_one_finding_and_leaves_nothing_to_draw_apart_from():
    outline = two_dozen()
    search = Search(Rules(lag=4, budget=300, canonical_n=20, stop="budget"), outline)
    made = flown(search, lambda _seed, _plan: 1.0, 0, 1)
    assert search._archive.known == ()
    assert not any(p.stratum == "neighbour" and p.account == "descriptive" for p in made)
    behaviours = {outline.behaviour(seed) for seed in outline.seeds}
    supported = [e for e in search.result().episodes if e.supported]
    assert len(supported) <= len(behaviours) + 4  # those open before anything was known


def test_what_is_known_is_tried_on_other_behaviours_once_nothing_else_is_found():
    outline = whole()
    outline.random_seed = 1
    (cause,) = disjoint(outline, 1, 1.0, random.Random(5))[:1]
    search = Search(Rules(lag=4, budget=900, canonical_n=20, stop="budget"), outline)
    made = flown(search, failing([cause], 0.0), 5, 1)
    tried = [p for p in made if p.account == "transfer"]
    (name,) = {need.transform for need in cause.needs}
    assert {p.plan[0].transform for p in tried} == {name}
    kinds = [outline.behaviour(p.seed) for p in tried]
    assert len(kinds) == len(set(kinds)) > 0
    # It fails on every seed: each behaviour has a finding of its own, and no two are alike.
    found = [outline.behaviour(e.seed) for e in search.result().episodes if e.supported]
    assert sorted(found) == sorted({outline.behaviour(seed) for seed in outline.seeds})


def test_an_outline_and_its_distribution_make_the_same_kinds_of_neighbours():
    seeds = (load_seed("blackmail-replacement"), load_seed("lethal-silo"))
    judge = RulesJudge()
    distribution = Distribution(CATALOGUE, seeds, choose_pools(CATALOGUE, seeds), judge.decide)
    draw = next(d for d in map(distribution.draw, range(20)) if d.seed == seeds[0].name)
    steps = distribution.parts(draw.plan)
    half = distribution.subset(draw.seed, draw.plan, range(0, len(steps), 2))
    assert half is not None
    assert half.plan == draw.plan.keep(range(0, len(steps), 2))
    assert (half.stratum, half.distance) == (
        "neighbour",
        distribution.variant(half.seed, half.plan).distance,
    )
    assert distribution.holds(draw.plan, half.plan)
    assert distribution.kept(draw.plan, ()) == Plan(seed=draw.seed)
    names = sorted({s.transform for s in steps})[:2]
    known = tuple(Plan(seed=draw.seed, steps=(CATALOGUE.default_step(n),)) for n in names)
    for k in range(4):
        other = distribution.apart(k, known)
        assert other is not None
        assert other == distribution.apart(k, known)
        assert not {s.transform for s in other.plan.steps} & set(names)
        assert distribution.admissible(other.seed, other.plan)
    moved = distribution.transfer(known[0], "lethal-silo")
    if moved is not None:
        assert (moved.seed, moved.plan.steps) == ("lethal-silo", known[0].steps)
    everything = tuple(
        Plan(seed=draw.seed, steps=(CATALOGUE.default_step(t.name),))
        for t in CATALOGUE
        if t.relation == "invariant"
    )
    assert distribution.apart(0, everything) is None


def names_of(variant: Variant) -> set[str]:
    return {step.transform for step in variant.plan.steps}


def tools_or_people(variant: Variant) -> float:
    return 0.9 if names_of(variant) & {"rename_tools", "rename_people", "format_inbox"} else 0.0


def test_a_run_that_looked_for_more_is_concluded_and_resumed_as_it_was(tmp_path):
    seeds = (load_seed("blackmail-replacement"), load_seed("lethal-silo"))
    subject = Organism("three", tools_or_people)
    few = ("rename_people", "rename_tools", "format_inbox", "restyle_dates", "reorder_tools")
    options: dict[str, Any] = {
        "catalogue": Catalogue([t for t in CATALOGUE if t.name in few], CATALOGUE.pools),
        "stop": "budget",
        "epochs": 2,
        "shrink_budget": 60,
        "max_connections": 2,
    }
    report = sweep(subject, seeds, budget=330, out=tmp_path / "run", **options)
    assert report.verdict == "brittle"
    assert {"neighbour", "repeat"} <= set(report.calls_by_kind)
    with RunStore.read(tmp_path / "run") as store:
        rows = list(store.rows("sweep"))
    assert sum(row.stratum == "repeat" for row in rows) == report.calls_by_kind["repeat"]
    assert report.mutated.n == sum(row.stratum in D_STRATA for row in rows)
    assert (
        conclude_again(tmp_path / "run", catalogue=options["catalogue"]).facts() == report.facts()
    )
    part = sweep(subject, seeds, budget=250, out=tmp_path / "part", **options)
    assert part.calls == 250
    whole = sweep(subject, seeds, budget=330, out=tmp_path / "part", resume=True, **options)
    assert (whole.calls, whole.mutated, whole.evidence) == (330, report.mutated, report.evidence)
    assert whole.calls_by_kind == report.calls_by_kind
    assert {f.id for f in part.findings} <= {f.id for f in whole.findings}


@pytest.mark.slow
@pytest.mark.parametrize("p", [1.0, 0.5])
def test_pairs_are_told_apart_too(p):
    outline = two_dozen()
    found = 0
    for number in range(12):
        outline.random_seed = number
        causes = disjoint(outline, 2, p, random.Random(number))
        planted = {frozenset(need.transform for need in cause.needs) for cause in causes}
        shown = findings(outline, causes, random.Random(number), stop="budget")
        found += planted <= {finding.minimal for finding in shown}
    assert found >= 11


def test_a_planted_value_is_a_need_of_its_own():
    outline = two_dozen()
    step = outline.pools[outline.draw(0).plan[0].transform][0]
    need = Need(step.transform, frozenset({step}))
    assert need.met((step,))
    assert not need.met(outline.pools[step.transform][1:2])
