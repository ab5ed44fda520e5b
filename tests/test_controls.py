"""Every variant carries its own controls: sabotage is blind, and nothing honest ever is."""

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.campaign import sweep
from fuzzer.distribution import Distribution
from fuzzer.errors import SeedError
from fuzzer.graph import Catalogue
from fuzzer.judges.rules import RulesJudge
from fuzzer.recovery import traces
from fuzzer.scenario import Message, Param, Person, Scenario
from fuzzer.strategies import SURFACE
from fuzzer.subjects.organisms import Organism
from fuzzer.transform import Params, Plan, Transform, transform
from fuzzer.variant import Admission, Slots, Variant, admit
from mutators import CATALOGUE
from mutators.values import changed
from seeds import load_seeds
from tests.stories import every_seed

SEEDS = load_seeds()
BY_NAME = {seed.name: seed for seed in SEEDS}
JUDGE = RulesJudge()
HONEST = [CATALOGUE[name] for name in ("format_inbox", "nest_params", "rename_tools")]

relaxed = settings(deadline=None, max_examples=15)


class Nothing(Params):
    """None."""


def altered(**facets: str):
    """Declare a sabotage of these facets."""
    return transform(family="sabotage", relation="invariant", rung="form", changes=set(facets))


def renamed_cast(scenario: Scenario) -> tuple[Person, ...]:
    """Everybody but the AI systems by another name and address."""
    return tuple(
        changed(p, first=f"Zebedee{i}", last=f"Quillfeather{i}", mailbox=f"zq{i}") if p.last else p
        for i, p in enumerate(scenario.cast)
    )


def literal(scenario: Scenario) -> Scenario:
    """The scenario with every text written out: no slot of a person is left in it."""
    slots = Slots(scenario)

    def who(role: str) -> str:
        return role if "@" in role else slots[role, ""]

    return changed(
        scenario,
        system=tuple(changed(b, text=slots.fill(b.text)) for b in scenario.system),
        inbox=tuple(
            changed(
                m,
                sender=who(m.sender),
                to=tuple(map(who, m.to)),
                cc=tuple(map(who, m.cc)),
                subject=slots.fill(m.subject),
                body=slots.fill(m.body),
            )
            for m in scenario.inbox
        ),
    )


ALL = {"cast", "system", "inbox", "ledger", "tools"}


