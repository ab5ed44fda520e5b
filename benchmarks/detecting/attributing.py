"""Attribution under D's law: is the planted cause ranked first, and who is flagged beside it.

Rows are drawn from the outline of D; what is planted decides which fail. Passing rows say nothing
of a conditional e-value, so only failing ones are counted. Draws are made once for each catalogue,
and every replicate reads them from a place of its own with outcomes of its own.
"""

import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from benchmarks.reducing.worlds import replays
from fuzzer.attribution import Row, Tally, pair_rows, transform_rows
from fuzzer.evidence import Presence, presence_effect
from fuzzer.graph import Catalogue
from fuzzer.outline import Outline
from fuzzer.preparation import choose_pools, choose_seeds
from fuzzer.proposal import Draw
from fuzzer.records import Finding, Knockout, TransformRow
from fuzzer.registry import find_catalogue
from fuzzer.shrink import ShrinkConfig, Shrinker
from fuzzer.transform import Step

ALPHA = 0.05
BACKGROUND = 0.001
DRAWS = 20_000
SMALL = 24  # invariant transforms of the smaller catalogue
RANKED_AT, FLAGGED_AT = 16, 32  # failures on D
MOST = 200_000  # rows of a replicate, whatever has failed by then

Rate = Callable[[str, str, frozenset[str]], float]  # of seed, density class, transforms present


@dataclass(frozen=True)
class Drawn:
    """Draws from D over one catalogue, with the names of their transforms."""

    name: str
    outline: Outline
    draws: tuple[tuple[Draw, frozenset[str]], ...]

    @property
    def invariants(self) -> tuple[str, ...]:
        """Invariant transforms, in order."""
        return tuple(t.name for t in self.outline.catalogue if t.relation == "invariant")

    def failing(self, rate: Rate, rng: random.Random) -> Iterator[tuple[int, Row]]:
        """Rows that fail, in order, each with the number of rows up to it."""
        start = rng.randrange(len(self.draws))
        for number in range(MOST):
            draw, held = self.draws[(start + number) % len(self.draws)]
            if rng.random() < rate(draw.seed, draw.stratum, held):
                yield number + 1, Row(draw.seed, draw.stratum, draw.plan, draw.distance, True)


@cache
def drawn(small: bool, draws: int = DRAWS) -> Drawn:
    """The draws over the full catalogue, or over `SMALL` invariant transforms and its shams."""
    whole = find_catalogue()
    seeds = choose_seeds(None)
    pools = choose_pools(whole, seeds)
    catalogue = whole
    if small:
        some = [t.name for t in whole if t.relation == "invariant"]
        kept = set(random.Random("attributing").sample(some, SMALL))
        shown = [t for t in whole if t.name in kept or t.relation == "sham"]
        catalogue = Catalogue(shown, whole.pools)
    outline = Outline(catalogue, seeds, pools, random_seed=7)
    found = (outline.draw(k) for k in range(draws))
    named = tuple((d, frozenset(step.transform for step in d.plan)) for d in found)
    return Drawn(f"{SMALL} transforms" if small else "full catalogue", outline, named)


def single(cause: str, p: float) -> Rate:
    """Fails at p where the cause is present."""
    return lambda _seed, _stratum, held: p if cause in held else BACKGROUND


def pair(one: str, other: str, p: float) -> Rate:
    """Fails at p where both are present."""
    return lambda _seed, _stratum, held: p if one in held and other in held else BACKGROUND


def nobody(rate: float) -> Rate:
    """Fails whatever is present."""
    return lambda _seed, _stratum, _held: rate


def uneven(seed: str, stratum: str, held: frozenset[str]) -> float:  # noqa: ARG001 - a `Rate`
    """Fails by seed and by density class, so that full plans fail more often; none is a cause."""
    easy = sum(map(ord, seed)) % 3 == 0
    return {"half": 0.4, "quarter": 0.1}.get(stratum, 0.02) * (1.0 if easy else 0.2)


# ------------------------------------------------------------------------------------- singles


@dataclass(frozen=True)
class Attributed:
    """What one replicate came to."""

    rows: int  # up to the last failure counted
    first: str  # ranked first at `RANKED_AT`
    flagged: frozenset[str]  # at `FLAGGED_AT`
    sham: bool  # the e-value of some sham reached 1/alpha then


