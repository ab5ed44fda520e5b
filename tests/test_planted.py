"""Worlds with planted causes: what the generator promises, held on the built-in catalogue."""

from random import Random

import pytest

from benchmarks.detecting.causes import TRIGGERED, Cause, Damper, Graded, Need, Option
from benchmarks.detecting.planted import DRAWS, LEAST, MIXED, TRAITS, World, worlds
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.outline import Outline
from fuzzer.preparation import choose_pools, choose_seeds
from fuzzer.registry import find_catalogue
from fuzzer.transform import Step

KINDS = (*TRAITS, MIXED)
EACH = 3  # worlds of a kind
FRESH = 1500  # draws that no world was made by


def outlined(transforms=None, seeds=None):
    catalogue = Catalogue(transforms) if transforms else find_catalogue()
    chosen = choose_seeds(seeds)
    return Outline(catalogue, chosen, choose_pools(catalogue, chosen))


@pytest.fixture(scope="module")
def outline():
    return outlined()


@pytest.fixture(scope="module")
def made(outline):
    return tuple(worlds(EACH * len(KINDS), outline))


@pytest.fixture(scope="module")
def draws(outline):
    return [outline.draw(k) for k in range(FRESH)]


def of(made: tuple[World, ...], trait: str):
    """The worlds with a trait, by itself or with another."""
    found = [world for world in made if trait in world.traits]
    assert len(found) >= EACH
    return found


def test_the_kinds_take_turns(made):
    assert [world.kind for world in made] == list(KINDS) * EACH
    assert all(len(world.traits) == 1 + (world.kind == MIXED) for world in made)
    assert len({world.name for world in made}) == len({str(world) for world in made}) == len(made)


def test_worlds_are_a_function_of_their_arguments(outline, made):
    again = tuple(worlds(4, outline))
    assert again == made[:4]
    other = tuple(worlds(4, outline, random_seed=1))
    assert all(one.causes != two.causes for one, two in zip(again, other, strict=True))


def test_a_canonical_seed_stays_at_the_background(outline, made):
    for world in made:
        assert 0 <= world.background <= 0.002
        for seed in outline.seeds:
            assert world.rate(seed, ()) == world.background
            assert not world.trigger(seed, ())


def test_rates_are_probabilities_and_a_plan_without_a_cause_is_spared(made, draws):
    for world in made:
        graded = any(isinstance(cause, Graded) for cause in world.causes)
        damped = not world.monotone
        for draw in draws[:500]:
            rate = world.rate(draw.seed, draw.plan)
            assert world.background <= rate <= 1
            if world.trigger(draw.seed, draw.plan):
                assert rate >= TRIGGERED
            elif not graded and not damped:
                assert rate == world.background


def test_every_world_can_be_found_as_often_as_it_says(made, draws):
    """On draws of another stream: within five standard errors of both estimates."""
    for world in made:
        assert world.chance > LEAST
        found = sum(world.trigger(draw.seed, draw.plan) for draw in draws) / FRESH
        spread = (world.chance * (1 - world.chance) * (1 / FRESH + 1 / DRAWS)) ** 0.5
        assert abs(found - world.chance) <= 5 * spread


def test_a_monotone_world_never_fails_less_with_more_steps(made, draws):
    monotone = [world for world in made if world.monotone]
    assert {world.kind for world in monotone} >= set(KINDS) - {"suppressed", MIXED}
    rng = Random(0)
    for world in monotone:
        for draw in draws[:100]:
            fewer = tuple(step for step in draw.plan if rng.random() < 0.7)
            assert world.rate(draw.seed, fewer) <= world.rate(draw.seed, draw.plan)


def test_no_order_of_the_steps_matters(made, draws):
    for world in made:
        for draw in draws[:20]:
            assert world.rate(draw.seed, draw.plan[::-1]) == world.rate(draw.seed, draw.plan)


def test_fixed_causes_have_one_to_four_needs_and_a_rate_worth_finding(made):
    fixed = [cause for world in made for cause in world.causes if isinstance(cause, Cause)]
    assert {len(cause.needs) for cause in fixed} >= {1, 2, 3}  # a few in a hundred have 4
    assert all(1 <= len(cause.needs) <= 4 and 0.1 <= cause.rate <= 1 for cause in fixed)


