"""What one training seed deals: texts to train on, and variants that nobody trained on.

Every training seed has a deal of its own, so that no result hangs on what one lucky deal held out.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import count, islice
from random import Random
from typing import Literal

import orjson

from examples.teaching_to_the_test.policy import Features, features, read
from fuzzer.augment.drawing import Environments, Recipe
from fuzzer.augment.rows import Row
from fuzzer.augment.split import Split, deal
from fuzzer.distribution import Distribution
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.judges.rules import RulesJudge
from fuzzer.scenario import Scenario
from fuzzer.transform import Plan
from fuzzer.variant import Variant
from mutators import CATALOGUE
from seeds import every_seed

#: Variants to test on, by what is held out of them.
Group = Literal["trained", "values", "families", "stories", "both", "twins", "held_twins"]
GROUPS: tuple[Group, ...] = (
    "trained",
    "values",
    "families",
    "stories",
    "both",
    "twins",
    "held_twins",
)
BENIGN: tuple[Group, ...] = ("twins", "held_twins")
#: Groups that differ from another in their transforms only: unchanged seeds are that group's.
UNCHANGED: dict[Group, Group] = {"values": "trained", "families": "trained", "both": "stories"}
CANARY = "none: these rows are trained on here and never leave the process"
SALT = "teaching to the test"  # public: this is a demonstration, and there is nothing to guard
TRIES = 12  # draws for each variant wanted; a group that yields none so far away is left out

TEMPTING = tuple(seed for seed in every_seed() if seed.twin_of is None)
TWINS = tuple(seed for seed in every_seed() if seed.twin_of is not None)


class World:
    """One deal: stories, families of transforms and values, to train on or held out."""

    def __init__(self, training_seed: int) -> None:
        self.number = training_seed
        self.split: Split = deal(
            TEMPTING, CATALOGUE, CATALOGUE.pools, f"{SALT} {training_seed}", created="2026-11-22"
        )
        self.seeds = self.split.seeds(TEMPTING, "train")
        self.held_out = self.split.seeds(TEMPTING, "test")
        self.twins = self.split.seeds(TWINS, "train")
        self._judge = RulesJudge().decide
        self._exposed: set[str] = set()  # variants that were trained on

    # -------------------------------------------------------------------------- to train on

    def narrow(self, rows: int) -> list[Features]:
        """The seeds of the training stories as they stand, in turn."""
        return _cycled(self.seeds, rows)

    def augmented(self, rows: int) -> list[Features]:
        """Environments drawn from what the deal leaves to training."""
        return self._drawn(rows, twins=0.0)

    def plain_twins(self, rows: int) -> list[Features]:
        """The benign twins of the training stories as they stand, in turn."""
        return _cycled(self.twins, rows)

    def varied_twins(self, rows: int) -> list[Features]:
        """Environments on benign twins, drawn from what the deal leaves to training."""
        return self._drawn(rows, twins=1.0)

    def _drawn(self, rows: int, twins: float) -> list[Features]:
        recipe = Recipe(
            canary=CANARY, random_seed=self.number, target="rl", twins=twins, checked=0.1
        )
        environments = Environments(
            recipe, self.seeds, self.twins, CATALOGUE, CATALOGUE.pools, self._judge, self.split
        )
        made = (environments.row(index) for index in count())
        found = list(islice((row for row in made if row is not None), rows))
        self._exposed.update(row.lineage.variant for row in found)
        return [features(text_of(row)) for row in found]

    # --------------------------------------------------------------------------- to test on

    @cached_property
    def tested(self) -> dict[Group, tuple[tuple[Scenario, ...], Catalogue]]:
        """The seeds and transforms of each group."""
        split, pools = self.split, CATALOGUE.pools
        train = split.catalogue(CATALOGUE, pools, "train")
        test = split.held_out(CATALOGUE)
        values = {
            name: tuple(pools[name][position] for position in dealt.test)
            for name, dealt in split.values.items()
            if dealt.test and split.family(CATALOGUE[name]) == "train"
        }
        held_values = Catalogue([t for t in CATALOGUE if t.name in values], values)
        return {
            "trained": (self.seeds, train),
            "values": (self.seeds, held_values),
            "families": (self.seeds, test),
            "stories": (self.held_out, train),
            "both": (self.held_out, test),
            "twins": (self.twins, train),
            "held_twins": (self.split.seeds(TWINS, "test"), train),
        }

    def variants(self, group: Group, distance: int, number: int) -> list[Variant]:
        """Admitted variants of a group with this many invariant steps, none of them trained on.

        At distance 0 every seed once, in one group of those that share them (`UNCHANGED`). Fewer,
        or none, where the group's transforms do not reach so far.
        """
        seeds, catalogue = self.tested[group]
        if distance == 0:
            return [] if group in UNCHANGED else [_canonical(seed) for seed in seeds]
        return list(islice(self._at(group, seeds, catalogue, distance, number), number))

    def _at(
        self,
        group: Group,
        seeds: Sequence[Scenario],
        catalogue: Catalogue,
        distance: int,
        number: int,
    ) -> Iterator[Variant]:
        for attempt in range(number * TRIES):
            rng = Random(f"{self.number}:{group}:{distance}:{attempt}")
            seed = rng.choice(seeds)
            choices = catalogue.choices(seed, "invariant")
            if len(choices) < distance:
                continue
            chosen = {rng.choice(members).name for members in rng.sample(choices, distance)}
            pools = {name: catalogue.pools[name] for name in chosen}
            only = Catalogue([t for t in catalogue if t.name in chosen], pools)
            source = Distribution(only, (seed,), pools, self._judge, attempt)
            try:
                draw = source.all_on(distance)
            except ConfigurationError:  # nothing that these transforms do is admitted
                continue
            variant = source.variant(draw.seed, draw.plan)
            if draw.distance == distance and variant.id not in self._exposed:
                yield variant


def text_of(row: Row) -> str:
    """Everything that a row's subject is shown, as `Request.text` has it."""
    parts = [said.content for said in row.prompt]
    if row.tools:
        parts.append(orjson.dumps(row.tools).decode())
    return "\n\n".join(parts)


def _canonical(seed: Scenario) -> Variant:
    return CATALOGUE.variant(seed, Plan(seed=seed.name))


def _cycled(seeds: Sequence[Scenario], rows: int) -> list[Features]:
    seen = [read(_canonical(seed)) for seed in seeds]
    return [seen[index % len(seen)] for index in range(rows)]
