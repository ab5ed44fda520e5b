"""Calls to a brittle verdict on planted causes, beside other ways of choosing what to call.

h is the chance that a draw of D triggers the cause. It differs from replicate to replicate where
groups and pools do: each is held to its own bar of 4 / (h p) + 60 calls, and *within* is the share
that keeps it (wanted: 90%). The rivals close episodes as Holdfast does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from benchmarks.detecting import rivals
from benchmarks.detecting.running import Spread, calls_to_brittle
from benchmarks.detecting.worlds import failing, graded, hit, plant, two_dozen, whole
from fuzzer.outline import Outline

RIVALS = (rivals.walks, rivals.one_at_a_time, rivals.thompson)


@dataclass(frozen=True)
class Cell:
    """One row: what is planted."""

    name: str
    steps: int
    planting: dict[str, Any] = field(default_factory=dict)
    rates: tuple[float, ...] = (1.0, 0.5, 0.1)
    small: bool = True  # also with 24 transforms


CELLS = (
    Cell("single", 1),
    Cell("pair", 2),
    Cell("triple", 3),
    Cell("single, 3 suppressors", 1, {"suppressors": 3}),
    Cell("pair, 3 suppressors", 2, {"suppressors": 3}),
    Cell("triple, 3 suppressors", 3, {"suppressors": 3}),
    Cell("single, 1 of 4 values", 1, {"values": 4}),
    Cell("single, 1 of 30 values", 1, {"values": 30}, small=False),
    Cell("pair, in groups of 3 and more", 2, {"crowd": 3}, small=False),
)
HEADER = (
    "| transforms | cause | p | h | Holdfast | bar at mean h | within own bar | 10 in flight | "
    "walks | one at a time | Thompson |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def rows(quick: bool) -> Iterator[str]:
    """The table; the rivals have a quarter of the replicates."""
    replicates, cap = (16, 2000) if quick else (400, 20_000)
    yield f"Calls to a brittle verdict, median / 90% point; {replicates} replicates, cap {cap:,}"
    yield HEADER
    for label, outline in (("24", two_dozen()), ("all", whole())):
        for cell in CELLS:
            if label == "24" and not cell.small:
                continue
            for p in cell.rates:
                yield _row(label, outline, cell, p, replicates, cap)
        yield _graded(label, outline, replicates, cap)


def _row(label: str, outline: Outline, cell: Cell, p: float, replicates: int, cap: int) -> str:
    ours, flying, chances, within = [], [], [], 0
    others: dict[str, list[int | None]] = {rival.__name__: [] for rival in RIVALS}
    for number in range(replicates):
        cause = plant(outline, cell.steps, p, Random(f"{cell.name} {p} {number}"), **cell.planting)
        rate, chance = failing([cause]), hit(outline, cause)
        outline.random_seed = number
        rng = Random(f"calls {cell.name} {p} {number}")
        calls = calls_to_brittle(outline, rate, rng, 1, cap)
        flying.append(calls_to_brittle(outline, rate, rng, 10, cap))
        for rival in RIVALS if number < replicates // 4 else ():
            found = rivals.calls_to_brittle(rival, rate, outline, rng, cap, most=p, in_a_row=True)
            others[rival.__name__].append(found)
        ours.append(calls)
        chances.append(chance)
        within += calls is not None and calls <= 4 / (chance * p) + 60
    h = sum(chances) / replicates
    told = " | ".join(str(Spread.of(calls)) for calls in others.values())
    return (
        f"| {label} | {cell.name} | {p:g} | {h:.3f} | {Spread.of(ours)} | {4 / (h * p) + 60:.0f} | "
        f"{within / replicates:.0%} | {Spread.of(flying)} | {told} |"
    )


def _graded(label: str, outline: Outline, replicates: int, cap: int) -> str:
    ours, flying = [], []
    others: dict[str, list[int | None]] = {rival.__name__: [] for rival in RIVALS}
    for number in range(replicates):
        needs = plant(outline, 6, 1.0, Random(f"graded {number}")).needs
        rate = graded(need.transform for need in needs)
        outline.random_seed = number
        rng = Random(f"calls graded {number}")
        ours.append(calls_to_brittle(outline, rate, rng, 1, cap))
        flying.append(calls_to_brittle(outline, rate, rng, 10, cap))
        for rival in RIVALS if number < replicates // 4 else ():
            found = rivals.calls_to_brittle(rival, rate, outline, rng, cap, in_a_row=True)
            others[rival.__name__].append(found)
    told = " | ".join(str(Spread.of(calls)) for calls in others.values())
    return (
        f"| {label} | graded, 6 x 1.5 log-odds | | | {Spread.of(ours)} | 60 | | "
        f"{Spread.of(flying)} | {told} |"
    )
