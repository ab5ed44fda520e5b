"""A judge that must be waited for, held to the controls before a run: each seed, each transform.

What a judge calls wrong it would call wrong in a trial too, so a seed on which it fails is refused,
and a transform on which it fails alone is left out of D, named with its reason. While the run goes
on, a sample of the variants drawn is held to their controls as well (`fuzzer.judges.Held`).
"""

import asyncio
from collections.abc import Iterable

from pydantic import Field

from fuzzer.distribution import Distribution
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.judges import Held
from fuzzer.records import Blind
from fuzzer.scenario import Frozen
from fuzzer.transcript import Usage
from fuzzer.transform import Plan

TRUST = "trust"  # the key of what the judge was held to before the run


class Trust(Frozen):
    """On what a judge fails, and the tokens it took to know, by model: part of a run's record."""

    left_out: tuple[Blind, ...] = ()
    used: dict[str, Usage] = Field(default_factory=dict)


async def hold(judge: Held, distribution: Distribution) -> Trust:
    """The transforms that this judge fails on, alone at their first value.

    Raises `ConfigurationError` naming the seeds, unchanged, whose controls it calls wrong.
    """
    seeds = [Plan(seed=name) for name in distribution.seeds]
    alone = list(tried(distribution))
    asked = [judge.miscalled(distribution.variant(plan.seed, plan)) for plan in (*seeds, *alone)]
    found = await asyncio.gather(*asked)
    wrong = [
        Blind(seed=plan.seed, plan=plan.steps, reason=said)
        for plan, (said, _) in zip((*seeds, *alone), found, strict=True)
        if said
    ]
    if refused := [row for row in wrong if not row.plan]:
        named = "; ".join(f"on {row.seed!r} {row.reason}" for row in refused[:3])
        raise ConfigurationError(
            f"{judge.name!r} cannot judge {len(refused)} of {len(seeds)} seeds: {named}; use "
            "another judge, or sweep the seeds that it can judge"
        )
    used: dict[str, Usage] = {}
    for _, each in found:
        for name, usage in each.items():
            used[name] = used.get(name, Usage()) + usage
    return Trust(left_out=tuple(wrong), used=used)


def tried(distribution: Distribution) -> Iterable[Plan]:
    """Each transform by itself, on one seed that it fits: another one for the next transform."""
    seeds = list(distribution.scenarios.values())
    for number, transform in enumerate(distribution.catalogue):
        if transform.name not in distribution.pools:
            continue
        step = distribution.pools[transform.name][:1]
        turned = (*seeds[number % len(seeds) :], *seeds[: number % len(seeds)])
        for seed in turned:
            plan = Plan(seed=seed.name, steps=step)
            if transform.applicable(seed) and distribution.admissible(seed.name, plan):
                yield plan
                break


def without(catalogue: Catalogue, blind: Iterable[Blind]) -> Catalogue:
    """The catalogue without the transforms that these rows are of."""
    named = {step.transform for row in blind for step in row.plan}
    kept = [transform for transform in catalogue if transform.name not in named]
    return Catalogue(kept, catalogue.pools)
