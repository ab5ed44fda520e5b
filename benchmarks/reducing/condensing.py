"""Condensing on planted causes: what is left of a seed, what it took, and whether it is right.

Every default seed with one step. An organism fails at a rate p if the rendered request holds the
planted passage (its slots filled), and else in one call of a thousand, as the seed itself does. The
passage is a sentence, a paragraph (of a mail or of the prompt), a whole unit, or two paragraphs of
different units; or nothing: then the step alone suffices. Calls go through ask and tell; what is
asked is rendered and admitted as in a sweep. *Kept*: the passage is in the reduced request.
*Admitted*: controls hold and the request still tempts. *Small*: at most a quarter of the tokens.
*True*: a certificate that holds, of a reduced scenario that fails above its cut.
"""

import random
import re
import time
from collections.abc import Iterator, Sequence
from functools import cache
from statistics import quantiles
from typing import Literal, NamedTuple

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
    f"{'planted':<16}{'p':>4}{'budget':>7}{'kept':>6}{'adm.':>6}{'ended':>6}{'cert.':>6}{'false':>6}"
    f"{'search':>9}{'cert.':>8}{'all':>9}{'tokens':>10}{'small':>6}"
)


def row(cell: Cell, runs: Sequence[Replicate]) -> str:
    """One line: shares, then median/90% of calls and of the share of tokens that is left."""

    def share(flags: Sequence[bool]) -> str:
        return f"{sum(flags) / len(flags):>6.0%}"

    def spread(values: Sequence[float]) -> tuple[float, float]:
        tenths = quantiles(values, n=10, method="inclusive")
        return tenths[4], tenths[8]

    search = spread([r.result.calls_search for r in runs])
    proof = spread([r.result.calls_certificate for r in runs])
    both = spread([r.result.calls_search + r.result.calls_certificate for r in runs])
    left = spread([r.share for r in runs])
    flags = (
        [r.kept for r in runs],
        [r.admitted for r in runs],
        [r.result.complete for r in runs],
        [r.result.certified for r in runs],
        [r.false for r in runs],
    )
    return (
        f"{cell.kind:<16}{cell.p:>4g}{cell.budget:>7}{''.join(map(share, flags))}"
        f"{f'{search[0]:.0f}/{search[1]:.0f}':>9}{f'{proof[0]:.0f}/{proof[1]:.0f}':>8}"
        f"{f'{both[0]:.0f}/{both[1]:.0f}':>9}{f'{left[0]:.0%}/{left[1]:.0%}':>10}"
        f"{share([r.share <= SMALL for r in runs])}"
    )


def cells(*, quick: bool) -> list[Cell]:
    """The rows of the table."""
    if quick:
        return [Cell("paragraph", 1, 100), Cell("paragraph", 0.5, 300), Cell("nothing", 1, 100)]
    kinds: tuple[Kind, ...] = ("sentence", "paragraph", "unit", "two paragraphs", "nothing")
    budgets = ((1, 100), (0.5, 300), (0.2, 800))
    return [Cell(kind, p, budget) for kind in kinds for p, budget in budgets]


def rows(*, quick: bool) -> Iterator[str]:
    """The table, line by line."""
    replicates = 16 if quick else 64  # each seed once, or four times
    sizes = [len(source.variant(frozenset()).request.text.encode()) for source in planted()]
    yield "Condensing: text of a scenario that still fails, planted causes in rendered requests"
    yield (
        f"{len(sizes)} default seeds of {min(sizes) / 1000:.1f} to {max(sizes) / 1000:.1f} kB, "
        f"{replicates} replicates per row, batches of 4, background {BACKGROUND}; calls and share "
        "of tokens left: median/90%"
    )
    yield HEADER
    started = time.perf_counter()
    for cell in cells(quick=quick):
        yield row(cell, [replicate(cell, number) for number in range(replicates)])
    yield f"{time.perf_counter() - started:.0f} s"
