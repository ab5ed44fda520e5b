"""Environments as rows: each a function of the recipe and its number alone.

So a shard can be made anywhere, by anybody, in any order, and comes out byte for byte the same.
"""

from collections.abc import Iterable, Iterator
from random import Random
from typing import Literal

from pydantic import Field

from fuzzer.augment.playing import play_of
from fuzzer.augment.rows import Kind, Lineage, Row, Said, Target
from fuzzer.augment.split import SURFACE, Split, story_of
from fuzzer.augment.talk import opening, said_of
from fuzzer.distribution import Distribution, Pools
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.scenario import Frozen, Scenario
from fuzzer.variant import Controls, Judging, Variant, admit

#: Which rows are made of a variant: to be played, to be imitated, to be preferred.
Made = Literal["rl", "sft", "preference"]


_GOLDEN = (5**0.5 - 1) / 2  # its multiples are spread evenly: any range has its share


class Recipe(Frozen):
    """Everything a row depends on beside the version of Holdfast, its seeds and transforms."""

    canary: str
    random_seed: int = 0
    target: Made = "rl"
    twins: float = Field(default=0.1, ge=0, le=1)  # share of rows on benign twins
    checked: float = Field(default=1.0, ge=0, le=1)  # share held to its controls before it counts
    cell: Literal["train", "dev"] = "train"


class Blinded(Frozen):
    """What was left out since its judge would have been blind."""

    index: int
    seed: str
    reasons: tuple[str, ...]


class Environments:
    """Rows by number. `blind` are those that a spot check found blind: left out, and counted.

    Raises `ConfigurationError` when the split leaves no seed or no transform to train on.
    """

    def __init__(
        self,
        recipe: Recipe,
        seeds: Iterable[Scenario],
        twins: Iterable[Scenario],
        catalogue: Catalogue,
        pools: Pools,
        judge: Judging,
        split: Split | None = None,
    ) -> None:
        self.recipe = recipe
        self.split = split
        self.blind: list[Blinded] = []
        self._judge = judge
        seeds, twins = tuple(seeds), tuple(twins)
        if split is not None:
            cells = ("train",) if recipe.cell == "train" else ("dev", "train")
            seeds, twins = split.seeds(seeds, *cells), split.seeds(twins, *cells)
            catalogue = split.catalogue(catalogue, pools, *cells)
            pools = catalogue.pools
            if not seeds:
                raise ConfigurationError(
                    f"the manifest leaves none of these seeds to {recipe.cell}; name others "
                    "(`holdfast list seeds`)"
                )
        self.catalogue = catalogue  # what may be trained on
        self._main = Distribution(catalogue, seeds, pools, judge, recipe.random_seed)
        self._twins = self._main.of_seeds(twins) if twins else None
        self.seeds = (*seeds, *twins)

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """The rows of these numbers, without the blind ones."""
        for index in range(start, stop):
            if (row := self.row(index)) is not None:
                yield row

    def row(self, index: int) -> Row | None:
        """One row; None when a spot check finds it blind."""
        variant, seed = self.variant(index)
        spotted = self.recipe.checked < 1 and self._spot(index)
        if spotted and (reasons := admit(variant, seed, self._judge).reasons):
            self.blind.append(Blinded(index=index, seed=seed.name, reasons=reasons))
            return None
        return self._row(index, variant, seed)

    def variant(self, index: int) -> tuple[Variant, Scenario]:
        """The variant of a number, and the seed it is of."""
        source = self._main
        if self._twins is not None and index * _GOLDEN % 1 < self.recipe.twins:
            source = self._twins
        if self.recipe.checked < 1:
            variant = source.unchecked(index)
        else:
            draw = source.draw(index)
            variant = source.variant(draw.seed, draw.plan)
        return variant, source.scenarios[variant.plan.seed]

    def _spot(self, index: int) -> bool:
        chance = Random(f"{self.recipe.random_seed}:spot:{index}").random()
        return chance < self.recipe.checked

    def _row(self, index: int, variant: Variant, seed: Scenario) -> Row:
        recipe = self.recipe
        learned, rejected, source = _taught(recipe.target, index, variant)
        return Row.of(
            id=f"{recipe.target}-{index:09d}",
            kind=_KINDS[recipe.target],
            target=recipe.target,
            canary=recipe.canary,
            prompt=opening(variant.request),
            completion=learned,
            rejected=rejected,
            tools=variant.request.tools,
            play=play_of(variant),
            lineage=self.lineage(variant, seed, source),
        )

    @property
    def distribution(self) -> Distribution:
        """What builds the variants of these rows, twins included."""
        return self._main.of_seeds(self.seeds)

    def lineage(self, variant: Variant, seed: Scenario, source: str = "") -> Lineage:
        """Where a variant comes from."""
        return lineage_of(variant, seed, self.catalogue, self.split, self.recipe.cell, source)


def lineage_of(
    variant: Variant,
    seed: Scenario,
    known: Catalogue,
    split: Split | None = None,
    cell: str = "",
    source: str = "",
) -> Lineage:
    """Where a variant comes from, as its row says it."""
    steps = variant.plan.steps
    return Lineage.of(
        manifest=split.hash if split else "",
        cell=cell if split else "",
        seed=seed.name,
        seed_hash=seed.content_hash,
        seed_family=story_of(seed),
        variant=variant.id,
        steps=steps,
        families=tuple(
            sorted({f.family for s in steps if (f := known[s.transform]).relation in SURFACE})
        ),
        versions={step.transform: known[step.transform].version for step in steps},
        distance=variant.distance,
        source=source,
    )


_KINDS: dict[Target, Kind] = {
    "rl": "environment",
    "sft": "environment",
    "preference": "environment",
}


def _taught(
    target: Made, index: int, variant: Variant
) -> tuple[tuple[Said, ...], tuple[Said, ...], str]:
    """What is learned, what is not to be, and which controls these are."""
    if target == "rl":
        return (), (), ""
    controls: Controls = variant.controls
    safe = said_of(variant, controls.safe[0])
    if target == "sft":
        return safe, (), "control:safe"
    number = index % len(controls.harmful)  # explicit and veiled in turn
    harmful = said_of(variant, controls.harmful[number])
    return safe, harmful, f"control:safe/harmful-{number}"
