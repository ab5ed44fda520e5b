"""False alarms of a sweep at exactly the threshold, through ask / tell with planted outcomes.

Every variant, the seeds included, fails with probability exactly r: the worst case of the null of
*brittle*, and (its mean being r) of the null of *holds*. How long a call takes depends on what it
brings, failures first, and 5-10% of answers are lost, safe ones more often: what fools a naive run.
A sweep goes on for all its calls (`--stop brittle`: on after holds).
"""

import argparse
import heapq
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from fuzzer.proposal import Draw, Outcome, Proposal, Stratum
from fuzzer.search import Decision, Rules, Search, index_lag

SAFE = Outcome("safe")
HARMFUL = Outcome("harmful")
TRUNCATED = Outcome("unusable", "content", engaged=False)
TIMEOUT = Outcome("unusable", "transport", engaged=False)

#: Density classes in the shares of D.
CLASSES: tuple[Stratum, ...] = ("half", "quarter", "half", "half", "single", "half")

Subject = Callable[[Proposal], Outcome]


@dataclass(frozen=True)
class Integers:
    """A plan source whose plans are integers: 0 is the seed, every draw another variant."""

    seeds: tuple[str, ...] = ("a", "b", "c")
    far_share: float = 0.4

    def canonical(self, k: int) -> Draw:
        """The seeds in turn."""
        return Draw(self.seeds[k % len(self.seeds)], 0, "canonical", 0)

    def draw(self, k: int) -> Draw:
        """Variant k + 1, mostly half dense, as under D."""
        return Draw(self.seeds[k * 7 % len(self.seeds)], k + 1, CLASSES[k % 6], 1 + k % 8)

    def all_on(self, k: int) -> Draw:
        """Plans below zero, so that no other draw meets them."""
        return Draw(self.seeds[k % len(self.seeds)], -1 - k, "all_on", 12)

    def far_draw(self, k: int, seed: str) -> Draw:
        """Plans above all others."""
        return Draw(seed, 10_000_000 + k, "half", 5)

    def behaviour(self, seed: str) -> str:
        """Every seed its own."""
        return seed

    def parts(self, plan: int) -> tuple[int, ...]:
        """One step, but for the seed."""
        return (plan,) if plan else ()

    def kept(self, plan: int, keep: Iterable[int]) -> int:
        """All or nothing."""
        return plan if list(keep) else 0

    def holds(self, plan: int, smaller: int) -> bool:
        """Only itself."""
        return smaller in (0, plan)

    def subset(self, seed: str, plan: int, keep: Iterable[int]) -> Draw:
        """All or nothing."""
        kept = self.kept(plan, keep)
        return Draw(seed, kept, "neighbour", int(kept != 0))

    def transfer(self, plan: int, seed: str) -> Draw:
        """The same integer elsewhere."""
        return Draw(seed, plan, "neighbour", int(plan != 0))

    def apart(self, k: int, known: tuple[int, ...]) -> Draw:
        """Integers beyond the others: none is known."""
        assert known
        return Draw(self.seeds[k % len(self.seeds)], 20_000_000 + k, "neighbour", 4)


def boundary(rng: random.Random, rate: float, lost: float) -> Subject:
    """Fails at `rate`; loses `lost` of the safe answers and half as many of the harmful ones."""

    def act(_: Proposal) -> Outcome:
        harmful = rng.random() < rate
        if rng.random() < (lost / 2 if harmful else lost):
            return TRUNCATED if rng.random() < 0.8 else TIMEOUT
        return HARMFUL if harmful else SAFE

    return act


def fly(search: Search, subject: Subject, in_flight: int, rng: random.Random) -> Decision:
    """Run a search with so many calls at once; failures come back first, lost calls last."""
    queue: list[tuple[float, int, Outcome]] = []
    clock = 0.0
    while not search.done:
        for proposal in search.ask(in_flight - len(queue)):
            outcome = subject(proposal)  # in index order: the same whatever is in flight
            slow = 0.1 if outcome is HARMFUL else 1.0 if outcome is SAFE else 3.0
            heapq.heappush(queue, (clock + slow * (0.5 + rng.random()), proposal.index, outcome))
        clock, index, outcome = heapq.heappop(queue)
        search.tell(index, outcome)
    return search.result()


def sweeps(
    count: int, *, calls: int, threshold: float, rate: float, lost: float, in_flight: int
) -> Iterator[Decision]:
    """Independent sweeps, each with its own random seed."""
    rules = Rules(
        threshold=threshold, budget=calls, lag=index_lag(in_flight, calls), stop="brittle"
    )
    for number in range(count):
        rng = random.Random(f"{number}/{threshold}/{rate}/{lost}/{in_flight}")
        yield fly(Search(rules, Integers()), boundary(rng, rate, lost), in_flight, rng)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 sweeps a row, not 2,000")
    count = 100 if parser.parse_args(argv).quick else 2000
    calls, r = 3000, 0.01
    print(f"{count} sweeps of {calls} calls at exactly r = {r}, alpha = .05")
    print("| in flight | answers lost | brittle | allowed | e_holds crossed | µs / call |")
    print("|---|---|---|---|---|---|")
    for in_flight, lost in ((1, 0.0), (1, 0.05), (8, 0.1), (200, 0.1)):
        start, made, brittle, held = time.perf_counter(), 0, 0, 0
        for decision in sweeps(
            count, calls=calls, threshold=r, rate=r, lost=lost, in_flight=in_flight
        ):
            made += decision.calls + decision.after_stop
            brittle += decision.verdict == "brittle"
            held += decision.e_holds >= decision.needed_holds
        cost = (time.perf_counter() - start) / made * 1e6
        print(
            f"| {in_flight} | {lost:.0%} | {brittle} | {count * 6 // 100} | {held} | {cost:.1f} |"
        )
    print()
    print("Always safe: largest E over all thresholds, and verdicts")
    for threshold in (0.001, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5):
        decisions = list(
            sweeps(2, calls=calls, threshold=threshold, rate=0.0, lost=0.05, in_flight=8)
        )
        largest = max(decision.e_brittle for decision in decisions)
        verdicts = ", ".join(decision.verdict for decision in decisions)
        print(f"| r = {threshold} | E <= {largest:.3f} | {verdicts} |")


if __name__ == "__main__":
    main()
