"""D as a law over plans: which steps a draw holds, and how likely. No scenario is built here.

`Distribution` draws variants by this law and rejects what does nothing or is blind. The outline
alone is thousands of times as fast: it says what a search would meet before anything is rendered
(`holdfast plan`, the benchmarks), and with what chance a step stands in a row (attribution).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from random import Random
from typing import TypeVar

from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.proposal import FAR, Draw, Stratum
from fuzzer.scenario import Scenario
from fuzzer.transform import Plan, Step, Transform

PATIENCE = 200  # rejected draws in a row before giving up

_Item = TypeVar("_Item")
Pools = Mapping[str, tuple[Step, ...]]
Choices = tuple[tuple[Transform, ...], ...]
Steps = tuple[Step, ...]

#: Chance of each density class, and of each choice within it.
CLASSES: tuple[tuple[Stratum, float, float], ...] = (
    ("half", 2 / 3, 1 / 2),
    ("quarter", 1 / 6, 1 / 4),
    ("single", 1 / 6, 0.0),
)
DENSITIES: dict[Stratum, float] = {name: density for name, _, density in CLASSES}


class Outline:
    """The law of D over these seeds; satisfies `fuzzer.proposal.PlanSource` with steps for plans.

    As a source it rejects draws of distance 0 and no others. Raises `ConfigurationError` where no
    invariant transform applies to any seed.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        seeds: Iterable[Scenario],
        pools: Pools,
        random_seed: int = 0,
    ) -> None:
        self.catalogue = catalogue
        self.pools = pools
        self.random_seed = random_seed
        scenarios = {seed.name: seed for seed in seeds}
        self.seeds = tuple(scenarios)
        self._behaviours = {name: seed.ledger.behaviour for name, seed in scenarios.items()}
        self.choices: dict[str, dict[str, Choices]] = {
            name: {r: catalogue.choices(seed, r) for r in ("invariant", "sham")}
            for name, seed in scenarios.items()
        }
        self._names = {  # of each choice group's members, invariant and sham
            seed: [[tuple(t.name for t in group) for group in groups] for groups in both.values()]
            for seed, both in self.choices.items()
        }
        if not any(choices["invariant"] for choices in self.choices.values()):
            raise ConfigurationError(
                "the catalogue has no invariant transform that applies to these seeds; "
                "nothing could be tested"
            )

    # --------------------------------------------------------------------------- plan source

    def canonical(self, k: int) -> Draw:
        """The k-th canonical call: the seeds in turn."""
        return Draw(self.seeds[k % len(self.seeds)], (), "canonical", 0)

    def draw(self, k: int) -> Draw:
        """The k-th draw."""
        rng = Random(f"{self.random_seed}:D:{k}")
        return self._drawn(rng, self.seeds, stratum_of(rng.random()))

    def far_draw(self, k: int, seed: str) -> Draw:
        """A draw given this seed and a distance of at least `FAR`, for block k."""
        rng = Random(f"{self.random_seed}:far:{seed}:{k}")
        for _ in range(PATIENCE):
            draw = self._drawn(rng, (seed,), stratum_of(rng.random()))
            if draw.distance >= FAR:
                return draw
        raise ConfigurationError(f"seed {seed!r}: no draw reaches distance {FAR}")

    def all_on(self, k: int) -> Draw:
        """Every applicable choice at once, the parameters drawn afresh."""
        rng = Random(f"{self.random_seed}:all:{k}")
        return self._drawn(rng, self.seeds, "all_on")

    def _drawn(self, rng: Random, seeds: tuple[str, ...], stratum: Stratum) -> Draw:
        density = 1.0 if stratum == "all_on" else DENSITIES[stratum]
        for _ in range(PATIENCE):
            seed = pick(rng, seeds)
            steps, distance = self.steps(rng, seed, stratum, density)
            if distance:
                order = self.catalogue.order
                steps.sort(key=lambda step: order[step.transform])
                return Draw(seed, tuple(steps), stratum, distance)
        raise ConfigurationError(f"{PATIENCE} draws in a row held no invariant step")

    # ---------------------------------------------------------------------------- neighbours

    def behaviour(self, seed: str) -> str:
        """What a seed tempts to."""
        return self._behaviours[seed]

    def parts(self, plan: Steps) -> Steps:
        """The steps themselves."""
        return plan

    def kept(self, plan: Steps, keep: Iterable[int]) -> Steps:
        """The plan with only these of its steps."""
        return tuple(plan[i] for i in sorted(keep))

    def holds(self, plan: Steps, smaller: Steps) -> bool:
        """Whether a plan has every transform of a smaller one."""
        return contains(plan, smaller)

    def subset(self, seed: str, plan: Steps, keep: Iterable[int]) -> Draw:
        """Only these steps of a plan."""
        return self._neighbour(seed, self.kept(plan, keep))

    def transfer(self, plan: Steps, seed: str) -> Draw | None:
        """The same steps on another seed; None where one of them does not apply to it."""
        fits = {t.name for groups in self.choices[seed].values() for group in groups for t in group}
        return self._neighbour(seed, plan) if {s.transform for s in plan} <= fits else None

    def apart(self, k: int, known: tuple[Steps, ...]) -> Draw | None:
        """The k-th draw that holds none of the plans known; None where they are too rare."""
        rng = Random(f"{self.random_seed}:apart:{k}")
        for _ in range(PATIENCE):
            draw = self._drawn(rng, self.seeds, stratum_of(rng.random()))
            if not any(contains(draw.plan, smaller) for smaller in known):
                return draw._replace(stratum="neighbour")
        return None

    def _neighbour(self, seed: str, steps: Steps) -> Draw:
        distance = sum(self.catalogue[s.transform].relation == "invariant" for s in steps)
        return Draw(seed, steps, "neighbour", distance)

    # ------------------------------------------------------------------------------- the law

    def steps(
        self, rng: Random, seed: str, stratum: Stratum, density: float
    ) -> tuple[list[Step], int]:
        """The steps of a draw in one density class, in no order, and its distance."""
        choices = self.choices[seed]
        if stratum == "single":
            groups: Choices = (pick(rng, choices["invariant"]),) if choices["invariant"] else ()
        else:
            groups = tuple(g for g in choices["invariant"] if rng.random() < density)
        shams = tuple(g for g in choices["sham"] if rng.random() < 1 / 2)
        steps = [pick(rng, self.pools[pick(rng, g).name]) for g in (*groups, *shams)]
        return steps, len(groups)

    @cached_property
    def far_share(self) -> float:
        """Share of draws at distance `FAR` or more, estimated from 400 of them."""
        far = 0
        for k in range(400):
            rng = Random(f"{self.random_seed}:share:{k}")
            seed = pick(rng, self.seeds)
            stratum = stratum_of(rng.random())
            _, distance = self.steps(rng, seed, stratum, DENSITIES[stratum])
            far += distance >= FAR
        return far / 400

    def presences(
        self, seed: str, stratum: Stratum, steps: Sequence[Step]
    ) -> Iterator["Presences"]:
        """For each step a row might hold: (transform, in the plan, chance given the other steps).

        In one tuple for each choice group. A step that its group or the rest of the plan forces in
        or out has chance 1 or 0.
        """
        held = {step.transform for step in steps}
        invariants, shams = (
            [
                (
                    "" if held.isdisjoint(members) else next(filter(held.__contains__, members)),
                    members,
                )
                for members in groups
            ]
            for groups in self._names[seed]
        )
        taken = sum(bool(present) for present, _ in invariants)
        for present, members in invariants:
            forced = taken == bool(present)
            yield _given_others(members, present, DENSITIES[stratum], forced, stratum)
        for present, members in shams:
            yield _given_others(members, present, 1 / 2, False, "half")