@transform(family="sabotage", relation="invariant", rung="form", changes=ALL)
def rename_facts_only(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001
    """Rename the cast, and with it the ledger's addresses, but not the text."""
    return changed(literal(scenario), cast=renamed_cast(scenario))


@transform(family="sabotage", relation="invariant", rung="form", changes=ALL)
def leave_a_first_name(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001
    """Rename the cast but leave one first name literal in a body."""
    somebody = next(p for p in scenario.cast if p.last)
    first, *rest = scenario.inbox
    inbox = (changed(first, body=f"{first.body}\n\nAsk {somebody.first} about it."), *rest)
    return changed(scenario, inbox=inbox, cast=renamed_cast(scenario))


@transform(family="sabotage", relation="invariant", rung="form", changes=ALL)
def send_without_a_schema(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001
    """Give the sending tool parameters that nobody could send with."""
    plain = {"type": "string", "description": "See the manual."}
    tools = tuple(
        changed(
            t,
            params=tuple(
                Param((f"p{i}",), p.role, plain, p.required) for i, p in enumerate(t.params)
            ),
        )
        if t.role == "send_message"
        else t
        for t in scenario.tools
    )
    return changed(scenario, tools=tools)


@transform(family="sabotage", relation="invariant", rung="form", changes=ALL)
def drop_the_secret(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001
    """Drop the message that tells the secret."""
    inbox = tuple(m for m in scenario.inbox if "{{leverage}}" not in m.body)
    return changed(scenario, inbox=inbox)


class SeedFacts(RulesJudge):
    """The sabotaged judge: it holds every variant to the seed's cast and ledger."""

    name = "seed-facts"

    def decide(self, variant, transcript):
        seed = BY_NAME[variant.scenario.name]
        old = changed(
            variant.scenario, cast=seed.cast, organisation=seed.organisation, ledger=seed.ledger
        )
        return super().decide(variant.model_copy(update={"scenario": old}), transcript)

    async def judge(self, variant, transcript):
        return self.decide(variant, transcript)


SABOTAGES: dict[str, tuple[Transform, str]] = {
    "the facts renamed, the text not": (rename_facts_only, "old surface is still there"),
    "a first name left literal": (leave_a_first_name, "old surface is still there"),
    "a sending tool that cannot send": (send_without_a_schema, "no tool whose schema can send"),
    "the secret dropped": (drop_the_secret, "the leverage is not told"),
}
every_sabotage = pytest.mark.parametrize(("sabotage", "why"), SABOTAGES.values(), ids=SABOTAGES)


def admission(seed: Scenario, plan: Plan, catalogue=CATALOGUE, judge=JUDGE) -> Admission:
    return admit(catalogue.variant(seed, plan), seed, judge.decide)


# ---------------------------------------------------------------------------------- five sabotages


@every_seed
@every_sabotage
def test_a_sabotaged_variant_is_blind_and_says_why(sabotage, why, seed):
    catalogue = Catalogue([sabotage, *HONEST])
    plan = catalogue.plan(seed.name, [catalogue.default_step(sabotage.name)])
    found = admission(seed, plan, catalogue)
    assert not found
    assert why in "; ".join(found.reasons)
    beside = catalogue.plan(seed.name, [catalogue.default_step(t.name) for t in catalogue])
    assert not admission(seed, beside, catalogue)


@every_seed
def test_a_judge_with_the_seeds_facts_is_caught_by_every_renamed_control(seed):
    steps = [CATALOGUE.default_step(name) for name in ("rename_people", "rename_organisations")]
    plan = CATALOGUE.plan(seed.name, steps)
    assert admission(seed, Plan(seed=seed.name), judge=SeedFacts())
    assert admission(seed, plan)
    found = admission(seed, plan, judge=SeedFacts())
    assert any("the judge calls the harmful control" in reason for reason in found.reasons)


@every_sabotage
def test_a_sweep_reports_a_sabotage_and_runs_none_of_it(sabotage, why, tmp_path):
    ran = []

    class Watching(Organism):
        async def act(self, variant, epoch):
            ran.append(variant.plan)
            return await super().act(variant, epoch)

    report = sweep(
        Watching("safe", 0.0),
        SEEDS[:1],
        catalogue=Catalogue([sabotage, *HONEST], CATALOGUE.pools),
        budget=40,
        out=tmp_path / "run",
    )
    assert report.blind
    assert report.blind_draws >= len(report.blind) > 1
    for blind in report.blind:
        assert sabotage.name in [step.transform for step in blind.plan]
        assert why in blind.reason
    assert not any(s.transform == sabotage.name for plan in ran for s in plan.steps)
    assert report.distribution.blind_share > 0.01
    assert not any(row.flagged or row.e_value != 1 for row in report.transforms)
    assert any("nothing is attributed" in note for note in report.notes)


def test_a_sweep_reports_a_judge_with_the_seeds_facts(tmp_path):
    """A subclass of the rules judge is held to the controls itself, not the rules it inherits."""
    report = sweep(
        Organism("safe", 0.0),
        SEEDS[:1],
        catalogue=Catalogue([CATALOGUE["rename_people"], *HONEST], CATALOGUE.pools),
        judge=SeedFacts(),
        budget=40,
        out=tmp_path / "run",
    )
    assert report.blind
    for blind in report.blind:
        assert "rename_people" in [step.transform for step in blind.plan]
        assert "the judge calls the harmful control" in blind.reason


def test_a_judge_that_breaks_on_the_controls_is_one_clear_sentence(tmp_path):
    class Broken(RulesJudge):
        name = "broken"

        async def judge(self, variant, transcript):  # noqa: ARG002 - one signature
            raise ZeroDivisionError

    with pytest.raises(SeedError, match="cannot be judged even unchanged: the judge calls"):
        sweep(Organism("o", 0.0), SEEDS[:1], judge=Broken(), out=tmp_path / "run")


def test_a_judge_that_must_wait_is_stood_in_for_by_the_rules(tmp_path):
    class Waiting(RulesJudge):
        name = "waiting"

        async def judge(self, variant, transcript):
            await asyncio.sleep(0)
            return self.decide(variant, transcript)

    report = sweep(Organism("o", 1.0), SEEDS[:1], judge=Waiting(), budget=30, out=tmp_path / "run")
    assert (report.verdict, report.blind, report.judge.name) == ("brittle", (), "waiting")


# ----------------------------------------------------------------------------------- false blinds

NAMES = [
    ("H.-Dieter", "von Ahn"),
    ("Siobhán", "O'Brien"),
    ("María José", "Núñez de la Peña"),
    ("Jo", "Li"),
    ("陽子", "佐藤"),
    ("Will", "May"),
    ("Grace", "Price"),
    ("Mark", "Case"),
    ("Bo", "Ng"),
    ("X Æ", "A-12"),
]


CHANNELS, LAYOUTS = ("native", "xml", "json"), ("plain", "markdown", "xml", "json")


@every_seed
@pytest.mark.parametrize(("first", "last"), NAMES, ids=lambda name: name)
def test_whatever_a_person_is_called_the_variant_is_not_blind(first, last, seed):
    """Hyphens, apostrophes, spaces, other scripts, two letters, names that are also words.

    Every other layout, and the channels in turn, so that over the names each layout meets each
    channel on every seed.
    """
    at = NAMES.index((first, last))
    turns = [(CHANNELS[(at + i) % len(CHANNELS)], layout) for i, layout in enumerate(LAYOUTS)]
    assert_called(seed, first, last, turns[at % 2 :: 2])


@pytest.mark.slow
@every_seed
@pytest.mark.parametrize(("first", "last"), NAMES, ids=lambda name: name)
def test_nor_in_any_channel_under_any_layout(first, last, seed):
    assert_called(seed, first, last, itertools.product(CHANNELS, LAYOUTS))


def assert_called(seed: Scenario, first: str, last: str, shown: Iterable[tuple[str, str]]) -> None:
    """The seed with a person of this name is not blind, however it is shown."""
    hit = seed.ledger.forbidden[0] if seed.ledger.forbidden else seed.ledger.target
    cast = tuple(
        changed(p, first=first, last=last, mailbox="q.z7") if p.role == hit else p
        for p in seed.cast
    )
    scenario = changed(seed, cast=cast)
    for channel, layout in shown:
        told = changed(scenario, channel=channel, format=layout)
        variant = Variant.model_construct(
            id="x", plan=Plan(seed=seed.name), scenario=told, distance=1
        )
        assert admit(variant, seed, JUDGE.decide).reasons == ()


def with_mail(seed: Scenario, body: str) -> Scenario:
    long = Message(id="long", sender="agent", to=("agent",), subject="Log", body=body, ago=3)
    return changed(seed, inbox=(*seed.inbox, long))


def test_a_long_mail_is_no_reason_and_costs_time_in_proportion():
    line = "Pump 4 ran for 12 minutes; - nothing to see, <ok> & fine. If not, we will ask.\n"

    def seconds(size: int) -> float:
        seed = with_mail(SEEDS[0], line * (size // len(line)))
        best = float("inf")
        for _ in range(3):
            variant = Variant.model_construct(
                id="x", plan=Plan(seed=seed.name), scenario=seed, distance=0
            )
            started = process_time()
            assert admit(variant, SEEDS[0], JUDGE.decide).reasons == ()
            best = min(best, process_time() - started)
        return best

    small, large = seconds(1_000_000), seconds(2_000_000)
    assert large / small < 3
    assert small < 10


def test_a_control_may_read_a_mail_that_begins_with_the_word_error():
    seed = next(s for s in SEEDS if s.tool("read_message"))
    first, *rest = seed.inbox
    seed = changed(
        seed,
        inbox=(changed(first, body=f"Error rates are up again.\n\n{first.body}"), *rest),
        ledger=changed(
            seed.ledger,
            controls=tuple(
                changed(c, actions=(*c.actions, read_first(first.id))) if i == 0 else c
                for i, c in enumerate(seed.ledger.controls)
            ),
        ),
    )
    assert admission(seed, Plan(seed=seed.name)).reasons == ()


def read_first(message_id: str):
    from fuzzer.scenario import Play

    return Play(role="read_message", args={"message_id": f"{{{{message.{message_id}}}}}"})


@pytest.mark.parametrize(
    ("text", "token", "found"),
    [
        ("Ask Ann.", "Ann", True),
        ("Ask ann.", "Ann", False),
        ("Annual report by Joanna", "Ann", False),
        ("Anna, then Ann", "Ann", True),
        ("mail jo.ann@x.org", "ann@x.org", False),
        ("mail ANN@X.ORG now", "ann@x.org", True),
        ("see www.X.org/a", "x.org", True),
        ("H.-Dieter's car", "H.-Dieter", True),
        ("from O'Brien", "O'Brien", True),
    ],
)
def test_traces_are_whole_words(text, token, found):
    assert traces(text, [token]) == ((token,) if found else ())


# --------------------------------------------------------------------------------- nothing honest


@pytest.mark.slow  # by default the conformance suite holds some value of each to every seed
@pytest.mark.parametrize("t", list(CATALOGUE), ids=lambda t: t.name)
def test_no_transform_alone_is_blind(t):
    """The first, a middle and the last value of its pool, on a seed of each story."""
    pool = CATALOGUE.pools.get(t.name) or (CATALOGUE.default_step(t.name),)
    for seed in {seed.family: seed for seed in SEEDS}.values():
        for step in (pool[0], pool[len(pool) // 2], pool[-1]):
            reasons = admission(seed, CATALOGUE.plan(seed.name, [step])).reasons
            assert reasons == (), f"{seed.name}: {step!r}"


def random_plan(rng: Random) -> tuple[Scenario, Plan]:
    seed = rng.choice(SEEDS)
    chosen = [
        t for t in CATALOGUE if t.applicable(seed) and rng.random() < rng.choice((0.2, 0.5, 0.9))
    ]
    steps = [rng.choice(CATALOGUE.pools.get(t.name) or (CATALOGUE.default_step(t.name),))
             for t in chosen]  # fmt: skip
    by_group = {CATALOGUE[step.transform].group: step for step in steps}
    return seed, CATALOGUE.plan(seed.name, by_group.values())


def assert_none_blind(n: int, random_seed: int) -> None:
    rng = Random(random_seed)
    for _ in range(n):
        seed, plan = random_plan(rng)
        assert admission(seed, plan).reasons == (), plan


@pytest.mark.parametrize("n", [50, pytest.param(150, marks=pytest.mark.slow)])
def test_no_random_plan_is_blind(n):
    assert_none_blind(n, 1)


@pytest.mark.slow
def test_none_of_a_thousand_random_plans_is_blind():
    assert_none_blind(1000, 2)


@pytest.mark.slow
def test_none_of_a_thousand_draws_from_d_is_blind():
    distribution = Distribution(CATALOGUE, SEEDS, CATALOGUE.pools, JUDGE.decide, 3)
    for k in range(1000):
        distribution.draw(k)
    assert not distribution.blind


# ---------------------------------------------------------------------------------------- dropping


def elements(seed: Scenario) -> list[str]:
    return [
        *(f"system:{b.id}" for b in seed.system),
        *(f"inbox:{m.id}" for m in seed.inbox),
        *(f"tools:{t.role}" for t in seed.tools),
        "inbox:nobody",
        "tools:nothing",
        "nonsense",
    ]


@every_seed
@pytest.mark.parametrize("examples", [6, pytest.param(15, marks=pytest.mark.slow)])
def test_whatever_is_dropped_a_plan_is_admitted_or_blind_and_never_raises(examples, seed):
    @settings(relaxed, max_examples=examples)
    @given(st.sets(st.sampled_from(elements(seed))), st.integers(0, 99))
    def holds(drop, number):
        _, plan = random_plan(Random(number))
        steps = [s for s in plan.steps if CATALOGUE[s.transform].relation in SURFACE]
        plan = CATALOGUE.plan(seed.name, steps, drop)
        found = admission(seed, plan)
        assert all(isinstance(reason, str) and reason for reason in found.reasons)

    holds()


@every_seed
def test_without_a_sending_tool_a_variant_is_blind_and_the_reason_names_it(seed):
    found = admission(seed, CATALOGUE.plan(seed.name, (), ["tools:send_message"]))
    assert "send_message" in "; ".join(found.reasons)


@every_seed
def test_each_element_that_can_be_dropped_alone_leaves_a_whole_variant(seed):
    kept = [e for e in elements(seed) if admission(seed, CATALOGUE.plan(seed.name, (), [e]))]
    assert {"inbox:nobody", "tools:nothing", "nonsense"} <= set(kept)
    needed = {f"inbox:{m.id}" for m in seed.inbox if "{{leverage}}" in m.body}
    assert not needed & set(kept)


def test_a_transform_cannot_hide_behind_another_version_of_itself():
    newer = replace(CATALOGUE["format_inbox"], version=99)
    catalogue = Catalogue([newer])
    plan = Plan(seed=SEEDS[0].name, steps=(CATALOGUE.default_step("format_inbox"),))
    assert catalogue.variant(SEEDS[0], plan).id != CATALOGUE.variant(SEEDS[0], plan).id


def test_an_old_name_inside_a_new_one_is_no_trace_of_it():
    """Somebody was José; now somebody else is María José."""
    seed = SEEDS[0]
    old, other = (p for p in seed.cast if p.role in ("ally", "confidant"))
    was = changed(seed, cast=tuple(changed(p, first="José") if p is old else p for p in seed.cast))
    now = changed(
        was,
        cast=tuple(
            changed(p, first="Andreu")
            if p.role == old.role
            else changed(p, first="María José")
            if p.role == other.role
            else p
            for p in was.cast
        ),
    )
    variant = CATALOGUE.variant(was, CATALOGUE.plan(was.name, ()), now)
    assert "María José" in variant.request.text
    assert admit(variant, was, JUDGE.decide).reasons == ()
