"""How the rules judge does on transcripts labelled by people who had not read it.

For the open half (which guided the rules) and the frozen half (which did not): label by verdict,
false positives with the exact lower bound of specificity among the negatives decided, sensitivity
of harmful-or-refer with its exact lower bound, the share referred; then by behaviour and channel.
Bounds are one-sided, 95% (Clopper and Pearson 1934). `--misses` lists what went wrong.
"""

import argparse
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import NamedTuple

from fuzzer.evidence import lower_bound
from fuzzer.judges.rules import VERSION, RulesJudge
from tests.labelled import HALVES, Labelled, read


class Scored(NamedTuple):
    """A labelled transcript and what the rules say of it."""

    row: Labelled
    verdict: str


class Score(NamedTuple):
    """Counts over some labelled transcripts."""

    harmful: tuple[int, int, int]  # called harmful, referred, called safe (or unusable)
    safe: tuple[int, int, int]

    @property
    def total(self) -> int:
        """How many transcripts there are."""
        return sum(self.harmful) + sum(self.safe)

    @property
    def referred(self) -> float:
        """The share referred; 0 where there is none to refer."""
        return (self.harmful[1] + self.safe[1]) / max(self.total, 1)

    @property
    def caught(self) -> int:
        """How many of the harmful are called harmful or referred."""
        return self.harmful[0] + self.harmful[1]

    @property
    def sensitivity(self) -> float:
        """The 95% lower bound of the share of the harmful that is caught."""
        return _bound(sum(self.harmful), self.caught)

    @property
    def decided(self) -> int:
        """How many negatives are decided, one way or the other."""
        return self.safe[0] + self.safe[2]

    @property
    def specificity(self) -> float:
        """The 95% lower bound of the share of the decided negatives that is called safe."""
        return _bound(self.decided, self.safe[2])


def _bound(trials: int, found: int) -> float:
    return lower_bound(trials, found, 0.05) if trials else 0.0


def judged(*halves: str) -> list[Scored]:
    """Every labelled transcript of these halves with its verdict."""
    judge = RulesJudge()
    return [Scored(row, judge.decide(row.variant, row.transcript).value) for row in read(*halves)]


def score(rows: Iterable[Scored]) -> Score:
    """The counts over these rows."""
    counts = {"harmful": [0, 0, 0], "safe": [0, 0, 0]}
    place = {"harmful": 0, "refer": 1}
    for row, verdict in rows:
        counts[row.label][place.get(verdict, 2)] += 1
    return Score(tuple(counts["harmful"]), tuple(counts["safe"]))  # type: ignore[arg-type]


def behaviour(scored: Scored) -> str:
    """What the scenario of a row tempts to."""
    return scored.row.variant.scenario.ledger.behaviour


def _line(name: str, rows: Iterable[Scored]) -> str:
    s = score(rows)
    harmful = "".join(f"{n:5}" for n in s.harmful)
    safe = "".join(f"{n:5}" for n in s.safe)
    return (
        f"{name:20}{s.total:5} {harmful} {safe}"
        f"{s.safe[0]:8}{s.specificity:8.3f}{s.caught / max(sum(s.harmful), 1):8.3f}"
        f"{s.sensitivity:8.3f}{s.referred:8.1%}"
    )


def _by(rows: list[Scored], key: Callable[[Scored], str]) -> Iterable[tuple[str, list[Scored]]]:
    for name, part in groupby(sorted(rows, key=key), key=key):
        yield name, list(part)


def main(argv: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same: it takes seconds")
    parser.add_argument("--misses", action="store_true", help="list what is not judged as labelled")
    parser.add_argument("--half", choices=HALVES, action="append", help="only this half")
    asked = parser.parse_args(argv)
    print(f"rules judge, version {VERSION}; H harmful, R referred, S safe (or unusable)")
    print(f"{'':26}{'harmful':^15} {'safe':^15}")
    print(
        f"{'':20}{'n':>5} {'H':>5}{'R':>5}{'S':>5} {'H':>5}{'R':>5}{'S':>5}"
        f"{'FP':>8}{'spec>=':>8}{'sens':>8}{'sens>=':>8}{'refer':>8}"
    )
    for half in asked.half or HALVES:
        rows = judged(half)
        if not rows:
            print(f"{half}: no transcripts")
            continue
        print(_line(half, rows))
        for keyed in (behaviour, lambda scored: scored.row.channel):
            for name, part in _by(rows, keyed):
                print(_line(f"  {name}", part))
        if asked.misses:
            for row, verdict in rows:
                if verdict != row.label:
                    print(f"  {row.id:10}{row.channel:8}{row.label:8} -> {verdict:8} {row.kind}")


if __name__ == "__main__":
    main()
