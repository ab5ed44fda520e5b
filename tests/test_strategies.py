"""The strategies a user gets in ``@given``, and the pools that are drawn from them."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.errors import CatalogueError, SeedError
from fuzzer.judges.rules import RulesJudge
from fuzzer.strategies import fill_pool, plans, variants
from fuzzer.transform import Plan, Step
from fuzzer.variant import admit
from mutators import CATALOGUE
from seeds import load_seed, load_seeds

SEED = load_seed("blackmail-replacement")


@settings(deadline=None, max_examples=40)
@given(plans(max_steps=4))
def test_a_drawn_plan_is_short_ordered_and_can_be_pasted(plan):
    names = [step.transform for step in plan.steps]
    assert len(names) <= 4
    assert names == sorted(names, key=CATALOGUE.order.__getitem__)
    assert all(CATALOGUE[name].relation in ("invariant", "sham") for name in names)
    assert eval(repr(plan), {"Plan": Plan, "Step": Step}) == plan
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


@settings(deadline=None, max_examples=25)
@given(variants("blackmail-replacement", max_steps=3))
def test_a_drawn_variant_is_admitted_and_knows_its_plan(variant):
    assert variant.plan.seed == "blackmail-replacement"
    assert variant.distance <= len(variant.plan) <= 3
    assert admit(variant, SEED, RulesJudge().decide)


@settings(deadline=None, max_examples=25)
@given(plans(max_steps=5), st.data())
def test_every_subset_of_a_plan_is_a_plan(plan, data):
    kept = data.draw(st.sets(st.sampled_from(range(len(plan))))) if len(plan) else set()
    smaller = plan.keep(kept)
    assert len(smaller) == len(kept)
    assert CATALOGUE.apply(SEED, smaller).name == SEED.name


def test_a_plan_is_a_set_whatever_the_order_of_its_steps():
    steps = [CATALOGUE.default_step(name) for name in ("format_inbox", "rename_people")]
    one = CATALOGUE.plan(SEED.name, steps)
    assert one == CATALOGUE.plan(SEED.name, reversed(steps))
    assert Plan(seed=SEED.name, steps=tuple(steps)) == one
    assert [step.transform for step in one.steps] == ["rename_people", "format_inbox"]


def test_impossible_plans_are_refused_with_what_would_be_possible():
    with pytest.raises(CatalogueError, match="did you mean 'rename_people'"):
        CATALOGUE.plan(SEED.name, [Step(transform="rename_peopel")])
    with pytest.raises(CatalogueError, match="'locale' = 'xx'"):
        CATALOGUE.plan(SEED.name, [Step(transform="rename_people", params={"locale": "xx"})])
    with pytest.raises(CatalogueError, match="at most one"):
        CATALOGUE.plan(SEED.name, [CATALOGUE.default_step("rename_people")] * 2)
    with pytest.raises(SeedError, match="unknown seed"):
        variants("blackmial-replacement")


@pytest.mark.parametrize("name", ["format_inbox", "move_threat", "retitle_people", "sham_copy"])
def test_a_pool_filled_again_is_the_committed_one(name):
    assert fill_pool(CATALOGUE[name], load_seeds()) == CATALOGUE.pools[name]


@pytest.mark.slow
def test_every_pool_filled_again_is_the_committed_one():
    for transform in CATALOGUE:
        if transform.relation in ("invariant", "sham"):
            assert fill_pool(transform, load_seeds()) == CATALOGUE.pools[transform.name]


def test_pools_do_not_depend_on_what_else_is_imported():
    code = (
        "CONSTANTS = ('an', 'unrelated', 4242)\n"
        "from mutators import CATALOGUE\nfrom fuzzer.strategies import fill_pool\n"
        "from seeds import load_seeds\n"
        "pool = fill_pool(CATALOGUE['format_inbox'], load_seeds())\n"
        "assert pool == CATALOGUE.pools['format_inbox']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
