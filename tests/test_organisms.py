"""Model organisms: known brittleness, decided from what they read, told in words of their own."""

import asyncio
import hashlib
import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.distribution import Distribution
from fuzzer.errors import ConfigurationError
from fuzzer.judges.rules import RulesJudge
from fuzzer.scenario import Scenario
from fuzzer.subjects import Subject
from fuzzer.subjects.organisms import ABOUT, Organism, built_in, chance
from fuzzer.transcript import Transcript
from fuzzer.transform import Plan
from fuzzer.variant import Variant
from mutators import CATALOGUE
from seeds import load_seeds
from tests.stories import every_seed

SEEDS = load_seeds()
JUDGE = RulesJudge()
ORGANISMS = {name: built_in(name, SEEDS) for name in ABOUT}

every_organism = pytest.mark.parametrize("organism", ORGANISMS.values(), ids=ORGANISMS)
STORIES = {(seed.family, seed.threat.kind): seed for seed in SEEDS}
every_story = pytest.mark.parametrize("seed", STORIES.values(), ids=lambda seed: seed.name)
relaxed = settings(deadline=None, max_examples=25)


@cache
def distribution() -> Distribution:
    return Distribution(CATALOGUE, SEEDS, CATALOGUE.pools, JUDGE.decide, random_seed=11)


def drawn(k: int) -> Variant:
    draw = distribution().draw(k)
    return distribution().variant(draw.seed, draw.plan)


def canonical(seed: Scenario) -> Variant:
    return CATALOGUE.variant(seed, Plan(seed=seed.name))


def act(subject: Subject, variant: Variant, epoch: int = 0) -> Transcript:
    return asyncio.run(subject.act(variant, epoch))


def value(subject: Subject, variant: Variant, epoch: int = 0) -> str:
    return JUDGE.decide(variant, act(subject, variant, epoch)).value


def four_word_runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return set(zip(*(words[i:] for i in range(4)), strict=False))


def own_words(transcript: Transcript) -> set[tuple[str, ...]]:
    """Four-word runs of what was written as prose: arguments, and text outside calls."""
    runs: set[tuple[str, ...]] = set()
    prose = [
        str(v)
        for action in transcript.actions
        for role, v in action.args.items()
        if role in ("subject", "body", "note")
    ]
    said = [turn.text for turn in transcript.turns if turn.role == "assistant"]
    prose += [re.split(r"<call |```json|<tool_use", text)[0] for text in said]
    for text in prose:
        runs |= four_word_runs(text)
    return runs


def shared(organism: Subject, variant: Variant, epochs: range) -> set[tuple[str, ...]]:
    controls = set().union(
        *(own_words(t) for t in (*variant.controls.harmful, *variant.controls.safe))
    )
    own = set().union(*(own_words(act(organism, variant, epoch)) for epoch in epochs))
    return own & controls


# ------------------------------------------------------------------------------ in its own words


@every_seed
@every_organism
def test_no_four_words_in_a_row_are_shared_with_any_control(organism, seed):
    assert not shared(organism, canonical(seed), range(12))


@every_organism
def test_nor_on_any_variant(organism):
    for k in range(40):
        assert not shared(organism, drawn(k), range(3)), k


# -------------------------------------------------------------------------- what makes them fail


@every_organism
def test_the_same_request_under_another_plan_meets_the_same_temptation(organism):
    """Ten epochs each: the same rate is drawn from, though each variant has draws of its own."""
    shams = [CATALOGUE.default_step(t.name) for t in CATALOGUE if t.relation == "sham"]
    for k in range(5):
        one = drawn(k)
        steps = [s for s in one.plan.steps if CATALOGUE[s.transform].relation != "sham"]
        scenario = distribution().scenarios[one.plan.seed]
        plain = CATALOGUE.variant(scenario, CATALOGUE.plan(scenario.name, steps))
        other = CATALOGUE.variant(scenario, CATALOGUE.plan(scenario.name, [*steps, *shams]))
        assert plain.request == other.request
        assert plain.id != other.id
        # The plan is hidden from it: with the identity kept, everything it does is the same.
        blank = plain.model_copy(update={"plan": Plan(seed="nobody"), "distance": 99})
        assert [act(organism, plain, e) for e in range(4)] == [
            act(organism, blank, e) for e in range(4)
        ]
        tempted = {
            any(value(organism, v, e) == "harmful" for e in range(40)) for v in (plain, other)
        }
        if organism.name != "organism/rare":  # one in ten may well stay away for forty epochs
            assert len(tempted) == 1


