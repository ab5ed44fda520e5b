"""What a budget can find: exact values where they can be had, and one curve for every question."""

import asyncio
import io
import json
import random
from functools import cache
from itertools import product

import pytest
from click.testing import CliRunner

from fuzzer.cli import main
from fuzzer.decision import Rules, index_lag
from fuzzer.errors import ConfigurationError
from fuzzer.evidence import clopper_pearson
from fuzzer.forecast import Forecast, forecast
from fuzzer.graph import Catalogue
from fuzzer.outline import Outline
from fuzzer.power import (
    KINDS,
    RATES,
    Cell,
    Chances,
    Kind,
    Study,
    causes,
    default_cache,
    detections,
    not_planted,
    smallest_budget,
)
from fuzzer.proposal import Outcome
from fuzzer.scenario import Scenario
from fuzzer.search import Search
from fuzzer.subjects.organisms import built_in
from fuzzer.transform import Params, Step, transform
from mutators import CATALOGUE
from mutators.values import changed
from reports.forecast import show
from seeds import load_seed

SEEDS = tuple(map(load_seed, ("blackmail-replacement", "leaking-competitor-goal")))
SAFE, HARMFUL = Outcome("safe"), Outcome("harmful")


class Which(Params):
    """Parameters of the little transforms below."""

    n: int = 0


def little(name: str, group: str = ""):
    """A transform that adds a line of its own to the first message."""

    def apply(scenario: Scenario, params: Which) -> Scenario:
        """Add a line."""
        first, *rest = scenario.inbox
        body = f"{first.body}\n{name} {params.n}"
        return changed(scenario, inbox=(changed(first, body=body), *rest))

    apply.__name__ = name
    return transform(
        family="x", relation="invariant", rung="context", changes={"inbox"}, group=group
    )(apply)


def small(*transforms, random_seed: int = 0) -> Outline:
    """D over one seed and these transforms, each with eight values."""
    pools = {
        t.name: tuple(Step(transform=t.name, params={"n": n}) for n in range(8)) for t in transforms
    }
    return Outline(Catalogue(transforms), SEEDS[:1], pools, random_seed)


ONE = little("one")


@cache
def whole(random_seed: int = 0) -> Outline:
    """D over the built-in catalogue and two seeds."""
    return Outline(CATALOGUE, SEEDS, CATALOGUE.pools, random_seed)


def planned(budget: int, stop: str = "first", threshold: float = 0.01, connections: int = 10):
    return Rules(budget=budget, lag=index_lag(connections, budget), stop=stop, threshold=threshold)


def plainly(law: Outline, rules: Rules, cause, rate: float, luck) -> int | None:
    """One sweep from its first call to its end, on the outline as it is."""
    search = Search(rules, law)
    while not search.done:
        for proposal in search.ask(1):
            held = {step.transform for step in proposal.plan}
            failed = held.issuperset(cause) and luck(proposal.index) < rate
            search.tell(proposal.index, HARMFUL if failed else SAFE)
    found = search.result()
    return None if found.brittle_index is None else found.brittle_index + 1


# ------------------------------------------------------------------------------ exact probabilities


@cache
def exactly(budget: int, rate: float, connections: int = 1) -> float:
    """P(brittle) where every draw holds the cause: over all that can come of its calls."""
    law, rules = small(ONE), planned(budget, "brittle", connections=connections)

    def after(told: tuple[bool, ...]) -> float:
        search, left = Search(rules, law), list(told)
        while not search.done and "brittle" not in search.accounts.seen.crossed:
            (proposal,) = search.ask(1)
            if proposal.plan and not left:
                rest = [after((*told, failed)) for failed in (False, True)]
                return (1 - rate) * rest[0] + rate * rest[1]
            failed = bool(proposal.plan) and left.pop(0)
            search.tell(proposal.index, HARMFUL if failed else SAFE)
        return float("brittle" in search.accounts.seen.crossed)

    return after(())


@pytest.mark.parametrize(
    ("budget", "rate"),
    [
        (6, 1.0),
        (9, 0.5),
        (12, 0.3),
        *(pytest.param(*long, marks=pytest.mark.slow) for long in [(4, 1.0), (12, 0.5)]),
    ],
)
def test_the_probability_is_the_exact_one_where_that_can_be_counted(budget, rate):
    study = Study(small(ONE), 800)
    cell = study.cell(planned(budget, "brittle", connections=1), "single", rate)
    low, high = clopper_pearson(800, cell.found(budget), 0.001)
    assert low <= exactly(budget, rate) <= high


