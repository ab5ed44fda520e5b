"""Environments as rows: each a function of the recipe and its number alone.

So a shard can be made anywhere, by anybody, in any order, and comes out byte for byte the same.
"""

from collections.abc import Iterable, Iterator
from random import Random
from typing import Literal

from pydantic import Field

from fuzzer.augment.contamination import Guard
from fuzzer.augment.playing import play_of
from fuzzer.augment.rows import Kind, Lineage, Row, Said, Target
from fuzzer.augment.siblings import Siblings
from fuzzer.augment.split import SURFACE, Split, story_of
from fuzzer.augment.talk import opening, said_of
from fuzzer.distribution import Distribution
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.outline import Pools
from fuzzer.scenario import Frozen, Scenario
from fuzzer.transform import Plan
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
    siblings: int = Field(default=1, ge=1)  # rows that share their costly steps
    cell: Literal["train", "dev"] = "train"


class Blinded(Frozen):
    """What was left out, since its judge would be blind."""

    index: int
    seed: str
    reasons: tuple[str, ...]


class Environments:
    """Rows by number. `blind` are those found blind: left out, and counted.

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
        guard: Guard | None = None,
    ) -> None:
        self.guard = guard  # against what is held out: lineage of every row, text of those checked
        self.recipe = recipe
        self.split = split
        self.blind: list[Blinded] = []
        self._judge = judge
        seeds, twins = tuple(seeds), tuple(twins)
        if split is not None:
            # A dev row differs from every training row in its story, whatever was done to it.
            cells = ("train",) if recipe.cell == "train" else ("train", "dev")
            seeds, twins = split.seeds(seeds, recipe.cell), split.seeds(twins, recipe.cell)
            catalogue = split.catalogue(catalogue, pools, *cells)
            pools = catalogue.pools
            if not seeds:
                raise ConfigurationError(
                    f"the manifest leaves none of these seeds to {recipe.cell}; name others "
                    "(`holdfast list seeds`)"
                )
        self.catalogue = catalogue  # what may be trained on
        self._pools = pools
        own, random_seed = recipe.siblings, recipe.random_seed
        self._main = Siblings(catalogue, seeds, pools, random_seed, own)
        self._twins = Siblings(catalogue, twins, pools, random_seed, own) if twins else None
        self.seeds = (*seeds, *twins)
        for seed in self.seeds if guard else ():
            self._must_be_fit(seed)

    def _must_be_fit(self, seed: Scenario) -> None:
        """No seed tells what is held out, whatever story it says it belongs to."""
        plain = self.catalogue.variant(seed, Plan(seed=seed.name))
        leak = self.guard.likeness(self._row(0, plain, seed)) if self.guard else None
        if leak is not None:
            raise ConfigurationError(
                f"seed {seed.name!r} must not be trained on: {leak.what}, which is held out; leave "
                "it out, or deal its story anew"
            )

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """The rows of these numbers, without the blind ones."""
        for index in range(start, stop):
            if (row := self.row(index)) is not None:
                yield row

    def row(self, index: int) -> Row | None:
        """One row; None when it is looked at and found blind, or too like what is held out.

        Raises `ConfigurationError` when something held out is in its lineage.
        """
        variant, seed = self.variant(index)
        spotted = self._spot(index)
        if spotted and (reasons := admit(variant, seed, self._judge).reasons):
            self.blind.append(Blinded(index=index, seed=seed.name, reasons=reasons))
            return None
        row = self._row(index, variant, seed)
        if self.guard is None or self.guard.admits(row, text=spotted):
            return row
        return None

    def variant(self, index: int) -> tuple[Variant, Scenario]:
        """The variant of a number, and the seed it is of."""
        family = index // self.recipe.siblings
        if self._twins is not None and family * _GOLDEN % 1 < self.recipe.twins:
            return self._twins.variant(index)
        return self._main.variant(index)

    def _spot(self, index: int) -> bool:
        checked = self.recipe.checked
        return checked >= 1 or Random(f"{self.recipe.random_seed}:spot:{index}").random() < checked

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
    def alike(self) -> int:
        """How many rows were left out so far for being too like what is held out."""
        return self.guard.dropped.total() if self.guard else 0

    @property
    def distribution(self) -> Distribution:
        """What builds the variants of these rows, twins included."""
        pools, judge = self.catalogue.pools or self._pools, self._judge
        return Distribution(self.catalogue, self.seeds, pools, judge, self.recipe.random_seed)

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
