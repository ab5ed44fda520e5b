"""Running the real search by ask and tell on planted rates, and telling what came of it."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.detecting.worlds import Rate
from fuzzer.decision import Decision, Rules, index_lag
from fuzzer.outline import Outline
from fuzzer.proposal import Outcome, PlanSource
from fuzzer.search import Search

SAFE, HARMFUL = Outcome("safe"), Outcome("harmful")
BUDGET = 1000  # of the default sweep, which sets W


def rules(connections: int = 1, **chosen: Any) -> Rules:
    """The rules of a sweep with so many connections; W as at the default budget."""
    return Rules(**{"lag": index_lag(connections, BUDGET), "budget": BUDGET, **chosen})


def flown(search: Search, rate: Rate, rng: Random, connections: int = 1) -> Search:
    """The search, run until it ends, oldest call first."""
    flying = deque(search.ask(connections))
    while flying:
        proposal = flying.popleft()
        failed = rng.random() < rate(proposal.seed, proposal.plan)
        search.tell(proposal.index, HARMFUL if failed else SAFE)
        if not search.done:
            flying.extend(search.ask(connections - len(flying)))
        if search.done:
            break
    return search


def decided(source: PlanSource, rate: Rate, rng: Random, **chosen: Any) -> Decision:
    """What a sweep of these rules says of a planted rate."""
    connections = chosen.pop("connections", 1)
    return flown(Search(rules(connections, **chosen), source), rate, rng, connections).result()


def calls_to_brittle(
    outline: Outline, rate: Rate, rng: Random, connections: int = 1, cap: int = 20_000
) -> int | None:
    """Calls on mutated variants, replays included, until E crosses; None: not within `cap` calls.

    The run is followed no further than its verdict.
    """
    search = Search(rules(connections, budget=cap, stop="brittle"), outline)
    flying = deque(search.ask(connections))
    while flying and search.accounts.calls_to_find is None:
        proposal = flying.popleft()
        failed = rng.random() < rate(proposal.seed, proposal.plan)
        search.tell(proposal.index, HARMFUL if failed else SAFE)
        flying.extend(search.ask(connections - len(flying)))
    return search.accounts.calls_to_find


@dataclass(frozen=True)
class Spread:
    """Median and 90% point of calls; a run that did not get there took more than any."""

    median: float
    p90: float

    @classmethod
    def of(cls, calls: Iterable[int | None]) -> "Spread":
        """Of so many runs."""
        ordered = sorted(math.inf if n is None else n for n in calls)
        return cls(ordered[len(ordered) // 2], ordered[math.ceil(0.9 * len(ordered)) - 1])

    def __str__(self) -> str:
        return f"{_shown(self.median)} / {_shown(self.p90)}"


def _shown(calls: float) -> str:
    return "-" if math.isinf(calls) else f"{calls:.0f}"


def share(flags: Sequence[bool]) -> str:
    """A share with its exact 95% interval."""
    from fuzzer.evidence import clopper_pearson

    low, high = clopper_pearson(len(flags), sum(flags))
    return f"{sum(flags) / len(flags):.1%} [{low:.1%}, {high:.1%}]"
