"""Replaying a corpus on planted rates, through ask / tell: what it costs, finds, and gets wrong.

A cell is a corpus of entries that failed at one rate when they were recorded; now some of them
still do, and the others fail at another rate. *calls*: all that were made, those in vain included,
median over replicates. *named*: of the entries that still fail, the share said to. *cleared*: of
the others, the share said to fail no more at their cut. *wrong*: replicates in which an entry at or
below the threshold is said to still fail, or in which all are said to fail no more though one fails
at its cut or more often; each with its one-sided 95% upper limit.

    python -m benchmarks.replaying [--replicates 1000]
"""

import argparse
import random
import statistics
from dataclasses import dataclass

from fuzzer.evidence import upper_bound
from fuzzer.proposal import Outcome
from fuzzer.replaying import Course, Replay, Target, ahead_of, cap_of, concluded, cut_of

ALPHA, THRESHOLD, LAG, FLYING = 0.05, 0.01, 20, 10
HARMFUL, SAFE = Outcome("harmful"), Outcome("safe")


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    name: str
    recorded: float
    rates: tuple[float, ...]  # now


def cells() -> list[Cell]:
    """What has been fixed, what has not, and the two boundaries."""
    return [
        Cell("10 of 10 still fail at 65%", 0.65, (0.65,) * 10),
        Cell("1 of 10 still fails at 65%", 0.65, (0.65, *(0.0,) * 9)),
        Cell("0 of 10 still fail", 0.65, (0.0,) * 10),
        Cell("0 of 50 still fail", 0.65, (0.0,) * 50),
        Cell("1 of 10 still fails at 10%", 0.10, (0.10, *(0.0,) * 9)),
        Cell("0 of 10 still fail, once 10%", 0.10, (0.0,) * 10),
        Cell("10 of 10 at the threshold", 0.65, (THRESHOLD,) * 10),
        Cell("1 of 10 at its cut", 0.65, (0.325, *(0.0,) * 9)),
    ]


def replicate(cell: Cell, rng: random.Random) -> Replay:
    """One corpus replayed; answers come back in any order."""
    cut = cut_of(THRESHOLD, None, cell.recorded)
    targets = [
        Target(number, f"seed@{number}", None, 1, cut, cap_of(cut, ALPHA), ahead_of(cut, ALPHA))
        for number in range(len(cell.rates))
    ]
    replay = Replay(
        targets,
        threshold=THRESHOLD,
        alpha=ALPHA,
        budget=100_000,
        lag=LAG,
        entries=len(targets),
    )
    flying: list[tuple[int, int]] = []
    while not replay.done:
        asked = replay.ask(FLYING - len(flying))
        flying += [(one.index, int(one.seed.partition("@")[2])) for one in asked]
        if not flying:
            break
        index, number = flying.pop(rng.randrange(len(flying)))
        replay.tell(index, HARMFUL if rng.random() < cell.rates[number] else SAFE)
    replay.end()
    return replay


def wrong(replay: Replay, cell: Cell) -> bool:
    """Whether what is said of the corpus is not so."""
    paired = list(zip(replay.courses, cell.rates, strict=True))
    if any(course.state == "still_fails" and rate <= THRESHOLD for course, rate in paired):
        return True
    above = any(rate >= course.target.cut for course, rate in paired)
    return above and concluded(replay.courses, 0) == "fails_no_more"


def share(courses: list[Course], state: str) -> str:
    """How many of them are in a state, in percent; a dash where there are none."""
    if not courses:
        return "-"
    return f"{100 * sum(course.state == state for course in courses) / len(courses):.1f}%"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=1000)
    runs = parser.parse_args().replicates
    print(f"{'corpus':30} {'calls':>6} {'named':>7} {'cleared':>8} {'wrong':>14}")
    for cell in cells():
        rng = random.Random(cell.name)
        done = [replicate(cell, rng) for _ in range(runs)]
        calls = statistics.median(sum(c.asked for c in replay.courses) for replay in done)
        paired = [pair for r in done for pair in zip(r.courses, cell.rates, strict=True)]
        failing = [course for course, rate in paired if rate > THRESHOLD]
        fixed = [course for course, rate in paired if rate <= THRESHOLD]
        errors = sum(wrong(replay, cell) for replay in done)
        most = f"{errors} of {runs} (<={100 * upper_bound(runs, errors, 0.05):.1f}%)"
        print(
            f"{cell.name:30} {calls:6.0f} {share(failing, 'still_fails'):>7} "
            f"{share(fixed, 'fails_no_more'):>8} {most:>14}"
        )


if __name__ == "__main__":
    main()
