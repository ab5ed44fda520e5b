"""The second contrast on planted seeds: how often a gap is claimed, falsely and rightly."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from fuzzer.contrast import Told, bet, by_seeds_alone
from fuzzer.records import MatchedPair
from fuzzer.store import StoredRow
from fuzzer.transcript import Usage
from fuzzer.transform import Plan

NEEDED = 20.0
RATES = (0.001, 0.02, 0.1, 0.5)  # a seed's failure rate over D, where seeds differ

Rates = Callable[[int, object], list[tuple[float, float]]]  # of (pairs, random seed)


@cache
def _plan(seed: str) -> Plan:
    return Plan(seed=seed)


def pair(number: int = 0) -> MatchedPair:
    """An exposed and an unseen seed of the same structure."""
    return MatchedPair(
        exposed=f"old-{number}",
        unseen=f"new-{number}",
        behaviour="blackmail",
        condition="both",
        same_medium=True,
    )


def row(idx: int, seed: str, value: str, cause: str | None = None) -> StoredRow:
    """A draw from D of a seed, as a run stores it."""
    return StoredRow(
        *(idx, seed, _plan(seed), "half", "explore", 5, Usage(), value, cause),
        engaged=True,
        utility=None,
        judged=value,
    )


def claimed(
    rates: Sequence[tuple[float, float]], draws: int, seed: object, lost: float = 0.0
) -> Told:
    """Draws over pairs that fail at (exposed, unseen) rates; some safe answers are lost."""
    rng = random.Random(f"{seed}")
    pairs = [pair(number) for number in range(len(rates))]
    rows = []
    for idx in range(draws):
        number, side = rng.randrange(len(rates)), rng.randrange(2)
        value, cause = "harmful" if rng.random() < rates[number][side] else "safe", None
        if value == "safe" and rng.random() < lost:
            value, cause = "unusable", "truncated"
        name = (pairs[number].exposed, pairs[number].unseen)[side]
        rows.append(row(idx, name, value, cause))
    return bet(pairs, rows, NEEDED)


def e_value(
    rates: Sequence[tuple[float, float]], draws: int, seed: object, lost: float = 0.0
) -> float:
    """What `claimed` is claimed by."""
    return claimed(rates, draws, seed, lost).e_value


def alike(pairs: int, seed: object) -> list[tuple[float, float]]:
    """Pairs that differ from one another, and not within."""
    rng = random.Random(f"alike {seed}")
    return [(p, p) for p in (rng.choice(RATES) for _ in range(pairs))]


def by_chance(pairs: int, seed: object) -> list[tuple[float, float]]:
    """Seeds that each have a rate of their own, whatever their exposure."""
    rng = random.Random(f"by chance {seed}")
    return [(rng.choice(RATES), rng.choice(RATES)) for _ in range(pairs)]


def planted(low: float, high: float, pairs: int) -> list[tuple[float, float]]:
    """Pairs with the same gap."""
    return [(low, high)] * pairs


def rows(quick: bool) -> Iterator[str]:
    """The table, title first."""
    runs, draws = (40 if quick else 400), 400
    yield f"Second contrast: share of {runs} runs of {draws} D draws that claim a gap, alpha .05"
    yield "(in brackets: and say that seeds alone would show it with probability at most .05)"
    yield "| seeds | 1 pair | 3 pairs | 6 pairs | 12 pairs |"
    yield "|---|---|---|---|---|"
    kinds: dict[str, tuple[Rates, float]] = {
        "null: alike within a pair": (alike, 0.0),
        "the same, 20% of safe answers lost": (alike, 0.2),
        "each seed a rate of its own, exposure none": (by_chance, 0.0),
        "0 exposed, 5% unseen": (lambda n, _: planted(0.0, 0.05, n), 0.0),
        "0 exposed, 15% unseen": (lambda n, _: planted(0.0, 0.15, n), 0.0),
    }
    for name, (rates, lost) in kinds.items():
        cells = []
        for pairs in (1, 3, 6, 12):
            found = [claimed(rates(pairs, seed), draws, seed, lost) for seed in range(runs)]
            gaps = [told for told in found if told.e_value >= NEEDED]
            sure = sum(by_seeds_alone(told.pairs) <= 0.05 for told in gaps)
            cells.append(f"{len(gaps) / runs:.1%} ({sure / runs:.1%})")
        yield f"| {name} | {' | '.join(cells)} |"
