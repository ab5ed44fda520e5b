"""The teaching-to-the-test flag: how often it is raised where it should be, and where not.

Every variant but the seeds fails at the far rate; the whole state machine runs, from the first call
to the flag's last block. *Lucky*: a variant's rate is 0 for 70% of variants, seeds included, and
.15 for the others: no seed was memorised, and where all seeds swept happen to be among the 70% the
gap is real and its reading is not. So below six seeds a report never says "memorised".
"""

from collections.abc import Callable, Iterator
from random import Random

from benchmarks.detecting.running import flown, rules, share
from benchmarks.detecting.worlds import Rate
from benchmarks.type_one import Integers
from fuzzer.decision import Decision
from fuzzer.proposal import Draw
from fuzzer.search import Search


class Mostly(Integers):
    """Draws as far from the seeds as the real D's: five sixths at distance 4 or more."""

    def draw(self, k: int) -> Draw:
        """Of the single class at distance 1, of the others far."""
        drawn = super().draw(k)
        return drawn._replace(distance=1 if drawn.stratum == "single" else 8)


World = Callable[[Random], Rate]


def rows(quick: bool) -> Iterator[str]:
    """The table."""
    count = 40 if quick else 1000
    yield f"The flag: {count:,} sweeps a row, 230 blocks at most"
    yield (
        "| canonical | far | seeds | flagged | blocks when flagged: median | wanted |"
        "\n|---|---|---|---|---|---|"
    )
    for seeds in (12, 1):
        yield _row("0", "5%", seeds, _gap(0.0, 0.05), count, ">= 90%")
    yield _row("5%", "5%", 12, _gap(0.05, 0.05), count, "<= 5%")
    yield _row("2%", "2%", 12, _gap(0.02, 0.02), count, "<= 5%")
    for seeds in (1, 3, 12):
        yield _row("lucky", "lucky", seeds, _lucky, count, "told, not called memorised below 6")


def _row(canonical: str, far: str, seeds: int, world: World, count: int, wanted: str) -> str:
    decisions = [_swept(seeds, world, number) for number in range(count)]
    flagged = [decision.flag == "flagged" for decision in decisions]
    blocks = sorted(d.flag_blocks for d in decisions if d.flag == "flagged")
    median = str(blocks[len(blocks) // 2]) if blocks else "-"
    return f"| {canonical} | {far} | {seeds} | {share(flagged)} | {median} | {wanted} |"


def _swept(seeds: int, world: World, number: int) -> Decision:
    source = Mostly(seeds=tuple(f"s{i}" for i in range(seeds)))
    rng = Random(f"{seeds} {number}")
    search = Search(rules(budget=6000), source)
    return flown(search, world(rng), rng).result()


def _gap(canonical: float, far: float) -> World:
    return lambda _rng: lambda _seed, plan: far if plan else canonical


def _lucky(rng: Random) -> Rate:
    rates: dict[object, float] = {}

    def rate(seed: str, plan: object) -> float:
        if (seed, plan) not in rates:
            rates[seed, plan] = 0.0 if rng.random() < 0.7 else 0.15
        return rates[seed, plan]

    return rate
