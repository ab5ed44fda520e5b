"""Training and counting: what the policies of one training seed do, judged by the rules."""

import hashlib
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Literal

from examples.teaching_to_the_test.policy import UNTRAINED, Features, Policy, learn, perform, read
from examples.teaching_to_the_test.worlds import BENIGN, GROUPS, Group, World
from fuzzer.augment.split import Cell, Split
from fuzzer.campaign import sweep
from fuzzer.judges.rules import RulesJudge
from fuzzer.records import Report, Verdict
from fuzzer.scenario import Frozen, Scenario
from fuzzer.variant import Variant
from mutators import CATALOGUE

Arm = Literal["base", "narrow", "augmented"]
ARMS: tuple[Arm, ...] = ("base", "narrow", "augmented")
#: How varied the ordinary work is that both arms learn beside their safety examples.
Work = Literal["varied", "plain"]
WORKS: tuple[Work, ...] = ("varied", "plain")
BASE = "policy/base"


class Size(Frozen):
    """How much is trained and measured."""

    training_seeds: int = 10
    rows: int = 200  # safety examples of each arm, and as many of ordinary work
    steps: int = 200  # of gradient descent
    draws: int = 10  # variants to test on, for each group and distance
    distances: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 8, 12, 16)
    sweeps: bool = True  # of the first training seed's policies
    budget: int = 1000  # of each sweep, in calls


class Count(Frozen):
    """What one policy did on one group at one distance."""

    work: Work
    arm: Arm
    group: Group
    distance: int
    n: int  # judged harmful or safe
    harmful: int
    unusable: int = 0  # doubtful to the rules; in no rate
    done: int | None = None  # ordinary job done; of twins


class Swept(Frozen):
    """What a sweep said of one policy."""

    arm: Arm
    where: Literal["training stories", "held out"]
    seeds: int
    verdict: str
    exposed: bool  # to training: then no verdict can be "holds"
    baseline: str
    flag: str
    canonical: tuple[int, int, tuple[float, float]]  # harmful, n, interval
    mutated: tuple[int, int, tuple[float, float]]
    calls: int
    smallest: tuple[str, ...] | None = None  # transforms of the first finding's minimal plan
    certified: bool = False


class Trained(Frozen):
    """One training seed: its deal, its counts, and a hash of every decision taken."""

    training_seed: int
    stories: dict[str, Cell]
    families: dict[str, Cell]
    decisions: str
    counts: tuple[Count, ...]
    sweeps: tuple[Swept, ...] = ()


def train(world: World, size: Size) -> dict[tuple[Work, Arm], Policy]:
    """Every policy of one training seed; the untrained one has learned no work of either kind."""
    safe: dict[Arm, list[Features]] = {
        "narrow": world.narrow(size.rows),
        "augmented": world.augmented(size.rows),
    }
    ordinary: dict[Work, list[Features]] = {
        "varied": world.varied_twins(size.rows),
        "plain": world.plain_twins(size.rows),
    }
    policies: dict[tuple[Work, Arm], Policy] = {("varied", "base"): Policy(BASE, UNTRAINED)}
    for work in WORKS:
        for arm, held in safe.items():
            weights = learn(held, ordinary[work], size.steps)
            policies[work, arm] = Policy(f"policy/{arm}", weights)
    return policies


def run(training_seed: int, size: Size) -> Trained:
    """Train on one deal, and count what comes of it in every group."""
    world = World(training_seed)
    policies = train(world, size)
    digest = hashlib.blake2b(digest_size=16)
    counts: list[Count] = []
    for group in GROUPS:
        for distance in size.distances:
            variants = world.variants(group, distance, size.draws)
            if variants:
                counts += _counted(policies, group, distance, variants, digest)
    first = training_seed == 0 and size.sweeps
    return Trained(
        training_seed=training_seed,
        stories=world.split.stories,
        families=world.split.families,
        decisions=digest.hexdigest(),
        counts=tuple(counts),
        sweeps=tuple(_sweeps(world, policies, size)) if first else (),
    )


def _counted(
    policies: dict[tuple[Work, Arm], Policy],
    group: Group,
    distance: int,
    variants: list[Variant],
    digest: "hashlib.blake2b",
) -> Iterator[Count]:
    """What a decision comes to is performed and judged once, whoever takes it."""
    judge = RulesJudge()
    seen = [read(variant) for variant in variants]
    taken = {
        key: [policy.takes_initiative(text) for text in seen] for key, policy in policies.items()
    }
    verdicts = [
        {
            initiative: judge.decide(variant, perform(variant, 0, initiative=initiative))
            for initiative in sorted(set(decisions))
        }
        for variant, *decisions in zip(variants, *taken.values(), strict=True)
    ]
    for (work, arm), decisions in taken.items():
        for variant, decision in zip(variants, decisions, strict=True):
            digest.update(f"{work} {arm} {variant.id} {decision}\n".encode())
        found = [told[decision] for told, decision in zip(verdicts, decisions, strict=True)]
        yield _count(work, arm, group, distance, found)


def _count(work: Work, arm: Arm, group: Group, distance: int, verdicts: list[Verdict]) -> Count:
    harmful = sum(verdict.value == "harmful" for verdict in verdicts)
    usable = sum(verdict.value in ("harmful", "safe") for verdict in verdicts)
    return Count(
        work=work,
        arm=arm,
        group=group,
        distance=distance,
        n=usable,
        harmful=harmful,
        unusable=len(verdicts) - usable,
        done=sum(v.utility == 1.0 for v in verdicts) if group in BENIGN else None,
    )


# --------------------------------------------------------------------------------------- sweeps


def _sweeps(world: World, policies: dict[tuple[Work, Arm], Policy], size: Size) -> Iterator[Swept]:
    """Holdfast's own question, asked of every policy twice.

    Once on the stories trained on with every transform there is, and told what was trained on; once
    on nothing but what the deal holds out.
    """
    for arm in ARMS:
        policy = policies["varied", arm]
        under = () if arm == "base" else (world.split,)
        yield _swept(arm, "training stories", policy, world.seeds, size, trained_on=under)
        yield _swept(arm, "held out", policy, world.held_out, size, held_out=world.split)


def _swept(
    arm: Arm,
    where: Literal["training stories", "held out"],
    policy: Policy,
    seeds: tuple[Scenario, ...],
    size: Size,
    *,
    held_out: Split | None = None,
    trained_on: tuple[Split, ...] = (),
) -> Swept:
    with TemporaryDirectory() as folder:
        report: Report = sweep(
            policy,
            seeds,
            catalogue=CATALOGUE,
            budget=size.budget,
            held_out=held_out,
            trained_on=trained_on,
            out=f"{folder}/run",
        )
    finding = next(iter(report.findings), None)
    minimal = finding.minimal_plan if finding else None
    return Swept(
        arm=arm,
        where=where,
        seeds=len(seeds),
        verdict=report.verdict,
        exposed=report.exposed,
        baseline=report.baseline,
        flag=report.teaching_to_the_test,
        canonical=(report.canonical.harmful, report.canonical.n, report.canonical.ci),
        mutated=(report.mutated.harmful, report.mutated.n, report.mutated.ci),
        calls=report.calls,
        smallest=None if minimal is None else tuple(step.transform for step in minimal),
        certified=finding.minimal_certified if finding else False,
    )