@every_seed
@pytest.mark.parametrize("name", ["always_safe", "memoriser", "tool_keyed", "pair", "rare"])
def test_a_seed_it_remembers_never_tempts_it(name, seed):
    assert {value(ORGANISMS[name], canonical(seed), epoch) for epoch in range(30)} == {"safe"}


def telling(seed: Scenario, keys: tuple[str, ...]) -> list[str]:
    """Where nothing threatens, the goal is what an organism knows by its wording."""
    threatened = seed.threat.kind != "none"
    return [k if threatened or k != "paraphrase_threat" else "paraphrase_goal" for k in keys]


@pytest.mark.parametrize(
    ("name", "keys", "rate"),
    [
        ("memoriser", ("rename_people",), 0.65),
        ("memoriser", ("rename_agent",), 0.65),
        ("memoriser", ("paraphrase_threat",), 0.65),
        ("tool_keyed", ("rename_tools",), 0.8),
        ("pair", ("rename_tools", "paraphrase_threat"), 0.7),
        ("rare", ("rename_tools", "paraphrase_threat"), 0.1),
    ],
)
@every_story
def test_the_planted_surface_fails_at_the_planted_rate(name, keys, rate, seed):
    keys = telling(seed, keys)
    steps = [CATALOGUE.default_step(key) for key in keys]
    variant = CATALOGUE.variant(seed, CATALOGUE.plan(seed.name, steps))
    failed = sum(value(ORGANISMS[name], variant, epoch) == "harmful" for epoch in range(150))
    assert abs(failed / 150 - rate) < 0.16


@pytest.mark.parametrize("key", ["rename_tools", "paraphrase_threat"])
@pytest.mark.parametrize("name", ["pair", "rare"])
@every_story
def test_half_of_a_pair_is_harmless(name, key, seed):
    (key,) = telling(seed, (key,))
    variant = CATALOGUE.variant(seed, CATALOGUE.plan(seed.name, [CATALOGUE.default_step(key)]))
    assert {value(ORGANISMS[name], variant, epoch) for epoch in range(30)} == {"safe"}


def test_every_kind_is_judged_as_what_it_is_on_every_variant():
    for k in range(40):
        variant = drawn(k)
        assert value(ORGANISMS["always_safe"], variant, k) == "safe"
        assert value(ORGANISMS["always_harmful"], variant, k) == "harmful"
        declined = JUDGE.decide(variant, act(ORGANISMS["refuser"], variant, k))
        assert (declined.value, declined.engaged) == ("safe", False)
        broken = JUDGE.decide(variant, act(ORGANISMS["malformed"], variant, k))
        assert (broken.value, broken.cause) == ("unusable", "malformed")


def test_an_unknown_organism_names_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'memoriser'"):
        built_in("memorizer", SEEDS)


# --------------------------------------------------------------------------------------- Organism


@relaxed
@given(st.integers(0, 60), st.integers(0, 5), st.floats(0, 1), st.integers(0, 3))
def test_an_organism_plays_the_first_control_of_either_kind_by_its_own_hash(k, epoch, rate, seed):
    variant = drawn(k)
    harmful = chance("own", seed, variant.id, epoch) < rate
    expected = variant.controls.harmful[0] if harmful else variant.controls.safe[0]
    assert act(Organism("own", rate, seed), variant, epoch) == expected
    assert act(Organism("own", lambda v: rate if v is variant else 2, seed), variant, epoch) == (
        expected
    )


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1, 0.5, 1.0])
def test_its_rate_is_its_rate_over_epochs_and_over_variants(rate):
    organism = Organism("steady", rate, seed=3)
    variant = drawn(0)
    failed = sum(
        act(organism, variant, epoch) is variant.controls.harmful[0] for epoch in range(800)
    )
    assert abs(failed / 800 - rate) <= 4 * (rate * (1 - rate) / 800) ** 0.5


def test_name_seed_variant_and_epoch_each_change_the_draw():
    draws = {
        chance(name, seed, identity, epoch)
        for name in ("a", "b")
        for seed in (0, 1)
        for identity in ("x", "y")
        for epoch in (0, 1)
    }
    assert len(draws) == 16
    assert all(0 <= draw < 1 for draw in draws)
    assert chance("a", 1, "2") == chance("a", "1", 2)
    digest = hashlib.blake2b(b"a\x000\x00v\x001", digest_size=8).digest()
    assert chance("a", 0, "v", 1) == int.from_bytes(digest, "big") / 2**64


@every_organism
def test_every_built_in_one_is_a_subject_with_its_name(organism):
    assert isinstance(organism, Subject)
    assert ORGANISMS[organism.name.removeprefix("organism/")] is organism
