"""Condensing on planted causes: what is left of a seed, what it took, and whether it is right.

Every default seed with one step. An organism fails at a rate p if the rendered request holds the
planted passage (its slots filled), and else in one call of a thousand, as the seed itself does. The
passage is a sentence, a paragraph (of a mail or of the prompt), a whole unit, or two paragraphs of
different units; or nothing: then the step alone suffices. Calls go through ask and tell; what is
asked is rendered and admitted as in a sweep. *Kept*: the passage is in the reduced request, whose
controls hold and which still tempts. *Small*: at most a quarter of the tokens. *Ended*: the search
did, within the budget. *False*: a certificate of what fails no more often than its cut.
"""

import argparse
import random
import re
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Literal, NamedTuple

from benchmarks.reducing.running import at_most, replicates, share, spans, spread
from fuzzer.condense import CondenseConfig, Condenser, CondenseResult, Drop, PlanSource
from fuzzer.distribution import Distribution
from fuzzer.judges.rules import RulesJudge
from fuzzer.sentences import split
from mutators import CATALOGUE
from seeds import load_seeds

Kind = Literal["sentence", "paragraph", "unit", "two paragraphs", "nothing"]
BACKGROUND = 0.001
STEP = "rename_people"
SMALL = 0.25
SHORT = 40  # characters below which a passage might be found by accident


class Planted(PlanSource):
    """A source whose requests can be searched for a passage."""

    def __init__(self, distribution: Distribution, seed: str) -> None:
        catalogue = distribution.catalogue
        super().__init__(distribution, catalogue.plan(seed, [catalogue.default_step(STEP)]))
        self._said: dict[Drop, str] = {}

    def said(self, drop: Drop) -> str:
        """All that is said without these elements, white space evened out."""
        if drop not in self._said:
            self._said[drop] = _even(self.variant(drop).request.text)
        return self._said[drop]

    def passages(self, kind: Kind) -> list[str]:
        """Everything of a kind that may be planted."""
        if kind == "nothing":
            return [""]
        texts = [block.text for block in self.scenario.system]
        texts += [message.body for message in self.scenario.inbox]
        if kind == "sentence":
            parts = [part for text in texts for part in split(text).pieces]
            texts = [part.text for part in parts]
        elif kind != "unit":
            texts = [each for text in texts for each in re.split(r"\n\s*\n", text)]
        found = dict.fromkeys(_even(self.filled(text)) for text in texts)
        return [each for each in found if len(each) >= SHORT]


def _even(text: str) -> str:
    return " ".join(text.split())


@cache
def planted() -> tuple[Planted, ...]:
    """A source for each default seed; what they have rendered is kept."""
    seeds = load_seeds()
    distribution = Distribution(CATALOGUE, seeds, CATALOGUE.pools, RulesJudge().decide)
    return tuple(Planted(distribution, seed.name) for seed in seeds)


class Cell(NamedTuple):
    """One row of the table."""

    kind: Kind
    p: float
    budget: int


class Replicate(NamedTuple):
    """What one condensing came to."""

    result: CondenseResult
    kept: bool
    admitted: bool
    rate: float  # of the reduced scenario, in truth

    @property
    def share(self) -> float:
        """Tokens that are left, of all."""
        return self.result.tokens_after / self.result.tokens_before

    @property
    def false(self) -> bool:
        """Whether a certificate is wrong."""
        return self.result.certified and self.rate <= (self.result.cut or 1)


def replicate(cell: Cell, number: int) -> Replicate:
    """One planted cause, condensed; the same number gives the same replicate."""
    rng = random.Random(f"{cell.kind} {cell.p} {number}")
    source = planted()[number % len(planted())]
    passages = source.passages(cell.kind)
    cause = rng.sample(passages, 2 if cell.kind == "two paragraphs" else 1)

    def rate(drop: Drop) -> float:
        return cell.p if all(each in source.said(drop) for each in cause) else BACKGROUND

    failures = calls = 0  # what a plan's certificate has met before
    while failures < 4:
        calls += 1
        failures += rng.random() < cell.p
    condenser = Condenser(CondenseConfig(budget=cell.budget), source, failures, calls)
    while not condenser.done:
        for call in condenser.ask(4):
            chance = BACKGROUND if call.what == "seed" else rate(frozenset(call.drop))
            condenser.tell(call.index, "harmful" if rng.random() < chance else "safe")
    result = condenser.result()
    drop = frozenset(result.drop)
    true = rate(drop)
    return Replicate(result, true == cell.p, source.admissible(drop), true)


HEADER = (
    f"{'planted':<15}{'p':>4}{'budget':>7}{'kept':>16}{'small':>16}{'ended':>7}{'cert.':>7}"
    f"{'false':>12}{'search':>9}{'cert.':>9}{'all':>9}{'tokens':>11}"
)


def row(cell: Cell, runs: Sequence[Replicate]) -> str:
    """One line: shares in percent, then median/90% of calls and of the tokens left in percent."""
    ended = 100 * sum(run.result.complete for run in runs) / len(runs)
    certified = 100 * sum(run.result.certified for run in runs) / len(runs)
    both = [run.result.calls_search + run.result.calls_certificate for run in runs]
    return (
        f"{cell.kind:<15}{cell.p:>4g}{cell.budget:>7}"
        f"{share([run.kept and run.admitted for run in runs]):>16}"
        f"{share([run.share <= SMALL for run in runs]):>16}{ended:>7.0f}{certified:>7.0f}"
        f"{at_most([run.false for run in runs]):>12}"
        f"{spans([run.result.calls_search for run in runs]):>9}"
        f"{spans([run.result.calls_certificate for run in runs]):>9}{spans(both):>9}"
        f"{spans([100 * run.share for run in runs]):>11}"
    )


def cells(*, quick: bool) -> list[Cell]:
    """The rows of the table."""
    if quick:
        return [Cell("paragraph", 1, 100), Cell("paragraph", 0.5, 300), Cell("nothing", 1, 100)]
    kinds: tuple[Kind, ...] = ("sentence", "paragraph", "unit", "two paragraphs", "nothing")
    budgets = ((1, 100), (0.5, 300), (0.2, 800))
    return [Cell(kind, p, budget) for kind in kinds for p, budget in budgets]


def rows(quick: bool) -> Iterator[str]:
    """The table, its title first."""
    count = replicates(quick)
    sizes = [len(source.variant(frozenset()).request.text.encode()) for source in planted()]
    yield (
        f"Text: {len(sizes)} default seeds of {min(sizes) / 1000:.1f} to {max(sizes) / 1000:.1f} "
        f"kB in turn, {count} replicates a row, batches of 4, background {BACKGROUND}"
    )
    yield HEADER
    for cell in cells(quick=quick):
        yield row(cell, spread(partial(replicate, cell), count))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.reducing.condensing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows, 40 replicates each")
    for line in rows(parser.parse_args(argv).quick):
        print(line, flush=True)


if __name__ == "__main__":
    main()