Presences = tuple[tuple[str, bool, float], ...]


@lru_cache(maxsize=4096)  # every row of a run asks, and there are few different answers
def _given_others(
    members: tuple[str, ...],
    taken: str,  # the one that is in the plan, if any
    density: float,
    forced: bool,
    stratum: Stratum,
) -> Presences:
    share = density / len(members)
    free = share / (1 - density + share)
    found = []
    for name in members:
        present = name == taken
        if taken and not present:
            chance = 0.0  # another member has the group's place
        elif stratum == "single":
            chance = float(present)  # exactly one step: the others decide
        elif forced and present:
            chance = 1.0  # a draw of distance 0 would have been drawn again
        else:
            chance = free
        found.append((name, present, chance))
    return tuple(found)


def stratum_of(chance: float) -> Stratum:
    """The density class that a number from 0 to 1 stands for."""
    for name, share, _ in CLASSES[:-1]:
        if chance < share:
            return name
        chance -= share
    return CLASSES[-1][0]


def pick(rng: Random, items: tuple[_Item, ...]) -> _Item:
    """One of the items, each as likely; quicker than `Random.choice`."""
    return items[int(rng.random() * len(items))]


def contains(steps: Iterable[Step], smaller: Iterable[Step]) -> bool:
    """Whether every transform of the smaller set is among the steps, whatever the parameters."""
    return {step.transform for step in smaller} <= {step.transform for step in steps}


class OfPlans:
    """What a plan source whose plans are `Plan` values says of their parts."""

    def parts(self, plan: Plan) -> Steps:
        """The steps of a plan."""
        return plan.steps

    def kept(self, plan: Plan, keep: Iterable[int]) -> Plan:
        """The plan with only these of its steps."""
        return plan.keep(keep)

    def holds(self, plan: Plan, smaller: Plan) -> bool:
        """Whether a plan has every transform of a smaller one."""
        return contains(plan.steps, smaller.steps)
