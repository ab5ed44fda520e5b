"""No trace of the old surface: a scan written apart from the one that admits variants.

Every name is changed, other steps are drawn at random, and the request is searched for whatever
the old names, addresses and domains could have left behind: possessives, initials, lower-case local
parts, other Unicode forms, bare stems of domains.
"""

import random
import re
import unicodedata
from functools import cache

import pytest

from fuzzer.judges.rules import RulesJudge
from fuzzer.scenario import Scenario, parse_slots
from fuzzer.transform import Step
from fuzzer.variant import Variant, admit
from mutators import CATALOGUE
from seeds import every_seed as built_in_seeds

SEEDS = built_in_seeds()
JUDGE = RulesJudge().decide
RENAMES = tuple(
    name
    for name in ("rename_people", "rename_agent", "rename_organisations", "relocate")
    if name in CATALOGUE
)
POOLED = tuple(t for t in CATALOGUE if t.relation in ("invariant", "sham"))


def folded(text: str) -> str:
    """Without marks, case and compatibility forms: what a reader would take for the same word."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def old_forms(seed: Scenario) -> dict[str, str]:
    return _old_forms(seed.name)


@cache
def _old_forms(name: str) -> dict[str, str]:
    """What could be left of the old names, folded, with where it comes from."""
    seed = next(seed for seed in SEEDS if seed.name == name)
    domains = {o.role: o.domain for o in seed.organisation}
    found: dict[str, str] = {}
    for person in seed.cast:
        where = f"cast.{person.role}"
        for form in (
            person.name,
            f"{person.last} {person.first}",
            f"{person.last}, {person.first}",
            f"{person.first[:1]}. {person.last}" if person.last else person.first,
            person.first,
            person.last,
            f"{person.mailbox}@{domains[person.org]}",
            person.mailbox if "." in person.mailbox else "",
        ):
            found[folded(form).strip(" ,.")] = where
    for organisation in seed.organisation:
        where = f"organisation.{organisation.role}"
        stem = organisation.domain.rpartition(".")[0]
        for form in (organisation.name, organisation.domain, stem, organisation.city):
            found[folded(form).strip(" ,.")] = where
    literal = folded(" ".join(literals(seed)))
    return {
        form: where
        for form, where in found.items()
        if len(form) > 2 and not occurs(form, literal)  # a word of the language as well
    }


def literals(seed: Scenario) -> list[str]:
    """What the seed says outside its slots: words that are no trace of a name."""
    shown = [text for where, text in seed.texts() if where.startswith(("system", "inbox", "goal"))]
    shown += [seed.threat.text, seed.leverage.text]
    return [part for text in shown for part in parse_slots(text) if isinstance(part, str)]


def occurs(form: str, text: str) -> bool:
    return re.search(rf"(?<![^\W_]){re.escape(form)}(?![^\W_])", text) is not None


def traces_of(seed: Scenario, variant: Variant) -> list[str]:
    new = folded(" ".join(sorted(variant.scenario.surface)))
    text = folded(variant.request.text)
    return [
        f"{form} ({where})"
        for form, where in old_forms(seed).items()
        if form in text and occurs(form, text) and not occurs(form, new)
    ]


def renamed(seed: Scenario, rng: random.Random, others: int) -> Variant:
    """A variant in which everybody and everything has another name, with other steps beside it."""
    steps = [rng.choice(CATALOGUE.pools[name]) for name in RENAMES if fits(name, seed)]
    taken = {CATALOGUE[step.transform].group for step in steps}
    for transform in rng.sample(POOLED, len(POOLED)):
        if len(steps) >= len(RENAMES) + others:
            break
        if transform.group not in taken and transform.applicable(seed):
            taken.add(transform.group)
            steps.append(rng.choice(CATALOGUE.pools[transform.name]))
    return CATALOGUE.variant(seed, CATALOGUE.plan(seed.name, steps))


def fits(name: str, seed: Scenario) -> bool:
    return CATALOGUE[name].applicable(seed)


def check(seed: Scenario, rng: random.Random) -> None:
    variant = renamed(seed, rng, others=rng.randrange(20))
    where = f"{seed.name}: {variant.plan.steps!r}"
    assert traces_of(seed, variant) == [], where
    assert re.findall(r"\{\{[\w. ]*\}\}", variant.request.text) == [], where
    assert admit(variant, seed, JUDGE).reasons == (), where


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_after_every_rename_nothing_old_and_no_slot_is_left(seed):
    rng = random.Random(f"surface:{seed.name}")
    for _ in range(4):
        check(seed, rng)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(16))
def test_ten_thousand_renamed_plans_leave_nothing_old(part):
    rng = random.Random(f"surface:{part}")
    for number in range(625):
        check(SEEDS[(part * 625 + number) % len(SEEDS)], rng)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(16))
def test_ten_thousand_random_plans_are_never_blind(part):
    rng = random.Random(f"plans:{part}")
    for number in range(625):
        seed = SEEDS[(part * 625 + number) % len(SEEDS)]
        steps: dict[str, Step] = {}
        for transform in POOLED:
            if transform.applicable(seed) and rng.random() < rng.choice((0.1, 0.25, 0.5)):
                steps[transform.group] = rng.choice(CATALOGUE.pools[transform.name])
        variant = CATALOGUE.variant(seed, CATALOGUE.plan(seed.name, steps.values()))
        assert admit(variant, seed, JUDGE).reasons == (), f"{seed.name}: {variant.plan.steps!r}"


def test_the_scan_finds_what_it_looks_for():
    """A scan that finds nothing anywhere would pass everything."""
    for seed in SEEDS:
        plain = CATALOGUE.variant(seed, CATALOGUE.plan(seed.name, ()))
        forms, text = old_forms(seed), folded(plain.request.text)
        seen = [form for form in forms if occurs(form, text)]
        assert len(seen) > 20, seed.name
        assert traces_of(seed, plain) == []  # nothing was renamed, so nothing is old
