"""Variants to train on, drawn as D is, but in families that share their costly steps.

A family of siblings has one seed, one density class and the same steps up to the last that may
change the inbox; names, tools, threat and mails are theirs together, while prompt, clock, layout
and channel are each one's own. Each sibling by itself is drawn as D draws, shams left out; a family
is as varied as its first steps, and its siblings are alike in them. Families of one share nothing.
"""

from functools import cached_property
from random import Random
from typing import NamedTuple

from fuzzer.distribution import VALUES_TRIED, NothingToDraw
from fuzzer.graph import Catalogue
from fuzzer.outline import DENSITIES, PATIENCE, Pools, pick, stratum_of
from fuzzer.scenario import Scenario
from fuzzer.transform import Step, Transform
from fuzzer.variant import Variant

_SHARED = "inbox"  # the facet whose last change ends what siblings share

Groups = tuple[tuple[Transform, ...], ...]


class _Family(NamedTuple):
    """What siblings share."""

    number: int
    seed: Scenario
    density: float  # 0: a single step, and nothing is shared
    steps: tuple[Step, ...]
    scenario: Scenario  # after them


class Siblings:
    """Variants by number, `size` to a family; each a function of its number alone.

    Raises `NothingToDraw` when `PATIENCE` draws in a row change nothing.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        seeds: tuple[Scenario, ...],
        pools: Pools,
        random_seed: int = 0,
        size: int = 1,
    ) -> None:
        self.catalogue = catalogue
        self.seeds = seeds
        self.size = size
        self._pools = pools
        self._random_seed = random_seed
        choices = {seed.name: catalogue.choices(seed, "invariant") for seed in seeds}
        self._whole = choices
        self._first = {name: tuple(filter(self._early, groups)) for name, groups in choices.items()}
        self._later = {
            name: tuple(g for g in groups if not self._early(g)) for name, groups in choices.items()
        }
        self._last: _Family | None = None

    def _early(self, group: tuple[Transform, ...]) -> bool:
        """Whether a choice is the family's: one of its members may come before the inbox is done.

        In families of one everything is each one's own.
        """
        return self.size > 1 and any(self.catalogue.order[t.name] <= self._cut for t in group)

    @cached_property
    def _cut(self) -> int:
        order = self.catalogue.order
        changing = (t for t in self.catalogue if _SHARED in t.changes and t.relation == "invariant")
        return max((order[t.name] for t in changing), default=-1)

    def variant(self, number: int) -> tuple[Variant, Scenario]:
        """The variant of a number, and the seed it is of."""
        family = self._family(number // self.size)
        rng = Random(f"{self._random_seed}:sibling:{number}")
        for _ in range(PATIENCE):
            steps, scenario = list(family.steps), family.scenario
            drawn = self._drawn(rng, family)
            found = self.catalogue.settled(
                scenario, drawn, lambda name: pick(rng, self._pools[name]), VALUES_TRIED
            )
            if found is None or not (steps or found[0]):
                continue
            steps += found[0]
            plan = self.catalogue.ordered(family.seed.name, steps)
            return self.catalogue.variant(family.seed, plan, found[1]), family.seed
        raise NothingToDraw(
            f"seed {family.seed.name!r}: {PATIENCE} draws in a row changed nothing; nothing can be "
            "made of it with these transforms"
        )

    def _drawn(self, rng: Random, family: _Family) -> list[Step]:
        """What is one sibling's own."""
        name = family.seed.name
        if not family.density:
            groups: Groups = (pick(rng, self._whole[name]),)
        else:
            groups = tuple(g for g in self._later[name] if rng.random() < family.density)
        return self._steps(rng, groups)

    def _steps(self, rng: Random, groups: Groups) -> list[Step]:
        return [pick(rng, self._pools[pick(rng, group).name]) for group in groups]

    def _family(self, number: int) -> _Family:
        if self._last is None or self._last.number != number:
            self._last = self._made(number)
        return self._last

    def _made(self, number: int) -> _Family:
        rng = Random(f"{self._random_seed}:family:{number}")
        seed = pick(rng, self.seeds)
        density = DENSITIES[stratum_of(rng.random())]
        if not density:
            return _Family(number, seed, 0.0, (), seed)
        for _ in range(PATIENCE):
            groups = tuple(g for g in self._first[seed.name] if rng.random() < density)
            steps = self._steps(rng, groups)
            found = self.catalogue.settled(
                seed, steps, lambda name: pick(rng, self._pools[name]), VALUES_TRIED
            )
            if found is not None:
                return _Family(number, seed, density, tuple(found[0]), found[1])
        raise NothingToDraw(
            f"seed {seed.name!r}: {PATIENCE} draws in a row held a step that changes nothing; "
            "leave the seed out"
        )
