"""Shrinks of planted worlds, spread over processes, and the cells of a table made of them.

A replicate is a function of its setting and number: the same worlds, replays and outcomes come
again, whatever the number of processes. Two settings of one kind and size share their worlds.
"""

import math
import os
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import get_context
from typing import TypeVar

from benchmarks.reducing.worlds import THRESHOLD, Kind, World, replays
from fuzzer.certificate import Outcome
from fuzzer.evidence import clopper_pearson, upper_bound
from fuzzer.rounds import Purpose
from fuzzer.shrink import ShrinkConfig, Shrinker

T = TypeVar("T")

REPLICATES, QUICK = 400, 40
#: In every random seed: the constants of the shrinkers were chosen on replicates without it.
UNTUNED = "fresh"
PROCESSES = "HOLDFAST_BENCHMARK_PROCESSES"  # set by `--processes` ...
COUNT = "HOLDFAST_BENCHMARK_REPLICATES"  # ... and `--replicates`


@dataclass(frozen=True)
class Setting:
    """What is shrunk, and with how much."""

    kind: Kind
    n: int
    budget: int
    batch: int = 4


@dataclass(frozen=True)
class Played:
    """What one shrink came to."""

    keep: frozenset[int]
    search: int  # calls
    certificate: int  # calls
    rounds: int
    searching: int  # rounds
    certified: bool
    minimal: bool  # 1-minimal at its cut; at half its own true rate where no cut was fixed
    misfit: bool | None  # whether the shrinker says that its model is wrong; None: it has no say

    @property
    def calls(self) -> int:
        """Search and certificate."""
        return self.search + self.certificate


def plant(kind: Kind, n: int, number: int) -> tuple[World, tuple[int, int]]:
    """A world and the (failures, calls) that a search had seen of its full plan."""
    rng = random.Random(f"{UNTUNED} {kind.name} {n} {number}")
    world = kind.plant(n, rng)
    return world, replays(world.rate(world.full), rng)


@dataclass
class Log:
    """What was asked and told: rounds, those with search calls in them, and every call."""

    rounds: int = 0
    searching: int = 0
    calls: list[tuple[frozenset[int], Purpose, Outcome]] = field(default_factory=list)


def drive(
    shrinker: Shrinker,
    world: World,
    rng: random.Random,
    batch: int,
    lost: tuple[float, float] = (0.0, 0.0),
) -> Log:
    """Ask in rounds of at most `batch` and tell coins; `lost`: shares of safe and harmful unusable.

    What cannot be tested is told so, and is no call.
    """
    log = Log()
    while not shrinker.done:
        asked = shrinker.ask(batch)
        tested = [call for call in asked if not world.blind(call.keep)]
        log.rounds += bool(tested)
        log.searching += any(call.purpose == "search" for call in tested)
        for call in asked:
            outcome: Outcome = "blind"
            if call in tested:
                harmful = rng.random() < world.rate(call.keep)
                outcome = "harmful" if harmful else "safe"
                if lost[harmful] and rng.random() < lost[harmful]:
                    outcome = "unusable"
                log.calls.append((call.keep, call.purpose, outcome))
            shrinker.tell(call.index, outcome)
    return log


def play(setting: Setting, number: int) -> Played:
    """One replicate."""
    world, prior = plant(setting.kind, setting.n, number)
    config = ShrinkConfig(budget=setting.budget, batch=setting.batch, threshold=THRESHOLD)
    shrinker = Shrinker(config, range(setting.n), *prior)
    rng = random.Random(
        f"{UNTUNED} {setting.kind.name} {setting.n} {setting.batch} outcomes {number}"
    )
    log = drive(shrinker, world, rng, setting.batch)
    result = shrinker.result()
    misfit = getattr(result, "misfit", None)
    return Played(
        keep=result.keep,
        search=result.calls_search,
        certificate=result.calls_certificate,
        rounds=log.rounds,
        searching=log.searching,
        certified=result.certified,
        minimal=world.is_minimal(result.keep, result.cut or world.rate(result.keep) / 2),
        misfit=None if misfit is None and not hasattr(result, "misfit") else bool(misfit),
    )


def replicates(quick: bool) -> int:
    """How many a cell has."""
    return int(os.environ.get(COUNT, "0")) or (QUICK if quick else REPLICATES)


def played(setting: Setting, quick: bool) -> list[Played]:
    """Every replicate of a cell."""
    return spread(partial(play, setting), replicates(quick))


def spread(one: Callable[[int], T], count: int, start: int = 0) -> list[T]:
    """`one(start)`, `one(start + 1)` ..., `count` in all: in order, on all processes."""
    numbers = range(start, start + count)
    workers = int(os.environ.get(PROCESSES, "0")) or os.cpu_count() or 1
    if workers == 1:
        return [one(number) for number in numbers]
    return list(_pool(workers).map(one, numbers, chunksize=max(1, count // (8 * workers))))


@cache
def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


# ------------------------------------------------------------------------------------- the cells


def middle(values: Iterable[float]) -> float:
    """The median: the upper one of two."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def spans(values: Sequence[float]) -> str:
    """Median and 90% point."""
    high = sorted(values)[math.ceil(0.9 * len(values)) - 1]
    return f"{middle(values):.0f}/{high:.0f}"


def share(flags: Sequence[bool]) -> str:
    """A share in percent with its exact 95% interval."""
    low, high = clopper_pearson(len(flags), sum(flags))
    return f"{100 * sum(flags) / len(flags):.1f} [{100 * low:.0f}, {100 * high:.0f}]"


def at_most(flags: Sequence[bool]) -> str:
    """A share in percent with its exact 95% upper bound."""
    high = upper_bound(len(flags), sum(flags), 0.05)
    return f"{100 * sum(flags) / len(flags):.1f} (<{100 * high:.1f})"


def ratio(value: float, to: float) -> str:
    """As a multiple."""
    return f"x{value / to:.2f}"
