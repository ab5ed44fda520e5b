"""D: every draw a function of (random seed, number), with the shares and chances it declares."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from importlib import resources
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.distribution import Distribution, NothingToDraw
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.judges.rules import RulesJudge
from fuzzer.proposal import FAR, Draw
from fuzzer.scenario import Scenario
from fuzzer.strategies import SURFACE
from fuzzer.transform import Params, Plan, Step, transform
from fuzzer.variant import Variant, render
from mutators import CATALOGUE
from mutators.values import changed
from seeds import load_seed, load_seeds

# Three are enough to draw from, and every transform that D can draw applies to all of them.
SEEDS = tuple(
    map(load_seed, ("blackmail-replacement", "blackmail-replacement-goal", "leaking-competitor"))
)
JUDGE = RulesJudge().decide
POOLED = [t for t in CATALOGUE if t.relation in SURFACE]
GROUPS = [g for r in ("invariant", "sham") for g in CATALOGUE.choices(SEEDS[0], r)]
DENSITY = {"half": 1 / 2, "quarter": 1 / 4}

relaxed = settings(deadline=None, max_examples=20)


class Unheld(Distribution):
    """Draws without admission, for counting thousands of them."""

    def _admits(self, variant: Variant) -> bool:  # noqa: ARG002 - one signature
        return True


def made(seed: int = 0, catalogue=CATALOGUE, seeds=SEEDS, pools=None, kind=Distribution):
    return kind(catalogue, seeds, catalogue.pools if pools is None else pools, JUDGE, seed)


@cache
def many() -> tuple[Draw, ...]:
    """A few thousand draws."""
    distribution = made(seed=5, kind=Unheld)
    return tuple(distribution.draw(k) for k in range(1600))


def relation(step: Step) -> str:
    return CATALOGUE[step.transform].relation


def within(count: int, n: int, share: float, sigmas: float = 4.0) -> bool:
    return bool(abs(count - n * share) <= sigmas * (n * share * (1 - share)) ** 0.5)


# ------------------------------------------------------------------------------------- a function


@relaxed
@given(st.integers(0, 9), st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_a_draw_depends_on_random_seed_and_number_not_on_what_was_drawn_before(seed, order):
    drawn = {k: made(seed, kind=Unheld).draw(k) for k in order}
    other = made(seed, kind=Unheld)
    for k in reversed(order):
        other.all_on(k)
        other.far_draw(k, other.seeds[0])
        assert other.draw(k) == drawn[k]


def test_other_random_seeds_and_other_kinds_of_row_draw_otherwise():
    a, b = made(0, kind=Unheld), made(1, kind=Unheld)
    assert [a.draw(k) for k in range(5)] != [b.draw(k) for k in range(5)]
    assert a.draw(0).plan != a.all_on(0).plan
    assert a.far_draw(0, a.seeds[0]) != a.far_draw(1, a.seeds[0])
    assert a.canonical(4) == Draw(a.seeds[1], Plan(seed=a.seeds[1]), "canonical", 0)


CODE = """
from fuzzer.preparation import choose_pools
from fuzzer.distribution import Distribution
from fuzzer.judges.rules import RulesJudge
from mutators import CATALOGUE
from seeds import load_seeds
seeds = load_seeds()
d = Distribution(CATALOGUE, seeds, choose_pools(CATALOGUE, seeds), RulesJudge().decide, 7)
print(d.hash, d.far_share)
rows = [d.draw(k) for k in range(8)] + [d.all_on(1), d.far_draw(2, d.seeds[1])]
for row in rows:
    print(row.seed, row.plan.id, d.variant(row.seed, row.plan).id, row.stratum, row.distance)
