"""The rivals of the search: what they choose, and that their evidence is the search's."""

import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache

import pytest

from benchmarks.detecting import rivals
from benchmarks.detecting.rivals import (
    LONGEST,
    POLICIES,
    Chooser,
    Policy,
    Steps,
    binary_outline,
    calls_to_brittle,
    conjunction,
    known_rows,
    one_at_a_time,
    quantile,
    quantile_interval,
    sweeps,
    thompson,
    walks,
)
from benchmarks.type_one import Integers
from fuzzer.outline import Outline
from fuzzer.preparation import choose_pools, choose_seeds
from fuzzer.proposal import Draw, Outcome
from fuzzer.registry import find_catalogue
from fuzzer.search import Rules, Search


@cache
def real_outline() -> Outline:
    catalogue, seeds = find_catalogue(), choose_seeds(None)
    return Outline(catalogue, seeds, choose_pools(catalogue, seeds))


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_plans_are_possible_on_the_real_catalogue(policy):
    outline, rng = real_outline(), random.Random(1)
    order = outline.catalogue.order
    chooser = policy(outline, rng)
    seeds, lengths = set(), set()
    for _ in range(400):
        seed, steps = chooser.plan(0)
        chooser.learn(rng.random() < 0.1)
        names = [step.transform for step in steps]
        here = {t.name: g for g, ts in enumerate(outline.choices[seed]["invariant"]) for t in ts}
        assert 1 <= len(steps) <= LONGEST
        assert len({here[name] for name in names}) == len(names)  # KeyError: not for this seed
        assert names == sorted(names, key=order.__getitem__)
        for step in steps:
            assert any(step is value for value in outline.pools[step.transform])
        seeds.add(seed)
        lengths.add(len(steps))
    assert seeds == set(outline.seeds)
    assert lengths == ({1} if policy is one_at_a_time else set(range(1, LONGEST + 1)))


def test_walks_are_uniform_in_length_group_member_and_value():
    outline, count = real_outline(), 20_000
    chooser = walks(outline, random.Random(2))
    lengths: Counter[int] = Counter()
    members: Counter[str] = Counter()
    values: Counter[int] = Counter()
    expected: dict[str, float] = defaultdict(float)
    pool = outline.pools["move_threat"]
    for _ in range(count):
        seed, steps = chooser.plan(0)
        lengths[len(steps)] += 1
        members.update(step.transform for step in steps)
        values.update(pool.index(step) for step in steps if step.transform == "move_threat")
    for seed in outline.seeds:
        groups = outline.choices[seed]["invariant"]
        for group in groups:
            for t in group:
                expected[t.name] += count / len(outline.seeds) * 3.5 / len(groups) / len(group)
    assert _strange(lengths, dict.fromkeys(range(1, 7), count / 6)) < 4
    assert members.keys() == expected.keys()
    assert _strange(members, expected) < 4.5
    assert _strange(values, dict.fromkeys(range(len(pool)), values.total() / len(pool))) < 4


def _strange(seen, expected):
    """The largest deviation from what was expected, in (Poisson) standard errors."""
    return max(abs(seen[key] - mean) / math.sqrt(mean) for key, mean in expected.items())


def test_one_at_a_time_goes_round_whatever_is_skipped():
    chooser = one_at_a_time(binary_outline(10), random.Random(3))
    rounds = [chooser.plan(0)[1][0].transform for _ in range(20)]
    assert len(set(rounds[:10])) == 10
    assert rounds[10:] == rounds[:10]
    assert chooser.plan(3)[1][0].transform == rounds[3]  # three were passed over
    assert chooser.plan(16)[1][0].transform == rounds[0]


def test_thompson_samples_the_posterior_rates():
    chooser = rivals._Thompson(rivals._space(binary_outline(3)), random.Random(4))
    for number, failures, passes in ((0, 4, 2), (1, 0, 7), (2, 1, 0)):
        chooser._numbers = [number]
        for failed in [True] * failures + [False] * passes:
            chooser.learn(failed)
    drawn = [chooser._sampled().tolist() for _ in range(4000)]
    for number, (a, b) in enumerate(((5, 3), (1, 8), (2, 1))):
        rates = [1 - math.exp(-row[number]) for row in drawn]
        mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
        found = sum(rates) / len(rates)
        assert abs(found - mean) < 4 * math.sqrt(variance / len(rates))
        spread = sum((rate - mean) ** 2 for rate in rates) / len(rates)
        assert abs(spread / variance - 1) < 0.15


def test_thompson_comes_to_prefer_what_fails():
    chooser = thompson(binary_outline(), random.Random(5))
    held = []
    for _ in range(300):
        names = {step.transform for step in chooser.plan(0)[1]}
        held.append("t0" in names)
        chooser.learn("t0" in names)
    assert sum(held[-100:]) > 90


# ----------------------------------------------------------------------------------- the evidence


@dataclass
class Recorded:
    """A rival that keeps what it chose and what came of it."""

    inner: Chooser
    plans: list[tuple[str, Steps]] = field(default_factory=list)
    outcomes: list[bool] = field(default_factory=list)
    learns: bool = True

    def plan(self, skipped: int) -> tuple[str, Steps]:
        self.plans.append(self.inner.plan(skipped))
        return self.plans[-1]

    def learn(self, failed: bool) -> None:
        self.outcomes.append(failed)
        self.inner.learn(failed)


