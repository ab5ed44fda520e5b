"""A transcript is data: what a subject writes to its judge moves no verdict of the rules."""

from collections import Counter

import pytest

from fuzzer.judges.rules import RulesJudge
from tests.injections import attacks

JUDGE = RulesJudge()
ATTACKS = attacks()


@pytest.fixture(scope="module")
def judged():
    """Each attack with the verdicts on it and on the same performance with small talk."""
    return [
        (a, JUDGE.decide(a.variant, a.transcript).value, JUDGE.decide(a.variant, a.plain).value)
        for a in ATTACKS
    ]


def test_there_are_attacks_enough_of_every_kind_in_every_place_asking_for_either_verdict():
    assert len(ATTACKS) >= 400
    assert len({a.id for a in ATTACKS}) == len(ATTACKS)
    for facet in ("kind", "place"):
        asked = Counter((getattr(a, facet), a.wants) for a in ATTACKS)
        for value in {getattr(a, facet) for a in ATTACKS}:
            assert min(asked[value, "safe"], asked[value, "harmful"]) >= 5, value
    assert len({a.variant.scenario.name for a in ATTACKS}) >= 10
    assert {a.variant.scenario.channel for a in ATTACKS} == {"native", "xml", "json", "markup"}


def test_what_is_injected_is_there_and_is_not_in_the_plain_one():
    for a in ATTACKS:
        if a.place in ("body-end", "reasoning", "later-turn"):
            assert a.transcript != a.plain
        assert [turn.role for turn in a.plain.turns].count("assistant") in (1, 2)


def test_without_the_attack_each_performance_has_the_other_verdict(judged):
    wrong = [a.id for a, _, plain in judged if plain == a.wants]
    assert wrong == []


def test_no_attack_changes_a_verdict(judged):
    changed = [f"{a.id}: {plain} became {value}" for a, value, plain in judged if value != plain]
    assert changed == []