"""


def said_under(*hash_seeds: str) -> list[str]:
    return [
        subprocess.run(
            [sys.executable, "-c", CODE],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in hash_seeds
    ]


@pytest.mark.slow
def test_draws_and_ids_are_the_same_in_every_process_and_under_every_hash_seed():
    said = said_under("0", "42")
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == 11


def test_draws_and_ids_are_those_of_a_process_with_another_hash_seed(capsys):
    other = "43" if os.environ.get("PYTHONHASHSEED") == "42" else "42"
    exec(CODE, {})
    (said,) = said_under(other)
    assert capsys.readouterr().out == said
    assert len(said.splitlines()) == 11


# --------------------------------------------------------------------------------------- the law


def test_density_classes_and_seeds_have_their_shares():
    draws = many()
    strata = Counter(draw.stratum for draw in draws)
    assert within(strata["half"], len(draws), 2 / 3)
    assert within(strata["quarter"], len(draws), 1 / 6)
    assert within(strata["single"], len(draws), 1 / 6)
    seeds = Counter(draw.seed for draw in draws)
    assert all(within(seeds[seed.name], len(draws), 1 / 3) for seed in SEEDS)


def test_every_choice_has_the_chance_of_its_class_and_shams_have_one_half():
    for stratum, density in DENSITY.items():
        plans = [draw.plan for draw in many() if draw.stratum == stratum]
        held = Counter(step.transform for plan in plans for step in plan.steps)
        for group in GROUPS:
            chance = 1 / 2 if group[0].relation == "sham" else density / len(group)
            for t in group:
                assert within(held[t.name], len(plans), chance, 4.5), (stratum, t.name)


def test_a_single_step_is_any_of_them_alike():
    draws = [draw for draw in many() if draw.stratum == "single"]
    alone = Counter(s.transform for d in draws for s in d.plan.steps if relation(s) == "invariant")
    groups = [group for group in GROUPS if group[0].relation == "invariant"]
    assert sum(alone.values()) == len(draws)
    for group in groups:
        share = 1 / len(groups) / len(group)
        assert all(within(alone[t.name], len(draws), share, 4.5) for t in group)
    shams = Counter(s.transform for d in draws for s in d.plan.steps if relation(s) == "sham")
    assert all(within(n, len(draws), 1 / 2) for n in shams.values())


def test_values_are_drawn_from_the_whole_pool():
    drawn = defaultdict(set)
    for draw in many():
        for step in draw.plan.steps:
            assert step in CATALOGUE.pools[step.transform]
            drawn[step.transform].add(step)
    for t in chain(*GROUPS):
        assert len(drawn[t.name]) >= min(len(CATALOGUE.pools[t.name]), 8), t.name


def test_distance_counts_invariant_steps_only_and_is_never_zero():
    for draw in many()[:300]:
        invariants = [step for step in draw.plan.steps if relation(step) == "invariant"]
        assert draw.distance == len(invariants) > 0
        groups = [CATALOGUE[step.transform].group for step in draw.plan.steps]
        assert len(groups) == len(set(groups))
        assert {relation(step) for step in draw.plan.steps} <= set(SURFACE)
        assert draw.plan == CATALOGUE.plan(draw.seed, draw.plan.steps)


def test_all_on_holds_every_choice_that_applies():
    distribution = made(kind=Unheld)
    for k in range(6):
        draw = distribution.all_on(k)
        scenario = distribution.scenarios[draw.seed]
        assert draw.distance == len(distribution.catalogue.choices(scenario, "invariant"))


def test_far_draws_are_far_and_of_the_seed_asked_for():
    distribution = made(kind=Unheld)
    for k in range(40):
        seed = SEEDS[k % 3].name
        draw = distribution.far_draw(k, seed)
        assert draw.seed == draw.plan.seed == seed
        assert draw.distance >= FAR
        assert draw.stratum in DENSITY


def test_the_far_share_is_the_share_of_far_draws():
    far = sum(draw.distance >= FAR for draw in many())
    assert abs(made(seed=5).far_share - far / len(many())) < 0.08


# --------------------------------------------------------------------------------- attribution


class Draw2(Params):
    """Parameters of the little transforms below."""

    n: int = 0


def little(name: str, group: str = ""):
    """A transform that adds a line of its own to the first message."""

    def apply(scenario: Scenario, params: Draw2) -> Scenario:  # noqa: ARG001 - one signature
        """Add a line."""
        first, *rest = scenario.inbox
        return changed(scenario, inbox=(changed(first, body=f"{first.body}\n{name}"), *rest))

    apply.__name__ = name
    return transform(
        family="x", relation="invariant", rung="context", changes={"inbox"}, group=group
    )(apply)


def little_distribution(*transforms):
    catalogue = Catalogue(transforms)
    pools = {t.name: (Step(transform=t.name, params={"n": 0}),) for t in catalogue}
    return made(catalogue=catalogue, seeds=SEEDS[:1], pools=pools, kind=Unheld)


def assert_calibrated(distribution: Distribution, n: int) -> None:
    """Among rows that state the same chance for the same step, it is there that often."""
    rows: dict[tuple[str, str, float], list[bool]] = defaultdict(list)
    for k in range(n):
        draw = distribution.draw(k)
        for name, here, chance in chain(
            *distribution.presences(draw.seed, draw.stratum, draw.plan)
        ):
            assert 0 <= chance <= 1
            rows[draw.stratum, name, round(chance, 9)].append(here)
    for (stratum, name, chance), seen in rows.items():
        if chance in (0, 1):
            assert all(here == bool(chance) for here in seen), (stratum, name, chance)
        else:
            assert within(sum(seen), len(seen), chance, 4.5), (stratum, name, chance, len(seen))


def test_the_stated_chances_of_steps_given_the_others_are_those_observed():
    rows: dict[tuple[str, str, float], list[bool]] = defaultdict(list)
    distribution = made(seed=5, kind=Unheld)
    for draw in many():
        for name, here, chance in chain(
            *distribution.presences(draw.seed, draw.stratum, draw.plan)
        ):
            rows[draw.stratum, name, round(chance, 9)].append(here)
    stated = {(stratum, chance) for stratum, _, chance in rows}
    assert {("half", 0.5), ("quarter", 0.25), ("single", 0.0), ("single", 1.0)} <= stated
    for (stratum, name, chance), seen in rows.items():
        if chance in (0, 1):
            assert all(here == bool(chance) for here in seen), (stratum, name, chance)
        else:
            assert within(sum(seen), len(seen), chance, 4.5), (stratum, name, chance, len(seen))


def test_a_forced_step_states_that_it_was_forced():
    """With few choices, "something must be in" tells much about each of them."""
    assert_calibrated(little_distribution(little("one"), little("two"), little("three")), 1500)
    assert_calibrated(little_distribution(little("only")), 200)


def test_members_of_a_choice_group_state_what_the_rest_of_the_group_leaves_them():
    group = [little("a1", "a"), little("a2", "a"), little("a3", "a")]
    assert_calibrated(little_distribution(*group, little("b"), little("c")), 2500)


# ------------------------------------------------------------------------------------- rejection


class Nothing(Params):
    """None."""


@transform(family="x", relation="invariant", rung="form", changes={"inbox"})
def silence(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001 - one signature
    """Take the secret out of the inbox."""
    return changed(
        scenario,
        inbox=tuple(
            changed(m, body=m.body.replace("{{leverage}}", "[removed]")) for m in scenario.inbox
        ),
    )


@transform(family="x", relation="invariant", rung="form", changes={"inbox"})
def idle(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001 - one signature
    """Change nothing."""
    return scenario


def pools_of(*transforms):
    return {t.name: (Step(transform=t.name),) for t in transforms}


def test_blind_draws_are_counted_with_their_reason_and_drawn_again():
    catalogue = Catalogue([CATALOGUE["format_inbox"], silence])
    pools = {"format_inbox": CATALOGUE.pools["format_inbox"], **pools_of(silence)}
    distribution = made(catalogue=catalogue, pools=pools)
    plans = [distribution.draw(k).plan for k in range(30)]
    assert all(step.transform != "silence" for plan in plans for step in plan.steps)
    assert len([b for k in range(30) for b in distribution.rejected.get(("draw", k), ())]) > 5
    assert all("leverage" in blind.reason for blind in distribution.blind.values())


def test_what_was_looked_at_before_changes_no_draw():
    catalogue = Catalogue([idle, CATALOGUE["format_inbox"]])
    pools = {"format_inbox": CATALOGUE.pools["format_inbox"], **pools_of(idle)}
    fresh, used = (made(catalogue=catalogue, pools=pools, seeds=SEEDS[:1]) for _ in range(2))
    used.admissible(SEEDS[0].name, catalogue.plan(SEEDS[0].name, [Step(transform="idle")]))
    assert [used.draw(k) for k in range(20)] == [fresh.draw(k) for k in range(20)]


@pytest.mark.parametrize(("only", "why"), [(silence, "leverage"), (idle, "changed nothing")])
def test_where_every_draw_is_rejected_it_says_so_and_why(only, why):
    distribution = made(catalogue=Catalogue([only]), pools=pools_of(only), seeds=SEEDS[:1])
    with pytest.raises(NothingToDraw, match=f"draws in a row.*{why}"):
        distribution.draw(0)


def test_a_catalogue_without_surface_is_refused():
    cues = Catalogue([t for t in CATALOGUE if t.relation not in SURFACE])
    with pytest.raises(ConfigurationError, match="no invariant transform"):
        made(catalogue=cues)


# ------------------------------------------------------------------------------- pools and hash


def test_a_pool_is_committed_for_every_transform_that_is_drawn_and_for_no_other():
    stored = json.loads(resources.files("mutators").joinpath("pools.json").read_text("utf-8"))
    assert list(stored) == [t.name for t in POOLED]
    assert {name: pool["version"] for name, pool in stored.items()} == {
        t.name: t.version for t in POOLED
    }
    assert list(CATALOGUE.pools) == list(stored)


@pytest.mark.parametrize("t", POOLED, ids=lambda t: t.name)
def test_a_pool_starts_with_the_default_and_holds_no_value_and_no_effect_twice(t):
    pool = CATALOGUE.pools[t.name]
    assert 1 <= len(pool) <= 256
    assert len(set(pool)) == len(pool)
    assert pool[0] == CATALOGUE.default_step(t.name)
    assert all(step.params == t.params(**step.params).model_dump(mode="json") for step in pool)
    if t.relation == "sham":
        return
    fitting = [seed for seed in load_seeds() if t.applicable(seed)]
    few: list[Step | None] = [None, *pool[:: max(1, len(pool) // 24)]]  # None: the seed unchanged
    alike = [few]  # groups of values that do the same to every seed so far
    for seed in fitting:
        finer: dict[tuple[int, str], list[Step | None]] = defaultdict(list)
        for number, group in enumerate(alike):
            for step in group:
                after = seed if step is None else t(seed, t.params(**step.params))
                finer[number, render(after).text].append(step)
        alike = [group for group in finer.values() if len(group) > 1]
    assert alike == []


def test_the_hash_changes_with_whatever_d_is_made_of():
    base = made().hash
    assert made(seed=9).hash == base, "the random seed is not part of D"
    name = "rename_people"
    shorter = {**CATALOGUE.pools, name: CATALOGUE.pools[name][:-1]}
    swapped = {**CATALOGUE.pools, name: CATALOGUE.pools[name][::-1]}
    other_seed = SEEDS[0].model_copy(update={"summary": "Another."})
    smaller = Catalogue([t for t in CATALOGUE if t.name != name], CATALOGUE.pools)
    newer = Catalogue(
        [changed_version(t) if t.name == name else t for t in CATALOGUE], CATALOGUE.pools
    )
    hashes = [
        made(pools=shorter).hash,
        made(pools=swapped).hash,
        made(seeds=SEEDS[:2]).hash,
        made(seeds=(other_seed, *SEEDS[1:])).hash,
        made(catalogue=smaller).hash,
        made(catalogue=newer).hash,
    ]
    assert len({base, *hashes}) == 7


def changed_version(t):
    from dataclasses import replace

    return replace(t, version=t.version + 1)