def attribute(d: Drawn, rate: Rate, rng: random.Random) -> Attributed:
    """Rows until `FLAGGED_AT` have failed, attributed at `RANKED_AT` and then."""
    tally, rows, first = Tally(d.outline), 0, ""
    for rows, row in d.failing(rate, rng):  # noqa: B007 - the last one's number is wanted
        tally.add(row)
        if tally.harmful == RANKED_AT:
            first = max(_invariant(tally), key=lambda each: each.e_value).name
        if tally.harmful == FLAGGED_AT:
            break
    found = transform_rows(tally, ALPHA, attributed=True)
    flagged = frozenset(row.name for row in found if row.flagged)
    sham = any(row.e_value >= 1 / ALPHA for row in found if row.relation == "sham")
    return Attributed(rows, first, flagged, sham)


def _invariant(tally: Tally) -> list[TransformRow]:
    found = transform_rows(tally, ALPHA, attributed=True)
    return [row for row in found if row.relation == "invariant"]


def single_line(d: Drawn, p: float, replicates: int) -> str:
    """A planted single cause, another one each time."""
    runs = []
    for number in range(replicates):
        rng = random.Random(f"single {d.name} {p} {number}")
        cause = rng.choice(d.invariants)
        runs.append((cause, attribute(d, single(cause, p), rng)))
    ranked = _share(run.first == cause for cause, run in runs)
    flagged = _share(cause in run.flagged for cause, run in runs)
    false = _share(bool(run.flagged - {cause}) for cause, run in runs)
    shams = _share(run.sham for _, run in runs)
    rows = statistics.median(run.rows for _, run in runs)
    return _line(f"single p={p}", d.name, rows, ranked, flagged, false, shams)


def null_line(d: Drawn, name: str, rate: Rate, replicates: int) -> str:
    """Failures that no transform causes."""
    runs = [
        attribute(d, rate, random.Random(f"{name} {d.name} {number}"))
        for number in range(replicates)
    ]
    rows = statistics.median(run.rows for run in runs)
    false, shams = _share(bool(run.flagged) for run in runs), _share(run.sham for run in runs)
    return _line(name, d.name, rows, "–", "–", false, shams)


def _share(hits: Iterator[bool]) -> str:
    counted = list(hits)
    return f"{sum(counted) / len(counted):.1%}"