def test_where_every_call_of_a_variant_fails_a_sweep_is_brittle_after_a_handful():
    (found, *_) = detections(Study(small(ONE), 5), planned(100))
    assert (found.kind, found.at, found.probability, found.chance) == ("single", 1.0, 1.0, 1.0)
    assert found.median_calls is not None
    assert found.median_calls < 20


def studies(count: int) -> list[Study]:
    """Studies of 40 sweeps each."""
    return [Study(small(ONE, random_seed=seed), 40) for seed in range(count)]


@pytest.mark.parametrize(
    ("count", "least"),  # at a level of 95% fewer happen less than once in 1,000
    [(20, 15), pytest.param(60, 51, marks=pytest.mark.slow)],
)
def test_the_interval_of_a_probability_holds_the_true_one(count, least):
    rules, truth = planned(12, "brittle", connections=1), exactly(12, 0.5)
    within = 0
    for study in studies(count):
        (row,) = [d for d in detections(study, rules) if d.at == 0.5]
        within += row.ci[0] <= truth <= row.ci[1]
    assert within >= least


@pytest.mark.slow
def test_the_interval_of_a_budget_holds_the_true_one():
    truth = next(b for b in range(1, 15) if exactly(b, 0.5) >= 0.6)
    rules, within = planned(12, "brittle"), 0
    for study in studies(120):
        wish = smallest_budget(study, rules, "single", 0.5, 0.6, connections=1, most=60)
        assert wish.ci is not None
        low, high = wish.ci
        within += low <= truth and (high is None or truth <= high)
    assert within >= 106


# -------------------------------------------------------------------------------- what is simulated


@pytest.mark.parametrize("stop", ["first", "brittle"])
def test_a_simulated_sweep_is_the_search_run_plainly_on_the_outline(stop):
    law, rules = whole(), planned(250, stop)
    for kind, at in zip(KINDS, (0.1, 0.5, 1.0), strict=True):
        study = Study(law, 5)
        cell = study.cell(rules, kind, at)
        for i, cause in enumerate(study.causes(kind)):
            rng = random.Random(f"{law.random_seed}:luck:{i}")
            luck = [rng.random() for _ in range(rules.budget)]
            assert cell.calls[i] == plainly(law, rules, cause, at, luck.__getitem__)


def test_sweeps_with_draws_of_their_own_are_found_brittle_as_often():
    """The draws are shared by the runs of a study; that must not move what it says on average."""
    rules = planned(150)
    shared = Study(whole(), 200).cell(rules, "pair", 0.5)
    found = 0
    for seed in range(40):
        law = Outline(CATALOGUE, SEEDS, CATALOGUE.pools, random_seed=1000 + seed)
        (cause,) = causes(law, "pair", 1)
        rng = random.Random(seed)
        luck = [rng.random() for _ in range(rules.budget)]
        found += plainly(law, rules, cause, 0.5, luck.__getitem__) is not None
    low, high = clopper_pearson(40, found, 0.001)
    assert low <= shared.found(150) / 200 <= high


def test_a_cause_is_of_distinct_choice_groups_that_one_seed_can_hold():
    law = whole()
    groups = {t.name: t.group for t in CATALOGUE}
    pairs = causes(law, "pair", 300)
    assert causes(law, "single", 300) == [pair[:1] for pair in pairs]
    for cause in (*pairs, *causes(law, "triple", 100)):
        assert len({groups[name] for name in cause}) == len(cause)
        assert any(
            {t.name for group in law.choices[seed]["invariant"] for t in group}.issuperset(cause)
            for seed in law.seeds
        )
    assert len({name for (name, *_) in pairs}) > 50  # of about 80 transforms, each as likely


@pytest.mark.parametrize("kind", KINDS)
def test_the_chance_of_a_draw_is_the_share_of_draws(kind):
    members = [little("a"), little("b", "g"), little("c", "g"), little("d")]
    law = small(*members)
    draws = [{step.transform for step in law.draw(k).plan} for k in range(6000)]
    for cause in set(causes(law, kind, 20)):
        chance = Chances(law).of(cause)
        seen = sum(draw.issuperset(cause) for draw in draws)
        low, high = clopper_pearson(len(draws), seen, 0.0001)
        assert low <= chance <= high, cause


def test_a_cause_that_a_seed_cannot_hold_has_no_chance_there():
    names = [
        {t.name for group in whole().choices[seed]["invariant"] for t in group}
        for seed in whole().seeds
    ]
    everywhere, somewhere = sorted(names[0] & names[1]), sorted(names[0] ^ names[1])
    law = Chances(whole())
    assert law.of((everywhere[0],)) > 0
    for name in somewhere:
        assert 0 < law.of((name,)) < 0.3  # in half of the draws at most
    assert law.of(("no such transform",)) == 0


# ------------------------------------------------------------------------------------- what is said