@dataclass(frozen=True)
class Played(Integers):
    """A plan source that gives what a rival chose; every call is another variant."""

    plans: tuple[tuple[str, Steps], ...] = ()

    def canonical(self, k: int) -> Draw:
        return Draw(self.seeds[0], k - 1, "canonical", 0)

    def all_on(self, k: int) -> Draw:
        return Draw(self.plans[k][0], k, "all_on", 1)

    def draw(self, k: int) -> Draw:
        return Draw(self.plans[k + 1][0], k + 1, "half", 1)  # the first explored is all-on

    def far_draw(self, k: int, seed: str) -> Draw:
        raise AssertionError(f"no far draw was to be asked for: {k}, {seed}")


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("rate", [0.1, 0.3, 1.0])
def test_the_search_finds_at_the_same_call_given_the_same_plans_and_outcomes(policy, rate):
    outline = binary_outline(8)
    never = 10**9
    found = 0
    for number in range(8):
        kept: list[Recorded] = []

        def recording(outline, rng, policy=policy, kept=kept):
            kept.append(Recorded(policy(outline, rng)))
            return kept[0]

        rng = random.Random(f"{rate}/{number}")
        calls = calls_to_brittle(recording, conjunction(1, rate), outline, rng, cap=1500)
        rules = Rules(lag=0, budget=never, canonical_every=never, all_on_every=never)
        search = Search(rules, Played(outline.seeds, plans=tuple(kept[0].plans)))
        outcomes = [False, *kept[0].outcomes]  # the probe is canonical
        for failed in outcomes:
            assert search.accounts.calls_to_find is None
            (proposal,) = search.ask(1)
            search.tell(proposal.index, Outcome("harmful" if failed else "safe"))
            if search.done:
                break
        assert search.accounts.calls_to_find == calls
        found += calls is not None
    assert found >= 3


def test_a_subject_that_never_fails_is_never_brittle():
    for name, policy in POLICIES.items():
        found = calls_to_brittle(
            policy, lambda *_: 0.0, binary_outline(), random.Random(name), cap=2000
        )
        assert found is None


def test_the_cap_counts_replays():
    outline = binary_outline()
    seen = [
        calls_to_brittle(walks, lambda *_: 1.0, outline, random.Random(6), cap=cap)
        for cap in (1, 2, 3)
    ]
    assert seen == [None, 2, 2]  # one that fails and its replay


def test_no_more_episodes_than_the_rules_allow():
    rng = random.Random(7)
    rules = Rules(lag=0, episode_limit=3, replay_limit=5)
    kept: list[Recorded] = []

    def recording(outline, rng):
        kept.append(Recorded(one_at_a_time(outline, rng)))
        return kept[0]

    outline = binary_outline()
    assert calls_to_brittle(recording, lambda *_: 0.008, outline, rng, 5000, rules=rules) is None
    first, all_calls = len(kept[0].plans), len(kept[0].outcomes)
    assert sum(kept[0].outcomes) > 10
    assert all_calls - first <= 3 * 5
    assert all_calls >= 5000


@pytest.mark.parametrize("policy", [walks, one_at_a_time])
def test_skipping_changes_no_distribution(policy: Policy):
    outline, fails = binary_outline(), conjunction(1, 0.2)
    rng = random.Random(8)
    full = [calls_to_brittle(policy, fails, outline, rng) for _ in range(300)]
    skipped = [calls_to_brittle(policy, fails, outline, rng, most=0.2) for _ in range(300)]
    for share in (0.25, 0.5, 0.75):
        at = quantile(full, share)
        assert at is not None
        below = sum(calls is not None and calls <= at for calls in skipped) / len(skipped)
        assert abs(below - share) < 3.5 * math.sqrt(2 * share * (1 - share) / 300)


def test_a_rate_above_what_was_promised_is_refused():
    with pytest.raises(ValueError, match=r"a rate of 1\.0, where 0 to 0\.5 was promised"):
        calls_to_brittle(walks, lambda *_: 1.0, binary_outline(), random.Random(9), most=0.5)


# ------------------------------------------------------------------------------------ the figures

CHECKED = [
    ("single, p = 0.5", "walks"),
    ("pair, p = 0.1", "walks"),
    ("triple, p = 0.5", "walks"),
    ("single, p = 0.1", "one-at-a-time"),
    ("single + 3 suppressors, p = 0.1", "walks"),
    ("pair, p = 0.5", "Thompson"),
]


@pytest.mark.parametrize(("cause", "rival"), CHECKED)
def test_the_figures_of_an_earlier_simulation_come_out_again(cause, rival):
    known = next(row for row in known_rows() if row.name == cause)
    count = 150
    found = sweeps(known, rival, binary_outline(), count, as_before=True)
    for share, figure in zip((0.5, 0.9), known.figures[rival], strict=True):
        assert figure is not None
        below = sum(calls is not None and calls <= figure for calls in found) / count
        error = math.sqrt(share * (1 - share) * (1 / count + 1 / 200))  # both are simulated
        assert abs(below - share) < 3.5 * error


def test_one_at_a_time_never_finds_a_pair():
    known = next(row for row in known_rows() if row.name == "pair, p = 0.1")
    assert set(sweeps(known, "one-at-a-time", binary_outline(), 5, as_before=True)) == {None}


def test_quantile_intervals_cover():
    rng = random.Random(10)
    covered: Counter[float] = Counter()
    for _ in range(1000):
        found = [None if (u := rng.random()) > 0.95 else int(u * 10**6) for _ in range(60)]
        for share in (0.5, 0.9):
            low, high = quantile_interval(found, share)
            assert low is not None
            covered[share] += low <= share * 10**6 and (high is None or high >= share * 10**6)
    assert covered[0.5] >= 930
    assert covered[0.9] >= 930


def test_quantiles_put_what_was_never_found_last():
    found = [None, 3, 1, 2]
    assert [quantile(found, share) for share in (0.25, 0.5, 0.75, 1.0)] == [1, 2, 3, None]