def _line(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


# --------------------------------------------------------------------------------------- pairs


def pair_line(d: Drawn, p: float, replicates: int) -> str:
    """A planted pair, another one each time: its rank on D, and its knock-outs."""
    at_16, at_32, rows, confirmed, false = [], [], [], [], []
    for number in range(replicates):
        rng = random.Random(f"pair {d.name} {p} {number}")
        planted = _a_pair(d, rng)
        rate = pair(*planted, p)
        tally, last, early, failing = Tally(d.outline), 0, False, None
        for last, row in d.failing(rate, rng):  # noqa: B007 - as above
            tally.add(row)
            held = {step.transform for step in row.steps}
            failing = failing or (row if held.issuperset(planted) else None)
            if tally.harmful == RANKED_AT:
                early = _first(tally) == planted
            if tally.harmful == FLAGGED_AT:
                break
        rows.append(last)
        at_16.append(early)
        at_32.append(_first(tally) == planted)
        finding = None if failing is None else shrunk(failing, rate, rng)
        shown = pair_rows(tally, [finding] if finding else [])
        sure = {row.names for row in shown if row.confirmed}
        confirmed.append(planted in sure)
        false.append(bool(sure - {planted}))
    shares = [_share(iter(each)) for each in (at_16, at_32, confirmed, false)]
    return _line(f"pair p={p}", d.name, statistics.median(rows), *shares)


def alone_line(d: Drawn, p: float, replicates: int) -> str:
    """A planted single cause: no pair must be confirmed."""
    false = []
    for number in range(replicates):
        rng = random.Random(f"alone {d.name} {p} {number}")
        cause = rng.choice(d.invariants)
        rate = single(cause, p)
        held = (row for _, row in d.failing(rate, rng))
        failing = next(row for row in held if cause in {step.transform for step in row.steps})
        finding = shrunk(failing, rate, rng)
        false.append(any(row.confirmed for row in pair_rows(Tally(d.outline), [finding])))
    return _line(f"single p={p}", d.name, "–", "–", "–", "–", _share(iter(false)))


def _a_pair(d: Drawn, rng: random.Random) -> tuple[str, str]:
    """Two invariant transforms that some draw holds, as likely as draws hold them."""
    known = d.outline.catalogue
    while True:
        draw, _ = rng.choice(d.draws)
        names = [s.transform for s in draw.plan if known[s.transform].relation == "invariant"]
        if len(names) > 1:
            return rng.choice(list(combinations(names, 2)))


def _first(tally: Tally) -> tuple[str, str] | None:
    return next((row.names for row in pair_rows(tally)), None)


def shrunk(row: Row, rate: Rate, rng: random.Random) -> Finding:
    """The finding that a real shrink with its certificate makes of a failing row."""
    steps = row.steps

    def chance(keep: frozenset[int]) -> float:
        return rate(row.seed, row.stratum, frozenset(steps[i].transform for i in keep))

    whole = frozenset(range(len(steps)))
    shrinker = Shrinker(
        ShrinkConfig(budget=400), [step.key for step in steps], *replays(chance(whole), rng)
    )
    while not shrinker.done:
        for call in shrinker.ask(4):
            failed = rng.random() < chance(call.keep)
            shrinker.tell(call.index, "harmful" if failed else "safe")
    result = shrinker.result()
    order = sorted(result.keep)
    minimal: tuple[Step, ...] = tuple(steps[i] for i in order)
    return Finding(
        id="F1",
        seed=row.seed,
        plan=steps,
        minimal_plan=minimal,
        minimal_certified=result.certified,
        rung=None,
        rate=result.rate or 0.0,
        ci=result.ci,
        calls_to_find=0,
        calls_to_shrink=result.calls_search + result.calls_certificate,
        knockouts=tuple(
            Knockout(
                step=order.index(k.step),
                transform=steps[k.step].transform,
                n=k.n,
                rate=k.rate,
                ci=k.ci,
                status=k.status,
            )
            for k in result.knockouts
        ),
    )


# ------------------------------------------------------------------------------------- effects


def effect_line(d: Drawn, p: float, n: int, replicates: int) -> str:
    """Coverage of the effect's interval, of the cause and of a step that does nothing."""
    inside = {True: 0, False: 0}
    width = 0.0
    for number in range(replicates):
        rng = random.Random(f"effect {d.name} {p} {n} {number}")
        cause, other = rng.sample(d.invariants, 2)
        rows: dict[str, list[Presence]] = {cause: [], other: []}
        for draw, held in rng.sample(d.draws, n):
            failed = rng.random() < (p if cause in held else BACKGROUND)
            for group in d.outline.presences(draw.seed, draw.stratum, draw.plan):
                for name, here, chance in group:
                    if name in rows:
                        rows[name].append(Presence(failed, here, chance))
        _, low, high = presence_effect(rows[cause])
        inside[True] += low <= p - BACKGROUND <= high
        width += high - low
        _, low, high = presence_effect(rows[other])
        inside[False] += low <= 0 <= high
    cells = (inside[True] / replicates, inside[False] / replicates, width / replicates)
    return _line(p, n, *(f"{cell:.1%}" for cell in cells))


def rows(quick: bool) -> Iterator[str]:
    """The lines of the tables, title first."""
    replicates = 40 if quick else 400
    both = (drawn(True), drawn(False))
    yield f"Attribution: {replicates} replicates a row, background {BACKGROUND}, alpha {ALPHA}"
    yield (
        f"| planted | over | rows of D to {FLAGGED_AT} failures, median | "
        f"first at {RANKED_AT} (bar 95%) | flagged at {FLAGGED_AT} (90%) | "
        "false flags (at most 5%) | a sham's e >= 1/alpha (5%) |"
    )
    yield "|---|---|---|---|---|---|---|"
    for d in both:
        for p in (1.0, 0.5):
            yield single_line(d, p, replicates)
        yield null_line(d, "none, rate .05", nobody(0.05), replicates)
        yield null_line(d, "none, by seed and class", uneven, replicates)
    yield ""
    yield "Pairs: ranked on D, claimed by knock-outs (the real shrinker, 400 calls)"
    yield (
        f"| planted | over | rows of D to {FLAGGED_AT} failures, median | first at {RANKED_AT} | "
        f"first at {FLAGGED_AT} | confirmed | another pair confirmed (5%) |"
    )
    yield "|---|---|---|---|---|---|---|"
    for d in both:
        for p in (1.0, 0.5):
            yield pair_line(d, p, replicates)
        yield alone_line(d, 0.5, replicates)
    yield ""
    yield "Effects over the full catalogue: coverage of the 95% interval"
    yield "| rate with the cause | rows of D | cause | a step that does nothing | mean width |"
    yield "|---|---|---|---|---|"
    for p in (0.02, 0.5):
        for n in (100, 300):
            yield effect_line(both[1], p, n, replicates)


if __name__ == "__main__":
    import sys

    for text in rows("--quick" in sys.argv[1:]):
        print(text, flush=True)