@cache
def found_within(budget: int, stop: str = "first"):
    study = Study(whole(), 40)
    return {(d.kind, d.at): d for d in detections(study, planned(budget, stop))}


def test_more_calls_a_higher_rate_and_fewer_transforms_are_found_more_often():
    few, many = found_within(60), found_within(400)
    assert set(few) == set(many) == set(product(KINDS, RATES))
    for cell, row in many.items():
        assert few[cell].probability <= row.probability
        assert few[cell].chance == row.chance
        assert row.ci[0] <= row.probability <= row.ci[1]
        assert row.spread[0] <= row.spread[1]
    for kind in KINDS:
        rates = [many[kind, at].probability for at in RATES]
        assert rates == sorted(rates, reverse=True)
    for at in RATES:
        kinds = [many[kind, at].probability for kind in KINDS]
        assert kinds == sorted(kinds, reverse=True)
        chances = [many[kind, at].chance for kind in KINDS]
        assert chances == sorted(chances, reverse=True)
    assert many["single", 1.0].probability == 1
    assert few["triple", 0.1].probability < 0.5


def test_the_same_random_seed_gives_the_same_and_another_another():
    rules = planned(150)
    one, again, other = (detections(Study(whole(seed), 10), rules) for seed in (0, 0, 1))
    assert one == again
    assert one != other


def test_a_sweep_that_stops_at_holds_misses_what_a_longer_one_finds():
    rules = planned(1200), planned(1200, "brittle"), planned(1200, "budget")
    first, brittle, whole_budget = (Study(whole(), 12).cell(r, "triple", 0.1) for r in rules)
    assert first.held > 0
    assert brittle.held == 0
    assert brittle == whole_budget
    assert first.found(1200) < brittle.found(1200)


# ----------------------------------------------------------------------------------------- a wish


@pytest.mark.parametrize(("kind", "at", "power"), [("pair", 0.5, 0.9), ("single", 1.0, 0.5)])
def test_the_budget_for_a_wish_is_the_smallest_that_reaches_it(kind, at, power):
    study = Study(whole(), 40)
    wish = smallest_budget(study, planned(1000), kind, at, power, connections=10)
    assert wish.budget is not None
    assert wish.ci is not None
    needed = power * 40

    def found(budget: int) -> int:
        return study.cell(planned(budget), kind, at).found(budget)

    assert found(wish.budget) >= needed
    assert found(wish.budget - 1) < needed
    assert wish.ci[0] <= wish.budget
    assert wish.ci[1] is None or wish.budget <= wish.ci[1]


def test_a_wish_that_no_budget_grants_says_why():
    def wished(at: float, stop: str, kind: Kind = "triple", most: int = 600) -> str:
        study = Study(whole(), 20)
        wish = smallest_budget(
            study, planned(1000, stop), kind, at, 0.95, connections=10, most=most
        )
        assert wish.budget is None
        assert wish.ci is None
        assert wish.reason is not None
        return wish.reason

    reason = wished(0.1, "first", most=2000)
    assert "No budget up to 2,000 calls finds a triple that fails at 0.1" in reason
    assert "--stop brittle goes on" in reason
    assert "evidence falls on average" in wished(0.011, "brittle", "single")
    assert wished(0.1, "brittle").endswith("with probability 0.95.")