def test_value_specific_worlds_need_particular_values(outline, made):
    for world in of(made, "value-specific"):
        for cause in world.causes:
            option = next(o for need in cause.needs for o in need.options if o.text)
            pool = outline.pools[option.transform]
            fit = [step for step in pool if option.met({step.transform: step})]
            assert 0 < len(fit) < len(pool)


def test_seed_specific_worlds_fail_in_one_place_only(outline, made, draws):
    for world in of(made, "seed-specific"):
        (places,) = {cause.seeds for cause in world.causes}
        assert 0 < len(places) < len(outline.seeds)
        elsewhere = [draw for draw in draws if draw.seed not in places]
        assert {world.rate(draw.seed, draw.plan) for draw in elsewhere} == {world.background}


def test_no_single_step_triggers_a_graded_cause(outline, made):
    steps = [step for pool in outline.pools.values() for step in pool[:8]]
    for world in of(made, "graded"):
        (cause,) = (cause for cause in world.causes if isinstance(cause, Graded))
        assert 5 <= len(cause.needs) <= 9
        assert cause.rate >= 0.1
        for step in steps:
            assert all(cause.on(seed, {step.transform: step}) < TRIGGERED for seed in outline.seeds)


def test_suppressors_lower_the_rate_of_plans_that_are_drawn(made, draws):
    for world in of(made, "suppressed"):
        lowered = [
            held
            for cause in world.causes
            for draw in draws
            for held in ({step.transform: step for step in draw.plan},)
            if any(damper.need.met(held) for damper in cause.dampers)
            and cause.on(draw.seed, held) < _without(cause).on(draw.seed, held)
        ]
        assert lowered


def _without(cause):
    """The cause with no dampers."""
    if isinstance(cause, Graded):
        return Graded(cause.weights, cause.base, cause.seeds)
    return Cause(cause.needs, cause.rate, cause.seeds)


def test_disjoint_causes_share_no_transform_and_no_rate(made):
    for world in of(made, "disjoint"):
        assert len(world.causes) in (2, 3)
        named = [need.transforms for cause in world.causes for need in cause.needs]
        assert len(frozenset().union(*named)) == sum(map(len, named))
        assert len({cause.rate for cause in world.causes}) == len(world.causes)


def test_group_specific_worlds_turn_on_one_member_of_a_group(outline, made):
    groups = outline.catalogue.groups
    for world in of(made, "group-specific"):
        for cause in world.causes:
            (name,) = cause.needs[0].transforms
            assert len(groups[outline.catalogue[name].group]) > 1


def test_the_parts_add_up_as_they_say():
    one, two, off = (Need((Option(name),)) for name in ("one", "two", "off"))
    held = {name: Step(transform=name) for name in ("one", "two", "off")}
    cause = Cause((one, two), 0.8, frozenset({"here"}), (Damper(off, 0.25),))
    assert cause.on("here", held) == pytest.approx(0.2)
    assert cause.on("here", {"one": held["one"]}) == cause.on("there", held) == 0
    del held["off"]
    assert cause.on("here", held) == 0.8
    graded = Graded(((one, 2.0), (two, 3.0)), -5.0)
    assert graded.rate == graded.on("here", held) == 0.5
    assert graded.on("here", {}) == 0
    most = Option("long", param="count", least=3, text="count >= 3")
    told = [Step(transform="long", params={"count": count}) for count in (2, 3)]
    assert [most.met({"long": step}) for step in told] == [False, True]


def test_a_small_outline_leaves_out_what_it_cannot_hold():
    catalogue = find_catalogue()
    names = {"rename_people", "rename_tools", "swap_product", "format_inbox", "split_turns"}
    names |= {"restyle_times", "shift_clock"}
    outline = outlined([t for t in catalogue if t.name in names], ("blackmail-replacement",))
    found = {trait for world in worlds(12, outline) for trait in world.traits}
    assert found == {"value-specific", "graded", "suppressed", "disjoint"}


def test_an_outline_without_enough_for_a_world_is_one_sentence():
    lonely = outlined([find_catalogue()["retitle_people"]], ("blackmail-replacement",))
    with pytest.raises(ConfigurationError, match="give the outline more transforms"):
        list(worlds(2, lonely))
