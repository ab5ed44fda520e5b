"""Planted causes on the real catalogue: which plans fail, how often, and how likely D meets one."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from fuzzer import registry
from fuzzer.graph import Catalogue
from fuzzer.outline import CLASSES, Outline
from fuzzer.preparation import choose_pools, choose_seeds
from fuzzer.transform import Step, Transform

BACKGROUND = 0.001
Steps = tuple[Step, ...]
Rate = Callable[[str, Any], float]  # of a seed and a plan


@dataclass(frozen=True)
class Need:
    """A step that a cause needs: a transform, and one of these values (None: any)."""

    transform: str
    values: frozenset[Step] | None = None

    def met(self, steps: Steps) -> bool:
        """Whether a plan holds it."""
        if self.values is not None:
            return not self.values.isdisjoint(steps)
        return any(step.transform == self.transform for step in steps)


@dataclass(frozen=True)
class Cause:
    """All needs together, and none of the suppressors, fail with probability p."""

    needs: tuple[Need, ...]
    p: float
    suppressors: frozenset[str] = frozenset()

    def holds(self, steps: Steps) -> bool:
        """Whether a plan triggers it."""
        if not all(need.met(steps) for need in self.needs):
            return False
        return not any(step.transform in self.suppressors for step in steps)


def failing(causes: Iterable[Cause], background: float = BACKGROUND) -> Rate:
    """The rate of a plan: of its strongest cause, else the background."""
    known = tuple(causes)

    def rate(_seed: str, steps: Steps) -> float:
        return max((cause.p for cause in known if cause.holds(steps)), default=background)

    return rate


def graded(names: Iterable[str], base: float = -7.0, each: float = 1.5) -> Rate:
    """Each of these transforms adds so much to the log-odds."""
    known = frozenset(names)

    def rate(_seed: str, steps: Steps) -> float:
        found = len(known.intersection(step.transform for step in steps))
        return 1 / (1 + math.exp(-base - each * found))

    return rate


def hit(outline: Outline, cause: Cause) -> float:
    """h: the probability that a draw of D triggers a cause; exact but for draws of distance 0."""
    return math.fsum(_hit(outline, cause, seed) for seed in outline.seeds) / len(outline.seeds)


def _hit(outline: Outline, cause: Cause, seed: str) -> float:
    groups = outline.choices[seed]["invariant"]
    chances: list[float] = []  # of each need, given that its group is taken
    for need in cause.needs:
        group = _group(groups, need.transform)
        if group is None:
            return 0.0
        pool = outline.pools[need.transform]
        share = 1.0 if need.values is None else len(need.values.intersection(pool)) / len(pool)
        chances.append(share / len(group))
    silent = [1 / len(g) for name in cause.suppressors if (g := _group(groups, name)) is not None]
    total = 0.0
    for stratum, share, density in CLASSES:
        if stratum == "single":
            total += share * (chances[0] / len(groups) if len(chances) == 1 else 0.0)
        else:
            present = math.prod(density * chance for chance in chances)
            total += share * present * math.prod(1 - density * chance for chance in silent)
    return total


def _group(groups: Sequence[Sequence[object]], name: str) -> Sequence[object] | None:
    return next((g for g in groups if any(getattr(t, "name", "") == name for t in g)), None)


@cache
def whole() -> Outline:
    """The law of the default sweep: every built-in transform, group and pool, and all seeds."""
    catalogue, seeds = registry.find_catalogue(), choose_seeds(None)
    return Outline(catalogue, seeds, choose_pools(catalogue, seeds))


@cache
def two_dozen() -> Outline:
    """24 invariant transforms without alternatives, on the seeds that all of them apply to."""
    catalogue, seeds = registry.find_catalogue(), choose_seeds(None)[:4]
    chosen: list[Transform] = []
    taken: set[str] = set()
    for transform in catalogue:
        fits = transform.relation == "invariant" and all(map(transform.applicable, seeds))
        if fits and transform.group not in taken and len(chosen) < 24:
            taken.add(transform.group)
            chosen.append(transform)
    small = Catalogue(chosen, catalogue.pools)
    return Outline(small, seeds, choose_pools(small, seeds))


def plant(
    outline: Outline,
    k: int,
    p: float,
    rng: Random,
    *,
    values: int = 0,
    crowd: int = 1,
    suppressors: int = 0,
) -> Cause:
    """A random cause: k transforms of distinct choice groups, of `crowd` members or more each.

    With `values` the first needs one value of a pool of at least so many, one in `values` of it.
    Every seed must be able to hold it.
    """
    common = _common(outline, crowd)
    for _ in range(10_000):
        names = rng.sample(common, k + suppressors)
        groups = {outline.catalogue[name].group for name in names}
        pool = outline.pools[names[0]]
        if len(groups) == len(names) and (not values or len(pool) >= values):
            break
    else:
        raise ValueError(f"no cause of {k} steps with a choice of {values} values")
    needs = [Need(name) for name in names[:k]]
    if values:
        size = max(1, round(len(pool) / values))
        needs[0] = Need(names[0], frozenset(rng.sample(pool, size)))
    return Cause(tuple(needs), p, frozenset(names[k:]))


@cache
def _common(outline: Outline, crowd: int) -> tuple[str, ...]:
    """Invariant transforms that apply to every seed, in choice groups of at least so many."""
    found: list[set[str]] = []
    for seed in outline.seeds:
        groups = outline.choices[seed]["invariant"]
        found.append({t.name for group in groups if len(group) >= crowd for t in group})
    return tuple(sorted(set.intersection(*found)))