@pytest.mark.parametrize(
    ("at", "power", "says"),
    [
        (0.01, 0.9, "at = 0.01 is not above 0.01"),
        (0.0, 0.9, "at = 0 is not above 0.01"),
        (1.5, 0.9, "at = 1.5 is not possible"),
        (float("nan"), 0.9, "at = nan is not possible"),
        (0.5, 0.0, "power = 0 is not possible"),
        (0.5, 1.0, "power = 1 is not possible"),
        (0.5, float("nan"), "power = nan is not possible"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(at, power, says):
    with pytest.raises(ConfigurationError) as caught:
        smallest_budget(Study(whole(), 5), planned(100), "pair", at, power, connections=10)
    assert says in str(caught.value)


def test_more_transforms_than_any_seed_can_hold_are_refused_and_left_out():
    law, rules = small(ONE, little("b", "g"), little("c", "g")), planned(100, threshold=0.2)
    with pytest.raises(ConfigurationError, match="no seed has the 3 choice groups"):
        smallest_budget(Study(law, 5), rules, "triple", 0.5, 0.9, connections=10)
    told = [(d.kind, d.at) for d in detections(Study(law, 5), rules)]
    assert told == [("single", 1.0), ("single", 0.5), ("pair", 1.0), ("pair", 0.5)]
    left_out = " ".join(not_planted(law, rules))
    assert "fails at 0.1 is not above the threshold of 0.2" in left_out
    assert "No seed has the 3 choice groups that a triple takes." in left_out
    assert not list(not_planted(whole(), planned(100)))


# -------------------------------------------------------------------------------------- the cache


def test_what_was_simulated_is_read_again(tmp_path):
    rules, cache_in = planned(80), tmp_path / "not" / "yet"
    made = Study(whole(), 6, cache_in).cell(rules, "pair", 0.5)
    (kept,) = cache_in.iterdir()
    assert Study(whole(), 6, cache_in).cell(rules, "pair", 0.5) == made
    another = Cell(calls=(7,) * 6, held=0)
    kept.write_text(another.model_dump_json())
    assert Study(whole(), 6, cache_in).cell(rules, "pair", 0.5) == another, "it was not read"
    for broken in ("", "{}", "[" * 9, "\x00"):
        kept.write_text(broken)
        assert Study(whole(), 6, cache_in).cell(rules, "pair", 0.5) == made
    assert [file.name for file in cache_in.iterdir()] == [kept.name]


def test_whatever_a_simulated_sweep_depends_on_is_kept_apart(tmp_path):
    pools = {**CATALOGUE.pools}
    name = next(t.name for t in CATALOGUE if len(pools.get(t.name, ())) > 2)
    pools[name] = pools[name][:-1]
    less = Outline(CATALOGUE, SEEDS, pools), Outline(CATALOGUE, SEEDS[:1], CATALOGUE.pools)
    usual = planned(40)
    for law in (whole(), whole(1), *less):
        Study(law, 2, tmp_path).cell(usual, "pair", 0.5)
    for rules in (planned(41), planned(40, "brittle"), planned(40, threshold=0.02)):
        Study(whole(), 2, tmp_path).cell(rules, "pair", 0.5)
    Study(whole(), 3, tmp_path).cell(usual, "pair", 0.5)
    Study(whole(), 2, tmp_path).cell(usual, "single", 0.5)
    Study(whole(), 2, tmp_path).cell(usual, "pair", 0.6)
    assert len(list(tmp_path.iterdir())) == 10


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    file = tmp_path / "file"
    file.write_text("here")
    rules = planned(40)
    made = Study(whole(), 2, file / "below").cell(rules, "pair", 0.5)
    assert made == Study(whole(), 2).cell(rules, "pair", 0.5)
    assert file.read_text() == "here"


def test_the_cache_is_where_the_user_has_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "holdfast" / "power"
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in ("", "relative/path"):  # the specification: a relative one is ignored
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert default_cache() == tmp_path / ".cache" / "holdfast" / "power"


# ----------------------------------------------------------------------------------------- a plan


def told(*args):
    return CliRunner().invoke(main, ["plan", SEEDS[0].name, "--budget", "60", *args])


def test_a_plan_shows_what_its_budget_finds_in_eighty_columns():
    found = asyncio.run(
        forecast(
            built_in("memoriser", SEEDS),
            SEEDS,
            budget=60,
            detection=True,
            detect="single",
            at=1.0,
            sample=4,
        )
    )
    assert Forecast.model_validate_json(found.model_dump_json()) == found
    assert len(found.detection) == 9
    assert found.wish is not None
    stream = io.StringIO()
    show(found, stream=stream)
    text = stream.getvalue()
    assert all(len(row) <= 80 for row in text.splitlines())
    flat = " ".join(text.split())
    assert "planted causes, no model" in flat
    assert f"a budget of {found.wish.budget} calls [" in flat
    for row in found.detection:
        assert f"[{100 * row.ci[0]:.0f}" in flat or row.ci[0] < 0.1
    assert sum("planted" in sentence for sentence in found.assumptions) == 1


def test_a_plan_without_detection_says_nothing_of_it():
    found = asyncio.run(forecast(built_in("memoriser", SEEDS), SEEDS, sample=4))
    assert found.detection == ()
    assert found.wish is None
    assert not any("planted" in sentence for sentence in found.assumptions)


def test_the_command_takes_a_wish_and_refuses_half_of_one():
    plan = json.loads(told("--detect", "single", "--at", "1", "--power", "0.5", "--json").output)
    assert len(plan["detection"]) == 9
    assert plan["wish"]["budget"] < 100
    plan = json.loads(told("--no-detection", "--json").output)
    assert (plan["detection"], plan["wish"]) == ([], None)
    for half, says in ((("--at", "0.5"), "--at says"), (("--power", "0.5"), "--power says")):
        result = told(*half)
        assert (result.exit_code, says in result.output) == (2, True)
    result = told("--detect", "pair", "--at", "0.005")
    assert (result.exit_code, "not above 0.01" in result.output) == (2, True)
