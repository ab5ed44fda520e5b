"""Causes by an author who had not seen the search: scored once, when the search was frozen.

Each world is held to a bar of its own, 4 / (h p) + 60 calls: h the share of draws that trigger it
(from its author), p how often such draws fail on average (from 3,000 draws that no search sees).
"""

from collections import defaultdict
from collections.abc import Iterator
from random import Random

from benchmarks.detecting.planted import World, worlds
from benchmarks.detecting.running import Spread, calls_to_brittle, share
from benchmarks.detecting.worlds import Steps, whole

SEED = 20261122  # of the worlds scored
SAMPLE, APART = 3000, 2_000_000_000  # draws, and the first of them


def rows(quick: bool) -> Iterator[str]:
    """The table, by kind of world."""
    count, cap = (35, 4000) if quick else (420, 20_000)
    outline = whole()
    yield f"Planted by fresh eyes: {count} worlds, random seed {SEED}, cap {cap:,} calls"
    yield "| kind | worlds | h p, median | calls | within own bar | found |"
    yield "|---|---|---|---|---|---|"
    found: dict[str, list[tuple[float, int | None]]] = defaultdict(list)
    outline.random_seed = 0
    known = list(worlds(count, outline, SEED))
    drawn = [outline.draw(APART + k) for k in range(SAMPLE)]
    for number, world in enumerate(known):
        reach = _reach(world, [(draw.seed, draw.plan) for draw in drawn])
        outline.random_seed = number + 1
        calls = calls_to_brittle(outline, world.rate, Random(f"scored {number}"), 1, cap)
        for kind in (world.kind, "all"):
            found[kind].append((reach, calls))
    outline.random_seed = 0
    for kind in sorted(found, key=lambda kind: (kind == "all", kind)):
        yield _row(kind, found[kind])


def _reach(world: World, drawn: list[tuple[str, Steps]]) -> float:
    """H p: the chance that a draw triggers it and fails."""
    rates = [world.rate(seed, plan) for seed, plan in drawn if world.trigger(seed, plan)]
    mean = sum(rates) / len(rates) if rates else 0.05
    return world.chance * mean


def _row(kind: str, found: list[tuple[float, int | None]]) -> str:
    within = [calls is not None and calls <= 4 / reach + 60 for reach, calls in found]
    reaches = sorted(reach for reach, _ in found)
    return (
        f"| {kind} | {len(found)} | {reaches[len(found) // 2]:.4f} | "
        f"{Spread.of(calls for _, calls in found)} | {share(within)} | "
        f"{share([calls is not None for _, calls in found])} |"
    )
