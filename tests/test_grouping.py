"""Group testing: a joint posterior over small sets, and pools that tell much together."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.grouping import MOST, Grouping


def search(n: int, cause: frozenset[int], p: float, batch: int, seed: int) -> tuple[int, Grouping]:
    rng = random.Random(seed)
    grouping = Grouping(range(n), background=0.01)
    grouping.tell(range(n), 3, round(3 / p))
    calls = rounds = 0
    while grouping.likeliest[1] < 0.97 and calls < 400:
        for pool in grouping.pools(batch, rounds):
            grouping.tell(pool, int(rng.random() < (p if cause <= pool else 0.001)))
            calls += 1
        rounds += 1
    return calls, grouping


@pytest.mark.parametrize(("batch", "most"), [(1, 14), (8, 16)])
def test_two_of_two_dozen_are_named_in_few_calls_whatever_the_batch(batch, most):
    calls = []
    for seed in range(8):
        cause = frozenset(random.Random(f"cause {seed}").sample(range(24), 2))
        spent, grouping = search(24, cause, 1.0, batch, seed)
        assert grouping.likeliest[0] == cause
        calls.append(spent)
    assert sorted(calls)[4] <= most


def test_two_causes_are_foreseen_better_by_the_vague_model():
    rng = random.Random(0)
    pools = [frozenset(step for step in range(24) if rng.random() < 0.6) for _ in range(120)]
    one, two = Grouping(range(24), background=0.01), Grouping(range(24), background=0.01)
    for pool in pools:
        one.tell(pool, int({1, 2} <= pool))
        two.tell(pool, int({1, 2} <= pool or {11, 12} <= pool))
    assert two.vague > 0.9
    assert one.vague < 0.001
    assert one.likeliest[0] == {1, 2}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 12), st.integers(1, 8), st.integers(0, 99), st.data())
def test_pools_depend_on_outcomes_alone_and_avoid_what_cannot_be_tested(n, batch, step, data):
    one, other = Grouping(range(n), 0.01), Grouping(range(n), 0.01)
    for _ in range(3):
        pool = data.draw(st.frozensets(st.integers(0, n - 1))) if n else frozenset()
        failed = data.draw(st.integers(0, 1))
        for grouping in (one, other):
            grouping.tell(pool, failed)
    avoid = one.pools(batch, step)[:2]
    assert all(pool <= frozenset(range(n)) for pool in avoid)
    assert other.pools(batch, step)[:2] == avoid
    assert not set(one.pools(batch, step, avoid)) & set(avoid)


def test_a_set_that_is_excluded_is_no_answer_and_none_is_left_to_ask_after_all():
    grouping = Grouping(range(2), 0.01)
    grouping.tell({0}, 3, 3)
    assert grouping.likeliest[0] == {0}
    assert grouping.seen({0}) == (3, 3)
    for keep in (set(), {0}, {1}, {0, 1}):
        grouping.exclude(keep)
        assert grouping.probability(keep) == 0
    assert grouping.vague == 1
    assert grouping.pools(3, 0) == []
    with pytest.raises(ValueError, match="more than 30"):
        Grouping(range(MOST + 1), 0.01)
